#![doc = include_str!("../README.md")]

mod fixed_bytes;
mod hash;
mod measurement;
mod mr_config_id;
mod verify;

pub mod agent;
pub mod event_log;
pub mod key_chain;
pub mod quote;
pub mod report_data;

pub use fixed_bytes::{Digest32, Digest48, FixedBytes, HexError, Id20};
pub use measurement::{CreatorFields, Measurements};
pub use mr_config_id::{MrConfigDocument, MrConfigId, MrConfigIdError};
pub use verify::{APP_CHECKS, AppEvidence, AppExpectation, EvidenceError, verify_app};
