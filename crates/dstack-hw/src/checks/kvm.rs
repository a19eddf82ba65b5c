//! The checks of the layer `kvm`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.kvm.loaded", "KVM is loaded")
            .layer("kvm")
            .parents(&["hw.cpu.vendor", "hw.cpu.vmx"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.device", "/dev/kvm can be opened").layer("kvm").parents(&["hw.kvm.loaded"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.ept", "KVM uses extended page tables").layer("kvm").parents(&["hw.kvm.loaded"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.tdp-mmu", "KVM uses its TDP MMU with MMIO caching")
            .layer("kvm")
            .parents(&["hw.kvm.loaded"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.virt-at-load", "KVM enables virtualisation when it is loaded")
            .layer("kvm")
            .parents(&["hw.kvm.loaded"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.tdx", "KVM has brought TDX up").layer("kvm").parents(&[
            "hw.kvm.loaded",
            "hw.kvm.ept",
            "hw.kvm.tdp-mmu",
            "hw.kvm.virt-at-load",
            "hw.tdx-module.initialized",
        ]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.vm-type", "KVM offers TDs as a type of virtual machine")
            .layer("kvm")
            .parents(&["hw.kvm.device", "hw.kvm.tdx"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.capacity", "there are key ids for TDs").layer("kvm").parents(&["hw.kvm.tdx"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.capacity-free", "key ids for further TDs are free")
            .layer("kvm")
            .parents(&["hw.kvm.capacity"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
