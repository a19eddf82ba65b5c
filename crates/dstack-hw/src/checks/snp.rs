//! The checks of the layer `snp`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.snp.cpu", "the CPU has SEV-SNP").layer("snp").parents(&["hw.cpu.vendor"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.svm", "the CPU can virtualise, and the firmware lets it")
            .layer("snp")
            .parents(&["hw.snp.cpu"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.smee", "the firmware has secure memory encryption (SMEE) on")
            .layer("snp")
            .parents(&["hw.snp.cpu"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.rmp", "the firmware has reserved memory for the RMP table")
            .layer("snp")
            .parents(&["hw.snp.smee"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.rmp-covers", "the RMP table covers all memory")
            .layer("snp")
            .parents(&["hw.snp.rmp"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.iommu", "the IOMMU supports SEV-SNP and is not in passthrough mode")
            .layer("snp")
            .parents(&["hw.snp.cpu"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.kernel", "the kernel has turned SEV-SNP on")
            .layer("snp")
            .parents(&["hw.snp.rmp-covers", "hw.snp.iommu"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.secure-processor", "the secure processor initialised")
            .layer("snp")
            .parents(&["hw.snp.smee"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.api", "the SEV firmware is recent enough")
            .layer("snp")
            .parents(&["hw.snp.secure-processor"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.kvm", "kvm_amd has SEV-SNP on").layer("snp").parents(&[
            "hw.snp.kernel",
            "hw.snp.secure-processor",
            "hw.snp.svm",
        ]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.asids", "address space ids are left for SEV-SNP guests")
            .layer("snp")
            .parents(&["hw.snp.kvm"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.device", "/dev/sev is there")
            .layer("snp")
            .parents(&["hw.snp.secure-processor"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.snp.memlock", "guests may lock their memory").layer("snp").parents(&["hw.snp.cpu"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
