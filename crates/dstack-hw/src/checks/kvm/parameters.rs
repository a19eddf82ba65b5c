//! Parameters of KVM that TDX needs on.

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::kernel::{implied, not_intel};
use crate::facts::kernel_tdx::TdxStage;
use crate::knowledge::tdx_modules::Cause;
use crate::{Fact, HostFacts};

/// A parameter: its module, its name, its value.
type Parameter<'a> = (&'static str, &'static str, &'a Fact<bool>);

pub(super) fn ept(check: &CheckDef, facts: &HostFacts) -> Finding {
    let intel = &facts.kvm.intel;
    needed_on(
        check,
        facts,
        &[("kvm_intel", "ept", &intel.ept), ("kvm_intel", "eptad", &intel.eptad)],
        &[Cause::EptOff],
    )
}

pub(super) fn tdp_mmu(check: &CheckDef, facts: &HostFacts) -> Finding {
    let common = &facts.kvm.common;
    let parameters = [("kvm", "tdp_mmu", &common.tdp_mmu), ("kvm", "mmio_caching", &common.mmio_caching)];
    needed_on(check, facts, &parameters, &[Cause::TdpMmuOff])
}

pub(super) fn virt_at_load(check: &CheckDef, facts: &HostFacts) -> Finding {
    let parameter = &facts.kvm.common.enable_virt_at_load;
    if not_intel(check, facts).is_none()
        && parameter.is_absent()
        && facts.kvm.common.tdp_mmu.known().is_some()
    {
        return check
            .not_applicable()
            .observed("this kernel has no such parameter, which came with 6.12")
            .evidence("/sys/module/kvm/parameters", "tdp_mmu is there, enable_virt_at_load is not");
    }
    needed_on(check, facts, &[("kvm", "enable_virt_at_load", parameter)], &[Cause::VirtualizationNotAtLoad])
}

/// All parameters that are known are on. One that is off fails; where none is known, the log and what came up tell.
fn needed_on(check: &CheckDef, facts: &HostFacts, parameters: &[Parameter<'_>], causes: &[Cause]) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let path = |module: &str, name: &str| format!("/sys/module/{module}/parameters/{name}");
    let off: Vec<_> = parameters.iter().filter(|(_, _, value)| value.known() == Some(&false)).collect();
    if !off.is_empty() {
        let words: Vec<String> = off.iter().map(|(module, name, _)| format!("{module}.{name}=0")).collect();
        let finding = check
            .fail()
            .observed(format!("{} off", off.iter().map(|(_, name, _)| *name).collect::<Vec<_>>().join(" and ")))
            .expected("Y")
            .fix(Fix::new(format!(
                "remove {} from the kernel command line and the options in /etc/modprobe.d, and restart; where neither has it, the CPU or the firmware lacks the feature",
                words.join(" and ")
            ))
            .command("grep -rE 'kvm' /etc/modprobe.d /proc/cmdline"));
        return off
            .iter()
            .fold(finding, |finding, (module, name, _)| finding.evidence(path(module, name), "N"));
    }
    let on: Vec<_> = parameters.iter().filter(|(_, _, value)| value.known() == Some(&true)).collect();
    if !on.is_empty() {
        let names: Vec<&str> = on.iter().map(|(_, name, _)| *name).collect();
        let finding = check.pass().observed(format!("{} on", names.join(" and ")));
        return on
            .iter()
            .fold(finding, |finding, (module, name, _)| finding.evidence(path(module, name), "Y"));
    }
    let complaint = facts.tdx.boot.known().and_then(|boot| boot.kvm.as_ref());
    if let Some(failure) = complaint.filter(|failure| causes.contains(&failure.cause)) {
        return check
            .fail()
            .observed(failure.cause.meaning())
            .expected("on")
            .evidence("kernel log", failure.lines.join("\n"))
            .fix(failure.cause.fix(&facts.firmware));
    }
    if let Some(proof) = facts.tdx_proven(TdxStage::ModuleInitialized) {
        return implied(check, "on: KVM has brought the TDX module up", proof);
    }
    let why = parameters.iter().find_map(|(_, _, value)| value.unread().cloned());
    let first = parameters.first().map_or_else(String::new, |(module, name, _)| path(module, name));
    check.unknown(match why {
        Some(why) => format!("{first}: {}", why.why()),
        None => format!("{first} is not there"),
    })
}
