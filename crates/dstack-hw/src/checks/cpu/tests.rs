//! Hosts put together from bit definitions, and lines that were recorded on real ones.

use dstack_check::{Finding, Status};

use crate::source::{CpuidRegisters, LogOrigin, RawKernelLog, Readings};
use crate::{CollectOptions, HostFacts};

pub(in crate::checks) fn run(id: &str, readings: &Readings) -> Finding {
    let facts = HostFacts::collect(readings, CollectOptions::quick());
    crate::checks::get(id).unwrap().run(&facts)
}

pub(in crate::checks) fn log(text: &str) -> RawKernelLog {
    RawKernelLog { from: LogOrigin::Pasted, from_boot: None, text: text.to_owned() }
}

/// `GenuineIntel` and family 6, with this model.
pub(in crate::checks) fn intel(model: u32) -> Readings {
    let vendor = CpuidRegisters { eax: 0x20, ebx: 0x756e_6547, edx: 0x4965_6e69, ecx: 0x6c65_746e };
    let eax = (model >> 4) << 16 | 6 << 8 | (model & 0xf) << 4 | 2;
    let features = CpuidRegisters { eax, ebx: 0, ecx: 1 << 5 | 1 << 21, edx: 1 << 27 };
    let structured = CpuidRegisters { eax: 0, ebx: 1 << 2, ecx: 1 << 13 | 1 << 28 | 1 << 30, edx: 1 << 18 };
    Readings::nothing_known().cpuid_leaf(0, 0, vendor).cpuid_leaf(1, 0, features).cpuid_leaf(7, 0, structured)
}

/// `AuthenticAMD`, EPYC 7003, with these features of memory encryption.
pub(in crate::checks) fn amd(encryption: CpuidRegisters) -> Readings {
    let vendor = CpuidRegisters { eax: 0x10, ebx: 0x6874_7541, edx: 0x6974_6e65, ecx: 0x444d_4163 };
    let highest = CpuidRegisters { eax: 0x8000_0023, ..CpuidRegisters::default() };
    let features = CpuidRegisters { eax: 0x00a0_0f11, ..CpuidRegisters::default() };
    Readings::nothing_known()
        .cpuid_leaf(0, 0, vendor)
        .cpuid_leaf(1, 0, features)
        .cpuid_leaf(0x8000_0000, 0, highest)
        .cpuid_leaf(0x8000_001f, 0, encryption)
}

fn cpuinfo(text: &str) -> Readings {
    Readings::nothing_known().file("/proc/cpuinfo", text)
}

fn why(finding: &Finding) -> &str {
    match &finding.status {
        Status::Unknown { why } => why,
        other => panic!("{other:?}: {finding:?}"),
    }
}

#[test]
fn generations() {
    let status = |model| run("hw.cpu.tdx-generation", &intel(model)).status;
    assert_eq!(status(0xcf), Status::Pass);
    assert_eq!(status(0x8f), Status::Warn);
    assert_eq!(status(0x6a), Status::Fail);
    assert_eq!(status(0xf5), Status::Warn);
    let finding = run("hw.cpu.tdx-generation", &amd(CpuidRegisters::default()));
    assert_eq!(finding.status, Status::Fail);
    assert_eq!(finding.fix.unwrap().commands, ["dstack-hw check --profile snp-host"]);
}

/// Trap 9: a grep for `tdx` finds the model name.
#[test]
fn the_name_of_a_model_is_no_feature() {
    let host = cpuinfo(
        "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Intel(R) Xeon(R) Platinum 8480CTDX\nstepping\t: 8\nflags\t\t: fpu vmx ept ept_ad x2apic ss movdir64b\nbugs\t\t: tdx_pw_mce\n",
    );
    let finding = run("hw.cpu.tdx-generation", &host);
    assert_eq!(finding.status, Status::Warn, "only some parts of this generation: {finding:?}");
    assert!(finding.observed.unwrap().contains("family 0x6 model 0x8f stepping 8"));
}

/// What works says more than the table, here for a model that it does not have.
#[test]
fn a_host_that_works_is_of_the_right_generation() {
    let host = intel(0x6a).file("/sys/module/kvm_intel/parameters/tdx", "Y\n");
    assert_eq!(run("hw.cpu.tdx-generation", &host).status, Status::Pass);
    let host = cpuinfo("flags : fpu ... tdx_host_platform ...\n");
    assert_eq!(run("hw.cpu.tdx-generation", &host).status, Status::Pass);
    assert_eq!(run("hw.cpu.vendor", &host).status, Status::Pass);
}

