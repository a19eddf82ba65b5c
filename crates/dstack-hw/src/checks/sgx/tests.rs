//! Findings on recorded and made-up hosts.

use dstack_check::{Finding, Status};

use crate::checks::asked::asked;
use crate::source::{CpuidRegisters, LogOrigin, Pasted, RawKernelLog, Readings};
use crate::{CollectOptions, Unread};

fn run(id: &str, host: &Readings) -> Finding {
    asked(id, host, CollectOptions::quick())
}

fn word(id: &str, host: &Readings) -> &'static str {
    run(id, host).status.word()
}

fn registers(eax: u32, ebx: u32, ecx: u32, edx: u32) -> CpuidRegisters {
    CpuidRegisters { eax, ebx, ecx, edx }
}

fn log(text: &str) -> RawKernelLog {
    RawKernelLog { from: LogOrigin::Kmsg, from_boot: Some(true), text: text.to_owned() }
}

/// An Emerald Rapids CPU with these bits of leaf 7 (SGX in EBX, launch control in ECX) and of leaf 0x12 (SGX1).
fn intel(host: Readings, sgx: bool, launch_control: bool, sgx1: bool) -> Readings {
    host.cpuid_leaf(0, 0, registers(0x20, 0x756e_6547, 0x6c65_746e, 0x4965_6e69))
        .cpuid_leaf(1, 0, registers(0xc06f2, 0, 0, 0))
        .cpuid_leaf(7, 0, registers(0, u32::from(sgx) << 2, u32::from(launch_control) << 30, 0))
        .cpuid_leaf(0x12, 0, registers(u32::from(sgx1), 0, 0, 0x3800))
}

/// A host with all of SGX, as the Intel packages leave it.
fn healthy() -> Readings {
    intel(Readings::empty_host(), true, true, true)
        .cpuid_leaf(0x12, 2, registers(0x00c0_0001, 0x10, 0x5f40_0001, 0))
        .cpuid_leaf(0x12, 3, registers(0, 0, 0, 0))
        .msr(0, 0x3a, 1 << 18 | 1 << 17 | 1 << 2 | 1)
        .device("/dev/sgx_enclave", 0o660, "sgx")
        .device("/dev/sgx_provision", 0o660, "sgx_prv")
        .device("/dev/sgx_vepc", 0o660, "sgx")
        .file("/proc/modules", "kvm_intel 1 0 - Live 0x0\n")
}

const ALL: [&str; 7] = [
    "hw.sgx.cpu",
    "hw.sgx.launch-control",
    "hw.sgx.firmware",
    "hw.sgx.epc",
    "hw.sgx.devices",
    "hw.sgx.permissions",
    "hw.sgx.legacy-driver",
];

#[test]
fn a_healthy_host_passes_with_and_without_root() {
    for id in ALL {
        assert_eq!(word(id, &healthy()), "pass", "{id}: {:?}", run(id, &healthy()));
    }
    let denied =
        healthy().msr_reading(0, 0x3a, Err(Unread::NotPermitted)).log_reading(Err(Unread::NotPermitted));
    for id in ALL {
        assert_eq!(word(id, &denied), "pass", "{id}");
    }
}

#[test]
fn nothing_known_is_unknown() {
    let nothing = Readings::nothing_known();
    for id in ALL {
        assert_eq!(word(id, &nothing), "unknown", "{id}: {:?}", run(id, &nothing));
    }
}

#[test]
fn sgx_is_no_question_for_amd_or_guests() {
    let amd = Readings::empty_host()
        .cpuid_leaf(0, 0, registers(0x10, 0x6874_7541, 0x444d_4163, 0x6974_6e65))
        .cpuid_leaf(7, 0, registers(0, 0, 0, 0));
    let guest = intel(Readings::empty_host(), false, false, false).cpuid_leaf(
        1,
        0,
        registers(0xc06f2, 0, 1 << 31, 0),
    );
    for id in ALL {
        assert_eq!(word(id, &amd), "not-applicable", "{id}");
        assert_eq!(word(id, &guest), "not-applicable", "{id}");
    }
}

