//! What building dstack needs.

use serde::Serialize;

use super::HostSource;

/// What building dstack needs.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BuildTools {}

impl BuildTools {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
