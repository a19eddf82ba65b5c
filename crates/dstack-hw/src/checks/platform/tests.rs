use dstack_check::{Finding, Status};

use crate::checks::asked::asked;
use crate::source::{DiskSpace, LogOrigin, Probe, RawKernelLog, Readings};
use crate::{CollectOptions, HostFacts, Unread, checks};

const NODE: &str = "/sys/devices/system/node";
const CPU: &str = "/sys/devices/system/cpu";

/// Two packages with two CPUs and a node each, and every device.
fn host() -> Readings {
    without_devices().device("/dev/vhost-vsock", 0o660, "kvm").device("/dev/iommu", 0o660, "kvm").device(
        "/dev/vfio/vfio",
        0o666,
        "root",
    )
}

fn without_devices() -> Readings {
    let entry = |cpu: u32, package: u32| {
        format!(
            "processor : {cpu}\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 207\nmodel name : x\nstepping : 2\nphysical id : {package}\nflags : fpu lm vmx\n\n"
        )
    };
    let cpuinfo: String = [(0, 0), (1, 0), (2, 1), (3, 1)].map(|(cpu, package)| entry(cpu, package)).concat();
    let mut host = Readings::empty_host()
        .file("/proc/cpuinfo", cpuinfo)
        .file("/proc/meminfo", "MemTotal: 527560572 kB\nMemAvailable: 500000000 kB\nSwapTotal: 0 kB\n")
        .file("/proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw 0 0\n")
        .file("/proc/cmdline", "quiet nohibernate intel_iommu=on\n")
        .file(format!("{CPU}/online"), "0-3\n")
        .file(format!("{CPU}/present"), "0-3\n")
        .file(format!("{CPU}/smt/active"), "1\n")
        .file(format!("{CPU}/smt/control"), "on\n")
        .file("/sys/power/disk", "[disabled]\n")
        .file("/sys/power/state", "freeze\n")
        .file("/run/systemd/timesync/synchronized", "")
        .folder("/sys/class/iommu", ["dmar0", "dmar1"])
        .folder("/sys/kernel/iommu_groups", ["0", "1", "2"])
        .folder("/sys/bus/pci/drivers/vfio-pci", ["bind"])
        .disk_space("/", DiskSpace { total: 1_000_000_000_000, available: 800_000_000_000 });
    for (node, cpus) in [(0, "0-1\n"), (1, "2-3\n")] {
        let pages = format!("{NODE}/node{node}/hugepages/hugepages-1048576kB");
        host = host
            .file(format!("{NODE}/node{node}/cpulist"), cpus)
            .file(format!("{NODE}/node{node}/meminfo"), format!("Node {node} MemTotal: 263780284 kB\n"))
            .file(format!("{pages}/nr_hugepages"), "8\n")
            .file(format!("{pages}/free_hugepages"), "8\n");
    }
    host
}

fn log(host: Readings, text: &str) -> Readings {
    host.log(RawKernelLog { from: LogOrigin::Kmsg, from_boot: Some(true), text: text.to_owned() })
}

fn absent(host: Readings, path: &str) -> Readings {
    host.file_reading(path, Err(Unread::Absent))
}

fn find(host: &Readings, id: &str) -> Finding {
    let finding = asked(&format!("hw.platform.{id}"), host, CollectOptions::quick());
    if !matches!(finding.status, Status::Unknown { .. }) {
        assert!(finding.observed.is_some(), "{finding:?}");
    }
    finding
}

fn word(host: &Readings, id: &str) -> &'static str {
    find(host, id).status.word()
}

#[test]
fn a_good_host() {
    for check in super::CHECKS {
        let id = check.def.id.trim_start_matches("hw.platform.");
        let expected = if id == "memory-population" { "unknown" } else { "pass" };
        assert_eq!(word(&host(), id), expected, "{id}: {:?}", find(&host(), id));
    }
}

#[test]
fn where_nothing_is_known_everything_is_unknown() {
    for check in super::CHECKS {
        let id = check.def.id.trim_start_matches("hw.platform.");
        assert_eq!(word(&Readings::nothing_known(), id), "unknown", "{id}");
    }
}

