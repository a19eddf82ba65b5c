//! The recorded agent: everything that belongs together is found to, and the swapped compose is found out.

use dstack_attestation::agent::TcbInfo;
use dstack_attestation::event_log::{EventLog, KeyProviderKind, Phase, Rtmr};
use dstack_attestation::quote::{Collateral, TdReportKind, TdxQuote};
use dstack_attestation::ra_tls::RaTlsCertificate;
use dstack_attestation::report_data::{self, HashAlgorithm, TAG_APP_DATA};
use dstack_attestation::versioned::VersionedAttestation;
use dstack_attestation::{CertificateEvidence, CvmEvidence, MrConfigId, Policy, Verifier};
use dstack_check::{Report, Status, Verdict};
use std::time::Duration;

use crate::evidence::{
    at_recording, get_quote, info, recorded, recorded_compose_hash, response, tdx_quote, verify_app,
};

fn log_and_quote() -> (EventLog, TdxQuote) {
    let answer = get_quote();
    let log = EventLog::parse(answer["event_log"].as_str().unwrap()).unwrap();
    (log, TdxQuote::parse_hex(answer["quote"].as_str().unwrap()).unwrap())
}

#[test]
fn the_log_replays_to_all_four_registers_of_the_quote() {
    let (log, quote) = log_and_quote();
    assert_eq!(log.entries().len(), 33);
    assert_eq!(log.replay(), quote.report.measurements.rtmrs());
    assert_eq!(log.first_divergence(&quote.report.measurements.rtmrs()), None);
    let boot = log.replay_to_boot_mr_done().unwrap();
    assert_eq!(boot.get(Rtmr::Rtmr0), quote.report.measurements.rtmr0);
    assert_ne!(boot.get(Rtmr::Rtmr3), quote.report.measurements.rtmr3);
}

#[test]
fn writing_the_log_gives_the_recorded_text() {
    let answer = get_quote();
    let text = answer["event_log"].as_str().unwrap();
    assert_eq!(EventLog::parse(text).unwrap().to_json(), text);
}

#[test]
fn dstacks_events_are_read() {
    let (log, _) = log_and_quote();
    let system = log.system_events();
    assert_eq!(system.problems, []);
    assert_eq!(system.app_id.unwrap().to_string(), info()["app_id"]);
    assert_eq!(system.instance_id.unwrap().unwrap().to_string(), info()["instance_id"]);
    assert_eq!(system.compose_hash.unwrap().to_string(), info()["compose_hash"]);
    assert_eq!(system.os_image_hash.unwrap().to_string(), info()["os_image_hash"]);
    assert_eq!(system.storage_fs.as_deref(), Some("zfs"));
    let provider = system.key_provider.unwrap();
    assert_eq!(provider.kind(), Some(KeyProviderKind::Kms));
    assert_eq!(provider.to_json(), info()["key_provider_info"]);
    assert_eq!(system.key_provider_payload.unwrap(), provider.to_json().into_bytes());
    assert_eq!(system.app_events, 0);
    let phases: Vec<Phase> = log.runtime_events().map(|event| event.phase).collect();
    assert_eq!(phases, [[Phase::Boot; 5].as_slice(), &[Phase::Setup; 4]].concat());
}

#[test]
fn the_quote_is_read() {
    let (_, quote) = log_and_quote();
    assert_eq!(quote.header.version, 4);
    assert_eq!(quote.header.attestation_key_type, 2);
    assert_eq!(quote.header.qe_vendor_id.to_string(), "939a7233f79c4ca9940a0db3957f0607");
    assert_eq!(quote.report.kind, TdReportKind::Td10);
    assert!(!quote.report.td_attributes.untrusted());
    assert!(quote.report.mr_signer_seam.is_zero());
    assert_eq!(quote.report.report_data, report_data::padded(&[0x12, 0x34]).unwrap());
    assert_eq!((quote.signature_data.len(), quote.trailing_bytes), (4304, 70));
    assert!(!quote.is_emulated());
}

#[test]
fn mr_config_id_commits_to_the_logged_compose_hash() {
    let (log, quote) = log_and_quote();
    let compose_hash = log.system_events().compose_hash.unwrap();
    assert_eq!(MrConfigId::parse(&quote.report.creator.mr_config_id), Ok(MrConfigId::V1 { compose_hash }));
}

#[test]
fn the_aggregate_in_tcb_info_follows_from_the_quote() {
    let (_, quote) = log_and_quote();
    let tcb: TcbInfo = serde_json::from_str(info()["tcb_info"].as_str().unwrap()).unwrap();
    assert_eq!(tcb.mr_aggregated, quote.report.measurements.mr_aggregated(&quote.report.creator));
}

#[test]
fn the_legacy_agent_hashes_the_report_data_with_a_tag() {
    let quote = TdxQuote::parse_hex(tdx_quote()["quote"].as_str().unwrap()).unwrap();
    let expected = report_data::tagged(HashAlgorithm::Sha512, TAG_APP_DATA, &[0x12, 0x34]).unwrap();
    assert_eq!(quote.report.report_data, expected);
}

