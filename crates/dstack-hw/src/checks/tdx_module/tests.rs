use std::borrow::Borrow;
use std::fmt::Write as _;

use dstack_check::{Finding, Status};

use crate::knowledge::tdx_modules::{FAILURES, Remedy};
use crate::source::{Pasted, Readings};
use crate::{CollectOptions, HostFacts, Unread};

fn run(id: &str, host: impl Borrow<Readings>) -> Finding {
    let facts = HostFacts::collect(host.borrow(), CollectOptions::quick());
    crate::checks::get(id).unwrap().run(&facts)
}

fn word(id: &str, host: impl Borrow<Readings>) -> &'static str {
    run(id, host).status.word()
}

fn log(text: &str) -> Readings {
    Pasted::new().kernel_log(text).into_readings()
}

const KEYS: &str = "[    5.2] virt/tdx: BIOS enabled: private KeyID range [32, 64)\n[    5.2] virt/tdx: Disable ACPI S3. Turn off TDX in the BIOS to use ACPI S3.\n";

fn cpu(model: u32, bugs: &str) -> String {
    format!(
        "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: {model}\nstepping\t: 2\nflags\t\t: fpu vmx lm tdx_host_platform\nbugs\t\t: spectre_v1 {bugs}\n"
    )
}

#[test]
fn key_ids_and_nothing_after_them_is_a_failing_module() {
    let finding = run("hw.tdx-module.loaded", log(KEYS));
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.fix.unwrap().only_a_hint);
    let finding = run(
        "hw.tdx-module.loaded",
        log(KEYS)
            .file("/proc/modules", "kvm 1 0 - Live 0x0\n")
            .file_reading("/sys/module/kvm_intel", Err(Unread::Absent)),
    );
    assert!(finding.observed.unwrap().contains("kvm_intel is not loaded"));
}

#[test]
fn a_module_that_answers_is_loaded_even_if_it_fails() {
    let old = format!(
        "{KEYS}[   29.0] virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000\n[   29.0] virt/tdx: module initialization failed (-5)\n"
    );
    assert_eq!(word("hw.tdx-module.loaded", log(&old)), "pass");
    let finding = run("hw.tdx-module.initialized", log(&old));
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.observed.unwrap().contains("too old for the kernel"));
    assert!(finding.evidence[0].excerpt.contains("SEAMCALL"));
}

#[test]
fn stronger_evidence_decides() {
    let up = |host: Readings| host.file("/sys/module/kvm_intel/parameters/tdx", "Y\n");
    let unreadable = up(Readings::nothing_known().log_reading(Err(Unread::NotPermitted)));
    for id in
        ["hw.tdx-module.loaded", "hw.tdx-module.initialized", "hw.tdx-module.version", "hw.tdx-module.pamt"]
    {
        let finding = run(id, unreadable.clone());
        assert_eq!(finding.status, Status::Pass, "{id}");
        assert!(finding.observed.unwrap().contains("implied by /sys/module/kvm_intel/parameters/tdx"));
    }
    let capacity = Readings::nothing_known().file("/sys/fs/cgroup/misc.capacity", "tdx 31\n");
    assert_eq!(word("hw.tdx-module.initialized", capacity), "pass");
}

#[test]
fn unreadable_is_unknown() {
    let host = Readings::nothing_known()
        .log_reading(Err(Unread::NotPermitted))
        .file("/sys/module/kvm_intel/parameters/tdx", "N\n");
    for id in ["hw.tdx-module.loaded", "hw.tdx-module.initialized"] {
        let Status::Unknown { why } = run(id, host.clone()).status else { panic!("{id}") };
        assert!(why.contains("needs root") && why.contains("reads N"), "{why}");
    }
    assert_eq!(word("hw.tdx-module.loaded", log("[90000.0] audit: x\n")), "unknown");
}

#[test]
fn the_sysfs_of_early_kernels() {
    let folder = "/sys/firmware/tdx/tdx_module";
    let host = |status: &str| {
        Readings::nothing_known()
            .file(format!("{folder}/status"), format!("{status}\n"))
            .file(format!("{folder}/build_num"), "0x00000156\n")
            .file(format!("{folder}/build_date"), "20220420\n")
            .file(format!("{folder}/major_version"), "0x1\n")
            .file(format!("{folder}/minor_version"), "0x0\n")
    };
    assert_eq!(word("hw.tdx-module.initialized", host("initialized")), "pass");
    assert_eq!(word("hw.tdx-module.initialized", host("error")), "fail");
    let finding = run("hw.tdx-module.version", host("initialized"));
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.observed.unwrap().starts_with("TDX module 1.0, build 342 of 2022-04-20"));
}

