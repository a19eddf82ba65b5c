#![doc = include_str!("../README.md")]

pub mod capture;
pub mod checks;
mod error;
pub mod explain;
pub mod facts;
pub mod knowledge;
mod profile;
mod readiness;
mod reading;
pub mod snapshot;
pub mod source;

pub use error::Error;
pub use facts::{CollectOptions, HostFacts};
pub use profile::{MAX_PROFILE, Profile, Requirement};
pub use readiness::{Assessment, Readiness, Softened};
pub use reading::{Fact, Reading, Unread};
pub use source::HostSource;
