//! Integration tests of the emulator, one binary.

#![allow(clippy::unwrap_used, reason = "tests")]

mod agent;
mod auth;
mod config;
mod faults;
mod golden_shape;
mod golden_vmm;
mod kms;
mod lifecycle;
mod logs;
mod methods;
mod persistence;
mod raw_http;
mod server;
mod x509;