#[test]
fn granite_rapids_needs_the_second_line() {
    let module = |text: &str, model| {
        log(&format!("{KEYS}[   9.0] virt/tdx: {text}\n[   9.1] virt/tdx: module initialized\n"))
            .file("/proc/cpuinfo", cpu(model, ""))
    };
    let first = "TDX module: attributes 0x0, vendor_id 0x8086, major_version 1, minor_version 5, build_date 20240725, build_num 784";
    let second = "TDX module 2.0.08.00, build number 882, build date 0134fed5";
    let id = "hw.tdx-module.version";
    assert_eq!(word(id, module(first, 0xcf)), "pass");
    assert_eq!(word(id, module(first, 0xad)), "fail");
    assert_eq!(word(id, module(second, 0xad)), "pass");
    assert_eq!(word(id, module("Module version: 2.0.44", 0xad)), "pass");
    assert_eq!(word(id, module(&first.replace("784", "698"), 0x8f)), "warn");
    let finding = run(id, module(second, 0xad));
    assert!(finding.observed.unwrap().contains("build 882 of 2025-03-25"));
}

#[test]
fn the_version_in_sysfs_counts_more_than_the_log() {
    let host = log(&format!("{KEYS}[   9.0] virt/tdx: Module version: 1.5.08\n"))
        .file("/sys/devices/faux/tdx_host/version", "1.5.24\n");
    let finding = run("hw.tdx-module.version", host);
    assert!(finding.observed.unwrap().starts_with("TDX module 1.5.24"));
    let odd = log("").file("/sys/devices/faux/tdx_host/version", "new\n");
    assert_eq!(word("hw.tdx-module.version", odd), "unknown");
}

#[test]
fn bookkeeping_is_a_256th_of_the_memory() {
    let id = "hw.tdx-module.pamt";
    let pamt = |kib: u64, memory: Option<u64>| {
        let host = log(&format!(
            "{KEYS}[   9.0] virt/tdx: {kib} KB allocated for PAMT\n[   9.1] virt/tdx: module initialized\n"
        ));
        match memory {
            Some(kib) => host.file("/proc/meminfo", format!("MemTotal: {kib} kB\n")),
            None => host,
        }
    };
    assert_eq!(word(id, pamt(1_042_424, Some(256 << 20))), "pass");
    assert_eq!(word(id, pamt(1_042_424, Some(1024 << 20))), "warn");
    assert_eq!(word(id, pamt(1_042_424, None)), "pass");
    assert_eq!(word(id, log(KEYS)), "unknown");
}

#[test]
fn the_erratum_is_an_erratum() {
    let id = "hw.tdx-module.erratum";
    let host = |model, bugs: &str, command_line: &str| {
        Readings::nothing_known().file("/proc/cpuinfo", cpu(model, bugs)).file("/proc/cmdline", command_line)
    };
    assert_eq!(word(id, host(0xcf, "tdx_pw_mce", "quiet")), "pass");
    assert_eq!(word(id, host(0xcf, "tdx_pw_mce", "crashkernel=512M")), "warn");
    assert_eq!(word(id, host(0xcf, "", "quiet")), "warn");
    assert_eq!(word(id, host(0xad, "", "quiet")), "not-applicable");
    assert_eq!(word(id, Readings::nothing_known()), "unknown");
}

/// What people read for every way in which it fails.
#[test]
fn failures_in_words() {
    let mut text = String::new();
    for lines in [
        "virt/tdx: module not loaded",
        "virt/tdx: SEAMCALL (0x0000000000000021) failed: 0xc000090000000000\nvirt/tdx: module initialization failed (-5)",
        "virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000\nvirt/tdx: module initialization failed (-5)",
        "virt/tdx: initialization failed: TDMR [0x40000000, 0x80000000): reserved areas exhausted.\nvirt/tdx: module initialization failed (-28)",
        "virt/tdx: initialization failed: TDMRs exhausted.\nvirt/tdx: module initialization failed (-28)",
        "virt/tdx: unable to find local NUMA node for PAMT allocation, fallback to use node 0\nvirt/tdx: module initialization failed (-12)",
        "virt/tdx: frame pointer (RBP) clobber bug present, upgrade TDX module\nvirt/tdx: module initialization failed (-22)",
        "virt/tdx: module initialization failed (-12)",
        "virt/tdx: module initialization failed (-99)",
    ] {
        let finding = run("hw.tdx-module.initialized", log(&format!("{KEYS}{lines}\n")));
        assert_eq!(finding.status, Status::Fail, "{lines}");
        let fix = finding.fix.unwrap();
        // The words for the firmware are told and tested where they are made.
        let own = FAILURES
            .iter()
            .any(|entry| matches!(entry.remedy, Remedy::Words(action, _) if action == fix.action));
        let action = if own { fix.action.as_ref() } else { "in the firmware" };
        let _ = writeln!(text, "{lines}\n  = {}\n  > {action}", finding.observed.unwrap());
        for command in fix.commands.iter().filter(|_| own) {
            let _ = writeln!(text, "  $ {command}");
        }
    }
    insta::assert_snapshot!(text);
}
