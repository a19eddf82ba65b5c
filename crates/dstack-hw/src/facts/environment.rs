//! Where this runs: on metal, in a virtual machine, in a container, in a TD; and with which rights.

use serde::Serialize;

use super::HostSource;

/// Where this runs: on metal, in a virtual machine, in a container, in a TD; and with which rights.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Environment {}

impl Environment {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