/// The ids with these words, in order.
fn ids<'r>(report: &'r Report, words: &[&str]) -> Vec<&'r str> {
    let found = report.findings().iter().filter(|finding| words.contains(&finding.status.word()));
    found.map(|finding| finding.id.as_str()).filter(|id| *id != "policy.required").collect()
}

/// What is wrong with the recording is found, and nothing else: the simulator patches the report data, so that the
/// quote's own signature does not match; it shows another app-compose than it measured; and its `vm_config` names
/// another image than its log.
#[test]
fn what_is_wrong_with_the_recording_is_found() {
    let report = verify_app("recorded", &recorded(), &Policy::new());
    assert_eq!(report.verdict(), Verdict::Failed);
    assert_eq!(ids(&report, &["fail"]), ["quote.signature", "os.vm-config", "app.compose.hash"]);
    let passes = ids(&report, &["pass"]);
    for id in [
        "quote.readable",
        "quote.debug",
        "quote.module-signer",
        "eventlog.digests",
        "eventlog.order",
        "eventlog.boot-complete",
        "eventlog.replay-rtmr3",
        "eventlog.replay-boot",
        "app.mrconfigid.compose",
        "app.tcb-info.consistent",
    ] {
        assert!(passes.contains(&id), "{id}: {:?}", report.get(id));
    }
    assert!(!report.meta().contains_key("evidence"));
}

/// Without collateral a signature can still be found wrong: nobody's collateral makes it right.
#[test]
fn the_signature_is_found_not_to_match_without_collateral() {
    let report = verify_app("recorded", &recorded(), &Policy::new());
    let finding = report.get("quote.signature").unwrap();
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.fix.is_some());
    // It is the patched report data that does not match: with the one of the recording, what remains is open.
    let mut evidence = recorded();
    evidence.quote.as_mut().unwrap()[568..632].fill(0);
    let report = verify_app("zeroed", &evidence, &Policy::new());
    assert_eq!(report.get("quote.signature").unwrap().status.word(), "unknown");
}

/// Both forms of the attestation hold the quote and the log of `GetQuote` with the same report data.
#[test]
fn attestations_are_the_same_evidence() {
    let answer = get_quote();
    let quote = hex::decode(answer["quote"].as_str().unwrap()).unwrap();
    let blobs = [
        answer["attestation"].as_str().unwrap().to_owned(),
        response(include_str!("../fixtures/agent/attest.json"))["attestation"].as_str().unwrap().to_owned(),
    ];
    for (version, text) in [1, 0].into_iter().zip(blobs) {
        let bytes = hex::decode(&text).unwrap();
        let attestation = VersionedAttestation::decode(&bytes).unwrap();
        assert_eq!(attestation.version, version);
        assert_eq!(attestation.contradictions(), []);
        let written = if version == 0 { attestation.encode_v0() } else { attestation.encode_v1() };
        assert_eq!(hex::encode(written), text);
        let evidence = attestation.to_evidence();
        assert_eq!(evidence.quote.as_deref(), Some(quote.as_slice()));
        let log = EventLog::parse(evidence.event_log.as_deref().unwrap()).unwrap();
        assert_eq!(log.replay(), log_and_quote().0.replay());
        let report = verify_app("blob", &evidence, &Policy::new());
        let failures = ids(&report, &["fail"]);
        assert!(failures.contains(&"quote.signature") && !failures.contains(&"eventlog.replay-rtmr3"));
    }
}

/// The certificate of `GetTlsKey` and that of `Info` carry evidence over their own keys, under the recorded KMS's CA.
#[test]
fn certificates_are_bound_to_their_keys() {
    let answer = response(include_str!("../fixtures/agent/get-tls-key.json"));
    let chain: Vec<&str> =
        answer["certificate_chain"].as_array().unwrap().iter().map(|pem| pem.as_str().unwrap()).collect();
    let provider = log_and_quote().0.system_events().key_provider.unwrap().id_bytes().unwrap();
    for pem in [chain.concat(), info()["app_cert"].as_str().unwrap().to_owned()] {
        let certificates = RaTlsCertificate::all_from_pem(&pem).unwrap();
        let leaf = &certificates[0];
        let attestation = leaf.attestation().unwrap().unwrap();
        assert_eq!(attestation.report_data, leaf.expected_report_data());
        let quote = TdxQuote::parse(&attestation.quote).unwrap();
        assert_eq!(quote.report.report_data, leaf.expected_report_data());
        let ca = certificates.last().unwrap();
        assert!(ca.is_ca);
        assert_eq!(hex::encode(&ca.public_key), hex::encode(&provider), "{}", ca.subject);
        let evidence = CertificateEvidence::from_pem(&pem).unwrap();
        let report = Verifier::new(Policy::new(), at_recording()).certificate("recorded", &evidence);
        assert_eq!(report.get("quote.signature").unwrap().status, Status::Fail);
        for id in ["cert.readable", "cert.chain", "cert.key-binding", "eventlog.replay-rtmr3"] {
            assert_eq!(report.get(id).unwrap().status, Status::Pass, "{id}: {:?}", report.get(id));
        }
    }
}

