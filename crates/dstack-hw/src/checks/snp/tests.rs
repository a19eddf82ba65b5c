//! Lines and values that were recorded on real hosts, and registers by their bit definitions.

use dstack_check::{Finding, Status};

use crate::Unread;
use crate::checks::cpu::tests::{amd, intel, log, run};
use crate::source::{CpuidRegisters, LogOrigin, RawKernelLog, Readings};

fn unknown(finding: &Finding) -> bool {
    matches!(finding.status, Status::Unknown { .. })
}

/// Milan: SEV, ES, SNP; C-bit 51, five bits less, four privilege levels, 509 ids, 255 the first plain one.
fn milan() -> Readings {
    amd(CpuidRegisters { eax: 0x101_fd3f, ebx: 4 << 12 | 5 << 6 | 51, ecx: 509, edx: 255 })
}

fn says(text: &str) -> Readings {
    Readings::nothing_known().log(log(text))
}

/// F-24.
const GOOD: &str = "[    0.556] SEV-SNP: RMP table physical range [0x0000000088900000 - 0x00000000a8efffff]\n\
    [    4.1] ccp 0000:46:00.1: enabling device (0000 -> 0002)\n\
    [    4.2] ccp 0000:46:00.1: psp enabled\n\
    [    4.3] ccp 0000:46:00.1: SEV API:1.55 build:31\n\
    [    4.4] ccp 0000:46:00.1: SEV-SNP API:1.55 build:31\n\
    [    5.1] kvm_amd: SEV enabled (ASIDs 255 - 509)\n\
    [    5.2] kvm_amd: SEV-ES enabled (ASIDs 1 - 254)\n\
    [    5.3] kvm_amd: SEV-SNP enabled (ASIDs 1 - 254)\n";

#[test]
fn a_log_of_a_host_that_works() {
    for id in [
        "cpu",
        "svm",
        "smee",
        "rmp",
        "rmp-covers",
        "iommu",
        "kernel",
        "secure-processor",
        "api",
        "kvm",
        "asids",
    ] {
        let finding = run(&format!("hw.snp.{id}"), &says(GOOD));
        assert_eq!(finding.status, Status::Pass, "{finding:?}");
        assert!(!finding.evidence.is_empty());
    }
    insta::assert_snapshot!(run("hw.snp.rmp", &says(GOOD)).observed.unwrap(), @"0x88900000 to 0xa8efffff, 518 MiB");
    assert!(run("hw.snp.asids", &says(GOOD)).observed.unwrap().starts_with("254 "));
}

#[test]
fn nothing_known_is_unknown() {
    for id in [
        "cpu",
        "svm",
        "smee",
        "rmp",
        "rmp-covers",
        "iommu",
        "kernel",
        "secure-processor",
        "api",
        "kvm",
        "asids",
        "device",
        "memlock",
    ] {
        let finding = run(&format!("hw.snp.{id}"), &Readings::nothing_known());
        assert!(unknown(&finding), "{finding:?}");
    }
}

/// Registers that cannot be read are no failure.
#[test]
fn without_the_msr_device_nothing_fails() {
    let mut host = milan();
    for address in [0xc001_0010, 0xc001_001d, 0xc001_0114, 0xc001_0132, 0xc001_0133] {
        host = host.msr_reading(0, address, Err(Unread::Absent));
    }
    for id in ["svm", "smee", "rmp", "rmp-covers", "kernel"] {
        let finding = run(&format!("hw.snp.{id}"), &host);
        assert!(unknown(&finding), "{finding:?}");
    }
}

#[test]
fn cpus() {
    let finding = run("hw.snp.cpu", &milan());
    assert_eq!(finding.status, Status::Pass);
    insta::assert_snapshot!(finding.observed.unwrap(), @"a CPU made by AMD, family 0x19 model 0x1 stepping 1: SEV-SNP, C-bit 51, 5 address bits less, 4 privilege levels");
    // F-32: SEV-ES and no SEV-SNP.
    let naples = amd(CpuidRegisters { eax: 0xf, ebx: 5 << 6 | 47, ecx: 15, edx: 9 });
    assert_eq!(run("hw.snp.cpu", &naples).status, Status::Fail);
    let finding = run("hw.snp.cpu", &intel(0xcf));
    assert_eq!(finding.status, Status::Fail);
    assert_eq!(finding.fix.unwrap().commands, ["dstack-hw check --profile tdx-host"]);
    assert_eq!(run("hw.snp.smee", &intel(0xcf)).status, Status::NotApplicable);
    assert_eq!(run("hw.firmware.tme", &milan()).status, Status::NotApplicable);
}

