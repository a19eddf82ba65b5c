//! Packages, NUMA nodes, logical CPUs.

use serde::Serialize;

use super::HostSource;

/// Packages, NUMA nodes, logical CPUs.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Topology {}

impl Topology {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
