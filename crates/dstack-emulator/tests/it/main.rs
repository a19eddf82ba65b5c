//! Integration tests of the emulator, one binary.

#![allow(clippy::unwrap_used, reason = "tests")]

mod agent;
mod golden_shape;
mod golden_vmm;
mod kms;
mod lifecycle;
mod methods;
mod raw_http;
mod server;
mod x509;
