//! Integration tests: what real hosts printed, synthetic hosts, traps, properties.

mod draft;
mod look;
