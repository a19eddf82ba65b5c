use dstack_check::{Finding, Status};
use std::borrow::Borrow;

use crate::source::{FileKind, FileMeta, KvmCapabilities, Pasted, Readings};
use crate::{CollectOptions, HostFacts, Unread};

fn run(id: &str, host: impl Borrow<Readings>) -> Finding {
    let facts = HostFacts::collect(host.borrow(), CollectOptions::quick());
    crate::checks::get(id).unwrap().run(&facts)
}

fn word(id: &str, host: impl Borrow<Readings>) -> &'static str {
    run(id, host).status.word()
}

fn cpu(vendor: &str) -> String {
    format!("processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: 6\nmodel\t\t: 207\nflags\t\t: fpu lm\n")
}

fn intel() -> Readings {
    Readings::empty_host()
        .file("/proc/cpuinfo", cpu("GenuineIntel"))
        .file("/proc/modules", "loop 1 0 - Live 0x0\n")
}

fn parameter(host: Readings, module: &str, name: &str, value: &str) -> Readings {
    host.file(format!("/sys/module/{module}/parameters/{name}"), format!("{value}\n"))
}

fn types(vm_types: u64) -> KvmCapabilities {
    KvmCapabilities { api_version: 12, vm_types }
}

#[test]
fn the_module_of_the_vendor() {
    let id = "hw.kvm.loaded";
    assert_eq!(word(id, intel()), "fail");
    assert_eq!(word(id, intel().file("/proc/modules", "kvm_intel 1 0 - Live 0x0\n")), "pass");
    // The other vendor's module is of no use.
    assert_eq!(word(id, intel().file("/proc/modules", "kvm_amd 1 0 - Live 0x0\n")), "fail");
    let amd = Readings::empty_host()
        .file("/proc/cpuinfo", cpu("AuthenticAMD"))
        .file("/proc/modules", "kvm_amd 1 0 - Live 0x0\n");
    assert_eq!(word(id, amd), "pass");
    assert_eq!(word(id, parameter(intel(), "kvm_intel", "ept", "Y")), "pass");
    assert_eq!(word(id, Readings::nothing_known()), "unknown");
}

#[test]
fn why_the_module_is_not_loaded() {
    let off =
        Pasted::new().kernel_log("[    9.0] kvm_intel: VMX (outside TXT) disabled by BIOS\n").into_readings();
    let finding = run(
        "hw.kvm.loaded",
        off.file("/proc/cpuinfo", cpu("GenuineIntel")).file("/proc/modules", "loop 1\n"),
    );
    assert!(finding.observed.unwrap().contains("virtualisation off"));
    let failing = Pasted::new()
        .kernel_log("[    5.0] virt/tdx: BIOS enabled: private KeyID range [32, 64)\n[   29.0] virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000\n[   29.0] virt/tdx: module initialization failed (-5)\n")
        .into_readings()
        .file("/proc/cpuinfo", cpu("GenuineIntel"))
        .file("/proc/modules", "kvm 1 0 - Live 0x0\n")
        .file_reading("/sys/module/kvm_intel", Err(Unread::Absent));
    let finding = run("hw.kvm.loaded", failing);
    assert!(finding.observed.unwrap().contains("because the TDX module fails"));
    let kept = intel().file("/etc/modprobe.d/x.conf", "blacklist kvm_intel\n");
    assert!(run("hw.kvm.loaded", kept).observed.unwrap().contains("/etc/modprobe.d/x.conf"));
}

#[test]
fn who_can_open_the_device() {
    let id = "hw.kvm.device";
    assert_eq!(word(id, intel()), "fail");
    assert_eq!(word(id, intel().device("/dev/kvm", 0o660, "kvm").kvm_capabilities(types(1))), "pass");
    assert_eq!(word(id, intel().device("/dev/kvm", 0o660, "kvm")), "pass");
    assert_eq!(word(id, intel().device("/dev/kvm", 0o600, "root")), "warn");
    let mut refused = intel().device("/dev/kvm", 0o660, "kvm");
    refused.kvm = Err(Unread::NotPermitted);
    let finding = run(id, refused);
    assert_eq!(finding.status, Status::Warn);
    assert!(finding.fix.unwrap().commands[0].contains("usermod -aG kvm"));
    let file = FileMeta::new(FileKind::File, 0o644);
    assert_eq!(word(id, intel().meta("/dev/kvm", file)), "fail");
    let old = KvmCapabilities { api_version: 11, vm_types: 0 };
    assert_eq!(word(id, intel().device("/dev/kvm", 0o660, "kvm").kvm_capabilities(old)), "fail");
    assert_eq!(word(id, Readings::nothing_known()), "unknown");
}

