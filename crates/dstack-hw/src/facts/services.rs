//! The quote services: QGS, PCCS, QCNL, AESM, the local key provider.

use serde::Serialize;

use super::HostSource;

/// The quote services: QGS, PCCS, QCNL, AESM, the local key provider.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Services {}

impl Services {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
