//! The distribution and its packages.

use serde::Serialize;

use super::HostSource;

/// The distribution and its packages.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct OperatingSystem {}

impl OperatingSystem {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
