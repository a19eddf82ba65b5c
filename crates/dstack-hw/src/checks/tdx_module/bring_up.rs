//! How far the TDX module came up, and what stopped it.

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::kernel::{implied, not_intel};
use crate::facts::firmware::Firmware;
use crate::facts::kernel_tdx::{Failure, Outcome, TdxBoot, TdxStage};
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::knowledge::tdx_modules::Cause;
use crate::{HostFacts, Unread};

pub(super) fn loaded(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    if let Some(proof) = facts.tdx_proven(TdxStage::ModuleLoaded) {
        let observed = match facts.tdx.module() {
            Some((_, module)) => module.to_string(),
            None => "it answers".to_owned(),
        };
        return if proof.source == "kernel log" {
            check.pass().observed(observed).evidence(proof.source, proof.excerpt)
        } else {
            implied(check, observed, proof)
        };
    }
    let Some(boot) = facts.tdx.boot.known() else { return check.unknown(why_no_log(facts)) };
    if let Some(failure) = boot.failure() {
        return if failure.cause.platform_was_accepted() {
            failed(check, failure, &facts.firmware, "the TDX module answers the kernel")
        } else {
            check
                .unknown(format!(
                    "the kernel refused the platform before it asked for the module: {}",
                    failure.cause.meaning()
                ))
                .evidence("kernel log", failure.lines.join("\n"))
        };
    }
    if let Some(failure) = boot.kvm.as_ref().filter(|failure| failure.cause != Cause::AfterModuleFailure) {
        return check
            .unknown(format!("KVM gave up before it asked for the module: {}", failure.cause.meaning()))
            .evidence("kernel log", failure.lines.join("\n"));
    }
    silent_after_keys(check, facts, boot)
}

/// The key ids are there and no word of the module follows. The buffer loses its oldest messages first, so whatever came
/// after the line of the key ids would be there too.
fn silent_after_keys(check: &CheckDef, facts: &HostFacts, boot: &TdxBoot) -> Finding {
    let expected = "virt/tdx: module initialized";
    let from_boot = facts.kernel_log.known().is_some_and(|log| log.from_boot);
    let evidence = match &boot.key_ids_line {
        Some(line) => format!("{line}\nand no message of virt/tdx about the module after it"),
        None if from_boot => "no message of virt/tdx from the boot on".to_owned(),
        None => {
            return check.unknown("the kernel log that is there does not reach back to the messages of TDX");
        }
    };
    let intel_loaded = facts.kernel.module_loaded("kvm_intel");
    let present = facts.kvm.intel_present.known() == Some(&true);
    if intel_loaded.known() == Some(&false) && !present {
        return check
            .fail()
            .observed("nothing has asked for the module: kvm_intel is not loaded")
            .expected(expected)
            .evidence("kernel log", evidence)
            .evidence("/proc/modules", "no kvm_intel")
            .fix(
                Fix::new("load kvm_intel and look at what it says")
                    .command("sudo modprobe kvm_intel")
                    .command("sudo dmesg | tail"),
            );
    }
    let menu = fix_for(Setting::SeamLoader, &facts.firmware);
    let mut fix = Fix::new(format!(
        "see that kvm_intel is loaded with tdx=1; where it is, go through the firmware again ({})",
        menu.action
    ))
    .command("cat /sys/module/kvm_intel/parameters/tdx")
    .command("sudo dmesg | grep -E 'virt/tdx|kvm_intel'")
    .only_a_hint();
    if let Some(link) = menu.link {
        fix = fix.link(link);
    }
    check
        .fail()
        .observed("the kernel took the key ids and never got to the module")
        .expected(expected)
        .evidence("kernel log", evidence)
        .fix(fix)
}

pub(super) fn initialized(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    if let Some(proof) = facts.tdx_proven(TdxStage::ModuleInitialized) {
        return if proof.source == "kernel log" {
            check.pass().observed("module initialised").evidence(proof.source, proof.excerpt)
        } else {
            implied(check, "initialised", proof)
        };
    }
    if let Some(status) = facts.tdx.legacy_module.known().and_then(|module| module.status.as_deref()) {
        return check
            .fail()
            .observed(format!("the kernel says `{}`", status.escape_default()))
            .expected("initialized")
            .evidence("/sys/firmware/tdx/tdx_module/status", status)
            .fix(
                Fix::new("look at what the kernel said before")
                    .command("sudo dmesg | grep -E '(virt/)?tdx: '"),
            );
    }
    let Some(boot) = facts.tdx.boot.known() else { return check.unknown(why_no_log(facts)) };
    match &boot.outcome {
        Outcome::Failed(failure) => failed(check, failure, &facts.firmware, "virt/tdx: module initialized"),
        _ => match &boot.module_line {
            Some(line) => check
                .fail()
                .observed("the module was found, and nothing says that it was initialised")
                .expected("virt/tdx: module initialized")
                .evidence("kernel log", line)
                .fix(
                    Fix::new("look at what the kernel said after it")
                        .command("sudo dmesg | grep -E 'virt/tdx|kvm_intel'"),
                ),
            None => check.unknown("the kernel log says nothing of the module"),
        },
    }
}

fn failed(check: &CheckDef, failure: &Failure, firmware: &Firmware, expected: &str) -> Finding {
    let mut observed = failure.cause.meaning().to_owned();
    if let Some(call) = failure.seamcall {
        observed.push_str(&format!(" (call {:#x} answered {:#018x})", call.leaf, call.status));
    }
    if let Some(errno) = failure.errno {
        observed.push_str(&format!(" (error {errno}{})", errno_name(errno)));
    }
    check
        .fail()
        .observed(observed)
        .expected(expected)
        .evidence("kernel log", failure.lines.join("\n"))
        .fix(failure.cause.fix(firmware))
}

fn why_no_log(facts: &HostFacts) -> String {
    let told = facts.kvm.intel.tdx.known().map(|on| if *on { "Y" } else { "N" });
    let why = facts.tdx.boot.unread().map_or_else(|| "not there".to_owned(), Unread::why);
    match told {
        Some(value) => format!("the kernel log: {why}; kvm_intel.tdx reads {value}, which does not say why"),
        None => format!("the kernel log: {why}"),
    }
}

/// The names of the kernel's error numbers that occur (Linux, `errno-base.h`).
const fn errno_name(errno: u32) -> &'static str {
    match errno {
        5 => ", EIO",
        12 => ", ENOMEM",
        14 => ", EFAULT",
        16 => ", EBUSY",
        19 => ", ENODEV",
        22 => ", EINVAL",
        28 => ", ENOSPC",
        _ => "",
    }
}