/// A whole log begins with the CPU.
#[test]
fn a_log_tells_the_cpu() {
    let host = Readings::nothing_known().log(log(
        "[    0.9] smpboot: CPU0: INTEL(R) XEON(R) GOLD 6530 (family: 0x6, model: 0xcf, stepping: 0x2)\n",
    ));
    let finding = run("hw.cpu.tdx-generation", &host);
    assert_eq!(finding.status, Status::Pass);
    insta::assert_snapshot!(finding.observed.unwrap(), @"INTEL(R) XEON(R) GOLD 6530, family 0x6 model 0xcf stepping 2 (Emerald Rapids)");
    let host = Readings::nothing_known().log(log("[    0.9] smpboot: CPU0: AMD EPYC 7453 28-Core Processor (family: 0x19, model: 0x1, stepping: 0x1)\n"));
    assert_eq!(run("hw.cpu.tdx-generation", &host).status, Status::Fail);
    assert_eq!(run("hw.snp.cpu", &host).status, Status::Pass);
    assert_eq!(run("hw.cpu.vmx", &host).status, Status::NotApplicable);
}

/// Recorded with kernels from before TDX was in mainline (F-39).
#[test]
fn a_platform_without_tdx() {
    let line = "[   12.3] tdx: Cannot enable TDX on TDX disabled platform\n";
    let nothing_else = Readings::nothing_known().log(log(line));
    assert_eq!(run("hw.cpu.tdx-generation", &nothing_else).status, Status::Fail);
    let host = cpuinfo("model name : Intel(R) Xeon(R) CPU E3-1280 v6 @ 3.90GHz\n").log(log(line));
    assert_eq!(run("hw.cpu.tdx-generation", &host).status, Status::Fail);
    // A CPU that can: then it is the firmware.
    let host = intel(0xcf).log(log(line));
    assert_eq!(run("hw.cpu.tdx-generation", &host).status, Status::Pass);
    assert_eq!(run("hw.firmware.seam-loader", &host).status, Status::Fail);
}

#[test]
fn nothing_known_is_unknown() {
    let nothing = Readings::nothing_known();
    for id in [
        "vendor",
        "tdx-generation",
        "seam",
        "vmx",
        "ept",
        "x2apic",
        "movdir64b",
        "self-snoop",
        "physical-address-bits",
        "production",
        "microcode",
    ] {
        let finding = run(&format!("hw.cpu.{id}"), &nothing);
        assert!(!why(&finding).is_empty(), "{id}");
    }
    assert_eq!(
        why(&run("hw.cpu.seam", &nothing)),
        "IA32_MTRRCAP (MSR 0xfe): not recorded; kernel log: not recorded"
    );
}

#[test]
fn range_registers() {
    assert_eq!(run("hw.cpu.seam", &intel(0xcf).msr(0, 0xfe, 0x8d0a)).status, Status::Pass);
    assert_eq!(run("hw.cpu.seam", &intel(0x8f).msr(0, 0xfe, 0x0d0a)).status, Status::Warn);
    let up = intel(0x8f).msr(0, 0xfe, 0x0d0a).file("/sys/module/kvm_intel/parameters/tdx", "Y\n");
    assert_eq!(run("hw.cpu.seam", &up).status, Status::Pass);
}

#[test]
fn virtualisation() {
    let flags = |flags: &str| intel(0xcf).file("/proc/cpuinfo", format!("flags : {flags}\n"));
    assert_eq!(run("hw.cpu.vmx", &flags("vmx")).status, Status::Pass);
    let off = run("hw.cpu.vmx", &flags("fpu"));
    assert_eq!(off.status, Status::Fail);
    assert!(off.fix.unwrap().action.contains("Virtualization"));
    let said = Readings::nothing_known().log(log("[    0.1] x86/cpu: VMX (outside TXT) disabled by BIOS\n"));
    assert_eq!(run("hw.cpu.vmx", &said).status, Status::Fail);
    assert_eq!(run("hw.firmware.vmx-locked-on", &said).status, Status::Fail);
    assert_eq!(run("hw.cpu.ept", &flags("ept ept_ad")).status, Status::Pass);
    assert_eq!(run("hw.cpu.ept", &flags("ept")).status, Status::Fail);
}

#[test]
fn x2apic() {
    let host = || intel(0xcf).file("/proc/cpuinfo", "flags : x2apic\n");
    assert_eq!(run("hw.cpu.x2apic", &host()).status, Status::Pass);
    let off = host().file("/proc/cmdline", "quiet nox2apic\n");
    assert_eq!(run("hw.cpu.x2apic", &off).status, Status::Fail);
    let hidden = intel(0xcf).file("/proc/cpuinfo", "flags : fpu\n");
    assert_eq!(run("hw.cpu.x2apic", &hidden).status, Status::Fail);
}

