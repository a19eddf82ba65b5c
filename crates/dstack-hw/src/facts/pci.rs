//! PCI devices that matter: GPUs, NVSwitches, their drivers and IOMMU groups.

use serde::Serialize;

use super::HostSource;

/// PCI devices that matter: GPUs, NVSwitches, their drivers and IOMMU groups.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Pci {}

impl Pci {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
