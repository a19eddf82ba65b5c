//! Model-specific registers of the first CPU of each package.

use serde::Serialize;

use super::HostSource;

/// Model-specific registers of the first CPU of each package.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Msrs {}

impl Msrs {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
