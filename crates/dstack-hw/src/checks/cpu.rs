//! The checks of the layer `cpu`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.cpu.vendor", "the CPU is made by Intel or AMD")
            .layer("cpu")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.tdx-generation", "the CPU is of a generation that can do TDX")
            .layer("cpu")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.seam", "the CPU has SEAM range registers")
            .layer("cpu")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.vmx", "the CPU can virtualise, and the firmware lets it")
            .layer("cpu")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.ept", "the CPU has extended page tables with accessed and dirty bits")
            .layer("cpu")
            .parents(&["hw.cpu.vmx"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.x2apic", "x2APIC is there and not turned off")
            .layer("cpu")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.movdir64b", "the CPU has MOVDIR64B")
            .layer("cpu")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.self-snoop", "the CPU has self-snoop")
            .layer("cpu")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new(
            "hw.cpu.physical-address-bits",
            "no limit on physical addresses is in the way of key ids",
        )
        .layer("cpu")
        .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.production", "the CPU is a production part")
            .layer("cpu")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.microcode", "all packages run the same microcode")
            .layer("cpu")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
