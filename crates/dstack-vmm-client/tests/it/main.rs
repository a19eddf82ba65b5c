//! The one integration binary of the crate.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees tests only in functions that are marked as such, not in what they call"
)]

mod app_compose;
mod client;
mod config;
mod deploy;
mod emulator;
mod env;
mod faults;
mod golden;
mod logs;
mod pages;
mod rig;
mod wait;