#[test]
fn parameters_that_must_be_on() {
    for (id, module, name) in [
        ("hw.kvm.ept", "kvm_intel", "ept"),
        ("hw.kvm.ept", "kvm_intel", "eptad"),
        ("hw.kvm.tdp-mmu", "kvm", "tdp_mmu"),
        ("hw.kvm.tdp-mmu", "kvm", "mmio_caching"),
        ("hw.kvm.virt-at-load", "kvm", "enable_virt_at_load"),
    ] {
        assert_eq!(word(id, parameter(intel(), module, name, "Y")), "pass", "{name}");
        let finding = run(id, parameter(intel(), module, name, "N"));
        assert_eq!(finding.status, Status::Fail, "{name}");
        assert!(finding.fix.unwrap().action.contains(&format!("{module}.{name}=0")));
        assert_eq!(word(id, Readings::nothing_known()), "unknown");
    }
    // Older kernels have no such parameter and need none.
    assert_eq!(word("hw.kvm.virt-at-load", parameter(intel(), "kvm", "tdp_mmu", "Y")), "not-applicable");
    let complaint = Pasted::new().kernel_log("kvm_intel: EPT is required for TDX\n").into_readings();
    assert_eq!(word("hw.kvm.ept", complaint), "fail");
}

#[test]
fn a_missing_parameter_has_several_causes() {
    let id = "hw.kvm.tdx";
    let not_loaded = run(id, intel());
    assert!(not_loaded.observed.unwrap().contains("kvm_intel is not loaded"));
    let without = run(id, parameter(intel(), "kvm_intel", "ept", "Y"));
    assert!(without.observed.unwrap().contains("built without TDX"));
    assert_eq!(word(id, Readings::nothing_known()), "unknown");
}

#[test]
fn no_means_what_the_kernel_makes_of_it() {
    let id = "hw.kvm.tdx";
    let off = |release: &str, command_line: &str| {
        let host = intel().file("/proc/sys/kernel/osrelease", release).file("/proc/cmdline", command_line);
        run(id, parameter(host, "kvm_intel", "tdx", "N"))
    };
    let mainline = off("6.17.0-5-generic", "quiet");
    assert!(mainline.observed.unwrap().contains("says nothing of the firmware"));
    assert!(mainline.fix.unwrap().action.contains("kvm_intel.tdx=1"));
    let asked = off("6.17.0-5-generic", "kvm_intel.tdx=1");
    assert!(asked.observed.unwrap().contains("bringing TDX up failed"));
    let canonical = off("6.8.0-1028-intel", "quiet");
    assert!(canonical.observed.unwrap().contains("bringing TDX up failed"));
    assert_eq!(word(id, parameter(intel(), "kvm_intel", "tdx", "Y")), "pass");
    assert_eq!(word(id, intel().file("/sys/fs/cgroup/misc.capacity", "tdx 31\n")), "pass");
}

#[test]
fn the_complaint_of_kvm_is_passed_on() {
    let log = "virt/tdx: module initialized\nkvm_intel: Disable TDX: MAX_VCPU_PER_TD (64) smaller than number of logical CPUs (256).\n";
    let finding = run("hw.kvm.tdx", Pasted::new().kernel_log(log).into_readings());
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.evidence[0].excerpt.contains("MAX_VCPU_PER_TD"));
}

#[test]
fn the_number_of_a_td() {
    let id = "hw.kvm.vm-type";
    let number = |bits| {
        run(id, intel().file("/proc/sys/kernel/osrelease", "6.17.0-5-generic").kvm_capabilities(types(bits)))
    };
    assert!(number(0b10_0001).observed.unwrap().starts_with("a TD is VM type 5"));
    assert!(number(0b101).observed.unwrap().starts_with("a TD is VM type 2"));
    let none = number(0b11);
    assert_eq!(none.status, Status::Fail);
    assert_eq!(none.observed.unwrap(), "none of the VM types 0, 1 is a TD");
    // The same bit is SEV's on AMD.
    let amd =
        Readings::empty_host().file("/proc/cpuinfo", cpu("AuthenticAMD")).kvm_capabilities(types(0b101));
    assert_eq!(word(id, amd), "not-applicable");
    let mut refused = parameter(intel(), "kvm_intel", "tdx", "Y");
    refused.kvm = Err(Unread::NotPermitted);
    assert_eq!(word(id, refused), "pass");
}

#[test]
fn key_ids_for_tds() {
    let (capacity, free) = ("hw.kvm.capacity", "hw.kvm.capacity-free");
    let misc = |total: u64, used: u64| {
        intel()
            .file("/sys/fs/cgroup/misc.capacity", format!("tdx {total}\n"))
            .file("/sys/fs/cgroup/misc.current", format!("tdx {used}\n"))
    };
    assert_eq!(run(capacity, misc(31, 2)).observed.unwrap(), "31 TDs at a time");
    assert_eq!(word(capacity, misc(0, 0)), "fail");
    assert_eq!(run(free, misc(31, 2)).observed.unwrap(), "29 of 31 are free");
    assert_eq!(word(free, misc(31, 31)), "warn");
    assert_eq!(word(free, intel()), "not-applicable");
    assert_eq!(word(capacity, intel()), "unknown");
    // Sixteen keys are enough, and one of any number is the module's own.
    let log = "virt/tdx: BIOS enabled: private KeyID range [16, 32)\nvirt/tdx: module initialized\n";
    let finding = run(capacity, Pasted::new().kernel_log(log).into_readings());
    assert!(finding.observed.unwrap().starts_with("15 TDs at a time"));
}
