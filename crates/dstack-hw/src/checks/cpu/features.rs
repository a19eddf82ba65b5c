//! Features that running TDs needs: virtualisation, EPT, x2APIC, MOVDIR64B, self-snoop.

use dstack_check::{CheckDef, Finding, Fix};

use super::ground::{implied_by, log_is_silent, said_where};
use crate::facts::cpu::{Features, StructuredFeatures};
use crate::facts::kernel_tdx::TdxStage;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::{Fact, HostFacts};

const FLAGS: &str = "/proc/cpuinfo, line flags";

/// A feature as the silicon and as the kernel has it.
struct Feature {
    /// The word on the line `flags`.
    flag: &'static str,
    /// Where CPUID has it.
    leaf: &'static str,
    /// What CPUID says.
    silicon: Fact<bool>,
    /// Is the word on the line?
    kernel: Fact<bool>,
}

impl Feature {
    fn of(facts: &HostFacts, flag: &'static str, leaf: &'static str, silicon: Fact<bool>) -> Self {
        Self { flag, leaf, silicon, kernel: facts.cpu.flag(flag) }
    }

    /// A pass where the kernel has the flag. The flag is only there where the silicon has the feature too.
    fn there(&self, check: &CheckDef) -> Option<Finding> {
        (self.kernel.known() == Some(&true))
            .then(|| check.pass().observed(format!("flag {}", self.flag)).evidence(FLAGS, self.flag))
    }

    fn missing_in_silicon(&self) -> bool {
        self.silicon.known() == Some(&false)
    }

    /// The silicon has it, the kernel does not show it: something turned it off.
    fn turned_off(&self) -> bool {
        self.silicon.known() == Some(&true) && self.kernel.known() == Some(&false)
    }

    fn why_unknown(&self) -> String {
        match (&self.kernel, &self.silicon) {
            (Fact::Unread(why), _) => format!("flag {}: {why}", self.flag),
            (Fact::Absent, _) => "there is no /proc/cpuinfo".to_owned(),
            (_, Fact::Unread(why)) => format!("{}: {why}", self.leaf),
            _ => format!("{} does not tell", self.leaf),
        }
    }
}

fn leaf_1(facts: &HostFacts, pick: fn(&Features) -> bool) -> Fact<bool> {
    facts.cpu.cpuid.features.as_ref().map(pick)
}

fn leaf_7(facts: &HostFacts, pick: fn(&StructuredFeatures) -> bool) -> Fact<bool> {
    facts.cpu.cpuid.structured.as_ref().map(pick)
}

fn another_server(what: &str) -> Fix {
    Fix::new(format!("use a server whose CPU has {what}: no setting brings it to this one"))
}

pub(super) fn vmx(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "VMX, not turned off by the firmware";
    let feature =
        Feature::of(facts, "vmx", "CPUID leaf 1, ECX bit 5", leaf_1(facts, |features| features.vmx));
    if let Some(finding) = feature.there(check) {
        return finding;
    }
    let off = |line: Option<&str>| {
        let finding =
            check.fail().observed("VMX is there, and the firmware turned it off").expected(expected);
        let finding = match line {
            Some(line) => finding.evidence("kernel log", line),
            None => finding.evidence(feature.leaf, "set").evidence(FLAGS, "vmx is not among them"),
        };
        finding.fix(fix_for(Setting::VtX, &facts.firmware))
    };
    // x86/cpu: VMX (outside TXT) disabled by BIOS; older kernels: kvm: disabled by bios
    let line = said_where(facts, |text| {
        text.contains("VMX (outside TXT) disabled by BIOS")
            || text == "kvm: disabled by bios"
            || text == "kvm_intel: VMX not enabled (by BIOS) in MSR_IA32_FEAT_CTL"
    });
    if line.is_some() {
        return off(line);
    }
    if let Some(finding) = implied_by(check, facts, TdxStage::ModuleLoaded) {
        return finding;
    }
    if feature.missing_in_silicon() {
        return check
            .fail()
            .observed("the CPU has no VMX")
            .expected(expected)
            .evidence(feature.leaf, "clear")
            .fix(another_server("VMX"));
    }
    if feature.turned_off() {
        return off(None);
    }
    if feature.kernel.known() == Some(&false) {
        return check
            .fail()
            .observed("no flag vmx: the CPU has no VMX, or the firmware turned it off")
            .expected(expected)
            .evidence(FLAGS, "vmx is not among them")
            .fix(fix_for(Setting::VtX, &facts.firmware));
    }
    check.unknown(feature.why_unknown())
}

