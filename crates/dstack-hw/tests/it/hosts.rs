//! Synthetic hosts: every finding of each, as an operator would see it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dstack_check::Status;
use dstack_hw::Readiness;

use crate::support::{HOSTS, assess, fixtures, host};

/// The statuses by check, the readiness, and what to do next.
fn summary(name: &str, profile: &str) -> String {
    let assessment = assess(&host(name), profile);
    let mut text = format!("{name}, {profile}: {}\n", assessment.readiness);
    if let Some(check) = assessment.readiness.check() {
        writeln!(text, "decided by: {check}").unwrap();
    }
    if let Some(step) = assessment.next_step() {
        writeln!(text, "next step: {}", step.action).unwrap();
    }
    for finding in assessment.report.findings() {
        write!(text, "{:<14} {}", finding.status.word(), finding.id).unwrap();
        match &finding.status {
            Status::Unknown { why } => write!(text, " ({why})").unwrap(),
            Status::Skipped { because } => write!(text, " ({because})").unwrap(),
            Status::Warn => write!(text, " ({})", finding.observed.as_deref().unwrap_or_default()).unwrap(),
            _ => {}
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_host_is_summed_up() {
    for (name, profile) in HOSTS {
        insta::with_settings!({ omit_expression => true, snapshot_suffix => name }, {
            insta::assert_snapshot!("host", summary(name, profile));
        });
    }
}

#[test]
fn every_host_is_listed() {
    let folders: BTreeSet<String> = std::fs::read_dir(fixtures().join("hosts"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, HOSTS.iter().map(|(name, _)| (*name).to_owned()).collect());
    let readme = std::fs::read_to_string(fixtures().join("hosts/README.md")).unwrap();
    for name in folders {
        assert!(readme.contains(&format!("\n| {name} | ")), "{name} is explained");
    }
}

#[test]
fn healthy_hosts_are_ready_and_nothing_is_left_open() {
    for (name, profile) in [
        ("healthy-2404-intel", "tdx-host"),
        ("healthy-2404-intel", "tdx-host-with-kms"),
        ("healthy-2510-mainline", "tdx-host"),
        ("healthy-2510-mainline", "tdx-host-with-kms"),
        ("healthy-2604-mainline", "tdx-host"),
        ("healthy-2604-mainline", "tdx-host-with-kms"),
        ("healthy-snp", "snp-host"),
        ("td-guest", "tdx-guest"),
        ("sgx-off-kms", "tdx-host"),
        ("gpu-host", "gpu"),
    ] {
        let assessment = assess(&host(name), profile);
        assert!(assessment.readiness.is_ready(), "{name} for {profile}: {:?}", assessment.readiness);
        let open = assessment.report.findings().iter().filter(|finding| {
            // Nobody can read a GPU's mode without the vendor's tool.
            matches!(finding.status, Status::Unknown { .. }) && finding.id.as_str() != "hw.gpu.mode"
        });
        let open: Vec<_> = open.map(|finding| (finding.id.as_str(), &finding.status)).collect();
        assert!(name == "sgx-off-kms" || open.is_empty(), "{name} for {profile}: {open:?}");
    }
}

#[test]
fn a_host_that_forgot_its_boot_is_ready_all_the_same() {
    let assessment = assess(&host("wrapped-log"), "tdx-host-with-kms");
    assert!(assessment.readiness.is_ready(), "{:?}", assessment.readiness);
    assert!(assessment.report.get("hw.kernel.log").is_some_and(|finding| finding.status == Status::Warn));
}

#[test]
fn without_root_a_healthy_host_is_ready_for_what_needs_no_root_to_see() {
    let assessment = assess(&host("no-root"), "tdx-host");
    assert!(assessment.readiness.is_ready(), "{:?}", assessment.readiness);
    let said = assessment.report.get("hw.environment.privilege").unwrap();
    assert_eq!(said.status, Status::Warn);
}

#[test]
fn the_three_answers_are_told_apart() {
    let of = |name, profile| assess(&host(name), profile).readiness;
    assert!(matches!(
        of("firmware-off", "tdx-host"),
        Readiness::NotEnabledYet { layer: "firmware", check: "hw.firmware.tme" }
    ));
    assert!(matches!(of("healthy-snp", "tdx-host"), Readiness::Cannot { layer: "cpu", .. }));
    assert!(matches!(of("healthy-2404-intel", "snp-host"), Readiness::Cannot { layer: "snp", .. }));
    assert!(matches!(of("healthy-2404-intel", "gpu"), Readiness::Cannot { layer: "gpu", .. }));
    assert!(matches!(
        of("sgx-off-kms", "tdx-host-with-kms"),
        Readiness::NotEnabledYet { layer: "sgx", check: "hw.sgx.firmware" }
    ));
    assert!(matches!(
        of("qemu-mismatch", "tdx-host"),
        Readiness::NotEnabledYet { layer: "qemu", check: "hw.qemu.kvm-pair" }
    ));
    assert!(matches!(of("socket-mismatch", "tdx-host"), Readiness::NotEnabledYet { layer: "firmware", .. }));
    assert!(matches!(of("vm", "tdx-host"), Readiness::NotThisPlace { check: "hw.environment.bare-metal" }));
    assert!(matches!(of("td-guest", "tdx-host"), Readiness::NotThisPlace { .. }));
    assert!(matches!(
        of("container", "tdx-host"),
        Readiness::NotThisPlace { check: "hw.environment.container" }
    ));
    assert!(matches!(
        of("healthy-2404-intel", "tdx-guest"),
        Readiness::NotThisPlace { check: "hw.guest.inside" }
    ));
}
