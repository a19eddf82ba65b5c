//! The checks of the layer `qemu`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.qemu.present", "QEMU is installed where dstack looks for it")
            .layer("qemu")
            .parents(&["hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.version", "the version of QEMU is one that can host CVMs")
            .layer("qemu")
            .parents(&["hw.qemu.present"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.tdx", "QEMU can make TDs").layer("qemu").parents(&["hw.qemu.version"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.tdx-properties", "QEMU knows the properties that dstack sets on a TD")
            .layer("qemu")
            .parents(&["hw.qemu.tdx"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.kvm-pair", "QEMU and the kernel are of the same generation")
            .layer("qemu")
            .parents(&["hw.qemu.tdx", "hw.kvm.vm-type"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.snp", "QEMU can make SEV-SNP guests")
            .layer("qemu")
            .parents(&["hw.qemu.version"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.package-pinned", "an upgrade cannot replace the TDX build of QEMU")
            .layer("qemu")
            .parents(&["hw.qemu.tdx"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
