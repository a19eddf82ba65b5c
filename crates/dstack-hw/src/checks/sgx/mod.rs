//! The checks of the layer `sgx`: enclaves, which make quotes and hold the local key provider.

pub(super) mod devices;
mod firmware;
mod silicon;
#[cfg(test)]
mod tests;

use dstack_check::{CheckDef, Finding};

use super::cpu::unless_intel;
use super::{Barrier, HwCheck};
use crate::HostFacts;
use crate::facts::environment::Virtualisation;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.sgx.cpu", "the CPU has SGX")
            .layer("sgx")
            .parents(&["hw.cpu.vendor"])
            .why("the enclaves that sign quotes and hold the local key provider run in SGX"),
        Barrier::Hardware,
        silicon::cpu,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.launch-control", "the CPU has flexible launch control")
            .layer("sgx")
            .parents(&["hw.sgx.cpu"])
            .why("without it Linux starts no enclaves of its own, only those of virtual machines"),
        Barrier::Hardware,
        silicon::launch_control,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.firmware", "the firmware has SGX on")
            .layer("sgx")
            .parents(&["hw.sgx.cpu"])
            .needs("root and the module msr, where the kernel's flags do not tell")
            .why("the CPU shows SGX although the firmware has it off"),
        Barrier::Setting,
        firmware::firmware,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.epc", "there is enclave memory (EPC)")
            .layer("sgx")
            .parents(&["hw.sgx.firmware"])
            .why("the firmware sets the memory of enclaves aside at boot; nothing can be added later"),
        Barrier::Setting,
        firmware::epc,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.devices", "the device nodes of SGX are there")
            .layer("sgx")
            .parents(&["hw.sgx.epc", "hw.sgx.launch-control"])
            .why("enclaves are made through /dev/sgx_enclave, quotes need /dev/sgx_provision too"),
        Barrier::Setting,
        devices::nodes,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.permissions", "the quote services may open the SGX devices")
            .layer("sgx")
            .parents(&["hw.sgx.devices"])
            .why("services that do not run as root open the devices by their groups"),
        Barrier::Setting,
        devices::permissions,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.legacy-driver", "no out-of-tree SGX driver is in use")
            .layer("sgx")
            .parents(&["hw.sgx.cpu"])
            .why("the drivers from before Linux 5.11 have other device nodes, which current services do not open"),
        Barrier::Setting,
        devices::legacy_driver,
    ),
];

/// The finding where the question does not arise: another vendor's CPU, or a guest.
pub(super) fn elsewhere(check: &CheckDef, facts: &HostFacts) -> Option<Finding> {
    if let Some(finding) = unless_intel(check, facts) {
        return Some(finding);
    }
    if let Ok(Some((tee, _))) = facts.confidential_guest() {
        return Some(
            check
                .not_applicable()
                .observed(format!("inside a confidential VM ({}): its host does this", tee.name())),
        );
    }
    match facts.virtualisation() {
        Ok((Virtualisation::VirtualMachine { hypervisor }, _)) => {
            Some(check.not_applicable().observed(format!("inside a virtual machine of {hypervisor}")))
        }
        _ => None,
    }
}

/// Bytes as MiB, rounded down.
fn mib(bytes: u64) -> u64 {
    bytes >> 20
}
