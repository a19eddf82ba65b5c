use dstack_check::{Finding, Status};

use crate::checks::asked::asked;
use crate::source::{KvmCapabilities, Probe, ProbeOutput, Readings};
use crate::{CollectOptions, HostFacts, Unread, checks};

const INTEL: &str = "processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 207\nmodel name : x\nstepping : 2\nphysical id : 0\nflags : fpu lm vmx\n";
const AMD: &str = "processor : 0\nvendor_id : AuthenticAMD\ncpu family : 25\nmodel : 17\nmodel name : x\nstepping : 1\nphysical id : 0\nflags : fpu lm svm\n";
const PATCHED: &str = "8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.4+tdx1.1)";
const PROPERTIES: &str = "tdx-guest options:\n  attributes=<int>\n  mrconfigid=<string>\n  mrowner=<string>\n  mrownerconfig=<string>\n  quote-generation-socket=<SocketAddress>\n  sept-ve-disable=<bool>\n";

fn host(version: &str, objects: &str) -> Readings {
    Readings::empty_host()
        .file("/proc/cpuinfo", INTEL)
        .file("/usr/bin/qemu-system-x86_64", "")
        .probe_stdout(Probe::QemuVersion, format!("QEMU emulator version {version}\n"))
        .probe_stdout(Probe::QemuObjects, format!("List of user creatable objects:\n  iommufd\n{objects}"))
        .probe_stdout(Probe::QemuTdxProperties, PROPERTIES)
}

fn find(host: &Readings, id: &str) -> Finding {
    let finding = asked(id, host, CollectOptions::default());
    if !matches!(finding.status, Status::Unknown { .. }) {
        assert!(finding.observed.is_some(), "{finding:?}");
    }
    finding
}

fn word(host: &Readings, id: &str) -> &'static str {
    find(host, id).status.word()
}

#[test]
fn where_it_is() {
    let at = |paths: &[&str]| {
        let host = paths.iter().fold(Readings::empty_host(), |host, path| host.file(*path, ""));
        word(&host, "hw.qemu.present")
    };
    assert_eq!(at(&["/usr/bin/qemu-system-x86_64"]), "pass");
    assert_eq!(at(&["/usr/local/bin/qemu-system-x86_64"]), "pass");
    assert_eq!(at(&["/usr/bin/qemu-system-x86_64", "/usr/local/bin/qemu-system-x86_64"]), "warn");
    assert_eq!(at(&["/usr/libexec/qemu-kvm"]), "warn");
    assert_eq!(at(&[]), "fail");
    assert_eq!(word(&Readings::nothing_known(), "hw.qemu.present"), "unknown");
}

#[test]
fn a_version_is_never_more_than_a_warning() {
    assert_eq!(word(&host("10.1.0", "  tdx-guest\n"), "hw.qemu.version"), "pass");
    assert_eq!(word(&host(PATCHED, ""), "hw.qemu.version"), "pass");
    assert_eq!(word(&host("9.2.0", ""), "hw.qemu.version"), "warn");
    assert_eq!(word(&host("9.0.0", "  tdx-guest\n"), "hw.qemu.version"), "pass", "patches of a distribution");
    assert_eq!(word(&host("9.2.0", "").file("/proc/cpuinfo", AMD), "hw.qemu.version"), "pass");
    assert_eq!(word(&host("8.2.0", "").file("/proc/cpuinfo", AMD), "hw.qemu.version"), "warn");
}

#[test]
fn what_it_says_it_can_do_decides() {
    assert_eq!(word(&host("10.1.0", "  tdx-guest\n"), "hw.qemu.tdx"), "pass");
    let without = find(&host("10.1.0", "  sev-guest\n  sev-snp-guest\n"), "hw.qemu.tdx");
    assert_eq!(without.status, Status::Fail, "a build without the feature");
    let amd = host("10.1.0", "  sev-guest\n  sev-snp-guest\n").file("/proc/cpuinfo", AMD);
    assert_eq!(word(&amd, "hw.qemu.snp"), "pass");
    assert_eq!(word(&amd, "hw.qemu.tdx"), "not-applicable");
    assert_eq!(word(&amd, "hw.qemu.tdx-properties"), "not-applicable");
    assert_eq!(word(&amd, "hw.qemu.kvm-pair"), "not-applicable");
    assert_eq!(word(&host("10.1.0", "  sev-snp-guest\n"), "hw.qemu.snp"), "not-applicable");
    assert_eq!(word(&host("8.2.0", "  sev-guest\n").file("/proc/cpuinfo", AMD), "hw.qemu.snp"), "fail");
}

