//! AMD SEV-SNP on a host.

use serde::Serialize;

use super::HostSource;

/// AMD SEV-SNP on a host.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Snp {}

impl Snp {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
