//! Registers by their bit definitions, and lines that were recorded on real hosts.

use dstack_check::{Finding, Status};

use crate::Unread;
use crate::checks::cpu::tests::{intel, log, run};
use crate::source::{LogOrigin, RawKernelLog, Readings};

fn unknown(finding: &Finding) -> bool {
    matches!(finding.status, Status::Unknown { .. })
}

fn says(text: &str) -> Readings {
    Readings::nothing_known().log(log(text))
}

/// A healthy host: 63 key ids, 31 for the host and 32 for TDX.
fn healthy() -> Readings {
    intel(0xcf)
        .msr(0, 0x3a, 0x6_0007)
        .msr(0, 0x87, 32 << 32 | 31)
        .msr(0, 0xa0, 0)
        .msr(0, 0x503, 0)
        .msr(0, 0x982, 0x0001_0016_0000_0003)
        .msr(0, 0x1400, 0x3f_fe00_0008)
        .msr(0, 0x1401, 0x000f_ffff_fe00_0c00)
}

const LAYER: &[&str] = &["vmx-locked-on", "tme", "tme-mt", "tdx-keys", "seam-loader", "mcheck", "sgx-debug"];

#[test]
fn a_healthy_host_by_its_registers() {
    for id in LAYER {
        let finding = run(&format!("hw.firmware.{id}"), &healthy());
        assert_eq!(finding.status, Status::Pass, "{finding:?}");
        assert!(!finding.evidence.is_empty(), "{finding:?}");
    }
    let keys = run("hw.firmware.tdx-keys", &healthy());
    insta::assert_snapshot!(keys.observed.unwrap(), @"32 key ids for TDX and 31 for the host, range [32, 64): room for 31 TDs at a time");
    let several = run("hw.firmware.tme-mt", &healthy());
    insta::assert_snapshot!(several.observed.unwrap(), @"IA32_TME_ACTIVATE 0x1001600000003: 6 bits for key ids, 1 of them kept for TDX: 63 key ids");
}

/// Without root: TDX is up, so what it stands on is right.
#[test]
fn a_healthy_host_without_root() {
    let mut host = intel(0xcf).file("/sys/module/kvm_intel/parameters/tdx", "Y\n");
    for address in [0x3a, 0x87, 0xa0, 0xce, 0xfe, 0x503, 0x982, 0x1400, 0x1401] {
        host = host.msr_reading(0, address, Err(Unread::NotPermitted));
    }
    for id in ["vmx-locked-on", "tme", "tme-mt", "tdx-keys", "seam-loader", "mcheck", "packages-agree"] {
        let finding = run(&format!("hw.firmware.{id}"), &host);
        assert_eq!(finding.status, Status::Pass, "{finding:?}");
        assert!(finding.observed.unwrap().starts_with("implied"), "{id}");
    }
    assert!(unknown(&run("hw.firmware.sgx-debug", &host)));
}

#[test]
fn nothing_known_is_unknown() {
    for id in LAYER.iter().chain(&["identity", "uefi", "secure-boot", "packages-agree"]) {
        let finding = run(&format!("hw.firmware.{id}"), &Readings::nothing_known());
        assert!(unknown(&finding), "{finding:?}");
    }
}

/// Trap 7: the line of failure has the words of success in it (F-01).
#[test]
fn memory_encryption_in_the_log() {
    let off = says("[    0.000000] x86/tme: not enabled by BIOS\n");
    assert!(off.kernel_log.as_ref().unwrap().text.contains("enabled by BIOS"));
    let finding = run("hw.firmware.tme", &off);
    assert_eq!(finding.status, Status::Fail);
    assert_eq!(finding.evidence[0].excerpt, "[    0.000000] x86/tme: not enabled by BIOS");
    let on = "[    0.000000] x86/tme: enabled by BIOS\n[    0.000000] x86/mktme: enabled by BIOS\n[    0.000000] x86/mktme: 63 KeyIDs available\n";
    assert_eq!(run("hw.firmware.tme", &says(on)).status, Status::Pass);
    let several = run("hw.firmware.tme-mt", &says(on));
    assert_eq!(several.status, Status::Pass);
    assert_eq!(several.observed.unwrap(), "63 key ids, says the kernel");
    let one = "[    0.000000] x86/tme: enabled by BIOS\n[    0.000000] x86/mktme: disabled by BIOS\n";
    assert_eq!(run("hw.firmware.tme", &says(one)).status, Status::Pass);
    assert_eq!(run("hw.firmware.tme-mt", &says(one)).status, Status::Fail);
}

