//! vsock, IOMMU, VFIO, disks, the clock, sleep.

use dstack_check::{CheckDef, Finding, Fix};

use super::{is_amd, logged};
use crate::facts::io::DISK_PATHS;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::source::DiskSpace;
use crate::{Fact, HostFacts};

const GB: u64 = 1_000_000_000;

/// What dstack's deployment guide asks to be free.
const DISK_ADVISED: u64 = 100 * GB;

/// Below this an image and the first CVM do not fit.
const DISK_MINIMUM: u64 = 10 * GB;

/// The units that keep the clock, by the names that distributions give them.
const CLOCKS: [&str; 7] = ["systemd-timesyncd", "chrony", "chronyd", "ntpsec", "ntp", "ntpd", "openntpd"];

pub(super) fn suspend(check: &CheckDef, facts: &HostFacts) -> Finding {
    if is_amd(facts) {
        return check.not_applicable().observed("the rule is TDX's, this is an AMD host");
    }
    let hibernation = "/sys/power/disk";
    let can_hibernate = match &facts.io.hibernation {
        Fact::Known(text) if text.contains("[disabled]") => {
            return check.pass().observed("hibernation is off").evidence(hibernation, text.clone());
        }
        Fact::Known(text) => Some((hibernation, text.clone())),
        Fact::Absent => match &facts.io.sleep_states {
            Fact::Known(states) if states.iter().any(|state| state == "disk") => {
                Some(("/sys/power/state", states.join(" ")))
            }
            Fact::Unread(why) => return check.unknown(format!("/sys/power/state: {}", why.why())),
            _ => None,
        },
        Fact::Unread(why) => {
            return match super::tdx_is_up(facts) {
                Some((source, line)) => check
                    .pass()
                    .observed("implied: a kernel that can hibernate does not bring TDX up")
                    .evidence(source, line),
                None => check.unknown(format!("{hibernation}: {}", why.why())),
            };
        }
    };
    let Some((source, excerpt)) = can_hibernate else {
        return check.pass().observed("the kernel cannot hibernate").evidence("/sys/power", "no `disk`");
    };
    let fix = Fix::new("add `nohibernate` to the kernel's command line and reboot").command(
        "echo 'GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT nohibernate\"' | sudo tee /etc/default/grub.d/99-nohibernate.cfg && sudo update-grub",
    );
    // Some patched kernels bring TDX up all the same. Then it is lost at the first sleep.
    let finding = match super::tdx_is_up(facts) {
        Some((proof, line)) => check
            .warn()
            .observed("the host can be suspended to disk, which would end TDX until the next boot")
            .evidence(proof, line),
        None => {
            check.fail().observed("the host can be suspended to disk; the kernel does not bring TDX up then")
        }
    };
    finding.expected("[disabled], or no hibernation in the kernel").evidence(source, excerpt).fix(fix)
}

pub(super) fn vsock(check: &CheckDef, facts: &HostFacts) -> Finding {
    let device = "/dev/vhost-vsock";
    let load = || {
        Fix::new("load the module, now and at every boot")
            .command("sudo modprobe vhost_vsock")
            .command("echo vhost_vsock | sudo tee /etc/modules-load.d/vhost_vsock.conf")
    };
    match &facts.io.vhost_vsock {
        Fact::Known(meta) => {
            let module = match facts.io.vhost_vsock_module.known() {
                Some(true) => "module loaded or built in",
                Some(false) => "the module is loaded when the device is opened",
                None => "whether the module is loaded is not known",
            };
            check
                .pass()
                .observed(format!("{device} is there; {module}"))
                .evidence(device, format!("mode {:04o}, group {}", meta.mode, meta.group.as_deref().unwrap_or("?")))
        }
        Fact::Absent if facts.io.vhost_vsock_module.known() == Some(&true) => check
            .fail()
            .observed("the module is there and the device is not: devices are hidden from this process, or udev has not made it")
            .expected(device)
            .evidence("/sys/module/vhost_vsock", "present")
            .fix(Fix::new("let udev make the device").command("sudo udevadm trigger --name-match=vhost-vsock")),
        Fact::Absent => check
            .fail()
            .observed(format!("{device} is not there"))
            .expected(device)
            .evidence(device, "absent")
            .fix(load()),
        Fact::Unread(why) => check.unknown(format!("{device}: {}", why.why())),
    }
}