#[test]
fn the_properties_that_dstack_sets() {
    let with = |text: &str| {
        let host = host("10.1.0", "  tdx-guest\n").probe_stdout(Probe::QemuTdxProperties, text);
        find(&host, "hw.qemu.tdx-properties")
    };
    assert_eq!(with(PROPERTIES).status, Status::Pass);
    let old = with(
        "tdx-guest options:\n  debug=<bool>\n  mrconfigid=<string>\n  quote-generation-service=<string>\n",
    );
    assert_eq!(old.status, Status::Fail);
    assert!(old.observed.unwrap().contains("quote-generation-service"));
    assert_eq!(with(&PROPERTIES.replace("  mrowner=<string>\n", "")).status, Status::Warn);
    let refused = ProbeOutput {
        status: Some(1),
        stdout: String::new(),
        stderr: "qemu-system-x86_64: -object tdx-guest,help: Parameter 'qom-type' does not accept value 'tdx-guest'\n"
            .to_owned(),
    };
    let host = host("8.2.2", "").probe_output(Probe::QemuTdxProperties, refused);
    assert_eq!(word(&host, "hw.qemu.tdx-properties"), "fail");
}

#[test]
fn qemu_and_the_kernel_have_the_same_number_for_a_td() {
    let pair = |version: &str, release: &str, vm_types: Option<u64>| {
        let mut host =
            host(version, "  tdx-guest\n").file("/proc/sys/kernel/osrelease", format!("{release}\n"));
        if let Some(vm_types) = vm_types {
            host = host.kvm_capabilities(KvmCapabilities { api_version: 12, vm_types });
        }
        word(&host, "hw.qemu.kvm-pair")
    };
    assert_eq!(pair("10.1.0", "6.17.0-8-generic", Some(0b10_0001)), "pass");
    assert_eq!(pair(PATCHED, "6.8.0-1028-intel", Some(0b101)), "pass");
    // The host is healthy, and QEMU is of another generation (F-38).
    assert_eq!(pair("10.1.0", "6.8.0-1028-intel", Some(0b101)), "fail");
    assert_eq!(pair(PATCHED, "6.17.0-8-generic", Some(0b10_0001)), "fail");
    assert_eq!(pair(PATCHED, "6.17.0-8-generic", None), "warn", "the release is the weaker evidence");
    assert_eq!(pair(PATCHED, "6.8.0-1028-intel", None), "pass");
    assert_eq!(pair("10.1.0", "6.14.0-1009-intel", None), "unknown");
    assert_eq!(
        pair("10.1.0", "6.17.0-8-generic", Some(1)),
        "pass",
        "the release says more than a KVM without TDX"
    );
    assert_eq!(pair("9.2.1 (Debian 1:9.2.1+ds+tdx1.0)", "6.14.0-1009-intel", Some(0b10_0001)), "unknown");
}

#[test]
fn a_tdx_build_that_an_upgrade_may_replace() {
    let status = |state: &str, version: &str| {
        format!("Package: qemu-system-x86\nStatus: {state}\nVersion: {version}\n")
    };
    let installed = status("install ok installed", "1:8.2.2+ds-0ubuntu1.4+tdx1.1");
    let host = |database: &str| host(PATCHED, "").file("/var/lib/dpkg/status", database);
    let id = "hw.qemu.package-pinned";
    assert_eq!(word(&host(&installed), id), "warn");
    assert_eq!(word(&host(&status("hold ok installed", "1:8.2.2+tdx1.1")), id), "pass");
    assert_eq!(word(&host(&status("install ok installed", "2:8.2.2+ds-0ubuntu1.4+tdx1.1")), id), "pass");
    let pin = "Package: *\nPin: release o=LP-PPA-kobuk-team-tdx-release\nPin-Priority: 4000\n";
    assert_eq!(
        word(&host(&installed).file("/etc/apt/preferences.d/kobuk-team-tdx-release-pin-4000", pin), id),
        "pass"
    );
    assert_eq!(word(&super::tests::host("10.1.0", ""), id), "not-applicable");
    assert_eq!(word(&super::tests::host(PATCHED, ""), id), "not-applicable", "no dpkg");
    let closed =
        super::tests::host(PATCHED, "").file_reading("/var/lib/dpkg/status", Err(Unread::NotPermitted));
    assert_eq!(word(&closed, id), "unknown");
}

#[test]
fn what_was_not_asked_is_unknown() {
    let facts = HostFacts::collect(&host("10.1.0", ""), CollectOptions::quick());
    for id in ["version", "tdx", "tdx-properties", "kvm-pair", "package-pinned"] {
        let finding = checks::get(&format!("hw.qemu.{id}")).unwrap().run(&facts);
        assert!(matches!(finding.status, Status::Unknown { .. }), "{finding:?}");
    }
}

#[test]
fn a_reading_that_is_refused_makes_nothing_worse() {
    let host = host(PATCHED, "  tdx-guest\n").file("/proc/sys/kernel/osrelease", "6.8.0-1028-intel\n").file(
        "/var/lib/dpkg/status",
        "Package: qemu-system-x86\nStatus: hold ok installed\nVersion: 1:8.2.2+tdx1.1\n",
    );
    checks::platform::tests::hide_one_after_the_other(&host, "qemu");
}