#[test]
fn memory_encryption_by_its_register() {
    let activate = |value| intel(0xcf).msr(0, 0x982, value);
    assert_eq!(run("hw.firmware.tme", &activate(0)).status, Status::Fail);
    assert_eq!(run("hw.firmware.tme", &activate(2)).status, Status::Fail, "not locked");
    assert_eq!(run("hw.firmware.tme", &activate(3)).status, Status::Pass);
    assert_eq!(run("hw.firmware.tme-mt", &activate(3)).status, Status::Fail);
    assert_eq!(run("hw.firmware.tdx-keys", &activate(0x6_0000_0003)).status, Status::Fail, "no bits for TDX");
}

/// Traps 5 and 6: the register is 0x87, numbers are numbers, and 16 keys are enough.
#[test]
fn key_ids() {
    let split =
        |mktme: u64, tdx: u64| run("hw.firmware.tdx-keys", &intel(0xcf).msr(0, 0x87, tdx << 32 | mktme));
    assert_eq!(split(31, 32).status, Status::Pass);
    assert_eq!(split(0, 0x10).status, Status::Pass);
    assert_eq!(split(0, 2).status, Status::Pass);
    let one = split(62, 1);
    assert_eq!(one.status, Status::Fail);
    assert!(one.fix.unwrap().action.contains("key split"));
    let none = split(0, 0);
    assert_eq!(none.status, Status::Fail);
    assert!(none.fix.unwrap().action.contains("Trust Domain"));
    assert!(
        split(0, 0x3f).observed.unwrap().contains("63 key ids for TDX and 0 for the host, range [1, 64)")
    );
}

#[test]
fn key_ids_in_the_log() {
    let id = "hw.firmware.tdx-keys";
    for (range, keys) in [("[32, 64)", "32"), ("[64, 128)", "64"), ("[1, 128)", "127"), ("[1, 64)", "63")] {
        let finding =
            run(id, &says(&format!("[    5.2] virt/tdx: BIOS enabled: private KeyID range {range}\n")));
        assert_eq!(finding.status, Status::Pass);
        assert!(finding.observed.unwrap().starts_with(keys), "{range}");
    }
    let few = "virt/tdx: BIOS enabled: private KeyID range [63, 64)\nvirt/tdx: initialization failed: too few private KeyIDs available.\n";
    assert_eq!(run(id, &says(few)).status, Status::Fail);
    let no_range = "virt/tdx: initialization failed: too few private KeyIDs available.\n";
    assert_eq!(run(id, &says(no_range)).status, Status::Fail);
    assert_eq!(run(id, &says("kvm_intel: tdx: no TDX private KeyIDs available\n")).status, Status::Fail);
    let flag = Readings::nothing_known().file("/proc/cpuinfo", "flags : fpu tdx_host_platform\n");
    assert_eq!(run(id, &flag).status, Status::Pass);
}

/// A kernel that would have spoken of key ids and says nothing: there are none. A log that lost its beginning, or that
/// somebody pasted, does not tell.
#[test]
fn silence_is_an_answer_only_where_it_would_have_been_heard() {
    let host = |from, first: &str| {
        let text = format!(
            "[    {first}] smp: Bringing up secondary CPUs ...\n[    9.000000] EXT4-fs (sda1): mounted\n"
        );
        intel(0xcf)
            .file("/proc/sys/kernel/osrelease", "6.17.0-5-generic\n")
            .file("/boot/config-6.17.0-5-generic", "CONFIG_KVM_INTEL=m\nCONFIG_INTEL_TDX_HOST=y\n")
            .log(RawKernelLog { from, from_boot: None, text })
    };
    let id = "hw.firmware.tdx-keys";
    assert_eq!(run(id, &host(LogOrigin::Kmsg, "0.000000")).status, Status::Fail);
    assert!(unknown(&run(id, &host(LogOrigin::Kmsg, "8.000000"))));
    assert!(unknown(&run(id, &host(LogOrigin::Pasted, "0.000000"))));
}

