#![doc = include_str!("../README.md")]

pub mod agent;
mod auth;
pub mod boot;
mod builder;
pub mod clock;
mod discovery;
mod emulator;
pub mod fault;
pub mod kms;
mod manifest;
mod omit;
mod rpc;
pub mod settings;
mod store;
mod timeline;
mod vmm;

pub use auth::HtpasswdError;
pub use boot::BootProfile;
pub use builder::{Builder, StartError};
pub use clock::Clock;
pub use emulator::Emulator;
pub use fault::{Fault, Faults};
pub use settings::Settings;