#[test]
fn zero_epc_although_cpuid_has_sgx() {
    // F-17: SGX, launch control and keys in CPUID, SGX1 clear, and the message.
    let host = intel(Readings::nothing_known(), true, true, false)
        .cpuid_leaf(0x12, 2, registers(0, 0, 0, 0))
        .log(log("[    0.6] sgx: There are zero EPC sections.\n"));
    assert_eq!(word("hw.sgx.cpu", &host), "pass");
    assert_eq!(word("hw.sgx.launch-control", &host), "pass");
    let firmware = run("hw.sgx.firmware", &host);
    assert_eq!(firmware.status, Status::Fail);
    assert!(firmware.evidence.iter().any(|evidence| evidence.excerpt.contains("zero EPC")), "{firmware:?}");
    assert_eq!(word("hw.sgx.epc", &host), "fail");
}

#[test]
fn provision_and_vepc_without_enclave() {
    // F-18: no flexible launch control.
    let host = intel(Readings::nothing_known(), true, false, true)
        .device("/dev/sgx_provision", 0o600, "root")
        .device("/dev/sgx_vepc", 0o600, "root");
    let host = with_absent(host, "/dev/sgx_enclave");
    assert_eq!(word("hw.sgx.launch-control", &host), "fail");
    let devices = run("hw.sgx.devices", &host);
    assert_eq!(devices.status, Status::Fail);
    assert!(devices.observed.unwrap().contains("launch control"));
    assert_eq!(word("hw.sgx.firmware", &host), "pass");
}

/// A path that was looked for and is not there.
fn with_absent(host: Readings, path: &str) -> Readings {
    host.file_reading(path, Err(Unread::Absent))
}

#[test]
fn a_pasted_log_is_enough() {
    // F-04 and F-05: sections in the log.
    let good = Pasted::new().kernel_log("[    0.0] sgx: EPC section 0x1020c00000-0x107fffffff\n[    0.0] sgx: EPC section 0x2020c00000-0x207fffffff\n").into_readings();
    assert_eq!(word("hw.sgx.cpu", &good), "pass");
    assert_eq!(word("hw.sgx.firmware", &good), "pass");
    let epc = run("hw.sgx.epc", &good);
    assert_eq!(epc.observed.as_deref(), Some("3048 MiB in 2 sections"));
    for off in ["x86/cpu: SGX disabled by BIOS.", "x86/cpu: SGX disabled or unsupported by BIOS."] {
        let host = Pasted::new().kernel_log(format!("[    0.1] {off}\n")).into_readings();
        assert_eq!(word("hw.sgx.firmware", &host), "fail", "{off}");
    }
    let locked = Pasted::new()
        .kernel_log("[    0.1] x86/cpu: SGX Launch Control is locked. Disable SGX.\n")
        .into_readings();
    let finding = run("hw.sgx.firmware", &locked);
    assert!(finding.fix.unwrap().action.contains("aunch"), "{:?}", finding.observed);
}

#[test]
fn flags_are_enough() {
    // F-13: the flags of a host that works.
    let cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 207\nstepping\t: 2\n\
                   flags\t\t: vmx lm tdx_host_platform sgx movdir64b sgx_lc fsrm\n\n";
    let host = Pasted::new().cpuinfo(cpuinfo).into_readings();
    for id in ["hw.sgx.cpu", "hw.sgx.launch-control", "hw.sgx.firmware"] {
        assert_eq!(word(id, &host), "pass", "{id}");
    }
    let off = Pasted::new().cpuinfo(cpuinfo.replace(" sgx ", " ").replace(" sgx_lc", "")).into_readings();
    assert_eq!(word("hw.sgx.firmware", &off), "fail");
    assert_eq!(word("hw.sgx.cpu", &off), "unknown");
}

