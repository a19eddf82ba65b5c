//! The tests that people use, on inputs on which they are wrong, beside our answers.
//!
//! Each test has a naive one in it, written the way it stands in scripts, and shows that it is wrong there.

use dstack_check::Status;
use dstack_hw::explain::explain;
use dstack_hw::facts::kernel_log::KernelLog;
use dstack_hw::source::{CpuidRegisters, HostSource, Pasted, Probe};
use dstack_hw::{Readiness, Unread, checks};

use crate::support::{Changed, ask, assess, host, recording, words};

/// `grep -i WORD`, as in `dmesg | grep -i tdx`.
fn grep_i(text: &str, word: &str) -> bool {
    text.lines().any(|line| line.to_lowercase().contains(&word.to_lowercase()))
}

/// The line of `/proc/cpuinfo` with this key.
fn line<'a>(cpuinfo: &'a str, key: &str) -> &'a str {
    cpuinfo.lines().find(|line| line.starts_with(key)).unwrap_or_default()
}

fn log(source: &dyn HostSource) -> String {
    source.kernel_log().unwrap().text
}

/// The module refused the kernel's question, and kvm_intel did not come up with it.
fn module_too_old(source: &dyn HostSource) -> Changed<'_> {
    Changed::new(source)
        .log_without("CMR:")
        .log_without("allocated for PAMT")
        .log(|line| {
            let refused = "virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000\n\
                           [   13.100010] virt/tdx: module initialization failed (-5)\n\
                           [   13.100011] kvm_intel: Failed to initialize TDX module.";
            Some(line.replace("virt/tdx: module initialized", refused))
        })
        .file("/sys/fs/cgroup/misc.capacity", "")
        .gone("/sys/fs/cgroup/misc.current")
        .vm_types(Ok(1))
}

#[test]
fn trap_1_no_cpuid_bit_says_that_a_host_can_do_tdx() {
    // `cpuid | grep -i tdx` looks for the signature of leaf 0x21.
    let naive = |source: &dyn HostSource| {
        let leaf = source.cpuid(0x21, 0).unwrap_or_default();
        let bytes = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).concat();
        bytes == b"IntelTDX    "
    };
    // On a host on which TDX works it finds nothing.
    let healthy = host("healthy-2404-intel");
    assert!(!naive(&healthy));
    assert!(assess(&healthy, "tdx-host").readiness.is_ready());
    // And leaf 0x21 above the highest leaf is not an answer at all: Intel's CPUs answer with another leaf.
    let noise = CpuidRegisters { eax: 0, ebx: 0x6574_6e49, ecx: 0x2020_2020, edx: 0x5844_546c };
    let noisy = Changed::new(&healthy).leaf(0x21, |leaf| *leaf = noise);
    assert!(naive(&noisy), "the signature is there");
    assert_ne!(ask(&noisy, "hw.guest.inside").status, Status::Pass, "and this is no TD");
    assert!(assess(&noisy, "tdx-host").readiness.is_ready());
}

#[test]
fn trap_2_the_flag_does_not_say_that_tdx_can_be_used() {
    // `grep -q tdx_host_platform /proc/cpuinfo && echo OK`
    let naive = |source: &dyn HostSource| source.text("/proc/cpuinfo").unwrap().contains("tdx_host_platform");
    let healthy = host("healthy-2404-intel");
    let broken = module_too_old(&healthy).file("/sys/module/kvm_intel/parameters/tdx", "N\n");
    assert!(naive(&broken));
    let assessment = assess(&broken, "tdx-host");
    assert_eq!(
        assessment.readiness,
        Readiness::NotEnabledYet { layer: "tdx-module", check: "hw.tdx-module.initialized" }
    );
    assert_eq!(
        ask(&broken, "hw.kernel.tdx-flag").status,
        Status::Pass,
        "the flag is there and says what it says"
    );
}

#[test]
fn trap_3_no_flag_does_not_say_that_the_cpu_cannot() {
    // `lscpu | grep -q tdx || fail "processor does not have TDX"`
    let naive_says_cannot = |source: &dyn HostSource| !source.text("/proc/cpuinfo").unwrap().contains("tdx");
    let off = recording("F-14");
    assert!(naive_says_cannot(&off));
    let assessment = assess(&off, "tdx-host");
    assert!(matches!(assessment.readiness, Readiness::NotEnabledYet { layer: "firmware", .. }));
    assert_eq!(ask(&off, "hw.cpu.tdx-generation").status, Status::Pass);
}