pub(super) fn iommu(check: &CheckDef, facts: &HostFacts) -> Finding {
    let class = "/sys/class/iommu";
    let named = facts.io.iommus.known().filter(|names| !names.is_empty());
    if let Some(names) = named {
        let groups = facts
            .io
            .iommu_groups
            .known()
            .map_or_else(String::new, |groups| format!(", {groups} groups of devices"));
        let shown: Vec<&str> = names.iter().take(4).map(String::as_str).collect();
        let more = if names.len() > shown.len() { ", ..." } else { "" };
        return check
            .pass()
            .observed(format!("{} units{groups}", names.len()))
            .evidence(class, format!("{}{more}", shown.join(", ")));
    }
    // A line that only a kernel writes that has put a device behind an IOMMU.
    if let Some(message) = logged(facts, |text| text.contains(": Adding to iommu group ")) {
        return check
            .pass()
            .observed("the kernel has put devices behind it")
            .evidence("kernel log", message.line.clone());
    }
    if let Fact::Unread(why) = &facts.io.iommus {
        return check.unknown(format!("{class}: {}", why.why()));
    }
    let line = facts.kernel.command_line.known();
    let off = ["intel_iommu", "amd_iommu", "iommu"].into_iter().find(|name| {
        line.and_then(|line| line.value(name)).is_some_and(|value| value.split(',').any(|word| word == "off"))
    });
    let failed = check.fail().expected("an IOMMU that the kernel uses").evidence(class, "empty or absent");
    if let Some(name) = off {
        return failed
            .observed(format!("`{name}=off` on the kernel's command line"))
            .evidence("/proc/cmdline", format!("{name}=off"))
            .fix(Fix::new(format!("remove `{name}=off` from the kernel's command line and reboot")));
    }
    // The firmware's table is there (VT-d is on), and the kernel was built with the IOMMU off by default.
    if let Some(message) = logged(facts, |text| text.starts_with("DMAR: Host address width")) {
        return failed
            .observed("the firmware has it on, the kernel does not use it")
            .evidence("kernel log", message.line.clone())
            .fix(Fix::new("add `intel_iommu=on` to the kernel's command line and reboot"));
    }
    let (setting, parameter) = if is_amd(facts) {
        (Setting::Iommu, "")
    } else {
        (Setting::VtD, ", then add `intel_iommu=on` to the kernel's command line")
    };
    let mut fix = fix_for(setting, &facts.firmware);
    fix.action = format!("{}{parameter}", fix.action).into();
    failed.observed("the kernel uses none").fix(fix)
}

pub(super) fn iommufd(check: &CheckDef, facts: &HostFacts) -> Finding {
    let device = "/dev/iommu";
    match &facts.io.iommufd {
        Fact::Known(meta) => check
            .pass()
            .observed(format!("{device} is there"))
            .evidence(device, format!("mode {:04o}, group {}", meta.mode, meta.group.as_deref().unwrap_or("?"))),
        Fact::Absent => check
            .fail()
            .observed(format!("{device} is not there"))
            .expected(device)
            .evidence(device, "absent")
            .fix(
                Fix::new("load iommufd, now and at every boot; where there is no such module, take a kernel built with CONFIG_IOMMUFD")
                    .command("sudo modprobe iommufd")
                    .command("echo iommufd | sudo tee /etc/modules-load.d/iommufd.conf"),
            ),
        Fact::Unread(why) => check.unknown(format!("{device}: {}", why.why())),
    }
}

pub(super) fn vfio(check: &CheckDef, facts: &HostFacts) -> Finding {
    let device = "/dev/vfio/vfio";
    let load = || {
        Fix::new("load the driver, now and at every boot")
            .command("sudo modprobe vfio-pci")
            .command("echo vfio-pci | sudo tee /etc/modules-load.d/vfio-pci.conf")
    };
    match (&facts.io.vfio, facts.io.vfio_pci.known()) {
        (Fact::Known(_), Some(false)) => check
            .warn()
            .observed(format!("{device} is there, the driver vfio-pci is not loaded"))
            .expected("vfio-pci, to bind GPUs to")
            .evidence("/sys/bus/pci/drivers/vfio-pci", "absent")
            .fix(load()),
        (Fact::Known(meta), _) => check.pass().observed(format!("{device} is there")).evidence(
            device,
            format!("mode {:04o}, group {}", meta.mode, meta.group.as_deref().unwrap_or("?")),
        ),
        (Fact::Absent, _) => check
            .fail()
            .observed(format!("{device} is not there"))
            .expected(device)
            .evidence(device, "absent")
            .fix(load()),
        (Fact::Unread(why), _) => check.unknown(format!("{device}: {}", why.why())),
    }
}