#[test]
fn what_the_registers_say() {
    let off = healthy().msr(0, 0x3a, 5);
    // The device proves that SGX is on, whatever a register of one CPU says.
    assert_eq!(word("hw.sgx.firmware", &off), "pass");
    let without_device = |value| {
        with_absent(intel(Readings::empty_host(), true, true, true), "/dev/sgx_enclave").msr(0, 0x3a, value)
    };
    assert_eq!(word("hw.sgx.firmware", &without_device(5)), "fail");
    assert_eq!(word("hw.sgx.firmware", &without_device(1 << 18 | 5)), "fail");
    assert_eq!(word("hw.sgx.firmware", &without_device(1 << 18 | 1 << 17 | 5)), "pass");
}

#[test]
fn a_cpu_without_sgx() {
    let workstation =
        intel(Readings::empty_host(), false, false, false).cpuid_leaf(1, 0, registers(0x906ea, 0, 0, 0));
    assert_eq!(word("hw.sgx.cpu", &workstation), "fail");
    // A server of a generation that has it: the firmware may hide it.
    assert_eq!(word("hw.sgx.cpu", &intel(Readings::empty_host(), false, false, false)), "unknown");
}

#[test]
fn little_enclave_memory_is_a_warning() {
    let host = healthy().cpuid_leaf(0x12, 2, registers(0x00c0_0001, 0x10, 0x05d8_0001, 0));
    let finding = run("hw.sgx.epc", &host);
    assert_eq!(finding.status, Status::Warn);
    assert!(finding.fix.unwrap().only_a_hint);
}

#[test]
fn why_there_are_no_devices() {
    let bare = || intel(Readings::empty_host(), true, true, true);
    let observed = |host: &Readings| run("hw.sgx.devices", host).observed.unwrap();
    assert!(observed(&bare().file("/proc/cmdline", "quiet nosgx\n")).contains("command line"));
    assert!(observed(&bare().device("/dev/isgx", 0o666, "root")).contains("out-of-tree"));
    assert!(observed(&bare()).contains("no SGX devices"));
    assert!(observed(&bare().device("/dev/sgx_enclave", 0o660, "sgx")).contains("sgx_provision is missing"));
    let container = Readings::nothing_known();
    assert_eq!(word("hw.sgx.devices", &container), "unknown");
}

#[test]
fn rights_on_the_devices() {
    // F-04: enclaves for a group, provisioning for root; the key provider runs as root in its container.
    let plain = healthy().device("/dev/sgx_provision", 0o600, "root");
    assert_eq!(word("hw.sgx.permissions", &plain), "pass");
    let open = healthy().device("/dev/sgx_provision", 0o666, "root");
    assert_eq!(word("hw.sgx.permissions", &open), "warn");
    let root_only = plain.clone().device("/dev/sgx_enclave", 0o600, "root");
    assert_eq!(word("hw.sgx.permissions", &root_only), "warn");
    let unit =
        "Id=qgsd.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUser=qgsd\nMainPID=0\n";
    let service = plain.probe_stdout(crate::source::Probe::Units, unit);
    assert_eq!(word("hw.sgx.permissions", &service), "fail");
}

#[test]
fn drivers_from_before() {
    assert_eq!(word("hw.sgx.legacy-driver", &healthy().device("/dev/isgx", 0o666, "root")), "fail");
    assert_eq!(
        word("hw.sgx.legacy-driver", &healthy().file("/proc/modules", "intel_sgx 1 0 - Live 0x0\n")),
        "warn"
    );
    // The Intel packages make this link to the kernel's own device.
    let mut link = crate::source::HostSource::stat(&healthy(), "/dev/sgx_enclave").unwrap();
    link.kind = crate::source::FileKind::Link;
    assert_eq!(word("hw.sgx.legacy-driver", &healthy().meta("/dev/sgx/enclave", link)), "pass");
}
