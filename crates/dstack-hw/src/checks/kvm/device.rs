//! KVM's module and its device.

use dstack_check::{CheckDef, Finding, Fix};

use crate::facts::cpu::Vendor;
use crate::facts::kernel_tdx::TdxStage;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::source::{FileKind, FileMeta};
use crate::{Fact, HostFacts, Unread};

pub(super) fn loaded(check: &CheckDef, facts: &HostFacts) -> Finding {
    let vendor = facts.cpu.vendor();
    let candidates: &[&str] = match vendor.known() {
        Some(Vendor::Intel) => &["kvm_intel"],
        Some(Vendor::Amd) => &["kvm_amd"],
        _ => &["kvm_intel", "kvm_amd"],
    };
    let present = |name: &str| match name {
        "kvm_intel" => facts.kvm.intel_present.known() == Some(&true),
        _ => facts.kvm.amd_present.known() == Some(&true),
    };
    for name in candidates {
        if facts.kernel.module_loaded(name).known() == Some(&true) {
            return check.pass().observed(format!("{name} is loaded")).evidence("/proc/modules", *name);
        }
        if present(name) {
            let path = format!("/sys/module/{name}");
            return check.pass().observed(format!("{name} is loaded or built in")).evidence(path, "there");
        }
    }
    if let Fact::Known(capabilities) = &facts.kvm.capabilities {
        let observed = format!("/dev/kvm answers, API version {}", capabilities.api_version);
        return check.pass().observed(observed.clone()).evidence("/dev/kvm", observed);
    }
    if let Some(proof) = facts.tdx_proven(TdxStage::ModuleInitialized) {
        return crate::checks::kernel::implied(check, "kvm_intel is loaded", proof);
    }
    let name = candidates.first().copied().unwrap_or("kvm_intel");
    let expected = format!("the module {}", candidates.join(" or "));
    if let Some(message) = facts.kernel_log.known().and_then(|log| {
        log.messages.iter().rfind(|message| {
            let text = message.text.to_ascii_lowercase();
            (text.starts_with("kvm") || text.starts_with("x86/cpu: "))
                && text.contains("disabled by bios")
                && !text.contains("sgx")
        })
    }) {
        let setting = if name == "kvm_amd" { Setting::Svm } else { Setting::VtX };
        return check
            .fail()
            .observed("the firmware has virtualisation off, so KVM does not load")
            .expected(expected)
            .evidence("kernel log", &message.line)
            .fix(fix_for(setting, &facts.firmware));
    }
    let module = facts.kernel.module_loaded(name);
    match module {
        Fact::Known(_) => {}
        Fact::Absent => return check.unknown("neither /proc/modules nor /sys/module is there"),
        Fact::Unread(why) => return check.unknown(format!("/proc/modules: {}", why.why())),
    }
    // On mainline an error of the TDX module other than "not there" keeps kvm_intel from loading at all.
    if let Some(failure) = facts.tdx.boot.known().and_then(|boot| boot.failure())
        && failure.cause.module_answered()
    {
        return check
            .fail()
            .observed(format!(
                "{name} does not load because the TDX module fails: {}",
                failure.cause.meaning()
            ))
            .expected(expected)
            .evidence("kernel log", failure.lines.join("\n"))
            .evidence("/proc/modules", format!("no {name}"))
            .fix(failure.cause.fix(&facts.firmware));
    }
    let kept_away = facts.kernel.module_options.known().and_then(|options| {
        options.iter().find(|entry| entry.blacklisted && candidates.contains(&entry.module.as_str()))
    });
    let finding =
        check.fail().expected(expected).evidence("/proc/modules", format!("no {}", candidates.join(", no ")));
    match kept_away {
        Some(entry) => finding
            .observed(format!("{} is kept from loading by {}", entry.module, entry.path))
            .evidence(&entry.path, format!("blacklist {}", entry.module))
            .fix(
                Fix::new(format!("remove the line from {}", entry.path))
                    .command(format!("sudo modprobe {}", entry.module)),
            ),
        None => finding
            .observed(format!(
                "{} not loaded",
                if candidates.len() > 1 { "neither module is" } else { "it is" }
            ))
            .fix(
                Fix::new("load it, and look at what the kernel says where it does not load")
                    .command(format!("sudo modprobe {name}"))
                    .command("sudo dmesg | tail -n 20"),
            ),
    }
}

