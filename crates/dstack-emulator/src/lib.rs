#![doc = include_str!("../README.md")]

pub mod agent;
mod auth;
pub mod boot;
pub mod clock;
mod emulator;
pub mod fault;
pub mod kms;
mod rpc;
pub mod settings;
mod store;
mod vmm;

pub use auth::HtpasswdError;
pub use boot::BootProfile;
pub use clock::Clock;
pub use emulator::{Builder, Emulator, StartError};
pub use fault::{Fault, Faults};
pub use settings::Settings;
