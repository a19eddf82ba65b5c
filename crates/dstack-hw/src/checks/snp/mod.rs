//! The checks of the layer `snp`: everything between an AMD CPU and SEV-SNP guests.

mod asids;
mod iommu;
mod kernel;
mod proof;
mod rmp;
mod secure_processor;
mod silicon;
#[cfg(test)]
mod tests;

use dstack_check::CheckDef;

use super::cpu::on_amd;
use super::{Barrier, HwCheck};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.snp.cpu", "the CPU has SEV-SNP").layer("snp").parents(&["hw.cpu.vendor"]),
        Barrier::Hardware,
        silicon::cpu,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.svm", "the CPU can virtualise, and the firmware lets it")
            .layer("snp")
            .parents(&["hw.snp.cpu"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, silicon::svm),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.smee", "the firmware has secure memory encryption (SMEE) on")
            .layer("snp")
            .parents(&["hw.snp.cpu"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, silicon::smee),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.rmp", "the firmware has reserved memory for the RMP table")
            .layer("snp")
            .parents(&["hw.snp.smee"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, rmp::rmp),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.rmp-covers", "the RMP table covers all memory")
            .layer("snp")
            .parents(&["hw.snp.rmp"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, rmp::rmp_covers),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.iommu", "the IOMMU supports SEV-SNP and is not in passthrough mode")
            .layer("snp")
            .parents(&["hw.snp.cpu"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, iommu::iommu),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.kernel", "the kernel has turned SEV-SNP on")
            .layer("snp")
            .parents(&["hw.snp.rmp-covers", "hw.snp.iommu"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, kernel::kernel),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.secure-processor", "the secure processor initialised")
            .layer("snp")
            .parents(&["hw.snp.smee"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, secure_processor::secure_processor),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.api", "the SEV firmware is recent enough")
            .layer("snp")
            .parents(&["hw.snp.secure-processor"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, secure_processor::api),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.kvm", "kvm_amd has SEV-SNP on").layer("snp").parents(&[
            "hw.snp.kernel",
            "hw.snp.secure-processor",
            "hw.snp.svm",
        ]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, kernel::kvm),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.asids", "address space ids are left for SEV-SNP guests")
            .layer("snp")
            .parents(&["hw.snp.kvm"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, asids::asids),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.device", "/dev/sev is there")
            .layer("snp")
            .parents(&["hw.snp.secure-processor"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, secure_processor::device),
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.memlock", "guests may lock their memory").layer("snp").parents(&["hw.snp.cpu"]),
        Barrier::Setting,
        |check, facts| on_amd(check, facts, asids::memlock),
    ),
];
