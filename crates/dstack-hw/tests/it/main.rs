//! Integration tests: what real hosts printed, synthetic hosts, traps, properties.

mod hostile;
mod hosts;
mod properties;
mod reach;
mod recorded;
mod support;
mod traps;
