//! KVM: its module, its parameters, its device, its capacity for TDs.

use serde::Serialize;

use super::HostSource;

/// KVM: its module, its parameters, its device, its capacity for TDs.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Kvm {}

impl Kvm {
    pub(crate) fn collect(_source: &dyn HostSource) -> Self {
        Self {}
    }
}
