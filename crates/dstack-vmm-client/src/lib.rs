#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod api;
pub mod app_compose;
#[cfg(feature = "client")]
pub mod client;
pub mod config;
pub mod deploy;
pub mod discovery;
pub mod env;
pub mod error;
pub mod ids;
pub mod version;
pub mod vm;

pub use error::{Error, Result};
pub use version::{Capabilities, DstackVersion};
