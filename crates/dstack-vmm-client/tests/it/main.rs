//! The one integration binary of the crate.

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