#[test]
fn trap_4_the_parameter_n_means_different_things() {
    // `cat /sys/module/kvm_intel/parameters/tdx` is N: "TDX is disabled in the BIOS".
    let naive_blames_the_firmware =
        |source: &dyn HostSource| source.text("/sys/module/kvm_intel/parameters/tdx").unwrap().trim() == "N";
    // On a mainline kernel it is N until it is asked for.
    let mainline = host("healthy-2510-mainline");
    let unasked = Changed::new(&mainline)
        .replace("/proc/cmdline", " kvm_intel.tdx=1", "")
        .replace("/etc/default/grub", " kvm_intel.tdx=1", "")
        .file("/sys/module/kvm_intel/parameters/tdx", "N\n")
        .file("/sys/fs/cgroup/misc.capacity", "")
        .gone("/sys/fs/cgroup/misc.current")
        .log_without("allocated for PAMT")
        .log_without("module initialized")
        .log(|line| Some(line.replace(" kvm_intel.tdx=1", "")))
        .vm_types(Ok(1));
    assert!(naive_blames_the_firmware(&unasked));
    let assessment = assess(&unasked, "tdx-host");
    assert_eq!(
        assessment.readiness,
        Readiness::NotEnabledYet { layer: "kernel", check: "hw.kernel.kvm-intel-tdx" }
    );
    assert!(words(assessment.deciding().unwrap()).contains("kvm_intel.tdx=1"));
    assert_eq!(assessment.report.get("hw.firmware.tdx-keys").unwrap().status, Status::Pass);
    // On Canonical's kernel it is on by itself: there N follows from something below.
    let off = host("firmware-off");
    assert!(naive_blames_the_firmware(&off));
    assert_eq!(ask(&off, "hw.kernel.kvm-intel-tdx").status, Status::Pass);
    assert_eq!(assess(&off, "tdx-host").first_failing_layer(), Some("firmware"));
}

#[test]
fn trap_5_registers_are_printed_in_hex() {
    let healthy = host("healthy-2404-intel");
    for (keys, printed) in [(64_u64, "40"), (32, "20"), (16, "10"), (63, "3f")] {
        // `rdmsr 0x87 -f 63:32` prints hex without 0x, and scripts compare it as a decimal number.
        assert_eq!(format!("{keys:x}"), printed);
        let naive = printed.parse::<u64>().ok();
        assert_ne!(naive, Some(keys));
        let split = Changed::new(&healthy).register(0x87, keys << 32 | 63);
        let finding = ask(&split, "hw.firmware.tdx-keys");
        assert_eq!(finding.status, Status::Pass);
        assert!(finding.observed.clone().unwrap_or_default().contains(&keys.to_string()), "{finding:?}");
    }
    // MCHECK's "1861" is 0x1861.
    let refused = Changed::new(&healthy).register(0xa0, 0x1861);
    let finding = ask(&refused, "hw.firmware.mcheck");
    assert!(words(&finding).contains("0x1861"), "{finding:?}");
}

#[test]
fn trap_6_sixteen_keys_are_enough_and_0x87_is_the_partition() {
    let sixteen = recording("F-15b");
    // `assert int(rdmsr(0x87, 63, 32), 16) > 16`, from a test suite.
    let keys = sixteen.msr_value(0, 0x87).unwrap() >> 32;
    let naive = keys > 16;
    assert!(!naive);
    assert_eq!(ask(&sixteen, "hw.firmware.tdx-keys").status, Status::Pass);
    // The same suite calls 0x87 the capability register, which is 0x981 and says nothing of the split.
    let healthy = host("healthy-2404-intel");
    let no_split = Changed::new(&healthy)
        .register(0x87, 63)
        .log_without("virt/tdx:")
        .replace("/proc/cpuinfo", " tdx_host_platform", "")
        .file("/sys/module/kvm_intel/parameters/tdx", "N\n")
        .file("/sys/fs/cgroup/misc.capacity", "")
        .vm_types(Ok(1));
    let naive_split = (no_split.msr(0, 0x981).unwrap() >> 36) & 0x7fff != 0;
    assert!(naive_split, "the capability is there");
    assert_eq!(ask(&no_split, "hw.firmware.tdx-keys").status, Status::Fail);
    assert!(!words(&ask(&no_split, "hw.firmware.tdx-keys")).contains("0x981"));
}

