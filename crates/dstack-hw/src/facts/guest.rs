//! What a confidential VM sees of its own TEE.

use serde::Serialize;

use super::HostSource;

/// What a confidential VM sees of its own TEE.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Guest {}

impl Guest {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
