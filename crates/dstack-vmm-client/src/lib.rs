#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod api;
#[cfg(feature = "client")]
pub mod client;
pub mod error;
pub mod version;
pub mod vm;

pub use error::{Error, Result};
pub use version::{Capabilities, DstackVersion};
