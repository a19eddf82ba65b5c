//! The firmware: who made it, how it boots, what it has turned on.

use serde::Serialize;

use super::HostSource;

/// The firmware: who made it, how it boots, what it has turned on.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Firmware {}

impl Firmware {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