#[test]
fn trap_7_not_enabled_by_bios_contains_enabled_by_bios() {
    let off = recording("F-01");
    // `dmesg | grep "enabled by BIOS"`
    assert!(log(&off).contains("enabled by BIOS"), "the naive test is content");
    let finding = ask(&off, "hw.firmware.tme");
    assert_eq!(finding.status, Status::Fail);
    assert!(
        finding.evidence.iter().any(|evidence| evidence.excerpt.contains("x86/tme: not enabled by BIOS"))
    );
    // The same words mean something else in an older kernel's log.
    let seam = recording("F-21b");
    assert!(log(&seam).contains("BIOS enabled"));
    assert_eq!(assess(&seam, "tdx-host").first_failing_layer(), Some("firmware"));
}

#[test]
fn trap_8_forty_six_bits_mean_two_things() {
    // `lscpu | grep "46 bits physical"`: "the limit on physical addresses is on"
    let naive_blames_the_limit =
        |source: &dyn HostSource| source.text("/proc/cpuinfo").unwrap().contains("46 bits physical");
    let (off, on) = (recording("F-11"), recording("F-12"));
    assert!(
        naive_blames_the_limit(&off) && naive_blames_the_limit(&on),
        "the naive test cannot tell them apart"
    );
    assert_eq!(ask(&on, "hw.cpu.physical-address-bits").status, Status::Pass);
    assert_ne!(ask(&off, "hw.cpu.physical-address-bits").status, Status::Pass);
    // With what CPUID says it is no question: 52 bits, of which encryption takes six.
    let healthy = host("healthy-2404-intel");
    assert!(naive_blames_the_limit(&healthy));
    assert_eq!(ask(&healthy, "hw.cpu.physical-address-bits").status, Status::Pass);
    let off = host("firmware-off");
    assert!(!naive_blames_the_limit(&off));
    let limited = Changed::new(&off).leaf(0x8000_0008, |leaf| leaf.eax = 0x392e);
    assert!(!naive_blames_the_limit(&limited), "the kernel's figure is another one");
    assert_eq!(ask(&limited, "hw.cpu.physical-address-bits").status, Status::Fail);
}

#[test]
fn trap_9_the_letters_tdx_stand_in_other_places() {
    let off = host("firmware-off");
    let named = Changed::new(&off).replace("/proc/cpuinfo", "GOLD 6530", "Platinum 8480CTDX").replace(
        "/proc/cpuinfo",
        "eibrs_pbrsb",
        "eibrs_pbrsb tdx_pw_mce",
    );
    let cpuinfo = named.text("/proc/cpuinfo").unwrap();
    // `grep -i tdx /proc/cpuinfo`
    assert!(grep_i(&cpuinfo, "tdx"));
    assert!(line(&cpuinfo, "model name").contains("TDX") && line(&cpuinfo, "bugs").contains("tdx"));
    assert!(!line(&cpuinfo, "flags").contains("tdx"));
    let finding = ask(&named, "hw.kernel.tdx-flag");
    assert_eq!(finding.status, Status::Fail, "{finding:?}");

    // `dmesg | grep -i tdx` finds the command line and host names.
    let talk = "[    0.000000] Command line: root=/dev/vda kvm_intel.tdx=1 nohibernate\n\
                [    5.048029] systemd[1]: Hostname set to <tdx-1>.\n";
    assert!(grep_i(talk, "tdx"));
    let pasted = Pasted::new().kernel_log(talk).into_readings();
    let read = KernelLog::parse(&pasted.kernel_log().unwrap());
    assert_eq!(read.with_prefix("virt/tdx: ").count() + read.with_prefix("tdx: ").count(), 0);
    for id in ["hw.firmware.tdx-keys", "hw.tdx-module.loaded", "hw.tdx-module.initialized", "hw.guest.inside"]
    {
        assert_ne!(ask(&pasted, id).status, Status::Pass, "{id}");
    }
    // And a guest says tdx too.
    let guest = host("td-guest");
    assert!(grep_i(&guest.text("/proc/cpuinfo").unwrap(), "tdx"));
    assert!(matches!(assess(&guest, "tdx-host").readiness, Readiness::NotThisPlace { .. }));
}

