//! The one integration binary of the crate.

mod app_compose;
mod client;
mod config;
mod deploy;
mod env;
mod faults;
mod golden;
mod logs;
mod rig;
