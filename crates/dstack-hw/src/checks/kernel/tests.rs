use dstack_check::{Finding, Status};
use std::borrow::Borrow;

use crate::source::{LogOrigin, RawKernelLog, Readings};
use crate::{CollectOptions, HostFacts, Unread};

fn run(id: &str, host: impl Borrow<Readings>) -> Finding {
    let facts = HostFacts::collect(host.borrow(), CollectOptions::quick());
    crate::checks::get(id).unwrap().run(&facts)
}

fn word(id: &str, host: impl Borrow<Readings>) -> &'static str {
    run(id, host).status.word()
}

const INTEL: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 207\nmodel name\t: INTEL(R) XEON(R) GOLD 6530\nstepping\t: 2\n";

fn intel(flags: &str) -> String {
    format!("{INTEL}flags\t\t: fpu vmx lm {flags}\nbugs\t\t: spectre_v1\n")
}

fn host(release: &str, command_line: &str, flags: &str) -> Readings {
    Readings::nothing_known()
        .file("/proc/sys/kernel/osrelease", format!("{release}\n"))
        .file("/proc/cmdline", format!("BOOT_IMAGE=/vmlinuz root=UUID=1 {command_line}\n"))
        .file("/proc/cpuinfo", intel(flags))
}

fn log(text: &str) -> Readings {
    Readings::nothing_known().log(RawKernelLog {
        from: LogOrigin::Pasted,
        from_boot: None,
        text: text.into(),
    })
}

fn parameter(host: Readings, value: &str) -> Readings {
    host.file("/sys/module/kvm_intel/parameters/tdx", format!("{value}\n"))
        .file("/sys/module/kvm_intel/parameters/ept", "Y\n")
}

#[test]
fn versions_are_judged_by_line_and_by_what_the_kernel_shows() {
    let id = "hw.kernel.version";
    for (release, expected) in [
        ("6.8.0-1028-intel", "pass"),
        ("7.0.0-14-generic", "pass"),
        ("6.17.0-5-generic", "pass"),
        ("6.8.0-45-generic", "fail"),
        ("6.1.0-37-amd64", "fail"),
        ("9.1.0", "warn"),
        ("5.14.0-570.el9.x86_64", "warn"),
        ("6.5.0-1003-intel-opt", "warn"),
        ("custom", "unknown"),
    ] {
        assert_eq!(word(id, host(release, "", "")), expected, "{release}");
    }
    // What is there beats the table.
    assert_eq!(word(id, parameter(host("5.14.0-570.el9.x86_64", "", ""), "N")), "pass");
    assert_eq!(word(id, parameter(host("6.1.0-37-amd64", "", ""), "Y")), "pass");
    assert_eq!(word(id, Readings::nothing_known()), "unknown");
}

#[test]
fn nothing_asks_for_intel_in_the_name_or_for_one_release_of_ubuntu() {
    let os = |text: &str| host("7.0.0-14-generic", "", "").file("/etc/os-release", text);
    let id = "hw.kernel.os-release";
    for (text, expected) in [
        ("ID=ubuntu\nVERSION_ID=26.04\n", "pass"),
        ("ID=ubuntu\nVERSION_ID=25.10\n", "pass"),
        ("ID=rhel\nVERSION_ID=10.1\n", "pass"),
        ("ID=ubuntu\nVERSION_ID=24.04\n", "warn"),
        ("ID=ubuntu\nVERSION_ID=25.04\n", "warn"),
        ("ID=ubuntu\nVERSION_ID=28.04\n", "warn"),
        ("ID=arch\n", "warn"),
    ] {
        assert_eq!(word(id, os(text)), expected, "{text}");
    }
    assert_eq!(word(id, parameter(os("ID=arch\n"), "Y")), "pass");
    assert_eq!(word(id, Readings::empty_host()), "unknown");
}

#[test]
fn the_parameter_means_different_things_by_kernel() {
    let id = "hw.kernel.kvm-intel-tdx";
    let mainline = parameter(host("6.17.0-5-generic", "nohibernate", ""), "N");
    let finding = run(id, mainline);
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.fix.unwrap().action.contains("kvm_intel.tdx=1"));
    let canonical = run(id, parameter(host("6.8.0-1028-intel", "nohibernate", ""), "N"));
    assert_eq!(canonical.status, Status::Pass);
    assert!(canonical.observed.unwrap().contains("reads N has another reason"));
    // Told, and still N: the reason is elsewhere.
    assert_eq!(word(id, parameter(host("6.17.0-5-generic", "kvm-intel.tdx=on", ""), "N")), "pass");
    assert_eq!(
        word(id, parameter(host("6.17.0-5-generic", "kvm_intel.tdx=1 kvm_intel.tdx=0", ""), "N")),
        "fail"
    );
    assert_eq!(word(id, parameter(host("5.14.0-570.el9.x86_64", "", ""), "N")), "warn");
    assert_eq!(word(id, parameter(host("6.17.0-5-generic", "", ""), "Y")), "pass");
}

