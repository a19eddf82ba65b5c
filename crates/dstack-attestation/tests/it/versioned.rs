//! Attestation blobs: recorded ones are read and written byte for byte, and hostile ones are refused within bounds.

use dstack_attestation::event_log::{DigestVersion, Entry, EventLog, EventLogBuilder, Rtmr, RuntimeEvent};
use dstack_attestation::quote::TdxQuote;
use dstack_attestation::quote::emulated::EmulatedQuote;
use dstack_attestation::report_data;
use dstack_attestation::versioned::{AttestationError, Contradiction, Platform, VersionedAttestation};
use dstack_attestation::{Digest48, Measurements, Policy};
use dstack_check::Status;
use proptest::prelude::*;

use crate::evidence::{get_quote, verify_app};

const ATTEST: &str = include_str!("../fixtures/attestation/attest.hex");
const GET_QUOTE: &str = include_str!("../fixtures/attestation/get-quote.hex");
const BOOTSTRAP_NEXT: &str = include_str!("../fixtures/attestation/kms-bootstrap-next.hex");
const BOOTSTRAP_OLD: &str = include_str!("../fixtures/attestation/kms-bootstrap-v0.5.11.hex");

fn bytes(hex_text: &str) -> Vec<u8> {
    hex::decode(hex_text.trim()).unwrap()
}

fn read(hex_text: &str) -> VersionedAttestation {
    VersionedAttestation::decode(&bytes(hex_text)).unwrap()
}

