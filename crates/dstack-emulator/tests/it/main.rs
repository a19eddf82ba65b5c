//! Integration tests of the emulator, one binary.

#![allow(clippy::unwrap_used, reason = "tests")]

mod agent;
mod golden_shape;
mod kms;
mod raw_http;
mod x509;
