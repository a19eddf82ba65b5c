//! The checks of the layer `cpu`: what the silicon is and what it has.

mod address_bits;
mod features;
mod generation;
mod ground;
mod identity;
mod parts;
#[cfg(test)]
pub(super) mod tests;

use dstack_check::CheckDef;

use super::{Barrier, HwCheck};

pub(super) use ground::{
    implied_by, log_is_silent, neither, of_another_maker, on_amd, on_intel, register_is_silent,
    register_source, said, said_where, unless_intel,
};
pub(super) use identity::Identity;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.cpu.vendor", "the CPU is made by Intel or AMD")
            .layer("cpu")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"]),
        Barrier::Hardware,
        parts::vendor,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.tdx-generation", "the CPU is of a generation that can do TDX")
            .layer("cpu")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Hardware,
        generation::tdx_generation,
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.seam", "the CPU has SEAM range registers")
            .layer("cpu")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Hardware,
        |check, facts| on_intel(check, facts, generation::seam),
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.vmx", "the CPU can virtualise, and the firmware lets it")
            .layer("cpu")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Setting,
        |check, facts| on_intel(check, facts, features::vmx),
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.ept", "the CPU has extended page tables with accessed and dirty bits")
            .layer("cpu")
            .parents(&["hw.cpu.vmx"]),
        Barrier::Hardware,
        |check, facts| on_intel(check, facts, features::ept),
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.x2apic", "x2APIC is there and not turned off")
            .layer("cpu")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Setting,
        |check, facts| on_intel(check, facts, features::x2apic),
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.movdir64b", "the CPU has MOVDIR64B")
            .layer("cpu")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Hardware,
        |check, facts| on_intel(check, facts, features::movdir64b),
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.self-snoop", "the CPU has self-snoop")
            .layer("cpu")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Hardware,
        |check, facts| on_intel(check, facts, features::self_snoop),
    ),
    HwCheck::new(
        CheckDef::new(
            "hw.cpu.physical-address-bits",
            "no limit on physical addresses is in the way of key ids",
        )
        .layer("cpu")
        .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Setting,
        |check, facts| on_intel(check, facts, address_bits::physical_address_bits),
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.production", "the CPU is a production part")
            .layer("cpu")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Hardware,
        |check, facts| on_intel(check, facts, parts::production),
    ),
    HwCheck::new(
        CheckDef::new("hw.cpu.microcode", "all packages run the same microcode")
            .layer("cpu")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Setting,
        parts::microcode,
    ),
];
