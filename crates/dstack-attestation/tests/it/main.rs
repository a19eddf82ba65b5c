//! Tests of the crate's public API against recorded and forged evidence.

// Clippy lets test functions unwrap; the helpers next to them are test code as well.
#![allow(clippy::unwrap_used)]

mod evidence;
mod forged;
mod keys;
mod properties;
mod recorded;
mod report;
