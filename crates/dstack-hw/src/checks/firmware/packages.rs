//! Are all packages set up alike?

use dstack_check::{CheckDef, Finding, Fix};

use crate::HostFacts;
use crate::checks::cpu::{implied_by, log_is_silent, register_is_silent, said_where};
use crate::facts::kernel_tdx::TdxStage;
use crate::facts::msr::{Disagreement, Register};
use crate::knowledge::bios_menus::update_for;

/// The most registers that are named in the text; the evidence has all.
const NAMED: usize = 3;

pub(super) fn packages_agree(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "the same values on all packages";
    let disagreements = facts.msrs.disagreements();
    if !disagreements.is_empty() {
        let named: Vec<String> = disagreements.iter().take(NAMED).map(shown).collect();
        let more = disagreements.len().saturating_sub(NAMED);
        let mut observed = named.join("; ");
        if more > 0 {
            observed.push_str(&format!("; and {more} more"));
        }
        let finding = check.fail().observed(observed).expected(expected).fix(fix(facts));
        return disagreements.iter().fold(finding, |finding, disagreement| {
            finding.evidence(disagreement.register.to_string(), values(disagreement))
        });
    }
    let line =
        said_where(facts, |text| text.starts_with("x86/tme: configuration is inconsistent between CPUs"));
    if let Some(line) = line {
        return check
            .fail()
            .observed("memory encryption is not set up alike on all CPUs, says the kernel")
            .expected(expected)
            .evidence("kernel log", line)
            .fix(fix(facts));
    }
    let listed = facts.cpu.info.known().map_or(0, |info| info.packages.len());
    if listed == 1 {
        return check.pass().observed("one package").evidence("/proc/cpuinfo, lines physical id", "one");
    }
    let read = facts.msrs.packages.iter().filter(|package| package.is_readable()).count();
    if listed > 1 && read == listed {
        return check.pass().observed(format!("{listed} packages with the same values"));
    }
    // The module is started on every logical CPU and takes keys on every package.
    if let Some(finding) = implied_by(check, facts, TdxStage::ModuleInitialized) {
        return finding;
    }
    if read > 0 {
        return check.unknown(if listed == 0 {
            "how many packages there are".to_owned()
        } else {
            format!("registers of {read} of {listed} packages were read")
        });
    }
    let any = facts.msrs.first(Register::TmeActivate);
    let any =
        if any.unread() == Some(&crate::Unread::NotAsked) { facts.msrs.first(Register::Syscfg) } else { any };
    let register =
        if facts.cpu.is_amd().known() == Some(&true) { Register::Syscfg } else { Register::TmeActivate };
    check.unknown(format!("{}; {}", register_is_silent(register, &any), log_is_silent(facts)))
}

/// `IA32_TME_ACTIVATE (MSR 0x982) is 0x... on package 0 and 0x... on package 1`.
fn shown(disagreement: &Disagreement) -> String {
    let values: Vec<String> = disagreement
        .values
        .iter()
        .map(|(package, value)| format!("{value:#x} on package {package}"))
        .collect();
    format!("{} is {}", disagreement.register, values.join(" and "))
}

fn values(disagreement: &Disagreement) -> String {
    let values: Vec<String> =
        disagreement.values.iter().map(|(package, value)| format!("package {package}: {value:#x}")).collect();
    values.join("\n")
}

fn fix(facts: &HostFacts) -> Fix {
    let mut fix = update_for(&facts.firmware);
    fix.action = format!(
        "load the firmware's defaults, set the options anew and power the host off and on; where it stays so, {}, and check that all packages are the same part",
        fix.action
    )
    .into();
    fix
}