/// F-25: bits 18 to 25.
#[test]
fn system_configuration() {
    let host = milan().msr(0, 0xc001_0010, 0x3fc_0000);
    assert_eq!(run("hw.snp.smee", &host).status, Status::Pass);
    assert_eq!(run("hw.snp.kernel", &host).status, Status::Pass);
    assert_eq!(run("hw.snp.iommu", &host).status, Status::Pass, "the kernel looked at it");
    let firmware_only = milan().msr(0, 0xc001_0010, 0xfc_0000);
    assert_eq!(run("hw.snp.smee", &firmware_only).status, Status::Pass);
    assert_eq!(run("hw.snp.kernel", &firmware_only).status, Status::Fail);
    assert_eq!(run("hw.snp.smee", &milan().msr(0, 0xc001_0010, 0x7c_0000)).status, Status::Fail);
    let flags = milan().file("/proc/cpuinfo", "flags : fpu svm\n");
    assert_eq!(run("hw.snp.smee", &flags).status, Status::Fail, "the kernel took the flags away");
}

#[test]
fn svm_by_register() {
    assert_eq!(run("hw.snp.svm", &milan().msr(0, 0xc001_0114, 0)).status, Status::Pass);
    assert_eq!(run("hw.snp.svm", &milan().msr(0, 0xc001_0114, 0x18)).status, Status::Fail);
    assert_eq!(
        run("hw.snp.svm", &says("kvm_amd: SVM disabled (by BIOS) in MSR_VM_CR on CPU 0\n")).status,
        Status::Fail
    );
}

/// F-26: what the registers hold where the firmware reserved nothing.
#[test]
fn no_table() {
    let host = milan().msr(0, 0xc001_0132, 0).msr(0, 0xc001_0133, 0x1fff);
    assert_eq!(run("hw.snp.rmp", &host).status, Status::Fail);
    let said = says("[    1.0] SEV-SNP: Memory for the RMP table has not been reserved by BIOS\n");
    let finding = run("hw.snp.rmp", &said);
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.fix.unwrap().action.contains("Coverage"));
}

/// F-24's table covers 129.5 GiB.
#[test]
fn a_table_that_is_long_enough_or_not() {
    let table = |top: u64| {
        milan().msr(0, 0xc001_0132, 0x8890_0000).msr(0, 0xc001_0133, 0xa8ef_ffff).msr(0, 0xc001_001d, top)
    };
    let id = "hw.snp.rmp-covers";
    let covers = run(id, &table(128 << 30));
    assert_eq!(covers.status, Status::Pass);
    insta::assert_snapshot!(covers.observed.unwrap(), @"518 MiB, which covers 129 GiB of 128 GiB");
    let finding = run(id, &table(256 << 30));
    assert_eq!(finding.status, Status::Fail);
    insta::assert_snapshot!(finding.expected.unwrap(), @"1025 MiB: 16 bytes for each page of 4 KiB, and 16 KiB");
    let said = says(
        "SEV-SNP: Memory reserved for the RMP table does not cover full system RAM (expected 0x1 got 0x2)\n",
    );
    assert_eq!(run(id, &said).status, Status::Fail);
    let segmented = table(256 << 30).msr(0, 0xc001_0136, 1);
    assert!(unknown(&run(id, &segmented)));
}

