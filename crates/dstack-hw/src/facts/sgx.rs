//! SGX: EPC, device nodes, drivers.

use serde::Serialize;

use super::HostSource;

/// SGX: EPC, device nodes, drivers.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Sgx {}

impl Sgx {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
