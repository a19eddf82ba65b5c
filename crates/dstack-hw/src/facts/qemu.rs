//! QEMU: version, object types, properties of a TD.

use serde::Serialize;

use super::HostSource;

/// QEMU: version, object types, properties of a TD.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Qemu {}

impl Qemu {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
