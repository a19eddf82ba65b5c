//! Registration of the platform with Intel: UEFI variables and the registration agent.

use serde::Serialize;

use super::HostSource;

/// Registration of the platform with Intel: UEFI variables and the registration agent.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Registration {}

impl Registration {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
