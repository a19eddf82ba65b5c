//! Can this CPU do TDX at all?

use dstack_check::{CheckDef, Finding, Fix};

use super::ground::{implied, implied_by, neither, of_another_maker, register_source, said};
use super::identity::Identity;
use crate::HostFacts;
use crate::facts::cpu::Vendor;
use crate::facts::kernel_tdx::TdxStage;
use crate::facts::msr::Register;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::knowledge::cpu_models::{Generation, Support};

/// What kernels from before TDX was in mainline say where the range registers or the keys are not there.
const DISABLED_PLATFORM: &str = "tdx: Cannot enable TDX on TDX disabled platform";

const DATA_SHEET: &str = "https://ark.intel.com";

pub(super) fn tdx_generation(check: &CheckDef, facts: &HostFacts) -> Finding {
    let identity = Identity::of(facts);
    let expected =
        "a server CPU of Intel's Emerald Rapids or Xeon 6 generations, or a Sapphire Rapids part with TDX";
    if let Some(finding) = of_another_maker(check, &identity, &Vendor::Intel, expected) {
        return finding;
    }
    // TDX that works on this CPU says more than any table.
    if let Some(proof) = facts.tdx_proven(TdxStage::PlatformAccepted) {
        let finding = implied(check, proof);
        return if identity.is_known() {
            let because = finding.observed.clone().unwrap_or_default();
            finding.observed(format!("{}; {because}", identity.shown()))
        } else {
            finding
        };
    }
    let Some(generation) = identity.generation() else {
        return not_in_the_table(check, facts, &identity, expected);
    };
    let workstation = identity.name.as_deref().is_some_and(crate::knowledge::cpu_models::is_workstation);
    let Generation { name, support } = generation;
    let shown = format!("{} ({name})", identity.shown());
    match support {
        Support::Tdx => check.pass().observed(shown),
        Support::TdxOnSomeParts if workstation => no_tdx(check, &format!("{shown}, a workstation part"), expected),
        Support::TdxOnSomeParts => check
            .warn()
            .observed(format!("{shown}: of this generation only some parts have TDX"))
            .expected(expected)
            .fix(
                Fix::new("look for \"Trust Domain Extensions\" on the data sheet of this very part; \"Trusted Execution Technology\" is something else")
                    .link(DATA_SHEET),
            ),
        Support::TdxUnconfirmed => check
            .warn()
            .observed(format!("{shown}: no host with TDX on it is known here"))
            .expected(expected)
            .fix(Fix::new("look for \"Trust Domain Extensions\" on the data sheet of this part").link(DATA_SHEET).only_a_hint()),
        Support::None | Support::SevSnp => no_tdx(check, &shown, expected),
    }
    .evidence(identity.source, identity.shown())
}

fn no_tdx(check: &CheckDef, shown: &str, expected: &str) -> Finding {
    check.fail().observed(shown).expected(expected).fix(
        Fix::new("use a server with a CPU that has TDX: no setting brings it to this one").link(DATA_SHEET),
    )
}

fn not_in_the_table(check: &CheckDef, facts: &HostFacts, identity: &Identity, expected: &str) -> Finding {
    if identity.is_known() {
        return check
            .warn()
            .observed(format!("{}: not in the table of {}", identity.shown(), crate::knowledge::cpu_models::AS_OF))
            .expected(expected)
            .evidence(identity.source, identity.shown())
            .fix(
                Fix::new("look for \"Trust Domain Extensions\" on the data sheet of this part; a newer version of this program may know it")
                    .link(DATA_SHEET)
                    .only_a_hint(),
            );
    }
    if let Some(line) = said(facts, DISABLED_PLATFORM) {
        return check
            .fail()
            .observed("the kernel says that the platform has no TDX")
            .expected(expected)
            .evidence("kernel log", line)
            .fix(
                Fix::new("find out which CPU it is; if its data sheet has \"Trust Domain Extensions\", turn TDX on in the firmware, otherwise use another server")
                    .command("lscpu | grep -E 'Model name|CPU family|Model|Stepping'")
                    .link(DATA_SHEET),
            );
    }
    check.unknown(match (facts.cpu.info.unread(), facts.cpu.cpuid.signature.unread()) {
        (Some(why), _) | (None, Some(why)) => format!("which CPU it is: {why}"),
        (None, None) => "nothing tells which CPU it is".to_owned(),
    })
}

pub(super) fn seam(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected =
        "IA32_MTRRCAP bit 15 is set: the CPU has the range registers in which the TDX module lives";
    let register = facts.msrs.first(Register::MtrrCap);
    if let Some(value) = register.known() {
        let shown = format!("IA32_MTRRCAP {value:#x}");
        let source = register_source(Register::MtrrCap, facts);
        if value >> 15 & 1 == 1 {
            return check.pass().observed(format!("{shown}: bit 15 is set")).evidence(source, shown);
        }
        if let Some(finding) = implied_by(check, facts, TdxStage::ModuleLoaded) {
            return finding;
        }
        // Nobody recorded the register on a part with TDX fused off, so this cannot be more than a warning.
        return check
            .warn()
            .observed(format!("{shown}: bit 15 is clear"))
            .expected(expected)
            .evidence(source, shown)
            .fix(
                Fix::new("look for \"Trust Domain Extensions\" on the data sheet of this very part; where it is there, turn TDX on in the firmware and check again")
                    .link(DATA_SHEET)
                    .only_a_hint(),
            );
    }
    if let Some(finding) = implied_by(check, facts, TdxStage::ModuleLoaded) {
        return finding;
    }
    if let Some(line) = said(facts, DISABLED_PLATFORM) {
        return check
            .warn()
            .observed("the kernel found no range registers, or no keys for TDX")
            .expected(expected)
            .evidence("kernel log", line)
            .fix(fix_for(Setting::Tdx, &facts.firmware));
    }
    check.unknown(neither(Register::MtrrCap, &register, facts))
}