#[test]
fn options_of_modprobe_count_and_the_command_line_counts_more() {
    let id = "hw.kernel.kvm-intel-tdx";
    let with = |options: &str, command_line: &str| {
        parameter(host("6.17.0-5-generic", command_line, ""), "N")
            .folder("/etc/modprobe.d", ["kvm.conf"])
            .file("/etc/modprobe.d/kvm.conf", options)
    };
    assert_eq!(word(id, with("options kvm_intel tdx=1\n", "")), "pass");
    assert_eq!(word(id, with("options kvm_intel tdx=0\n", "")), "fail");
    assert_eq!(word(id, with("options kvm_intel tdx=0\n", "kvm_intel.tdx=1")), "pass");
}

#[test]
fn a_kernel_without_the_parameter_cannot_be_told() {
    let host = Readings::empty_host()
        .file("/proc/sys/kernel/osrelease", "6.17.0-5-generic")
        .file("/proc/cmdline", "quiet")
        .file("/proc/cpuinfo", intel(""))
        .file("/sys/module/kvm_intel/parameters/ept", "Y\n");
    let finding = run("hw.kernel.kvm-intel-tdx", host.clone());
    assert!(finding.observed.unwrap().contains("cannot be told"));
    assert_eq!(word("hw.kernel.config-tdx", host), "fail");
}

#[test]
fn nohibernate_fails_only_where_it_stands_in_the_way() {
    let id = "hw.kernel.nohibernate";
    let mainline = |command_line: &str, flags: &str| host("6.17.0-5-generic", command_line, flags);
    assert_eq!(word(id, mainline("nohibernate", "")), "pass");
    assert_eq!(word(id, mainline("", "tdx_host_platform")), "pass");
    assert_eq!(word(id, mainline("", "").file("/sys/power/disk", "[disabled]\n")), "pass");
    assert_eq!(word(id, mainline("", "").file("/sys/power/disk", "[platform] shutdown\n")), "warn");
    assert_eq!(word(id, mainline("", "").msr(0, 0x87, 32 << 32 | 31)), "fail");
    assert_eq!(
        word(
            id,
            log(
                "[    5.0] virt/tdx: BIOS enabled: private KeyID range [32, 64)\n[    5.0] virt/tdx: initialization failed: Hibernation support is enabled\n"
            )
        ),
        "fail"
    );
    let config = "CONFIG_X86=y\n# CONFIG_HIBERNATION is not set\n";
    assert_eq!(word(id, mainline("", "").file("/boot/config-6.17.0-5-generic", config)), "pass");
    assert_eq!(word(id, Readings::nothing_known()), "unknown");
}

#[test]
fn the_flag_is_found_on_the_line_of_features_only() {
    let id = "hw.kernel.tdx-flag";
    assert_eq!(word(id, host("6.17.0-5-generic", "", "tdx_host_platform")), "pass");
    // Neither the name of a model nor an erratum is a feature.
    let lookalike = "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Intel(R) Xeon(R) Platinum 8480CTDX\nflags\t\t: fpu vmx lm\nbugs\t\t: tdx_pw_mce\n";
    assert_eq!(word(id, Readings::nothing_known().file("/proc/cpuinfo", lookalike)), "fail");
}

#[test]
fn without_flags_the_log_tells_of_the_platform() {
    let id = "hw.kernel.tdx-flag";
    let range = "[    5.0] virt/tdx: BIOS enabled: private KeyID range [32, 64)\n";
    assert_eq!(word(id, log(range)), "pass");
    let too_few = "[    5.0] virt/tdx: BIOS enabled: private KeyID range [32, 33)\n[    5.0] virt/tdx: initialization failed: too few private KeyIDs available.\n";
    assert_eq!(word(id, log(too_few)), "fail");
    // Told by the check of the SEAM range already.
    let no_range =
        "[    5.0] tdx: BIOS enabled: private KeyID range [32, 64)\n[    5.0] tdx: not enabled by BIOS.\n";
    assert_eq!(word(id, log(no_range)), "skipped");
    assert_eq!(word(id, log("[    9.0] unrelated: x\n")), "unknown");
    let silent = "[    0.000000] Linux version 6.17.0-5-generic\n[    1.0] Command line: kvm_intel.tdx=1\n";
    assert_eq!(word(id, log(silent)), "fail");
    // A ring that was full: the message may have been there.
    let wrapped =
        RawKernelLog { from: LogOrigin::Kmsg, from_boot: None, text: "[90000.0] audit: x\n".into() };
    assert_eq!(word(id, Readings::nothing_known().log(wrapped.clone())), "unknown");
    assert_eq!(word("hw.kernel.log", Readings::nothing_known().log(wrapped)), "warn");
}

#[test]
fn a_log_that_may_not_be_read_is_unknown() {
    let host = Readings::nothing_known().log_reading(Err(Unread::NotPermitted));
    let finding = run("hw.kernel.log", host);
    assert!(matches!(finding.status, Status::Unknown { why } if why.contains("adm")));
    assert_eq!(word("hw.kernel.log", log("[    0.000000] Linux version 6.17.0\n")), "pass");
}

