//! Tests of the crate's public API against recorded and forged evidence.

// Clippy lets test functions unwrap; the helpers next to them are test code as well.
#![allow(clippy::unwrap_used)]

mod authority;
mod certificate;
mod certificates;
#[cfg(feature = "client")]
mod client;
mod compose;
mod conclusions;
mod evidence;
mod forged;
mod gateway;
mod image;
mod ingress;
mod keys;
mod kms;
mod operator;
mod os;
mod policy;
mod properties;
mod quote;
mod ra_tls;
mod recorded;
mod report;
mod vectors;
mod versioned;
