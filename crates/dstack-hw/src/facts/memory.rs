//! Memory: size, DIMMs, hugepages.

use serde::Serialize;

use super::HostSource;

/// Memory: size, DIMMs, hugepages.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Memory {}

impl Memory {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