/// F-27, F-31 and trap 10.
#[test]
fn iommus() {
    let id = "hw.snp.iommu";
    let old = says("[    1.2] AMD-Vi: Using global IVHD EFR:0x25bf732fa2295afe, EFR2:0x1d\n");
    assert_eq!(run(id, &old).status, Status::Fail);
    let new = says("[    1.2] AMD-Vi: Using global IVHD EFR:0xa5bf732fa2295afe, EFR2:0x1d\n");
    assert_eq!(run(id, &new).status, Status::Pass);
    let refused =
        says("AMD-Vi: SNP: IOMMU is disabled or configured in passthrough mode, SNP cannot be supported\n");
    assert_eq!(run(id, &refused).status, Status::Fail);
    let passthrough = milan().file("/proc/cmdline", "quiet amd_iommu=on iommu=pt\n");
    let finding = run(id, &passthrough);
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.fix.unwrap().action.contains("iommu=pt"));
    let works = passthrough.file("/sys/module/kvm_amd/parameters/sev_snp", "Y\n");
    assert_eq!(run(id, &works).status, Status::Pass, "what works counts");
    let sysfs = |features: &str| milan().file("/sys/class/iommu/ivhd0/amd-iommu/features", features);
    assert_eq!(run(id, &sysfs("a5bf732fa2295afe:1d\n")).status, Status::Pass);
    assert_eq!(run(id, &sysfs("25bf732fa2295afe\n")).status, Status::Fail);
    assert!(unknown(&run(id, &sysfs("none\n"))));
    let none = Readings::empty_host().file("/proc/cpuinfo", "vendor_id : AuthenticAMD\n");
    assert!(unknown(&run(id, &none)), "without a log");
    let text = "[    0.000000] Linux version 6.17.0\n".to_owned();
    let silent = RawKernelLog { from: LogOrigin::Kmsg, from_boot: Some(true), text };
    assert_eq!(run(id, &none.log(silent)).status, Status::Fail);
}

/// F-28 and F-29.
#[test]
fn kvm() {
    let id = "hw.snp.kvm";
    let parameter = |text: &str| milan().file("/sys/module/kvm_amd/parameters/sev_snp", text);
    assert_eq!(run(id, &parameter("Y\n")).status, Status::Pass);
    assert_eq!(run(id, &parameter("1\n")).status, Status::Pass);
    assert_eq!(run(id, &parameter("N\n")).status, Status::Fail);
    assert!(unknown(&run(id, &parameter("maybe\n"))));
    let bare = Readings::empty_host().file("/proc/cpuinfo", "vendor_id : AuthenticAMD\n");
    assert!(run(id, &bare).observed.unwrap().contains("not loaded"));
    let old = bare.file("/sys/module/kvm_amd/parameters/sev", "1\n");
    assert!(run(id, &old).observed.unwrap().contains("no parameter"));
}

#[test]
fn secure_processors() {
    let id = "hw.snp.secure-processor";
    for line in [
        "ccp 0000:22:00.1: SEV: failed to get status. Error: 0x9000\n",
        "ccp 0000:22:00.1: SEV-SNP: failed to INIT rc -5, error 0x3\n",
    ] {
        assert_eq!(run(id, &says(line)).status, Status::Fail, "{line}");
    }
    let two = "ccp 0000:22:00.1: psp enabled\nccp 0000:a1:00.5: sev enabled\n";
    assert_eq!(run(id, &says(two)).status, Status::Pass);
    assert_eq!(run("hw.snp.api", &says("ccp 0000:22:00.1: SEV API:1.52 build:4\n")).status, Status::Pass);
    assert_eq!(run("hw.snp.api", &says("ccp 0000:22:00.1: SEV API:1.49 build:9\n")).status, Status::Fail);
}

#[test]
fn ids_for_guests() {
    let id = "hw.snp.asids";
    assert_eq!(run(id, &milan()).status, Status::Pass);
    let edx = |edx| amd(CpuidRegisters { eax: 0x1f, ebx: 51, ecx: 509, edx });
    assert_eq!(run(id, &edx(1)).status, Status::Fail);
    assert_eq!(run(id, &edx(4)).status, Status::Warn);
    let group = milan().file("/sys/fs/cgroup/misc.capacity", "sev 410\nsev_es 99\n");
    assert!(run(id, &group).observed.unwrap().starts_with("99 "));
}

#[test]
fn the_device() {
    let host = || Readings::empty_host().file("/proc/cpuinfo", "vendor_id : AuthenticAMD\n");
    assert_eq!(run("hw.snp.device", &host()).status, Status::Fail);
    assert_eq!(run("hw.snp.device", &host().device("/dev/sev", 0o600, "root")).status, Status::Pass);
    assert_eq!(run("hw.snp.device", &host().file("/dev/sev", "")).status, Status::Fail);
}

#[test]
fn locked_memory() {
    let limits = |limit: &str| {
        milan().file("/proc/self/limits", format!("Max processes  1 1 processes\nMax locked memory         {limit}            {limit}            bytes\n"))
    };
    assert_eq!(run("hw.snp.memlock", &limits("unlimited")).status, Status::Pass);
    assert_eq!(run("hw.snp.memlock", &limits("8388608")).status, Status::Warn);
}
