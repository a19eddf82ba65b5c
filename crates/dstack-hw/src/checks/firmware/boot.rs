//! Which firmware it is, and how it booted the host.

use dstack_check::{CheckDef, Finding, Fix};

use crate::facts::firmware::Lockdown;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::{Fact, HostFacts};

pub(super) fn identity(check: &CheckDef, facts: &HostFacts) -> Finding {
    let firmware = &facts.firmware;
    let machine: Vec<&str> = [&firmware.sys_vendor, &firmware.product_name]
        .into_iter()
        .filter_map(|text| text.known().map(String::as_str))
        .collect();
    let version: Vec<&str> = [&firmware.bios_vendor, &firmware.bios_version, &firmware.bios_date]
        .into_iter()
        .filter_map(|text| text.known().map(String::as_str))
        .collect();
    if version.is_empty()
        && machine.is_empty()
        && let Some(why) = firmware.sys_vendor.unread()
    {
        return check.unknown(format!("/sys/class/dmi/id: {why}"));
    }
    let shown = if version.is_empty() && machine.is_empty() {
        "the firmware names nobody".to_owned()
    } else {
        format!("{}, firmware {}", or_unnamed(&machine), or_unnamed(&version))
    };
    if firmware.bios_version.known().is_some() {
        return check.pass().observed(shown.clone()).evidence("/sys/class/dmi/id", shown);
    }
    check
        .warn()
        .observed(shown.clone())
        .expected("a version")
        .evidence("/sys/class/dmi/id", shown)
        .fix(Fix::new("look the version of the firmware up in its setup, and compare it with the newest one of the maker"))
}

fn or_unnamed(words: &[&str]) -> String {
    if words.is_empty() { "without a name".to_owned() } else { words.join(" ") }
}

pub(super) fn uefi(check: &CheckDef, facts: &HostFacts) -> Finding {
    const FOLDER: &str = "/sys/firmware/efi";
    match &facts.firmware.uefi {
        Fact::Known(true) => check.pass().observed("booted with UEFI").evidence(FOLDER, "is there"),
        Fact::Known(false) => check
            .warn()
            .observed("booted the old way, without UEFI")
            .expected("UEFI: registration with Intel goes through its variables, and a TDX module may be loaded from its partition")
            .evidence(FOLDER, "is not there")
            .fix(fix_for(Setting::UefiBoot, &facts.firmware)),
        Fact::Unread(why) => check.unknown(format!("{FOLDER}: {why}")),
        Fact::Absent => check.unknown(format!("{FOLDER} could not be looked for")),
    }
}

pub(super) fn secure_boot(check: &CheckDef, facts: &HostFacts) -> Finding {
    let firmware = &facts.firmware;
    if firmware.uefi.known() == Some(&false) {
        return check.not_applicable().observed("booted without UEFI: there is no Secure Boot");
    }
    let boot = match firmware.secure_boot.known() {
        Some(true) => "Secure Boot is on",
        Some(false) => "Secure Boot is off",
        None => "Secure Boot is not known",
    };
    let lockdown = match firmware.lockdown.known() {
        Some(Lockdown::None) => "no lockdown",
        Some(Lockdown::Integrity) => "lockdown for integrity",
        Some(Lockdown::Confidentiality) => "lockdown for confidentiality",
        Some(Lockdown::Other(_)) => "a lockdown of a kind that is not known here",
        None => "lockdown is not known",
    };
    let shown = format!("{boot}, {lockdown}");
    let about = |finding: Finding| {
        finding
            .observed(shown.clone())
            .evidence("UEFI variable SecureBoot", boot)
            .evidence("/sys/kernel/security/lockdown", lockdown)
    };
    match (&firmware.lockdown, &firmware.secure_boot) {
        // Integrity keeps root from *writing* registers and from loading unsigned modules: neither TDX nor these checks
        // do. Confidentiality also hides what tools for diagnosis read.
        (Fact::Known(Lockdown::Confidentiality), _) => about(check.warn())
            .expected("no lockdown, or lockdown for integrity")
            .fix(
                Fix::new("take lockdown=confidentiality from the kernel command line: integrity is enough, and diagnosis works with it")
                    .command("grep -o 'lockdown=[a-z]*' /proc/cmdline"),
            ),
        (Fact::Known(_), _) | (_, Fact::Known(false)) => about(check.pass()),
        (Fact::Unread(why), Fact::Known(true)) => {
            check.unknown(format!("/sys/kernel/security/lockdown: {why}; Secure Boot is on, and how far the kernel is locked down with it is not known"))
        }
        // A kernel without lockdown: Secure Boot alone hides nothing.
        (_, Fact::Known(true)) => about(check.pass()),
        (_, Fact::Absent) => check.not_applicable().observed("the firmware has no variable SecureBoot"),
        (_, Fact::Unread(why)) => check.unknown(format!("UEFI variable SecureBoot: {why}")),
    }
}
