//! Captures as a whole: recording, JSON, redaction of everything at once.

use proptest::prelude::*;

use super::*;
use crate::Unread;
use crate::source::{CpuidRegisters, FileKind, FileMeta, LogOrigin, Origin, Probe, RawKernelLog, Unlisted};

fn made_by() -> MadeBy {
    MadeBy::new("tests", "1.0.0")
}

/// A host with a little of everything.
fn host() -> Readings {
    Readings::empty_host()
        .cpuid_leaf(0, 0, CpuidRegisters { eax: 0x20, ebx: 0x756e_6547, ecx: 0x6c65_746e, edx: 0x4965_6e69 })
        .cpuid_leaf(1, 0, CpuidRegisters { eax: 0x000c_06f2, ebx: 0, ecx: 0x20, edx: 0 })
        .msr(0, 0x87, 0x0000_0020_0000_001f)
        .msr_reading(0, 0x1401, Err(Unread::Failed("it faults".to_owned())))
        .file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: vmx tdx_host_platform\n")
        .file("/proc/cmdline", "BOOT_IMAGE=/vmlinuz nohibernate")
        .file("/proc/sys/kernel/hostname", "node7\n")
        .file("/proc/sys/kernel/osrelease", "6.17.0-5-generic\n")
        .file("/etc/empty", "")
        .file_reading("/etc/secret", Err(Unread::NotPermitted))
        .file("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", [6, 0, 0, 0, 1])
        .folder("/sys/class/iommu", ["dmar0", "dmar1"])
        .device("/dev/sgx_enclave", 0o660, "sgx")
        .log(RawKernelLog {
            from: LogOrigin::Kmsg,
            from_boot: Some(true),
            text: "[    0.000000] Linux version 6.17.0\n[    5.000000] virt/tdx: module initialized\n"
                .to_owned(),
        })
        .kvm_capabilities(crate::source::KvmCapabilities { api_version: 12, vm_types: 0x21 })
        .probe_stdout(Probe::QemuVersion, "QEMU emulator version 10.1.0\n")
        .probe_stdout(Probe::CollateralService { url: "https://localhost:8081/x".to_owned() }, "200")
}

fn json_of(readings: &Readings) -> String {
    Capture { made_by: None, catalogue: None, redaction: None, readings: readings.clone() }.to_json()
}

#[test]
fn what_is_written_is_read_again() {
    for unlisted in [Unlisted::Absent, Unlisted::NotRecorded] {
        let mut readings = host();
        readings.unlisted = unlisted;
        let json = json_of(&readings);
        let again = Capture::from_json(&json).unwrap();
        assert_eq!(again.readings(), &readings);
        assert_eq!(again.to_json(), json);
    }
}

#[test]
fn the_form_is_the_documented_one() {
    insta::assert_snapshot!(Capture::of(host(), &host(), made_by()).to_json());
}

#[test]
fn a_capture_answers_as_the_host_did_and_remembers_what_was_not_there() {
    let capture = Capture::record(&host(), CollectOptions::default(), made_by());
    let readings = capture.readings();
    assert_eq!(readings.origin(), Origin::Capture);
    assert_eq!(readings.text("/proc/cmdline").unwrap(), "BOOT_IMAGE=/vmlinuz nohibernate");
    assert_eq!(readings.cpuid(0x21, 0), Err(Unread::Absent));
    assert_eq!(readings.read("/proc/never/asked"), Err(Unread::NotRecorded));
    // It was looked for, and absent is an answer.
    assert!(readings.files.values().any(|reading| *reading == Err(Unread::Absent)));
}

#[test]
fn what_was_not_asked_is_recorded_as_such() {
    let capture = Capture::record(&host(), CollectOptions::quick(), made_by());
    assert_eq!(capture.readings().probe(&Probe::QemuVersion), Err(Unread::NotAsked));
}

