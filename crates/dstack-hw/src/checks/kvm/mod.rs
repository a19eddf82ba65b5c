//! The checks of the layer `kvm`.

mod capacity;
mod device;
mod parameters;
mod tdx;
#[cfg(test)]
mod tests;

use dstack_check::CheckDef;

use super::{Barrier, HwCheck};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.kvm.loaded", "KVM is loaded")
            .layer("kvm")
            .parents(&["hw.cpu.vendor", "hw.cpu.vmx"])
            .why("QEMU runs VMs with it"),
        Barrier::Setting,
        device::loaded,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.device", "/dev/kvm can be opened")
            .layer("kvm")
            .parents(&["hw.kvm.loaded"])
            .needs("membership in the group kvm, or root")
            .why("the user that runs dstack's VMM starts QEMU, which opens it"),
        Barrier::Setting,
        device::device,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.ept", "KVM uses extended page tables")
            .layer("kvm")
            .parents(&["hw.kvm.loaded"])
            .why("KVM refuses TDX without them and their accessed and dirty bits"),
        Barrier::Setting,
        parameters::ept,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.tdp-mmu", "KVM uses its TDP MMU with MMIO caching")
            .layer("kvm")
            .parents(&["hw.kvm.loaded"])
            .why("KVM refuses TDX without them"),
        Barrier::Setting,
        parameters::tdp_mmu,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.virt-at-load", "KVM enables virtualisation when it is loaded")
            .layer("kvm")
            .parents(&["hw.kvm.loaded"])
            .why("calls into the TDX module need a CPU that is in VMX operation"),
        Barrier::Setting,
        parameters::virt_at_load,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.tdx", "KVM has brought TDX up")
            .layer("kvm")
            .parents(&[
                "hw.kvm.loaded",
                "hw.kvm.ept",
                "hw.kvm.tdp-mmu",
                "hw.kvm.virt-at-load",
                "hw.tdx-module.initialized",
            ])
            .why("it is the last word of the host on whether TDs can run"),
        Barrier::Setting,
        tdx::tdx,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.vm-type", "KVM offers TDs as a type of virtual machine")
            .layer("kvm")
            .parents(&["hw.kvm.device", "hw.kvm.tdx"])
            .needs("the right to open /dev/kvm")
            .why("QEMU asks for a TD by the number of its type, which is not the same on all kernels"),
        Barrier::Setting,
        tdx::vm_type,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.capacity", "there are key ids for TDs")
            .layer("kvm")
            .parents(&["hw.kvm.tdx"])
            .why("every TD takes one; the module takes the first"),
        Barrier::Setting,
        capacity::capacity,
    ),
    HwCheck::new(
        CheckDef::new("hw.kvm.capacity-free", "key ids for further TDs are free")
            .layer("kvm")
            .parents(&["hw.kvm.capacity"])
            .why("without one no further TD starts"),
        Barrier::Setting,
        capacity::free,
    ),
];