#[test]
fn registers_need_root_or_a_module() {
    let id = "hw.kernel.msr-device";
    assert_eq!(word(id, Readings::empty_host().msr(0, 0x87, 0)), "pass");
    assert_eq!(word(id, Readings::empty_host()), "warn");
    assert_eq!(
        word(id, Readings::nothing_known().msr_reading(0, 0xfe, Err(Unread::NotPermitted))),
        "unknown"
    );
}

#[test]
fn the_configuration_of_the_kernel() {
    let config = |text: &str| host("6.17.0-5-generic", "", "").file("/boot/config-6.17.0-5-generic", text);
    let full = "CONFIG_INTEL_TDX_HOST=y\nCONFIG_KVM_INTEL_TDX=y\nCONFIG_KVM=m\nCONFIG_KVM_INTEL=m\nCONFIG_VHOST_VSOCK=m\nCONFIG_X86_SGX=y\nCONFIG_X86_SGX_KVM=y\nCONFIG_X86_MSR=m\n";
    assert_eq!(word("hw.kernel.config-tdx", config(full)), "pass");
    assert_eq!(word("hw.kernel.config-kvm", config(full)), "pass");
    assert_eq!(word("hw.kernel.config-tdx", config("CONFIG_INTEL_TDX_HOST=y\n")), "fail");
    assert_eq!(word("hw.kernel.config-kvm", config(&full.replace("CONFIG_VHOST_VSOCK=m\n", ""))), "fail");
    assert_eq!(word("hw.kernel.config-kvm", config(&full.replace("CONFIG_X86_SGX=y\n", ""))), "warn");
    // Canonical's patches have no option for KVM's part.
    let intel_kernel =
        host("6.8.0-1028-intel", "", "").file("/boot/config-6.8.0-1028-intel", "CONFIG_INTEL_TDX_HOST=y\n");
    assert_eq!(word("hw.kernel.config-tdx", intel_kernel), "pass");
    assert_eq!(word("hw.kernel.config-tdx", parameter(host("6.17.0-5-generic", "", ""), "N")), "pass");
    assert_eq!(word("hw.kernel.config-tdx", Readings::nothing_known()), "unknown");
}

#[test]
fn what_waits_for_the_next_start() {
    let id = "hw.kernel.command-line-pending";
    let grub = |text: &str, running: &str| {
        Readings::empty_host()
            .file("/proc/cmdline", format!("BOOT_IMAGE=/vmlinuz root=UUID=1 ro {running}\n"))
            .file("/etc/default/grub", text)
    };
    assert_eq!(word(id, grub("GRUB_CMDLINE_LINUX=\"nohibernate\"\n", "nohibernate quiet")), "pass");
    let finding = run(id, grub("GRUB_CMDLINE_LINUX=\"nohibernate kvm-intel.tdx=1\"\n", "quiet"));
    assert_eq!(finding.status, Status::Warn);
    assert_eq!(finding.observed.unwrap(), "configured and not running: kvm_intel.tdx=1 nohibernate");
    let finding = run(id, grub("GRUB_CMDLINE_LINUX=\n", "nohibernate"));
    assert!(finding.observed.unwrap().starts_with("running and not configured"));
    assert_eq!(word(id, Readings::empty_host().file("/proc/cmdline", "quiet")), "not-applicable");
    assert!(finding.evidence.iter().all(|evidence| !evidence.excerpt.contains("UUID")));
}

#[test]
fn on_amd_the_questions_do_not_arise() {
    let amd =
        Readings::nothing_known().file("/proc/cpuinfo", "vendor_id\t: AuthenticAMD\nflags\t\t: fpu svm lm\n");
    for id in ["hw.kernel.version", "hw.kernel.nohibernate", "hw.kernel.kvm-intel-tdx", "hw.kernel.tdx-flag"]
    {
        assert_eq!(word(id, amd.clone()), "not-applicable", "{id}");
    }
}

#[test]
fn fixes_are_written_for_the_distribution() {
    let command = |os: &str| {
        let host = parameter(host("6.17.0-5-generic", "", ""), "N").file("/etc/os-release", os);
        run("hw.kernel.kvm-intel-tdx", host).fix.unwrap().commands.remove(0)
    };
    assert!(command("ID=ubuntu\nVERSION_ID=25.10\n").contains("/etc/default/grub.d/"));
    assert!(command("ID=rocky\nID_LIKE=\"rhel centos fedora\"\n").contains("grubby"));
    let configured = parameter(host("6.17.0-5-generic", "", ""), "N")
        .folder("/etc/default/grub.d", ["a.cfg"])
        .file("/etc/default/grub", "GRUB_DEFAULT=0\n")
        .file("/etc/default/grub.d/a.cfg", "GRUB_CMDLINE_LINUX=kvm_intel.tdx=1\n")
        .file_reading("/etc/kernel/cmdline", Err(Unread::Absent));
    assert!(run("hw.kernel.kvm-intel-tdx", configured).fix.unwrap().action.contains("configured already"));
}