#[test]
fn trap_10_iommu_pt_helps_one_and_hinders_the_other() {
    // "Passthrough wants iommu=pt", say guides for both.
    let naive = |source: &dyn HostSource| {
        source.text("/proc/cmdline").unwrap().split_whitespace().any(|word| word == "iommu=pt")
    };
    let amd = recording("F-31b");
    assert!(naive(&amd));
    let finding = ask(&amd, "hw.snp.iommu");
    assert_eq!(finding.status, Status::Fail);
    assert!(words(&finding).contains("iommu=pt"), "{finding:?}");
    let intel = host("gpu-host");
    let intel = Changed::new(&intel).replace("/proc/cmdline", "intel_iommu=on", "intel_iommu=on iommu=pt");
    assert!(naive(&intel));
    assert_eq!(ask(&intel, "hw.platform.iommu").status, Status::Pass);
}

#[test]
fn trap_11_a_missing_parameter_has_several_causes() {
    const PARAMETER: &str = "/sys/module/kvm_intel/parameters/tdx";
    // `test -e $PARAMETER || fail "the kernel has no TDX support"`
    let naive_blames_the_kernel = |source: &dyn HostSource| source.exists(PARAMETER) == Ok(false);
    let mainline = host("healthy-2510-mainline");

    // The module of TDX failed, and kvm_intel was not loaded at all.
    let broken = module_too_old(&mainline)
        .gone("/sys/module/kvm_intel")
        .replace("/proc/modules", "kvm_intel 16384 0 - Live 0x0000000000000000\n", "")
        .gone("/dev/kvm")
        .vm_types(Err(Unread::Absent));
    assert!(naive_blames_the_kernel(&broken));
    let assessment = assess(&broken, "tdx-host");
    assert_eq!(
        assessment.readiness,
        Readiness::NotEnabledYet { layer: "tdx-module", check: "hw.tdx-module.initialized" }
    );

    // Nobody loaded kvm_intel.
    let unloaded = Changed::new(&mainline)
        .gone("/sys/module/kvm_intel")
        .replace("/proc/modules", "kvm_intel 16384 0 - Live 0x0000000000000000\n", "")
        .log_without("allocated for PAMT")
        .log_without("module initialized")
        .file("/sys/fs/cgroup/misc.capacity", "")
        .gone("/sys/fs/cgroup/misc.current")
        .gone("/dev/kvm")
        .vm_types(Err(Unread::Absent));
    assert!(naive_blames_the_kernel(&unloaded));
    let loaded = ask(&unloaded, "hw.kvm.loaded");
    assert_eq!(loaded.status, Status::Fail);
    assert!(words(&loaded).contains("kvm_intel"));

    // The kernel really has none.
    let old = Changed::new(&mainline)
        .gone(PARAMETER)
        .file("/proc/sys/kernel/osrelease", "6.12.0-9-generic\n")
        .file("/boot/config-6.12.0-9-generic", "CONFIG_KVM=m\nCONFIG_KVM_INTEL=m\nCONFIG_INTEL_TDX_HOST=y\n")
        .log_without("allocated for PAMT")
        .log_without("module initialized")
        .file("/sys/fs/cgroup/misc.capacity", "")
        .gone("/sys/fs/cgroup/misc.current")
        .vm_types(Ok(1));
    assert!(naive_blames_the_kernel(&old));
    assert_eq!(assess(&old, "tdx-host").first_failing_layer(), Some("kernel"));
}

#[test]
fn trap_12_a_module_that_runs_may_be_below_the_tcb_level() {
    // "DCAP error, so update the microcode."
    let found = explain("Failed to get sealing key: DCAP error");
    assert!(!found.is_empty());
    let said = format!("{found:?}").to_lowercase();
    assert!(said.contains("tdx module"), "{said}");
    // Local checks never say that a quote will be accepted: no title claims it.
    for check in checks::all() {
        let title = check.def.title.to_lowercase();
        assert!(!title.contains("tcb") && !title.contains("attestation succeeds"), "{}", check.def.id);
    }
    // A quote service that is active says nothing of quotes: the log does.
    let healthy = host("healthy-2404-intel");
    let active = Changed::new(&healthy).says(
        Probe::QuoteServiceLog,
        "qgsd[1200]: [QPL] No certificate data for this platform.\n\
         qgsd[1200]: Error returned from the p_sgx_get_quote_config API. 0xe011\n",
    );
    // `systemctl is-active qgsd`
    assert!(active.probe(&Probe::Units).unwrap().stdout.contains("ActiveState=active"));
    assert_eq!(ask(&active, "hw.quote-services.qgs").status, Status::Pass);
    let finding = ask(&active, "hw.quote-services.qgs-log");
    assert!(matches!(finding.status, Status::Fail | Status::Warn), "{finding:?}");
    assert!(words(&finding).contains("0xe011"));
}
