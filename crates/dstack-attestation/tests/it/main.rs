//! Tests of the crate's public API against recorded and forged evidence.

// Clippy lets test functions unwrap; the helpers next to them are test code as well.
#![allow(clippy::unwrap_used)]

mod authority;
#[cfg(feature = "client")]
mod client;
mod compose;
mod conclusions;
mod operator;
mod evidence;
mod forged;
mod gateway;
mod ingress;
mod image;
mod keys;
mod kms;
mod os;
mod policy;
mod properties;
mod quote;
mod recorded;
mod report;
mod vectors;
mod versioned;
mod certificate;
mod certificates;
mod ra_tls;
