//! Captures and trees made to do harm.

use dstack_hw::Error;
use dstack_hw::capture::{Capture, MAX_CAPTURE, SCHEMA};
use dstack_hw::source::{HostSource, TreeHost};

use crate::support::{ask_all, facts};

fn with_readings(readings: &str) -> String {
    format!(r#"{{"schema": "{SCHEMA}", "readings": {readings}}}"#)
}

#[test]
fn another_schema_is_named() {
    for found in ["dstack-hw/capture/v2", "dstack-hw/snapshot/v1", ""] {
        let text = format!(r#"{{"schema": "{found}", "readings": {{"of another form": [[]]}}}}"#);
        match Capture::from_json(&text) {
            Err(Error::Schema { found: said, supported, .. }) => {
                assert_eq!((said.as_str(), supported), (found, SCHEMA));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_no_capture_is_said_so_with_its_place() {
    let whole = with_readings(r#"{"files": {"/proc/cmdline": {"text": "quiet\n"}}}"#);
    assert!(Capture::from_json(&whole).is_ok());
    for cut in 0..whole.len() {
        match Capture::from_json(&whole[..cut]) {
            Err(Error::Malformed { why, .. }) => assert!(why.contains("line 1 column"), "{why}"),
            other => panic!("{cut}: {other:?}"),
        }
    }
    for readings in [
        r#"{"msrs": {"0": {"0x3a": "5"}}}"#,
        r#"{"msrs": {"0": {"0x3a": "0xfffffffffffffffff"}}}"#,
        r#"{"msrs": {"-1": {"0x3a": "0x5"}}}"#,
        r#"{"msrs": {"0": {"0x3a": "0x5", "0x3a": "0x6"}}}"#,
        r#"{"msrs": {"0": {"0x3a": "0x5", "0x3A": "0x6"}}}"#,
        r#"{"cpuid": {"7": {"eax": "0x0"}}}"#,
        r#"{"cpuid": {"0x7.0": {"eax": "0x100000000"}}}"#,
        r#"{"files": {"/etc/passwd": {"text": "a", "base64": "YQ=="}}}"#,
        r#"{"files": {"/etc/passwd": {"base64": "*"}}}"#,
        r#"{"files": {"/etc/passwd": {}}}"#,
        r#"{"files": {"/etc/passwd": {"text": "a"}, "/etc/passwd": {"text": "b"}}}"#,
        r#"{"files": {"/etc/passwd": {"unread": "because"}}}"#,
        r#"{"stats": {"/dev/kvm": {"kind": "character-device", "mode": "9999"}}}"#,
        r#"{"stats": {"/dev/kvm": {"kind": "teapot"}}}"#,
        r#"{"unlisted": "perhaps"}"#,
        r#"{"probes": [{"probe": "rm-rf", "stdout": ""}]}"#,
        "[]",
        "null",
    ] {
        let result = Capture::from_json(&with_readings(readings));
        assert!(matches!(result, Err(Error::Malformed { .. })), "{readings}: {result:?}");
    }
}

#[test]
fn a_deep_document_is_refused() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = open.repeat(200_000) + "1" + &close.repeat(200_000);
        assert!(matches!(Capture::from_json(&deep), Err(Error::Malformed { .. })));
        let inside = with_readings(&format!(r#"{{"made-up": {deep}}}"#));
        assert!(matches!(Capture::from_json(&inside), Err(Error::Malformed { .. })));
    }
}

#[test]
fn a_document_beyond_all_measure_is_refused() {
    let long = vec![b' '; MAX_CAPTURE + 1];
    assert!(matches!(Capture::from_bytes(&long), Err(Error::TooLarge { limit: MAX_CAPTURE, .. })));
}

#[test]
fn what_a_later_version_adds_is_left_alone() {
    let text = format!(
        r#"{{"schema": "{SCHEMA}", "new": {{"a": 1}}, "readings": {{"new": [1], "files": {{"/proc/cmdline": {{"text": "a"}}}}}}}}"#
    );
    let capture = Capture::from_json(&text).unwrap();
    assert_eq!(capture.readings().text("/proc/cmdline").unwrap(), "a");
}

#[test]
fn large_counts_in_a_capture_end() {
    // Ranges and sizes as large as they can be written.
    let text = with_readings(
        r#"{
        "unlisted": "absent",
        "files": {
            "/sys/devices/system/cpu/online": {"text": "0-18446744073709551615\n"},
            "/sys/devices/system/cpu/present": {"text": "0-4294967295,0-4294967295\n"},
            "/sys/devices/system/node/online": {"text": "0-4294967295\n"},
            "/sys/devices/system/node/node0/cpulist": {"text": "0-4294967295\n"},
            "/sys/devices/system/node/node0/x86/sgx_total_bytes": {"text": "99999999999999999999\n"},
            "/proc/meminfo": {"text": "MemTotal: 18446744073709551615 kB\nMemAvailable: 18446744073709551615 kB\n"},
            "/sys/fs/cgroup/misc.capacity": {"text": "tdx 18446744073709551615\nsev max\n"},
            "/sys/fs/cgroup/misc.current": {"text": "tdx 18446744073709551615\n"},
            "/etc/qgs.conf": {"text": "port = 99999999999\n"}
        },
        "cpuid": {
            "0x0.0": {"eax": "0xffffffff", "ebx": "0x756e6547", "ecx": "0x6c65746e", "edx": "0x49656e69"},
            "0x7.0": {"eax": "0xffffffff", "ebx": "0xffffffff", "ecx": "0xffffffff", "edx": "0xffffffff"},
            "0x12.0": {"eax": "0xffffffff", "ebx": "0xffffffff", "ecx": "0xffffffff", "edx": "0xffffffff"},
            "0x12.2": {"eax": "0xffffffff", "ebx": "0xffffffff", "ecx": "0xffffffff", "edx": "0xffffffff"},
            "0x80000000.0": {"eax": "0xffffffff"},
            "0x80000008.0": {"eax": "0xffffffff"},
            "0x8000001f.0": {"eax": "0xffffffff", "ebx": "0xffffffff", "ecx": "0xffffffff", "edx": "0xffffffff"}
        },
        "msrs": {"0": {"0x87": "0xffffffffffffffff", "0x982": "0xffffffffffffffff", "0x1400": "0xffffffffffffffff",
            "0x1401": "0xffffffffffffffff", "0xc0010132": "0xffffffffffffffff", "0xc0010133": "0x0", "0xc0010010": "0xffffffffffffffff"}},
        "kernel-log": {"from": "pasted", "text": [
            "[18446744073709551615.999999] virt/tdx: BIOS enabled: private KeyID range [18446744073709551615, 0)",
            "[99999999999999999999.0] virt/tdx: BIOS enabled: private KeyID range [99999999999999999999999, 1)",
            "virt/tdx: CMR: [0xffffffffffffffff, 0x0)",
            "virt/tdx: 18446744073709551615 KB allocated for PAMT",
            "virt/tdx: TDX module: attributes 0xffffffffffffffffff, vendor_id 0x8086, major_version 99999999999, minor_version 5, build_date 0, build_num 99999999999",
            "sgx: EPC section 0xffffffffffffffff-0x0",
            "SEV-SNP: RMP table physical range [0xffffffffffffffff - 0x0000000000000000]",
            "kvm_amd: SEV enabled (ASIDs 4294967295 - 0)",
            "x86/mktme: 18446744073709551615 KeyIDs available"
        ]}
    }"#,
    );
    let capture = Capture::from_json(&text).unwrap();
    let findings = ask_all(&facts(capture.readings()));
    assert!(findings.iter().all(|finding| format!("{finding:?}").len() < 64 << 10));
}

#[test]
#[cfg(unix)]
fn a_tree_is_not_left() {
    use std::os::unix::fs::symlink;

    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "outside\n").unwrap();
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path().join("root");
    std::fs::create_dir_all(root.join("proc/sys/kernel")).unwrap();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    std::fs::create_dir_all(root.join("sys/bus/pci")).unwrap();
    let secret = outside.path().join("secret");
    symlink(&secret, root.join("proc/cmdline")).unwrap();
    symlink("../../../../../../../../../../../etc/hostname", root.join("etc/os-release")).unwrap();
    symlink(outside.path(), root.join("sys/bus/pci/devices")).unwrap();
    symlink("cpuinfo", root.join("proc/cpuinfo")).unwrap();
    let host = TreeHost::open(tree.path()).unwrap();
    for path in
        ["/proc/cmdline", "/etc/os-release", "/proc/cpuinfo", "/../secret", "/etc/../../../../etc/hostname"]
    {
        if let Ok(text) = host.text(path) {
            panic!("{path} was read: {text}");
        }
    }
    assert!(host.list("/sys/bus/pci/devices").is_err());
    assert!(
        host.list("/..").is_ok_and(|names| !names.contains(&"readings.json".to_owned()))
            || host.list("/..").is_err()
    );
    let shown = format!("{:?}", facts(&host));
    assert!(!shown.contains("outside"), "{shown}");

    // The readings beside the tree may not be elsewhere either.
    let elsewhere = outside.path().join("readings.json");
    std::fs::write(&elsewhere, with_readings("{}")).unwrap();
    symlink(&elsewhere, tree.path().join("readings.json")).unwrap();
    assert!(TreeHost::open(tree.path()).is_err() || TreeHost::open(tree.path()).unwrap().kvm().is_err());
}

#[test]
fn a_path_in_a_capture_is_only_a_name() {
    let text = with_readings(
        r#"{"files": {"/proc/../etc/hostname": {"text": "a"}, "../../etc/shadow": {"text": "b"}}}"#,
    );
    let capture = Capture::from_json(&text).unwrap();
    for path in ["/etc/hostname", "/etc/shadow", "/etc/passwd", "/proc/cpuinfo"] {
        assert!(capture.readings().read(path).is_err(), "{path}");
    }
}
