#![doc = include_str!("../README.md")]

mod rpc;
pub mod agent;
pub mod clock;
pub mod kms;