/// Recorded on a PowerEdge R760 (F-10): the range is on and was never locked.
#[test]
fn a_loader_that_did_not_run() {
    let host = intel(0xcf)
        .msr(0, 0x1400, 0x3f_fe00_0008)
        .msr(0, 0x1401, 0x800)
        .msr(0, 0x87, 0x3f << 32)
        .file("/sys/class/dmi/id/sys_vendor", "Dell Inc.\n")
        .log(log("virt/tdx: BIOS enabled: private KeyID range [1, 64)\nvirt/tdx: module not loaded\n"));
    let finding = run("hw.firmware.seam-loader", &host);
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.evidence.iter().any(|evidence| evidence.excerpt.contains("module not loaded")));
    insta::assert_snapshot!(finding.observed.unwrap(), @"SEAM range mask 0x800: on, and not locked: the SEAM loader did not run");
    insta::assert_snapshot!(finding.fix.unwrap().action, @"set TDX SEAM Loader to Enabled in the firmware setup (Dell: System BIOS > System Security, Redfish attribute `TdxSeamLoader`); a firmware without the option or without the loader needs an update; it stays hidden or grey until these are set, with a reboot after each: the limit on physical addresses off, TME, TME-MT");
    assert_eq!(run("hw.firmware.tdx-keys", &host).status, Status::Pass);
}

#[test]
fn the_range_by_its_registers() {
    let id = "hw.firmware.seam-loader";
    let mask = |value| intel(0xcf).msr(0, 0x1401, value);
    assert_eq!(run(id, &mask(0xc00)).status, Status::Pass);
    assert_eq!(run(id, &mask(0x400)).status, Status::Fail);
    assert_eq!(run(id, &mask(0)).status, Status::Fail);
    assert_eq!(
        run(id, &mask(0xc00).msr(0, 0x1400, 0x3f_fe00_0000)).status,
        Status::Fail,
        "base not configured"
    );
    // The module is not there although the range is: the module's layer says so.
    let pasted = mask(0xc00).log(log("virt/tdx: module not loaded\n"));
    assert_eq!(run(id, &pasted).status, Status::Pass);
}

/// Recorded with kernels from before TDX was in mainline (F-20, F-21).
#[test]
fn a_range_that_is_off_in_the_log() {
    let bug = "tdx: BIOS enabled: private KeyID range [32, 64)\ntdx: [firmware bug]: TDX is not enabled by BIOS.\ntdx: initialization failed (-19)\n";
    let host = says(bug).file("/proc/cpuinfo", "vendor_id : GenuineIntel\nflags : fpu vmx\n");
    let finding = run("hw.firmware.seam-loader", &host);
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.fix.unwrap().action.contains("SGX"), "SGX is off there");
    assert_eq!(run("hw.firmware.tdx-keys", &host).status, Status::Pass);
    let old = "tdx: BIOS enabled: private KeyID range [1, 64)\ntdx: not enabled by BIOS.\n";
    assert_eq!(run("hw.firmware.seam-loader", &says(old)).status, Status::Fail);
}

#[test]
fn the_check_of_the_platform() {
    let code = |value| intel(0xcf).msr(0, 0xa0, value);
    assert_eq!(run("hw.firmware.mcheck", &code(0)).status, Status::Pass);
    let damaged = run("hw.firmware.mcheck", &code(0x1861));
    assert_eq!(damaged.status, Status::Fail);
    assert!(damaged.fix.unwrap().action.contains("Factory Reset"));
    assert!(run("hw.firmware.mcheck", &code(0x42)).fix.unwrap().only_a_hint);
    let up = code(0x42).log(log("virt/tdx: module initialized\n"));
    assert_eq!(run("hw.firmware.mcheck", &up).status, Status::Warn);
}

