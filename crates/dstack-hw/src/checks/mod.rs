//! The checks: pure functions from facts to findings, one file a layer.

#[cfg(test)]
mod asked;
mod build;
mod cpu;
mod environment;
mod firmware;
mod gpu;
mod guest;
mod kernel;
mod kvm;
mod platform;
mod qemu;
mod quote_services;
mod registration;
mod sgx;
mod snp;
mod tdx_module;

use dstack_check::{CheckDef, Finding};

use crate::HostFacts;

/// A check: what it asks, what its failure means, and the function that answers.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HwCheck {
    /// What it asks and what it stands on.
    pub def: CheckDef,
    /// What stands in the way when it fails.
    pub barrier: Barrier,
    run: fn(&CheckDef, &HostFacts) -> Finding,
}

/// What stands in the way when a check fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// The hardware: no setting changes the answer.
    Hardware,
    /// A setting, a version, a service: the answer can be changed.
    Setting,
    /// The place: the question was asked inside a virtual machine or a container, and says nothing about the host.
    Elsewhere,
}

impl HwCheck {
    pub(crate) const fn new(
        def: CheckDef,
        barrier: Barrier,
        run: fn(&CheckDef, &HostFacts) -> Finding,
    ) -> Self {
        Self { def, barrier, run }
    }

    /// The answer for these facts. What the check stands on is not looked at; a report does that.
    pub fn run(&self, facts: &HostFacts) -> Finding {
        (self.run)(&self.def, facts)
    }
}

/// Every check, layer by layer from the silicon up.
pub fn all() -> impl Iterator<Item = &'static HwCheck> {
    [
        environment::CHECKS,
        cpu::CHECKS,
        firmware::CHECKS,
        kernel::CHECKS,
        tdx_module::CHECKS,
        kvm::CHECKS,
        sgx::CHECKS,
        registration::CHECKS,
        quote_services::CHECKS,
        qemu::CHECKS,
        platform::CHECKS,
        build::CHECKS,
        gpu::CHECKS,
        snp::CHECKS,
        guest::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// The check with this id.
pub fn get(id: &str) -> Option<&'static HwCheck> {
    all().find(|check| check.def.id == id)
}