pub(super) fn disk_space(check: &CheckDef, facts: &HostFacts) -> Finding {
    let Some((path, space)) = facts.io.roomiest() else {
        let why = facts.io.disks.iter().find_map(|disk| disk.space.unread());
        let why = why.map_or_else(|| "no file system was found".to_owned(), crate::Unread::why);
        return check.unknown(format!("{}: {why}", DISK_PATHS.join(", ")));
    };
    let expected = "100 GB free or more, as dstack's deployment guide asks for";
    let observed = format!("{} free at {path}", shown(space));
    let evidence = facts
        .io
        .disks
        .iter()
        .filter_map(|disk| Some(format!("{}: {}", disk.path, shown(*disk.space.known()?))))
        .collect::<Vec<_>>()
        .join("\n");
    let finding = if space.available < DISK_MINIMUM {
        check.fail().expected(expected).fix(
            Fix::new(
                "make room, or put `image_path` and `run_path` of the VMM's configuration on a larger disk",
            )
            .command("df -h"),
        )
    } else if space.available < DISK_ADVISED {
        check.warn().expected(expected).fix(
            Fix::new(
                "watch it, or put `image_path` and `run_path` of the VMM's configuration on a larger disk",
            )
            .command("df -h"),
        )
    } else {
        check.pass()
    };
    finding.observed(observed).evidence("statvfs", evidence)
}

fn shown(space: DiskSpace) -> String {
    format!("{:.1} of {:.1} GB", space.available as f64 / GB as f64, space.total as f64 / GB as f64)
}

pub(super) fn time_sync(check: &CheckDef, facts: &HostFacts) -> Finding {
    let mark = "/run/systemd/timesync/synchronized";
    if facts.io.timesync.known() == Some(&true) {
        return check
            .pass()
            .observed("systemd-timesyncd has set the clock since boot")
            .evidence(mark, "present");
    }
    let units = match &facts.services.units {
        Fact::Known(units) => units,
        Fact::Absent => return check.unknown("there is no systemd to ask which service keeps the clock"),
        Fact::Unread(why) => return check.unknown(format!("systemctl show: {}", why.why())),
    };
    let active: Vec<(&str, String)> = CLOCKS
        .into_iter()
        .filter_map(|name| units.get(name).filter(|unit| unit.is_active()).map(|unit| (name, unit.state())))
        .collect();
    match active.first() {
        Some(("systemd-timesyncd", _)) if facts.io.timesync.known().is_none() => {
            let why = facts.io.timesync.unread().map_or_else(|| "not there".to_owned(), crate::Unread::why);
            check.unknown(format!("{mark}: {why}"))
        }
        Some(("systemd-timesyncd", state)) => check
            .warn()
            .observed("systemd-timesyncd runs and has not set the clock yet")
            .expected("a clock that was set since boot")
            .evidence("systemctl show systemd-timesyncd", state.clone())
            .evidence(mark, "absent")
            .fix(
                Fix::new("let UDP port 123 out to a time server, or name one that can be reached in /etc/systemd/timesyncd.conf")
                    .command("timedatectl timesync-status"),
            ),
        Some((name, state)) => check
            .pass()
            .observed(format!("{name} runs; how far it has come is not asked"))
            .evidence(format!("systemctl show {name}"), state.clone()),
        None => check
            .warn()
            .observed("no service that keeps the clock is active")
            .expected("chrony or systemd-timesyncd")
            .evidence("systemctl show", format!("none active of {}", CLOCKS.join(", ")))
            .fix(Fix::new("turn time synchronisation on").command("sudo timedatectl set-ntp true")),
    }
}
