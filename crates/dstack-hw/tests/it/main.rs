//! Integration tests: what real hosts printed, synthetic hosts, traps, properties.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod hostile;
mod hosts;
mod properties;
mod reach;
mod recorded;
mod support;
mod traps;