pub(super) fn device(check: &CheckDef, facts: &HostFacts) -> Finding {
    let path = "/dev/kvm";
    let meta = match &facts.kvm.device {
        Fact::Known(meta) => Some(meta),
        Fact::Absent => {
            return check
                .fail()
                .observed("there is no /dev/kvm")
                .expected("a character device, crw-rw---- root kvm")
                .evidence(path, "not there")
                .fix(
                    Fix::new("load KVM, which makes the device")
                        .command("sudo modprobe kvm_intel || sudo modprobe kvm_amd"),
                );
        }
        Fact::Unread(_) => None,
    };
    if let Some(meta) = meta.filter(|meta| meta.kind != FileKind::CharacterDevice) {
        return check
            .fail()
            .observed("/dev/kvm is not a device")
            .expected("a character device, crw-rw---- root kvm")
            .evidence(path, described(meta))
            .fix(
                Fix::new("remove it and let udev make the device")
                    .command("sudo rm /dev/kvm && sudo udevadm trigger --name-match=kvm --settle"),
            );
    }
    let shown = meta.map_or_else(String::new, described);
    match &facts.kvm.capabilities {
        Fact::Known(capabilities) if capabilities.api_version != 12 => {
            return check
                .fail()
                .observed(format!("/dev/kvm speaks API version {}", capabilities.api_version))
                .expected("API version 12, as every kernel since 2.6.22")
                .evidence(path, shown)
                .fix(Fix::new("install the distribution's kernel"));
        }
        Fact::Known(_) => {
            let shown =
                if shown.is_empty() { "it was opened".to_owned() } else { format!("it was opened; {shown}") };
            return check.pass().observed(shown.clone()).evidence(path, shown);
        }
        Fact::Unread(Unread::NotPermitted) => {
            return check
                .warn()
                .observed(if shown.is_empty() {
                    "this user may not open it".to_owned()
                } else {
                    format!("this user may not open it: {shown}")
                })
                .expected("the user that runs dstack's VMM is root or in the group kvm")
                .evidence(path, shown)
                .fix(
                    Fix::new(
                        "where this is the user that runs the VMM, add it to the group kvm and log in anew",
                    )
                    .command("sudo usermod -aG kvm \"$USER\""),
                );
        }
        _ => {}
    }
    match meta {
        // It was not opened, but its mode says who can.
        Some(meta) if meta.mode & 0o060 == 0o060 || meta.mode & 0o006 == 0o006 => {
            check.pass().observed(format!("{shown}; it was not opened")).evidence(path, shown)
        }
        Some(_) => check
            .warn()
            .observed(format!("only root can open it: {shown}"))
            .expected("crw-rw---- root kvm")
            .evidence(path, shown)
            .fix(
                Fix::new("let udev give it to the group kvm")
                    .command("echo 'KERNEL==\"kvm\", GROUP=\"kvm\", MODE=\"0660\"' | sudo tee /etc/udev/rules.d/65-kvm.rules")
                    .command("sudo udevadm control --reload && sudo udevadm trigger --name-match=kvm"),
            ),
        None => {
            let why = facts.kvm.device.unread().map_or_else(|| "not there".to_owned(), Unread::why);
            check.unknown(format!("/dev/kvm: {why}"))
        }
    }
}

fn described(meta: &FileMeta) -> String {
    let owner = meta.owner.clone().unwrap_or_else(|| meta.uid.to_string());
    let group = meta.group.clone().unwrap_or_else(|| meta.gid.to_string());
    format!("mode {:04o}, {owner}:{group}", meta.mode)
}