#[test]
fn debug_mode_of_sgx() {
    assert_eq!(run("hw.firmware.sgx-debug", &intel(0xcf).msr(0, 0x503, 2)).status, Status::Fail);
}

#[test]
fn vmx_in_the_register() {
    let control = |value| run("hw.firmware.vmx-locked-on", &intel(0xcf).msr(0, 0x3a, value)).status;
    assert_eq!(control(0x5), Status::Pass);
    assert_eq!(control(0x1), Status::Fail);
    assert_eq!(control(0x4), Status::Warn);
}

fn two_packages(second: u64) -> Readings {
    intel(0xcf)
        .file("/proc/cpuinfo", "processor : 0\nphysical id : 0\n\nprocessor : 1\nphysical id : 0\n\nprocessor : 32\nphysical id : 1\n")
        .msr(0, 0x982, 0x0001_0016_0000_0003)
        .msr(32, 0x982, second)
}

#[test]
fn packages_that_differ_are_named() {
    let id = "hw.firmware.packages-agree";
    assert_eq!(run(id, &two_packages(0x0001_0016_0000_0003)).status, Status::Pass);
    let finding = run(id, &two_packages(0x0001_0026_0000_0003));
    assert_eq!(finding.status, Status::Fail);
    insta::assert_snapshot!(finding.observed.unwrap(), @"IA32_TME_ACTIVATE (MSR 0x982) is 0x1001600000003 on package 0 and 0x1002600000003 on package 1");
    let said = says("[    0.0] x86/tme: configuration is inconsistent between CPUs\n");
    assert_eq!(run(id, &said).status, Status::Fail);
    // Bus ratios may differ.
    let ratios = two_packages(0x0001_0016_0000_0003).msr(0, 0xce, 0x100).msr(32, 0xce, 0x200);
    assert_eq!(run(id, &ratios).status, Status::Pass);
}

#[test]
fn one_package_of_two_read() {
    let host = intel(0xcf)
        .file("/proc/cpuinfo", "processor : 0\nphysical id : 0\n\nprocessor : 32\nphysical id : 1\n")
        .msr(0, 0x982, 3);
    assert!(unknown(&run("hw.firmware.packages-agree", &host)));
}

#[test]
fn booting() {
    let host = Readings::empty_host().file("/proc/cpuinfo", "vendor_id : GenuineIntel\n");
    assert_eq!(run("hw.firmware.uefi", &host).status, Status::Warn);
    assert_eq!(run("hw.firmware.secure-boot", &host).status, Status::NotApplicable);
    let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    let on = host
        .clone()
        .file(variable, [6, 0, 0, 0, 1])
        .file("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    assert_eq!(run("hw.firmware.uefi", &on).status, Status::Pass);
    assert_eq!(run("hw.firmware.secure-boot", &on).status, Status::Pass);
    let tight = on.file("/sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
    assert_eq!(run("hw.firmware.secure-boot", &tight).status, Status::Warn);
    let refused = tight.file_reading("/sys/kernel/security/lockdown", Err(Unread::NotPermitted));
    assert!(unknown(&run("hw.firmware.secure-boot", &refused)), "on, and nobody knows how far");
    let odd = host.file(variable, [6, 0, 0]);
    assert!(unknown(&run("hw.firmware.secure-boot", &odd)));
}

#[test]
fn the_machine_is_named() {
    assert_eq!(run("hw.firmware.identity", &Readings::empty_host()).status, Status::Warn);
    let host = Readings::empty_host()
        .file("/sys/class/dmi/id/sys_vendor", "Supermicro\n")
        .file("/sys/class/dmi/id/product_name", "SYS-421GE-TNHR2-LCC\n");
    assert_eq!(run("hw.firmware.identity", &host).status, Status::Warn);
    let host = host
        .file("/sys/class/dmi/id/bios_version", "2.3\n")
        .file("/sys/class/dmi/id/bios_date", "05/21/2026\n");
    let finding = run("hw.firmware.identity", &host);
    assert_eq!(finding.observed.unwrap(), "Supermicro SYS-421GE-TNHR2-LCC, firmware 2.3 05/21/2026");
}
