//! The checks of the layer `sgx`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.sgx.cpu", "the CPU has SGX").layer("sgx").parents(&["hw.cpu.vendor"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.launch-control", "the CPU has flexible launch control")
            .layer("sgx")
            .parents(&["hw.sgx.cpu"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.firmware", "the firmware has SGX on").layer("sgx").parents(&["hw.sgx.cpu"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.epc", "there is enclave memory (EPC)")
            .layer("sgx")
            .parents(&["hw.sgx.firmware"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.devices", "the device nodes of SGX are there")
            .layer("sgx")
            .parents(&["hw.sgx.epc", "hw.sgx.launch-control"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.permissions", "the quote services may open the SGX devices")
            .layer("sgx")
            .parents(&["hw.sgx.devices"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.sgx.legacy-driver", "no out-of-tree SGX driver is in use")
            .layer("sgx")
            .parents(&["hw.sgx.cpu"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