#[test]
fn memory() {
    let of = |kib: u64| word(&host().file("/proc/meminfo", format!("MemTotal: {kib} kB\n")), "memory-size");
    assert_eq!((of(3 << 20), of(8 << 20), of(15_900_000)), ("fail", "warn", "pass"));
}

/// A structure of the firmware's table: a memory device of SMBIOS 3.3.
fn dimm(locator: &str, gib: u32) -> Vec<u8> {
    let mut bytes = vec![0u8; 0x5C];
    bytes[0] = 17;
    bytes[1] = 0x5C;
    bytes[0x0C..0x0E].copy_from_slice(&if gib == 0 { 0u16 } else { 0x7FFF }.to_le_bytes());
    bytes[0x10] = 1;
    bytes[0x1C..0x20].copy_from_slice(&(gib * 1024).to_le_bytes());
    bytes.extend(locator.as_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn dimms(sizes: &[(&str, u32)]) -> Readings {
    let table: Vec<u8> = sizes.iter().flat_map(|(locator, gib)| dimm(locator, *gib)).collect();
    host().file("/sys/firmware/dmi/tables/DMI", table)
}

#[test]
fn dimms_of_two_sockets() {
    let id = "memory-population";
    let even = [("CPU1_DIMM_A1", 32), ("CPU1_DIMM_B1", 32), ("CPU2_DIMM_A1", 32), ("CPU2_DIMM_B1", 32)];
    let pass = find(&dimms(&even), id);
    assert_eq!(pass.status, Status::Pass);
    assert_eq!(pass.observed.as_deref(), Some("4 of 4 slots populated, 128 GiB (2 and 2 by socket)"));
    let mixed = [("CPU1_DIMM_A1", 32), ("CPU1_DIMM_B1", 64), ("CPU2_DIMM_A1", 32), ("CPU2_DIMM_B1", 32)];
    let warn = find(&dimms(&mixed), id);
    assert_eq!(warn.status, Status::Warn);
    assert!(warn.observed.unwrap().contains("sizes differ (32 GiB, 64 GiB)"));
    let single = [("CPU1_DIMM_A1", 32), ("CPU2_DIMM_A1", 32)];
    assert_eq!(word(&dimms(&single), id), "warn");
    // A firmware that has brought TDX up has accepted what it has.
    let up = log(dimms(&mixed), "[   29.884513] virt/tdx: module initialized\n");
    assert_eq!(word(&up, id), "pass");
}

#[test]
fn dimms_without_root() {
    let id = "memory-population";
    let closed = host().file_reading("/sys/firmware/dmi/tables/DMI", Err(Unread::NotPermitted));
    assert_eq!(
        find(&closed, id).status,
        Status::Unknown { why: "/sys/firmware/dmi/tables/DMI: needs root".to_owned() }
    );
    let line = "[    3.1] i2c i2c-0: 16/32 memory slots populated (from DMI)\n";
    assert_eq!(word(&log(closed.clone(), line), id), "pass");
    assert_eq!(word(&log(closed.clone(), &line.replace("16/32", "15/32")), id), "warn");
    assert_eq!(word(&log(closed.clone(), &line.replace("16/32", "2/32")), id), "warn");
    assert_eq!(word(&log(closed, "[   29.884513] virt/tdx: module initialized\n"), id), "pass");
}

#[test]
fn tiers_of_memory() {
    let cached = host().file(format!("{NODE}/node0/memory_side_cache/index1/size"), "1\n");
    assert_eq!(word(&cached, "memory-mode"), "warn");
    let alone = host()
        .file(format!("{NODE}/node2/cpulist"), "\n")
        .file(format!("{NODE}/node2/meminfo"), "Node 2 MemTotal: 263780284 kB\n");
    assert_eq!(word(&alone, "memory-mode"), "warn");
}

#[test]
fn packages() {
    let id = "packages-online";
    let cpuinfo = "processor : 0\nphysical id : 0\n\nprocessor : 1\nphysical id : 0\n";
    let half = host().file("/proc/cpuinfo", cpuinfo).file(format!("{CPU}/online"), "0-1\n");
    assert_eq!(word(&half, id), "unknown", "which packages there are is not known");
    assert_eq!(word(&log(half.clone(), "[    0.5] smpboot: Max logical packages: 2\n"), id), "fail");
    assert_eq!(word(&log(half, "[    0.5] CPU topo: Max. logical packages:   2\n"), id), "fail");
    let few = host().file(format!("{CPU}/online"), "0,2\n");
    assert_eq!(word(&few, id), "pass", "both nodes have a CPU online");
    assert_eq!(word(&log(few, "[    0.5] smpboot: Max logical packages: 2\n"), id), "pass");
}

#[test]
fn nodes() {
    let one = |cmdline: &str| {
        let host = host()
            .folder(NODE, ["node0"])
            .file(format!("{NODE}/node0/cpulist"), "0-3\n")
            .file("/proc/cmdline", cmdline);
        find(&host, "numa")
    };
    assert_eq!(one("quiet").status, Status::Warn);
    assert!(one("quiet").fix.unwrap().only_a_hint || !one("quiet").fix.unwrap().action.contains("numa=off"));
    assert!(one("numa=off").fix.unwrap().action.contains("numa=off"));
}

#[test]
fn hyper_threading() {
    let with = |active: &str, control: &str| {
        word(
            &host().file(format!("{CPU}/smt/active"), active).file(format!("{CPU}/smt/control"), control),
            "smt",
        )
    };
    assert_eq!(with("0\n", "notsupported\n"), "pass");
    assert_eq!(with("0\n", "off\n"), "warn");
    assert_eq!(word(&absent(host(), &format!("{CPU}/smt/active")), "smt"), "not-applicable");
}

#[test]
fn hibernation() {
    let id = "suspend";
    let can = host().file("/sys/power/disk", "[platform] shutdown reboot suspend test_resume\n");
    assert_eq!(word(&can, id), "fail");
    assert_eq!(word(&log(can, "[   29.884513] virt/tdx: module initialized\n"), id), "warn");
    let without = absent(host(), "/sys/power/disk");
    assert_eq!(word(&without, id), "pass");
    assert_eq!(word(&without.file("/sys/power/state", "freeze mem disk\n"), id), "fail");
}

#[test]
fn devices_that_are_not_there() {
    for id in ["vsock", "iommufd", "vfio"] {
        let finding = find(&without_devices(), id);
        assert_eq!(finding.status, Status::Fail, "{id}");
        assert!(finding.fix.unwrap().commands[0].starts_with("sudo modprobe "), "{id}");
    }
    let hidden = without_devices().file("/sys/module/vhost_vsock/initstate", "live\n");
    assert!(find(&hidden, "vsock").fix.unwrap().commands[0].contains("udevadm"));
    let unbound = Readings::empty_host().device("/dev/vfio/vfio", 0o666, "root");
    assert_eq!(word(&unbound, "vfio"), "warn");
}

#[test]
fn why_there_is_no_iommu() {
    let none = host().folder("/sys/class/iommu", []);
    let fix = |host: &Readings| find(host, "iommu").fix.unwrap().action.into_owned();
    assert!(
        fix(&none.clone().file("/proc/cmdline", "intel_iommu=off\n")).contains("remove `intel_iommu=off`")
    );
    assert!(
        fix(&none.clone().file("/proc/cmdline", "quiet amd_iommu=off\n")).contains("remove `amd_iommu=off`")
    );
    let tables = log(none.clone(), "[    0.01] DMAR: Host address width 52\n");
    assert!(fix(&tables).starts_with("add `intel_iommu=on`"));
    assert!(fix(&none).contains("intel_iommu=on"));
    let grouped = log(none, "[    1.2] pci 0000:00:00.0: Adding to iommu group 0\n");
    assert_eq!(word(&grouped, "iommu"), "pass");
}

#[test]
fn hugepages() {
    let id = "hugepages";
    let pages = |host: Readings, node: u32, reserved: &str, free: &str| {
        let folder = format!("{NODE}/node{node}/hugepages/hugepages-1048576kB");
        host.file(format!("{folder}/nr_hugepages"), reserved).file(format!("{folder}/free_hugepages"), free)
    };
    assert_eq!(word(&pages(pages(host(), 0, "0", "0"), 1, "0", "0"), id), "not-applicable");
    assert_eq!(word(&pages(host(), 0, "0", "0"), id), "warn", "one node of two");
    assert_eq!(word(&pages(pages(host(), 0, "8", "0"), 1, "8", "0"), id), "warn", "all in use");
    assert_eq!(word(&host().file("/proc/mounts", "proc /proc proc rw 0 0\n"), id), "warn", "no hugetlbfs");
}

#[test]
fn disks() {
    let with =
        |available| word(&host().disk_space("/", DiskSpace { total: available, available }), "disk-space");
    assert_eq!((with(5_000_000_000), with(60_000_000_000), with(100_000_000_000)), ("fail", "warn", "pass"));
    let two = host()
        .disk_space("/", DiskSpace { total: 1, available: 1 })
        .disk_space("/var/lib", DiskSpace { total: 200_000_000_000, available: 150_000_000_000 });
    assert_eq!(word(&two, "disk-space"), "pass");
}

#[test]
fn clocks() {
    let id = "time-sync";
    let base = absent(host(), "/run/systemd/timesync/synchronized");
    let unit = |name: &str, state: &str| {
        let text = format!(
            "Id={name}.service\nLoadState=loaded\nActiveState={state}\nSubState=running\nUnitFileState=enabled\n"
        );
        base.clone().probe_stdout(Probe::Units, text)
    };
    assert_eq!(word(&unit("chrony", "active"), id), "pass");
    assert_eq!(word(&unit("systemd-timesyncd", "active"), id), "warn", "not yet");
    assert_eq!(word(&unit("chrony", "inactive"), id), "warn");
    assert_eq!(word(&base, id), "unknown", "no systemd");
}

#[test]
fn amd_has_other_rules() {
    let amd = "processor : 0\nvendor_id : AuthenticAMD\ncpu family : 25\nmodel : 17\nphysical id : 0\nflags : fpu lm svm\n";
    let amd = host().file("/proc/cpuinfo", amd);
    assert_eq!(word(&amd, "memory-population"), "not-applicable");
    assert_eq!(word(&amd, "suspend"), "not-applicable");
}

/// A host as it is, and again with one reading after the other refused: what was a pass may become unknown, never more.
pub(in crate::checks) fn hide_one_after_the_other(host: &Readings, layer: &str) {
    let ids = || checks::all().filter(|check| check.def.layer == layer);
    let all = |host: &Readings| -> Vec<&'static str> {
        let facts = HostFacts::collect(host, CollectOptions::default());
        ids().map(|check| check.run(&facts).status.word()).collect()
    };
    let before = all(host);
    let look = |hidden: &Readings, what: &str| {
        for ((check, before), after) in ids().zip(&before).zip(all(hidden)) {
            assert!(
                after == *before || after == "unknown",
                "without {what}: {} {before} -> {after}",
                check.def.id
            );
        }
    };
    for why in [Unread::NotPermitted, Unread::NotRecorded] {
        for path in host.files.keys() {
            look(&host.clone().file_reading(path, Err(why.clone())), path);
        }
        for path in host.stats.keys() {
            let mut hidden = host.clone();
            hidden.stats.insert(path.clone(), Err(why.clone()));
            look(&hidden, path);
        }
        for path in host.folders.keys() {
            let mut hidden = host.clone();
            hidden.folders.insert(path.clone(), Err(why.clone()));
            hidden.stats.insert(path.clone(), Err(why.clone()));
            look(&hidden, path);
        }
        for path in host.disks.keys() {
            let mut hidden = host.clone();
            hidden.disks.insert(path.clone(), Err(why.clone()));
            look(&hidden, path);
        }
        for probe in host.probes.keys() {
            let mut hidden = host.clone();
            hidden.probes.insert(probe.clone(), Err(why.clone()));
            look(&hidden, &format!("{probe:?}"));
        }
        look(&host.clone().log_reading(Err(why.clone())), "the log");
    }
}

#[test]
fn a_reading_that_is_refused_makes_nothing_worse() {
    let timesyncd = "Id=systemd-timesyncd.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n";
    hide_one_after_the_other(&host().probe_stdout(Probe::Units, timesyncd), "platform");
}