#[test]
fn what_is_no_capture_is_refused_with_the_place() {
    let malformed = |text: &str| match Capture::from_json(text) {
        Err(Error::Malformed { why, .. }) => why,
        other => panic!("{text}: {other:?}"),
    };
    let json = json_of(&host());
    let cut = malformed(json.get(..json.len() / 2).unwrap());
    assert!(cut.contains("line ") && cut.contains("column "), "{cut}");
    assert!(malformed("").contains("EOF"));
    assert!(malformed("[]").contains("line 1"));
    assert!(malformed(r#"{"readings": {}}"#).contains("schema"));
    let twice = |readings: &str| malformed(&format!(r#"{{"schema": "{SCHEMA}", "readings": {readings}}}"#));
    assert!(
        twice(r#"{"files": {"/a": {"text": "x"}, "/a": {"text": "y"}}}"#).contains("`/a` is there twice")
    );
    assert!(twice(r#"{"files": {"/a": {"text": "x", "text": "y"}}}"#).contains("duplicate field"));
    assert!(twice(r#"{"cpuid": {"0x7.0": {}}}"#).contains("registers or a reason"));
    assert!(twice(r#"{"cpuid": {"7": {"eax": "0x1"}}}"#).contains("does not name a CPUID leaf"));
    assert!(twice(r#"{"cpuid": {"0x7.0": {"eax": "40"}}}"#).contains("not a number in hex"));
    assert!(twice(r#"{"cpuid": {"0x7.0": {"eax": "0x1"}, "0x07.0": {"eax": "0x1"}}}"#).contains("twice"));
    assert!(twice(r#"{"msrs": {"0": {"0x87": "20"}}}"#).contains("`20` is not a number in hex"));
    assert!(twice(r#"{"msrs": {"0": {"0x87": 20}}}"#).contains("line 1"));
    assert!(twice(r#"{"files": {"/a": {"base64": "%"}}}"#).contains("/a: not base64"));
    assert!(twice(r#"{"stats": {"/a": {"kind": "file", "mode": "888"}}}"#).contains("octal"));
    let deep = format!(r#"{{"schema": "{SCHEMA}", "x": {}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    malformed(&deep);
}

#[test]
fn another_schema_is_named() {
    for schema in ["dstack-hw/capture/v2", "dstack-hw/snapshot/v1"] {
        for body in [r#""readings": {}"#, r#""readings": {"files": [1, 2]}"#, r#""hosts": 7"#] {
            match Capture::from_json(&format!(r#"{{"schema": "{schema}", {body}}}"#)) {
                Err(Error::Schema { found, supported, .. }) => {
                    assert_eq!((found.as_str(), supported), (schema, SCHEMA));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_capture_beyond_the_bound_is_not_parsed() {
    let big = vec![b' '; MAX_CAPTURE + 1];
    assert!(matches!(Capture::from_bytes(&big), Err(Error::TooLarge { limit: MAX_CAPTURE, .. })));
}

#[test]
fn fields_of_later_versions_are_passed_over_and_paths_are_only_names() {
    let json = format!(
        r#"{{"schema": "{SCHEMA}", "new": 1, "readings": {{"newer": [], "files": {{"/../../etc/passwd": {{"text": ["a", "b"]}}}}}}}}"#
    );
    let capture = Capture::from_json(&json).unwrap();
    assert_eq!(capture.readings().text("/../../etc/passwd").unwrap(), "a\nb\n");
    assert_eq!(capture.readings().read("/etc/passwd"), Err(Unread::NotRecorded));
}

#[test]
fn everything_planted_is_gone_from_the_file() {
    let planted = [
        "9c:6b:00:12:34:56",
        "10.11.12.13",
        "2a01:4f8:1:2::3",
        "1b1c2d3e-0000-4000-8000-0123456789ab",
        "node7",
        "corp.example",
        "alice",
        "4C530001241026",
        "S3CR3TKEY",
    ];
    let text = format!(
        "{} {} {} {} {}.{} /home/{}/x SerialNumber: {} ApiKey: {}\n",
        planted[0],
        planted[1],
        planted[2],
        planted[3],
        planted[4],
        planted[5],
        planted[6],
        planted[7],
        planted[8]
    );
    let host = host()
        .file("/proc/sys/kernel/hostname", "node7.corp.example\n")
        .file("/etc/passwd", "alice:x:1000:1000:alice:/home/alice:/bin/sh\n")
        .file("/etc/group", "kvm:x:100:alice\n")
        .file("/sys/class/dmi/id/product_serial", "4C530001241026\n")
        .file("/var/log/mpa_registration.log", text.clone())
        .file("/home/alice/node7.txt", "x")
        .folder("/home", ["alice"])
        .meta(
            "/home/alice",
            FileMeta {
                kind: FileKind::Link,
                mode: 0o777,
                uid: 1000,
                gid: 1000,
                owner: Some("alice".to_owned()),
                group: Some("alice".to_owned()),
                size: 0,
                device: None,
                target: Some("/srv/node7/home/alice".to_owned()),
            },
        )
        .file_reading("/etc/odd", Err(Unread::Failed("node7 is not there".to_owned())))
        .log(RawKernelLog { from: LogOrigin::Kmsg, from_boot: Some(true), text: text.clone() })
        .probe_stdout(Probe::QuoteServiceLog, text)
        .probe_stdout(Probe::CollateralService { url: "https://node7.corp.example/x".to_owned() }, "200");
    let capture = Capture::of(host.clone(), &host, made_by());
    let json = capture.to_json();
    for value in planted {
        assert!(!json.to_ascii_lowercase().contains(&value.to_ascii_lowercase()), "{value} in {json}");
    }
    let replaced = &capture.redaction.as_ref().unwrap().replaced;
    for rule in
        ["mac-addresses", "ip-addresses", "uuids", "host-names", "user-names", "serial-numbers", "secrets"]
    {
        assert!(replaced.get(rule).is_some_and(|count| *count > 0), "{rule}: {replaced:?}");
    }
    let again = Capture::of(capture.readings().clone(), capture.readings(), made_by());
    assert_eq!(again.readings(), capture.readings());
    assert!(again.redaction.unwrap().replaced.is_empty());
}

#[test]
fn a_host_that_is_called_like_a_device_keeps_its_devices() {
    let host = Readings::nothing_known()
        .file("/proc/sys/kernel/hostname", "sgx-enclave7\n")
        .device("/dev/sgx-enclave7", 0o660, "sgx")
        .folder("/dev", ["sgx-enclave7"])
        .file("/var/log/x", "sgx-enclave7 is up\n");
    let capture = Capture::of(host.clone(), &host, made_by());
    assert!(capture.readings().stat("/dev/sgx-enclave7").is_ok());
    assert_eq!(capture.readings().list("/dev").unwrap(), ["sgx-enclave7"]);
    assert_eq!(capture.readings().text("/var/log/x").unwrap(), "<host-1> is up\n");
}

#[test]
fn a_later_value_never_gets_the_placeholder_of_an_earlier_one() {
    let host = Readings::nothing_known().file("/a", "<mac-1> and 9c:6b:00:12:34:56");
    let capture = Capture::of(host.clone(), &host, made_by());
    assert_eq!(capture.readings().text("/a").unwrap(), "<mac-1> and <mac-2>");
}

/// The statuses of all findings.
fn verdicts(source: &dyn HostSource) -> Vec<(String, String)> {
    let facts = HostFacts::collect(source, CollectOptions::default());
    crate::checks::all()
        .map(|check| {
            let finding = check.run(&facts);
            (
                finding.id.to_string(),
                format!("{:?}", finding.status).split(['(', ' ']).next().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

#[test]
fn a_capture_is_judged_like_its_host() {
    for host in [host(), Readings::empty_host()] {
        let capture = Capture::record(&host, CollectOptions::default(), made_by());
        let again = Capture::from_json(&capture.to_json()).unwrap();
        assert_eq!(verdicts(again.readings()), verdicts(&host));
    }
}

/// Texts as they are met, with what identifies somebody in between.
fn noise() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[    5.205693] virt/tdx: ".to_owned()),
        Just("pci 0000:98:00.0: ".to_owned()),
        Just("\n".to_owned()),
        Just(" on ".to_owned()),
        Just(", ".to_owned()),
        Just("=".to_owned()),
        Just("https://".to_owned()),
        "[ -~]{0,12}",
        "\\PC{0,6}",
    ]
}

fn planted() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::array::uniform6(1..=254_u8)
            .prop_map(|octets| octets.map(|octet| format!("{octet:02x}")).join(":")),
        (11..=126_u8, 1..=250_u8, 1..=250_u8, 1..=250_u8).prop_map(|(a, b, c, d)| format!("{a}.{b}.{c}.{d}")),
        (0x2400..=0x2fff_u16, 1..=0xffff_u16, 1..=0xffff_u16)
            .prop_map(|(a, b, c)| format!("{a:x}:{b:x}::{c:x}")),
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "[0-9a-f]{32}",
        Just("node7-x".to_owned()),
    ]
}

proptest! {
    /// Between blanks, what was planted is found whatever is around it; and doing it again changes nothing.
    #[test]
    fn nothing_planted_remains(pieces in proptest::collection::vec((noise(), planted()), 1..6)) {
        // What says that a version follows is not planted before an address.
        let text: String = pieces.iter().map(|(noise, value)| format!("{noise} , {value} \n")).collect();
        let host = Readings::nothing_known()
            .file("/proc/sys/kernel/hostname", "node7-x")
            .file("/var/log/x", text);
        let once = Capture::of(host.clone(), &host, made_by());
        let redacted = once.readings().text("/var/log/x").unwrap();
        for (_, value) in &pieces {
            prop_assert!(!redacted.contains(value.as_str()), "{} in {}", value, redacted);
        }
        let twice = Capture::of(once.readings().clone(), once.readings(), made_by());
        prop_assert_eq!(twice.readings(), once.readings());
    }

    #[test]
    fn any_text_is_redacted_once_and_for_all(text in "\\PC*|[ -~\n]*", name in "[a-z0-9.-]{0,9}") {
        let host = Readings::nothing_known().file("/proc/sys/kernel/hostname", name).file("/x", text);
        let once = Capture::of(host.clone(), &host, made_by());
        let twice = Capture::of(once.readings().clone(), once.readings(), made_by());
        prop_assert_eq!(twice.readings(), once.readings());
        let again = Capture::from_json(&once.to_json()).unwrap();
        prop_assert_eq!(&again, &once);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(Capture::from_bytes(&bytes));
    }

    #[test]
    fn any_damage_is_read_or_refused(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = json_of(&host()).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = with;
        if let Ok(capture) = Capture::from_bytes(&bytes) {
            drop(HostFacts::collect(capture.readings(), CollectOptions::default()));
        }
    }
}
