//! What many checks stand on: whose CPU it is, what the log says, what is proven from further up.

use dstack_check::{CheckDef, Finding, Fix, Status};

use super::identity::Identity;
use crate::facts::cpu::Vendor;
use crate::facts::kernel_tdx::{TdxProof, TdxStage};
use crate::facts::msr::Register;
use crate::{Fact, HostFacts};

/// The finding of a check that is for Intel's CPUs, on any other; `None` where it is Intel's, or where nothing tells.
pub(in crate::checks) fn unless_intel(check: &CheckDef, facts: &HostFacts) -> Option<Finding> {
    let vendor = Identity::of(facts).vendor.filter(|vendor| *vendor != Vendor::Intel)?;
    Some(not_for(check, &vendor, &Vendor::Intel))
}

/// The failure of a check that asks for a CPU of another maker: the host may be fine for another profile.
pub(in crate::checks) fn of_another_maker(
    check: &CheckDef,
    identity: &Identity,
    wanted: &Vendor,
    expected: &'static str,
) -> Option<Finding> {
    let vendor = identity.vendor.as_ref().filter(|vendor| *vendor != wanted)?;
    let fix = match vendor {
        Vendor::Amd => Fix::new("check this host as an SEV-SNP host: its CPU is AMD's")
            .command("dstack-hw check --profile snp-host"),
        Vendor::Intel => Fix::new("check this host as a TDX host: its CPU is Intel's")
            .command("dstack-hw check --profile tdx-host"),
        Vendor::Other(_) => Fix::new("use a server with a CPU that can do TDX or SEV-SNP"),
    };
    let finding = check.fail().observed(identity.shown()).expected(expected);
    Some(finding.evidence(identity.source, identity.shown()).fix(fix))
}

fn not_for(check: &CheckDef, vendor: &Vendor, wanted: &Vendor) -> Finding {
    check.not_applicable().observed(format!("the CPU is made by {vendor}, not by {wanted}"))
}

/// A function that answers a check.
type Run = fn(&CheckDef, &HostFacts) -> Finding;

/// The finding of a check that is for Intel's CPUs: it does not apply to any other.
pub(in crate::checks) fn on_intel(check: &CheckDef, facts: &HostFacts, run: Run) -> Finding {
    on(check, facts, &Vendor::Intel, run)
}

/// The finding of a check that is for AMD's CPUs: it does not apply to any other.
pub(in crate::checks) fn on_amd(check: &CheckDef, facts: &HostFacts, run: Run) -> Finding {
    on(check, facts, &Vendor::Amd, run)
}

fn on(check: &CheckDef, facts: &HostFacts, wanted: &Vendor, run: Run) -> Finding {
    match Identity::of(facts).vendor {
        Some(vendor) if vendor == *wanted => run(check, facts),
        Some(vendor) => not_for(check, &vendor, wanted),
        None => doubted(check, run(check, facts), wanted),
    }
}

/// Where nothing tells who made the CPU, what is missing is no failure: the other vendor's CPUs never have it. What
/// the kernel says of the vendor's own feature, and what the vendor's own registers hold, counts.
fn doubted(check: &CheckDef, finding: Finding, wanted: &Vendor) -> Finding {
    let objects = matches!(finding.status, Status::Fail | Status::Warn);
    let is_own = |source: &str| source == "kernel log" || source.contains("(MSR 0x");
    if !objects || finding.evidence.iter().any(|evidence| is_own(&evidence.source)) {
        return finding;
    }
    let observed = finding.observed.unwrap_or_default();
    check.unknown(format!(
        "nothing tells who made the CPU; were it {wanted}, this would be in the way: {observed}"
    ))
}

/// The last message of the kernel that is exactly this, beside blanks at its end.
pub(in crate::checks) fn said<'a>(facts: &'a HostFacts, text: &str) -> Option<&'a str> {
    said_where(facts, |message| message.trim_end() == text)
}

/// The line of the last message of the kernel for which this holds.
pub(in crate::checks) fn said_where(facts: &HostFacts, holds: impl Fn(&str) -> bool) -> Option<&str> {
    let log = facts.kernel_log.known()?;
    log.messages.iter().rfind(|message| holds(&message.text)).map(|message| message.line.as_str())
}

/// Why a kernel log that does not have a message does not tell anything.
pub(in crate::checks) fn log_is_silent(facts: &HostFacts) -> String {
    match &facts.kernel_log {
        Fact::Known(log) if log.from_boot => "the kernel log does not mention it".to_owned(),
        Fact::Known(_) => "the kernel log does not reach back to the boot".to_owned(),
        Fact::Absent => "there is no kernel log".to_owned(),
        Fact::Unread(why) => format!("kernel log: {why}"),
    }
}

/// Why a register has no value, with its name.
pub(in crate::checks) fn register_is_silent<T>(register: Register, fact: &Fact<T>) -> String {
    match fact {
        Fact::Absent => format!("{register}: no device /dev/cpu/*/msr, load the module msr as root"),
        Fact::Unread(why) => format!("{register}: {why}"),
        Fact::Known(_) => format!("{register} was read"),
    }
}

/// Why neither a register nor the log tells.
pub(in crate::checks) fn neither<T>(register: Register, fact: &Fact<T>, facts: &HostFacts) -> String {
    format!("{}; {}", register_is_silent(register, fact), log_is_silent(facts))
}

/// Where a register was read, for evidence.
pub(in crate::checks) fn register_source(register: Register, facts: &HostFacts) -> String {
    let cpu = facts.msrs.packages.first().map_or(0, |package| package.first_cpu);
    format!("{register} of CPU {cpu}")
}

/// A pass that follows from something further up.
pub(in crate::checks) fn implied(check: &CheckDef, proof: TdxProof) -> Finding {
    let what = match proof.stage {
        TdxStage::PlatformAccepted => "the kernel has accepted the private key ids",
        TdxStage::ModuleLoaded => "the TDX module answers",
        TdxStage::ModuleInitialized => "the TDX module is initialised",
        TdxStage::KvmReady => "KVM has TDX up",
    };
    check.pass().observed(format!("implied: {what}")).evidence(proof.source, proof.excerpt)
}

/// [`implied`], where TDX is proven to have come up to this stage.
pub(in crate::checks) fn implied_by(check: &CheckDef, facts: &HostFacts, stage: TdxStage) -> Option<Finding> {
    facts.tdx_proven(stage).map(|proof| implied(check, proof))
}