pub(super) fn ept(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "the flags ept and ept_ad";
    let flags = [("ept", facts.cpu.flag("ept")), ("ept_ad", facts.cpu.flag("ept_ad"))];
    if flags.iter().all(|(_, flag)| flag.known() == Some(&true)) {
        return check.pass().observed("flags ept and ept_ad").evidence(FLAGS, "ept ept_ad");
    }
    if let Some(finding) = implied_by(check, facts, TdxStage::KvmReady) {
        return finding;
    }
    let missing: Vec<&str> =
        flags.iter().filter(|(_, flag)| flag.known() == Some(&false)).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return check.unknown(match facts.cpu.flag("ept") {
            Fact::Unread(why) => format!("flag ept: {why}"),
            _ => "flag ept_ad is not known".to_owned(),
        });
    }
    check
        .fail()
        .observed(format!("not among the flags: {}", missing.join(", ")))
        .expected(expected)
        .evidence(FLAGS, format!("without {}", missing.join(", ")))
        .fix(another_server("extended page tables with accessed and dirty bits"))
}

pub(super) fn x2apic(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "x2APIC in use";
    if let Some(words) = facts.kernel_command_line().known()
        && words.has("nox2apic")
    {
        return check
            .fail()
            .observed("the kernel was started with nox2apic")
            .expected(expected)
            .evidence("/proc/cmdline", "nox2apic")
            .fix(
                Fix::new("take nox2apic from the kernel command line and reboot")
                    .command("sudoedit /etc/default/grub")
                    .command("sudo update-grub"),
            );
    }
    let feature =
        Feature::of(facts, "x2apic", "CPUID leaf 1, ECX bit 21", leaf_1(facts, |features| features.x2apic));
    let line = said_where(facts, |text| {
        text.starts_with("x2apic enabled")
            || text.starts_with("x2apic: enabled by BIOS")
            || text.starts_with("APIC: Switched APIC routing to: ") && text.contains("x2apic")
            || text.starts_with("Switched APIC routing to ") && text.contains("x2apic")
            || text.starts_with("DMAR-IR: Enabled IRQ remapping in x2apic mode")
    });
    if let Some(line) = line {
        return check.pass().observed("the kernel uses it").evidence("kernel log", line);
    }
    // The flag says that the CPU has it. The kernel takes it away where the firmware forbids it.
    if let Some(finding) = feature.there(check) {
        return finding;
    }
    if let Some(finding) = implied_by(check, facts, TdxStage::KvmReady) {
        return finding;
    }
    if feature.missing_in_silicon() || feature.kernel.known() == Some(&false) {
        let observed = if feature.turned_off() {
            "the CPU has it, and the firmware or the kernel turned it off"
        } else {
            "no x2APIC"
        };
        return check
            .fail()
            .observed(observed)
            .expected(expected)
            .evidence(FLAGS, "x2apic is not among them")
            .fix(fix_for(Setting::X2Apic, &facts.firmware));
    }
    check.unknown(format!("{}; {}", feature.why_unknown(), log_is_silent(facts)))
}

pub(super) fn movdir64b(check: &CheckDef, facts: &HostFacts) -> Finding {
    let silicon = leaf_7(facts, |features| features.movdir64b);
    let feature = Feature::of(facts, "movdir64b", "CPUID leaf 7, ECX bit 28", silicon);
    plain(check, facts, &feature, "MOVDIR64B", "MOVDIR64B is required for TDX")
}

pub(super) fn self_snoop(check: &CheckDef, facts: &HostFacts) -> Finding {
    let silicon = leaf_1(facts, |features| features.self_snoop);
    let feature = Feature::of(facts, "ss", "CPUID leaf 1, EDX bit 27", silicon);
    plain(check, facts, &feature, "self-snoop", "Self-snoop is required for TDX")
}

/// A feature that no setting turns on or off, and that kvm_intel names in this message where it is missing.
fn plain(check: &CheckDef, facts: &HostFacts, feature: &Feature, name: &str, message: &str) -> Finding {
    if let Some(finding) = feature.there(check) {
        return finding;
    }
    if feature.silicon.known() == Some(&true) {
        return check.pass().observed(format!("the CPU has {name}")).evidence(feature.leaf, "set");
    }
    if let Some(finding) = implied_by(check, facts, TdxStage::KvmReady) {
        return finding;
    }
    let line = said_where(facts, |text| text.starts_with("kvm_intel: ") && text.contains(message));
    let failed =
        check.fail().observed(format!("the CPU has no {name}")).expected(name).fix(another_server(name));
    if let Some(line) = line {
        return failed.evidence("kernel log", line);
    }
    if feature.missing_in_silicon() || feature.kernel.known() == Some(&false) {
        return failed.evidence(FLAGS, format!("{} is not among them", feature.flag));
    }
    check.unknown(feature.why_unknown())
}