/// The external service's attestation is about the key that signs for the app.
#[test]
fn the_attested_app_key_is_the_signing_key() {
    let answer = response(include_str!("../fixtures/agent/get-attestation-for-app-key.json"));
    let quote = TdxQuote::parse_hex(answer["quote"].as_str().unwrap()).unwrap();
    let signing = response(include_str!("../fixtures/agent/sign-ed25519.json"));
    let key = hex::decode(signing["public_key"].as_str().unwrap()).unwrap();
    let text: Vec<u8> =
        quote.report.report_data.as_bytes().iter().copied().take_while(|byte| *byte != 0).collect();
    let encoded = String::from_utf8(text).unwrap().replace("dip1::ed25519-pk:", "");
    assert_eq!(base64url(&encoded), key);
    let log = EventLog::parse(answer["event_log"].as_str().unwrap()).unwrap();
    assert_eq!(log.replay(), quote.report.measurements.rtmrs());
}

/// Base64 in the alphabet of addresses, without padding (RFC 4648, section 5).
fn base64url(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut held, mut bytes) = (0u32, 0, Vec::new());
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == byte).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

#[test]
fn the_deployed_compose_is_told_from_the_measured_one() {
    let tcb: TcbInfo = serde_json::from_str(info()["tcb_info"].as_str().unwrap()).unwrap();
    let expectation = Policy::new().compose(tcb.app_compose);
    let report = verify_app("recorded", &recorded(), &expectation);
    assert_eq!(report.get("app.compose.deployed").unwrap().status, Status::Fail);
    let hash = info()["compose_hash"].as_str().unwrap().parse().unwrap();
    let report = verify_app("recorded", &recorded(), &Policy::new().compose_hash(hash));
    assert_eq!(report.get("app.compose.deployed").unwrap().status, Status::Pass);
}

/// The legacy agent was asked for 64 zero bytes, which is what the recording behind the simulator was made with: nothing
/// had to be patched, and the quote is as its platform signed it.
fn raw_quote() -> CvmEvidence {
    CvmEvidence::new()
        .read_quote(&response(include_str!("../fixtures/agent/raw-quote.json")).to_string())
        .unwrap()
}

/// What Intel said about the platform type of the recording, as the samples of the verification library have it.
fn verifier(policy: Policy) -> Verifier {
    let collateral = include_str!("../fixtures/agent/collateral-b0c06f000000.json");
    let collateral = Collateral::from_json(collateral, "a sample").unwrap();
    Verifier::new(policy, collateral.issued() + Duration::from_secs(86_400)).collateral(collateral)
}

#[test]
fn the_quote_that_was_not_patched_is_genuine() {
    let policy = Policy::new().compose_hash(recorded_compose_hash());
    let report = verifier(policy).app("raw", &raw_quote());
    let mut objections = ids(&report, &["fail", "warn", "skipped"]);
    objections.retain(|id| !id.starts_with("operator."));
    assert_eq!(objections, [""; 0]);
    for id in [
        "quote.collateral",
        "quote.signature",
        "quote.tcb-status",
        "eventlog.replay-rtmr3",
        "eventlog.replay-boot",
        "app.compose.deployed",
        "app.mrconfigid.compose",
    ] {
        assert_eq!(report.get(id).unwrap().status, Status::Pass, "{id}: {:?}", report.get(id));
    }
}

/// The genuine quote under another log, another time, other collateral or with a single bit changed.
#[test]
fn what_is_genuine_is_so_for_one_text_and_time_only() {
    let status = |verifier: &Verifier, evidence: &CvmEvidence, id: &str| {
        verifier.app("raw", evidence).get(id).unwrap().status.word()
    };
    let genuine = raw_quote();
    let verifier_now = verifier(Policy::new());
    for byte in (0..632).step_by(13).chain([632, 636, 700, 764, 900, 1300]) {
        let mut evidence = genuine.clone();
        evidence.quote.as_mut().unwrap()[byte] ^= 0x10;
        assert_ne!(status(&verifier_now, &evidence, "quote.signature"), "pass", "byte {byte}");
    }
    let mut evidence = genuine.clone();
    evidence.event_log = evidence.event_log.map(|log| log.replace("7a6673", "7a6674"));
    assert_eq!(status(&verifier_now, &evidence, "eventlog.replay-rtmr3"), "fail");
    assert_eq!(
        status(&Verifier::new(Policy::new(), verifier_now.now()), &genuine, "quote.signature"),
        "unknown"
    );
    let year = Duration::from_secs(400 * 86_400);
    for now in [at_recording() - year, at_recording() + year] {
        let collateral = include_str!("../fixtures/agent/collateral-b0c06f000000.json");
        let collateral = Collateral::from_json(collateral, "a sample").unwrap();
        let report = Verifier::new(Policy::new(), now).collateral(collateral).app("raw", &genuine);
        assert_eq!(report.get("quote.collateral").unwrap().status, Status::Fail);
        assert!(matches!(report.get("quote.signature").unwrap().status.word(), "unknown" | "fail"));
    }
}