#[test]
fn required_features() {
    for (id, flag) in [("hw.cpu.movdir64b", "movdir64b"), ("hw.cpu.self-snoop", "ss")] {
        assert_eq!(
            run(id, &cpuinfo(&format!("vendor_id : GenuineIntel\nflags : {flag}\n"))).status,
            Status::Pass,
            "{id}"
        );
        assert_eq!(run(id, &cpuinfo("vendor_id : GenuineIntel\nflags : fpu\n")).status, Status::Fail, "{id}");
        assert_eq!(run(id, &intel(0xcf)).status, Status::Pass, "{id}: CPUID alone");
        assert!(matches!(run(id, &cpuinfo("flags : fpu ... vmx\n")).status, Status::Unknown { .. }), "{id}");
    }
    let said =
        Readings::nothing_known().log(log("[    9.1] kvm_intel: tdx: MOVDIR64B is required for TDX\n"));
    assert_eq!(run("hw.cpu.movdir64b", &said).status, Status::Fail);
}

/// Trap 8: what the kernel prints is not what the silicon has.
#[test]
fn forty_six_bits_mean_two_things() {
    let bits = |bits: u32| {
        intel(0xcf).cpuid_leaf(
            0x8000_0008,
            0,
            CpuidRegisters { eax: 57 << 8 | bits, ..CpuidRegisters::default() },
        )
    };
    let printed =
        |host: Readings| host.file("/proc/cpuinfo", "address sizes\t: 46 bits physical, 57 bits virtual\n");
    let id = "hw.cpu.physical-address-bits";
    assert_eq!(run(id, &printed(bits(52))).status, Status::Pass);
    assert_eq!(run(id, &bits(46)).status, Status::Warn);
    // Six bits are in use for key ids.
    assert_eq!(run(id, &printed(intel(0xcf)).msr(0, 0x982, 0x0001_0016_0000_0003)).status, Status::Pass);
    assert_eq!(run(id, &printed(intel(0xcf)).msr(0, 0x982, 0x3)).status, Status::Fail);
    assert_eq!(run(id, &bits(46).msr(0, 0x982, 0x3)).status, Status::Fail);
    let host = printed(intel(0xcf));
    assert!(why(&run(id, &host)).contains("46 bits"));
    let works = intel(0xcf)
        .file("/proc/cpuinfo", "address sizes : 46 bits physical\nflags : fpu tdx_host_platform\n");
    assert_eq!(run(id, &works).status, Status::Pass);
}

#[test]
fn production_parts() {
    let id = "hw.cpu.production";
    assert_eq!(run(id, &intel(0xcf).msr(0, 0xce, 0x0008_0838_f301_2200)).status, Status::Pass);
    assert_eq!(run(id, &intel(0xcf).msr(0, 0xce, 1 << 27)).status, Status::Fail);
    let sample = cpuinfo("vendor_id : GenuineIntel\nmodel name : Genuine Intel(R) CPU 0000%@\n");
    assert_eq!(run(id, &sample).status, Status::Warn);
    let denied = intel(0xcf).msr_reading(0, 0xce, Err(crate::Unread::NotPermitted));
    assert_eq!(why(&run(id, &denied)), "MSR_PLATFORM_INFO (MSR 0xce): needs root");
}

#[test]
fn one_microcode() {
    let entry = |cpu: u32, package: u32, microcode: &str| {
        format!("processor\t: {cpu}\nmicrocode\t: {microcode}\nphysical id\t: {package}\n\n")
    };
    let same = cpuinfo(&(entry(0, 0, "0x21000290") + &entry(1, 1, "0x21000290")));
    assert_eq!(run("hw.cpu.microcode", &same).status, Status::Pass);
    let mixed = cpuinfo(&(entry(0, 0, "0x21000290") + &entry(1, 1, "0x21000283")));
    let finding = run("hw.cpu.microcode", &mixed);
    assert_eq!(finding.status, Status::Warn);
    assert_eq!(finding.observed.unwrap(), "package 0: 0x21000290; package 1: 0x21000283");
}

/// Without a vendor what is missing may be the other vendor's.
#[test]
fn what_is_missing_fails_only_where_the_vendor_is_known() {
    let host = cpuinfo("flags : fpu\n");
    for id in ["hw.cpu.vmx", "hw.cpu.ept", "hw.cpu.x2apic", "hw.cpu.movdir64b", "hw.snp.svm"] {
        assert!(why(&run(id, &host)).starts_with("nothing tells who made the CPU"), "{id}");
    }
}

/// What only one of the two has tells whose it is.
#[test]
fn traces_tell_the_vendor() {
    let amd = Readings::nothing_known().msr(0, 0xc001_0132, 0).msr(0, 0xc001_0010, 0x3fc_0000);
    assert_eq!(run("hw.cpu.vendor", &amd).status, Status::Pass);
    assert_eq!(run("hw.cpu.vmx", &amd).status, Status::NotApplicable);
    let both = Readings::nothing_known().file("/proc/cpuinfo", "flags : vmx svm\n");
    assert!(matches!(run("hw.cpu.vendor", &both).status, Status::Unknown { .. }));
}

#[test]
fn other_makers() {
    let host = cpuinfo("vendor_id : CentaurHauls\n");
    assert_eq!(run("hw.cpu.vendor", &host).status, Status::Fail);
    assert_eq!(run("hw.snp.cpu", &host).status, Status::Fail);
}