/// An attestation of a made-up boot with a marked quote.
fn emulated(version: DigestVersion) -> VersionedAttestation {
    let log = EventLogBuilder::new(version)
        .preimages(true)
        .measured(Rtmr::Rtmr0, 10, Digest48::new([1; 48]), "", b"ACPI DATA".as_slice())
        .unwrap()
        .measured(Rtmr::Rtmr1, 4, Digest48::new([2; 48]), "", [0; 4])
        .unwrap()
        .runtime(RuntimeEvent::new("app-id", [3; 20]))
        .runtime(RuntimeEvent::new("system-ready", []))
        .build();
    let quote = EmulatedQuote {
        measurements: Measurements::new(Digest48::ZERO, &log.replay()),
        report_data: [9; 64].into(),
        ..EmulatedQuote::default()
    };
    VersionedAttestation::tdx(quote.to_bytes(), log, [9; 64].into(), r#"{"vm_config":"{}"}"#)
}

#[test]
fn recorded_blobs_are_written_as_they_were_read() {
    for recorded in [ATTEST, BOOTSTRAP_NEXT, BOOTSTRAP_OLD] {
        let attestation = read(recorded);
        assert_eq!((attestation.version, &attestation.platform), (0, &Platform::Tdx));
        assert_eq!(attestation.encode_v0(), bytes(recorded));
    }
    let attestation = read(GET_QUOTE);
    assert_eq!((attestation.version, &attestation.platform), (1, &Platform::Tdx));
    assert_eq!(attestation.encode_v1(), bytes(GET_QUOTE));
}

#[test]
fn both_versions_say_the_same() {
    let (old, new) = (read(ATTEST), read(GET_QUOTE));
    assert_eq!(old.event_log, new.event_log);
    assert_eq!((&old.runtime_events, old.report_data), (&new.runtime_events, new.report_data));
    assert_eq!((&old.config, &old.quote), (&new.config, &new.quote));
    assert_eq!(old.encode_v1(), bytes(GET_QUOTE));
    assert_eq!(new.encode_v0(), bytes(ATTEST));
}

#[test]
fn recorded_blobs_are_consistent_and_explain_their_quote() {
    for recorded in [ATTEST, GET_QUOTE, BOOTSTRAP_NEXT, BOOTSTRAP_OLD] {
        let attestation = read(recorded);
        assert_eq!(attestation.contradictions(), []);
        assert!(!attestation.log_is_shortened());
        let quote = TdxQuote::parse(&attestation.quote).unwrap();
        assert_eq!(attestation.event_log.replay(), quote.report.measurements.rtmrs());
    }
    let log = read(ATTEST).event_log;
    assert_eq!(log.to_json(), get_quote()["event_log"].as_str().unwrap());
}

#[test]
fn evidence_has_what_the_blob_has() {
    let evidence = read(GET_QUOTE).to_evidence();
    assert_eq!(evidence.quote.as_deref(), Some(read(GET_QUOTE).quote.as_slice()));
    assert_eq!(evidence.event_log.as_deref(), get_quote()["event_log"].as_str());
    // The simulator's GetQuote has another vm_config next to the attestation; the one inside is taken.
    let vm_config = evidence.vm_config.unwrap();
    assert!(vm_config.starts_with(r#"{"os_image_hash":"e61be43d"#), "{vm_config}");
    let attested = evidence.attestation.unwrap();
    assert_eq!((attested.platform, attested.shortened_log), (Platform::Tdx, false));
    // A configuration that is no JSON, or has no vm_config, gives none.
    let mut attestation = read(ATTEST);
    for config in ["", "{", "{}", "[]", r#"{"vm_config":""}"#, r#"{"vm_config":7}"#] {
        attestation.config = config.to_owned();
        assert_eq!(attestation.to_evidence().vm_config, None, "{config}");
    }
}

#[test]
fn text_of_every_kind_is_read() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    for recorded in [ATTEST, GET_QUOTE] {
        let blob = bytes(recorded);
        let expected = read(recorded);
        let texts = [
            recorded.to_owned(),
            format!(" 0x{}", recorded.to_uppercase().trim()),
            STANDARD.encode(&blob),
            URL_SAFE_NO_PAD.encode(&blob),
        ];
        for text in texts {
            assert_eq!(VersionedAttestation::from_text(&text).unwrap(), expected);
        }
    }
    assert!(matches!(VersionedAttestation::from_text("\u{fc}"), Err(AttestationError::Text(_))));
}

#[test]
fn certificates_carry_a_shortened_form() {
    for version in [DigestVersion::V1, DigestVersion::V2] {
        let whole = emulated(version);
        let short = whole.clone().shortened();
        assert!(short.log_is_shortened() && !whole.log_is_shortened());
        let read = VersionedAttestation::decode(&short.encode_v0()).unwrap();
        // The versions of its entries are not in the blob; the quote's RTMR3 tells.
        let rtmr3 = whole.event_log.replay().get(Rtmr::Rtmr3);
        assert_eq!(read.event_log.replay().get(Rtmr::Rtmr3), rtmr3, "{version:?}");
        assert_eq!(read.event_log.entries().len(), 3);
        assert_ne!(read.event_log.replay().get(Rtmr::Rtmr1), whole.event_log.replay().get(Rtmr::Rtmr1));
        assert_eq!(read.contradictions(), []);
        // In the whole form the digests tell.
        let read = VersionedAttestation::decode(&whole.encode_v0()).unwrap();
        assert_eq!(read.event_log.replay(), whole.event_log.replay());
        assert!(read.event_log.divergences().next().is_none());
    }
}

#[test]
fn version_2_entries_keep_version_and_preimage_in_version_1() {
    let whole = emulated(DigestVersion::V2);
    let read = VersionedAttestation::decode(&whole.encode_v1()).unwrap();
    assert_eq!(read.event_log, whole.event_log);
    assert!(read.event_log.entries().iter().any(|entry| entry.stated_preimage().is_some()));
}

#[test]
fn contradictions_are_found_and_fail() {
    let honest = emulated(DigestVersion::V1);
    assert_eq!(honest.contradictions(), []);
    let mut data = honest.clone();
    data.report_data = [8; 64].into();
    assert!(matches!(data.contradictions()[..], [Contradiction::ReportData { .. }]));
    let mut renamed = honest.clone();
    renamed.runtime_events[0] = RuntimeEvent::new("app-id", [4; 20]);
    let words = renamed.contradictions()[0].to_string();
    assert_eq!(words, "runtime event 0 (\"app-id\") has another payload in the list than in the log");
    let mut shorter = honest.clone();
    shorter.runtime_events.pop();
    let words = shorter.contradictions()[0].to_string();
    assert_eq!(words, "runtime event 1 is \"system-ready\" in the log and nothing in the list");
    let mut longer = honest;
    longer.runtime_events.push(RuntimeEvent::new("extra", []));
    let policy = Policy::new().danger_accept_emulated(true);
    for attestation in [data, renamed, shorter, longer] {
        assert_eq!(attestation.contradictions().len(), 1);
        // What is written and read again still contradicts itself, and a report says so.
        for blob in [attestation.encode_v0(), attestation.encode_v1()] {
            let read = VersionedAttestation::decode(&blob).unwrap();
            assert_eq!(read.contradictions(), attestation.contradictions());
            let report = verify_app("app", &read.to_evidence(), &policy);
            assert_eq!(report.get("eventlog.attestation").unwrap().status, Status::Fail);
        }
    }
}

#[test]
fn an_app_is_judged_by_its_attestation() {
    let evidence = read(GET_QUOTE).to_evidence();
    let report = verify_app("recorded", &evidence, &Policy::new());
    for id in ["eventlog.attestation", "eventlog.replay-rtmr3", "eventlog.replay-boot", "quote.readable"] {
        assert_eq!(report.get(id).unwrap().status, Status::Pass, "{id}");
    }
    let plain = crate::evidence::recorded();
    let report = verify_app("recorded", &plain, &Policy::new());
    assert_eq!(report.get("eventlog.attestation").unwrap().status, Status::NotApplicable);
}

/// The recorded attestation of version 1 with other bytes where these stand first.
fn replaced(from: &[u8], to: &[u8]) -> Vec<u8> {
    let blob = bytes(GET_QUOTE);
    let at = blob.windows(from.len()).position(|window| window == from).unwrap();
    [&blob[..at], to, &blob[at + from.len()..]].concat()
}

#[test]
fn other_platforms_are_recognised_and_never_pass() {
    // `tdx` as a text of three characters, for one of another length.
    let blob = bytes(GET_QUOTE);
    let at = blob.windows(4).position(|window| window == b"\xa3tdx").unwrap();
    for (name, platform) in [
        ("sev-snp", Platform::SevSnp),
        ("gcp-tdx", Platform::GcpTdx),
        ("nitro-enclave", Platform::NitroEnclave),
        ("nitro-tpm", Platform::NitroTpm),
        ("quantum", Platform::Other("quantum".to_owned())),
    ] {
        let name = [&[0xa0 | name.len() as u8], name.as_bytes()].concat();
        let blob = [&blob[..at], &name, &blob[at + 4..]].concat();
        let attestation = VersionedAttestation::decode(&blob).unwrap();
        assert_eq!(attestation.platform, platform);
        assert!(attestation.quote.is_empty() && attestation.event_log.entries().is_empty());
        let evidence = attestation.to_evidence();
        let report = verify_app("app", &evidence, &Policy::new());
        assert!(!report.findings().iter().any(|finding| finding.status == Status::Pass));
        let finding = report.get("eventlog.attestation").unwrap();
        assert!(matches!(&finding.status, Status::Unknown { why } if why.contains("not verified here")));
    }
    let mut old = bytes(ATTEST);
    old[1] = 1;
    let platform = VersionedAttestation::decode(&old).unwrap().platform;
    assert_eq!(platform, Platform::Other("number 1 of version 0".to_owned()));
}

#[test]
fn broken_blobs_are_refused_with_a_reason() {
    let words = |blob: &[u8]| VersionedAttestation::decode(blob).unwrap_err().to_string();
    assert_eq!(words(&[]), "the attestation is empty");
    assert_eq!(words(&[4, 0, 2, 0]), "no attestation begins with the byte 0x04");
    let old = bytes(ATTEST);
    assert_eq!(words(&old[..100]), "the attestation ends at byte 100, in the middle of the quote");
    assert_eq!(words(&[old.as_slice(), &[0]].concat()), "1 bytes follow the attestation");
    let new = bytes(GET_QUOTE);
    assert_eq!(words(&[new.as_slice(), &[0xc0]].concat()), "1 bytes follow the attestation");
    for (from, to, reason) in [
        (b"platform".as_slice(), b"plotform".as_slice(), "the member \"platform\" is missing"),
        (b"\xa7version\x01", b"\xa7version\x02", "attestation version 2 is neither 0 nor 1"),
        (
            b"\xa7version\x01",
            b"\xa7version\xff",
            "version: a value of another type where a number that is not negative is expected",
        ),
        // A second version in place of the platform.
        (b"\xa8platform", b"\xa7version", "the attestation: \"version\" is there twice"),
        (b"\xa4kind\xa6dstack", b"\xa4kind\xa6docker", "stack.kind: it is not \"dstack\""),
        (b"\xa3imr\x00", b"\xa3imr\x04", "event log entry 0: imr 4 is not one of 0 to 3"),
        (b"\xabreport_data", b"\xabreport_dota", "the member \"stack.data.report_data\" is missing"),
        (b"\xa5quote\xdc", b"\xa5quote\xda", "the attestation: a number where a text as key is expected"),
    ] {
        assert_eq!(words(&replaced(from, to)), reason);
    }
}

#[test]
fn lengths_beyond_the_input_allocate_nothing() {
    // A quote, a list of entries and a list of events of 2^30 - 1 bytes each.
    let huge = [0xfe, 0xff, 0xff, 0xff];
    for blob in [
        [&[0, 0], huge.as_slice()].concat(),
        [&[0, 0, 0], huge.as_slice()].concat(),
        [&[0, 0, 0, 0], huge.as_slice()].concat(),
    ] {
        let error = VersionedAttestation::decode(&blob).unwrap_err();
        assert!(matches!(error, AttestationError::Truncated { .. }), "{error}");
    }
    // A map of 2^32 - 1 members; lists in lists, a million deep; a long list of short lists.
    let nested = [&[0x81, 0xa1, b'x'], vec![0x91; 1 << 20].as_slice()].concat();
    let wide = [&[0x81, 0xa1, b'x', 0xdd, 0xff, 0xff, 0xff, 0xff], vec![0x90; 1 << 16].as_slice()].concat();
    for blob in [vec![0xdf, 0xff, 0xff, 0xff, 0xff], nested, wide] {
        let error = VersionedAttestation::decode(&blob).unwrap_err();
        assert!(matches!(error, AttestationError::Truncated { .. }), "{error}");
    }
    let long = vec![0; (16 << 20) + 1];
    assert_eq!(VersionedAttestation::decode(&long), Err(AttestationError::TooLong { length: long.len() }));
}

fn entry() -> impl Strategy<Value = Entry> {
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    let measured = (0..3usize, any::<u32>(), any::<[u8; 32]>(), "[a-z]{0,8}", payload.clone()).prop_map(
        |(rtmr, kind, digest, name, payload)| {
            let rtmr = Rtmr::ALL[rtmr];
            let digest = [digest.as_slice(), &digest[..16]].concat();
            Entry::measured(rtmr, kind, Digest48::from_slice(&digest).unwrap(), name, payload).unwrap()
        },
    );
    let version = prop::sample::select(vec![DigestVersion::V1, DigestVersion::V2]);
    let runtime = ("\\PC{0,12}", payload, version)
        .prop_map(|(name, payload, version)| RuntimeEvent::new(name, payload).entry(version));
    prop_oneof![measured, runtime]
}

fn attestation() -> impl Strategy<Value = VersionedAttestation> {
    let quote = prop::collection::vec(any::<u8>(), 0..200);
    let log = prop::collection::vec(entry(), 0..20).prop_map(EventLog::from_entries);
    (quote, log, any::<[u8; 32]>(), "\\PC{0,40}").prop_map(|(quote, log, data, config)| {
        let data = report_data::padded(&data).unwrap();
        VersionedAttestation::tdx(quote, log, data, config)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(mut attestation in attestation()) {
        prop_assert_eq!(&VersionedAttestation::decode(&attestation.encode_v0()).unwrap(), &attestation);
        attestation.version = 1;
        prop_assert_eq!(&VersionedAttestation::decode(&attestation.encode_v1()).unwrap(), &attestation);
    }

    #[test]
    fn random_bytes_never_panic(
        first in prop::sample::select(vec![0u8, 0x83, 0x8f, 0xde, 0xdf]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let blob = [&[first], rest.as_slice()].concat();
        // Nothing random is an attestation of a TD: a quote, lists and a configuration would have to fit.
        if let Ok(attestation) = VersionedAttestation::decode(&blob) {
            prop_assert!(attestation.platform != Platform::Tdx || attestation.quote.len() < blob.len());
        }
    }

    #[test]
    fn a_changed_blob_never_panics_and_never_stays_the_same(
        new in any::<bool>(), at in any::<prop::sample::Index>(), bit in 0..8u8,
    ) {
        let blob = bytes(if new { GET_QUOTE } else { ATTEST });
        let mut changed = blob.clone();
        let at = at.index(blob.len());
        changed[at] ^= 1u8 << bit;
        if let Ok(read) = VersionedAttestation::decode(&changed) {
            prop_assert_ne!(read, VersionedAttestation::decode(&blob).unwrap());
        }
    }

    #[test]
    fn a_cut_blob_is_refused(new in any::<bool>(), at in any::<prop::sample::Index>()) {
        let blob = bytes(if new { GET_QUOTE } else { ATTEST });
        prop_assert!(VersionedAttestation::decode(&blob[..at.index(blob.len())]).is_err());
    }
}
