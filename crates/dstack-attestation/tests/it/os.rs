//! Which OS runs, on which machine, and how old the evidence is: on quotes that a test authority signed.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dstack_attestation::known_good::KnownGood;
use dstack_attestation::{CvmEvidence, Digest32, Digest48, Measurements, MrConfigId, Policy, Verifier};
use dstack_check::{Finding, Report, Status};

use crate::authority::{Authority, Contents, Platform, now};
use crate::evidence::{CHALLENGE, boot_events, compose_hash, emulated, emulated_from, recorded, verify_app};

struct World {
    authority: Authority,
    platform: Platform,
    evidence: CvmEvidence,
    measured: Measurements,
}

/// An app whose quote the test authority's platform signed. Making keys takes a while.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let authority = Authority::new(now());
    let platform = authority.platform();
    let (mut evidence, mut quote) = emulated_from(boot_events(), MrConfigId::v1(compose_hash()));
    let [rtmr0, rtmr1, rtmr2] = [0xa0, 0xa1, 0xa2].map(|byte| Digest48::new([byte; 48]));
    quote.measurements = Measurements { rtmr0, rtmr1, rtmr2, ..quote.measurements };
    evidence.quote = Some(platform.quote(&Contents::from(quote)));
    World { authority, platform, evidence, measured: quote.measurements }
});

/// The image that the log names.
const IMAGE: Digest32 = Digest32::new([0x44; 32]);
const OTHER: Digest32 = Digest32::new([0x45; 32]);

fn verify(evidence: &CvmEvidence, policy: Policy) -> Report {
    let World { authority, platform, .. } = &*WORLD;
    Verifier::new(policy, now())
        .danger_root(authority.trust_root())
        .collateral(authority.collateral(platform))
        .app("app", evidence)
}

fn found<'r>(report: &'r Report, id: &str) -> &'r Finding {
    report.get(id).unwrap()
}

fn word(policy: Policy, id: &str) -> &'static str {
    found(&verify(&WORLD.evidence, policy), id).status.word()
}

fn known() -> KnownGood {
    KnownGood::new("dstack-test, 2 vCPUs", "a test").registers(&WORLD.measured)
}

/// The values with one register changed.
fn differing(register: usize) -> KnownGood {
    let mut known = known();
    let other = Some(Digest48::new([0xee; 48]));
    match register {
        0 => known.mrtd = other,
        1 => known.rtmr0 = other,
        2 => known.rtmr1 = other,
        _ => known.rtmr2 = other,
    }
    known
}

#[test]
fn without_known_values_the_registers_are_shown_and_nothing_is_judged() {
    let report = verify(&WORLD.evidence, Policy::new());
    let finding = found(&report, "os.measurements");
    assert_eq!(finding.status, Status::NotApplicable);
    assert!(finding.observed.as_deref().unwrap().contains(&WORLD.measured.rtmr1.to_string()));
}

#[test]
fn the_registers_of_a_known_image_pass_and_name_it() {
    let policy = Policy::new().known_good(differing(2)).known_good(known());
    let report = verify(&WORLD.evidence, policy);
    let finding = found(&report, "os.measurements");
    assert_eq!(finding.status, Status::Pass, "{finding:?}");
    assert!(finding.observed.as_deref().unwrap().contains("dstack-test, 2 vCPUs"));
    assert!(finding.trusting[0].contains("a test"), "{:?}", finding.trusting);
}

#[test]
fn one_differing_register_is_enough_to_fail() {
    for register in 0..4 {
        let policy = Policy::new().known_good(differing(register));
        let report = verify(&WORLD.evidence, policy);
        let finding = found(&report, "os.measurements");
        assert_eq!(finding.status, Status::Fail, "{register}");
        let observed = finding.observed.as_deref().unwrap();
        assert!(observed.contains(["MRTD", "RTMR0", "RTMR1", "RTMR2"][register]), "{observed}");
        let advice = &finding.fix.as_ref().unwrap().action;
        assert_eq!(advice.contains("VM's shape"), register == 1, "{advice}");
    }
}

#[test]
fn the_nearest_candidate_is_the_one_compared() {
    let mut far = differing(0);
    far.rtmr1 = Some(Digest48::new([0xee; 48]));
    far.name = "far".to_owned();
    let report = verify(&WORLD.evidence, Policy::new().known_good(far).known_good(differing(3)));
    let finding = found(&report, "os.measurements");
    assert!(finding.expected.as_deref().unwrap().contains("dstack-test"), "{finding:?}");
}

#[test]
fn values_with_gaps_never_pass() {
    let mut gaps = known();
    gaps.rtmr0 = None;
    assert_eq!(word(Policy::new().known_good(gaps.clone()), "os.measurements"), "warn");
    // One without gaps is preferred.
    assert_eq!(word(Policy::new().known_good(gaps).known_good(known()), "os.measurements"), "pass");
    let nothing = KnownGood::new("nothing", "a test");
    assert_eq!(word(Policy::new().known_good(nothing.clone()), "os.measurements"), "unknown");
    assert_eq!(word(Policy::new().known_good(nothing).known_good(differing(0)), "os.measurements"), "fail");
}

#[test]
fn nothing_about_the_os_passes_on_emulated_evidence() {
    let (evidence, quote) = emulated_from(boot_events(), MrConfigId::v1(compose_hash()));
    let known = KnownGood::new("emulated", "a test").registers(&quote.measurements).image(IMAGE);
    let aggregated = quote.measurements.mr_aggregated(&quote.creator);
    let provider =
        boot_events().iter().find(|event| event.name() == "key-provider").unwrap().payload().to_vec();
    let mut policy = Policy::new().known_good(known).os_image(IMAGE).danger_accept_emulated(true);
    policy.mr_aggregated.insert(aggregated);
    policy.mr_system.insert(quote.measurements.mr_system(Some(&provider)));
    let report = verify_app("app", &evidence, &policy);
    for id in ["os.measurements", "os.mr-system", "os.mr-aggregated"] {
        assert_eq!(found(&report, id).status, Status::NotApplicable, "{id}");
    }
    assert_eq!(found(&report, "os.image-hash").status, Status::Warn);
}

#[test]
fn an_image_hash_passes_only_by_registers() {
    let by_registers = Policy::new().os_image(IMAGE).known_good(known().image(IMAGE));
    assert_eq!(word(by_registers, "os.image-hash"), "pass");
    // The log alone names it: that is a name which any system can give itself.
    assert_eq!(word(Policy::new().os_image(IMAGE), "os.image-hash"), "warn");
    assert_eq!(word(Policy::new().os_image(IMAGE).known_good(known()), "os.image-hash"), "warn");
    assert_eq!(word(Policy::new().os_image(OTHER), "os.image-hash"), "fail");
    assert_eq!(word(Policy::new(), "os.image-hash"), "not-applicable");
    // Values with a gap do not tell the image.
    let mut gaps = known().image(IMAGE);
    gaps.rtmr2 = None;
    assert_eq!(word(Policy::new().os_image(IMAGE).known_good(gaps), "os.image-hash"), "warn");
    // The registers belong to another image than the log names.
    assert_eq!(word(Policy::new().known_good(known().image(OTHER)), "os.image-hash"), "fail");
    assert_eq!(word(Policy::new().os_image(OTHER).known_good(known().image(OTHER)), "os.image-hash"), "fail");
}

/// Somebody who asks a KMS for keys can state any `os_image_hash` with material that fits it. It must not become proof.
#[test]
fn a_minted_image_hash_proves_nothing() {
    let mut evidence = WORLD.evidence.clone();
    let list = format!("{}  measurement.tdx.cbor\n", sha256_hex(b"minted"));
    let minted: Digest32 = sha256_hex(list.as_bytes()).parse().unwrap();
    let config = serde_json::json!({
        "os_image_hash": minted,
        "tdx_attestation_variant": "lite",
        "tdx_measurement": {"checksum_file": STANDARD.encode(&list), "measurement": STANDARD.encode(b"minted")},
    });
    // A guest whose log names no image, as without a KMS.
    let events = boot_events().into_iter().filter(|event| event.name() != "os-image-hash").collect();
    let (without, _) = emulated_from(events, MrConfigId::v1(compose_hash()));
    evidence.event_log = without.event_log;
    evidence.vm_config = Some(config.to_string());
    evidence.os_image_hash = Some(minted.to_string());
    let report = verify(&evidence, Policy::new().os_image(minted));
    assert_eq!(found(&report, "os.image-hash").status.word(), "unknown");
    let config = found(&report, "os.vm-config");
    assert_eq!(config.status, Status::Pass);
    assert!(config.trusting[0].contains("nothing measures"), "{:?}", config.trusting);
}

fn sha256_hex(bytes: &[u8]) -> String {
    Policy::new().compose(bytes).compose_hashes.first().unwrap().to_string()
}

fn config_word(config: &str) -> &'static str {
    let mut evidence = WORLD.evidence.clone();
    evidence.vm_config = Some(config.to_owned());
    found(&verify(&evidence, Policy::new()), "os.vm-config").status.word()
}

#[test]
fn a_vm_config_agrees_or_not() {
    let list = format!("{}  measurement.tdx.cbor\n", sha256_hex(b"document"));
    let hash = sha256_hex(list.as_bytes());
    let lite = |hash: &str, list: &str, document: &str| {
        format!(
            r#"{{"os_image_hash":"{hash}","tdx_measurement":{{"checksum_file":"{list}","measurement":"{document}"}}}}"#
        )
    };
    let (list, document) = (STANDARD.encode(&list), STANDARD.encode("document"));
    for (config, word) in [
        (format!(r#"{{"os_image_hash":"{IMAGE}","cpu_count":2}}"#), "pass"),
        (format!(r#"{{"os_image_hash":"0x{IMAGE}"}}"#), "pass"),
        (format!(r#"{{"os_image_hash":"{OTHER}"}}"#), "fail"),
        (r#"{"os_image_hash":"abc"}"#.to_owned(), "unknown"),
        (r#"{"os_image_hash":""}"#.to_owned(), "not-applicable"),
        ("{}".to_owned(), "not-applicable"),
        ("nonsense".to_owned(), "unknown"),
        (String::new(), "not-applicable"),
        // The material fits its hash, which is not the log's.
        (lite(&hash, &list, &document), "fail"),
        (lite(&IMAGE.to_string(), &list, &document), "fail"),
        (lite(&IMAGE.to_string(), "!", &document), "unknown"),
        (lite("", &list, &document), "unknown"),
    ] {
        assert_eq!(config_word(&config), word, "{config}");
    }
}

#[test]
fn the_recorded_agents_config_is_for_another_image_than_its_log() {
    let report = verify_app("recorded", &recorded(), &Policy::new());
    let finding = found(&report, "os.vm-config");
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.observed.as_deref().unwrap().contains("64f0d154"), "{finding:?}");
    assert!(finding.evidence[0].excerpt.contains("1 vCPU, 2 GiB"), "{finding:?}");
}

#[test]
fn the_recorded_agents_digests_are_computed() {
    let report = verify_app("recorded", &recorded(), &Policy::new());
    let aggregated = found(&report, "os.mr-aggregated");
    assert_eq!(aggregated.status, Status::NotApplicable);
    let observed = aggregated.observed.as_deref().unwrap();
    assert!(
        observed.ends_with("85334a62c97d0f8bf82d0245d31b539d17a2d7c258e2a13efc928aaea0e107cb"),
        "{observed}"
    );
    let mut evidence = recorded();
    evidence.mr_aggregated = Some("85".repeat(32));
    let report = verify_app("recorded", &evidence, &Policy::new());
    assert_eq!(found(&report, "os.mr-aggregated").status, Status::Fail);
}

#[test]
fn digests_over_the_registers_are_compared_with_the_expected_ones() {
    let report = verify(&WORLD.evidence, Policy::new());
    let digest = |id| -> Digest32 {
        let observed = found(&report, id).observed.as_deref().unwrap();
        observed.rsplit(' ').next().unwrap().parse().unwrap()
    };
    for id in ["os.mr-system", "os.mr-aggregated"] {
        let with = |digest: Digest32| {
            let mut policy = Policy::new();
            let set = if id == "os.mr-system" { &mut policy.mr_system } else { &mut policy.mr_aggregated };
            set.insert(digest);
            word(policy, id)
        };
        assert_eq!((with(digest(id)), with(OTHER)), ("pass", "fail"), "{id}");
    }
}

#[test]
fn the_device_id_is_that_of_the_platforms_certificate() {
    let report = verify(&WORLD.evidence, Policy::new());
    let finding = found(&report, "app.id.device-id");
    assert_eq!(finding.status, Status::NotApplicable);
    let id: Digest32 = finding.observed.as_deref().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(id.to_string(), sha256_hex(&WORLD.platform.spec().ppid));
    let allow = |id: Digest32| {
        let mut policy = Policy::new();
        policy.device_ids.insert(id);
        policy
    };
    assert_eq!(word(allow(id), "app.id.device-id"), "pass");
    assert_eq!(word(allow(OTHER), "app.id.device-id"), "fail");
    let reported = |text: &str, policy: Policy| {
        let mut evidence = WORLD.evidence.clone();
        evidence.device_id = Some(text.to_owned());
        found(&verify(&evidence, policy), "app.id.device-id").status.word()
    };
    // The hash of nothing is what an agent says that did not verify its quote.
    assert_eq!(reported(&sha256_hex(b""), allow(id)), "pass");
    assert_eq!(reported(&OTHER.to_string(), allow(id)), "fail");
    assert_eq!(reported(&OTHER.to_string(), Policy::new()), "fail");
    assert_eq!(reported("nonsense", Policy::new()), "unknown");
}

#[test]
fn without_a_verified_quote_no_device_is_known() {
    let mut policy = Policy::new();
    policy.device_ids.insert(OTHER);
    let mut evidence = WORLD.evidence.clone();
    evidence.device_id = Some(OTHER.to_string());
    let report = Verifier::new(policy.clone(), now())
        .danger_root(WORLD.authority.trust_root())
        .app("without collateral", &evidence);
    assert_eq!(found(&report, "app.id.device-id").status.word(), "skipped");
    let mut evidence = emulated();
    evidence.device_id = Some(OTHER.to_string());
    let report = verify_app("emulated", &evidence, &policy.danger_accept_emulated(true));
    assert_eq!(found(&report, "app.id.device-id").status.word(), "unknown");
}

fn fresh(policy: Policy, obtained: Option<Duration>) -> (&'static str, Report) {
    let mut evidence = WORLD.evidence.clone();
    evidence.obtained_at = obtained.map(|ago| now() - ago);
    let report = verify(&evidence, policy);
    (found(&report, "policy.freshness").status.word(), report)
}

#[test]
fn a_challenge_that_is_answered_is_fresh() {
    let (word, report) = fresh(Policy::new().report_data(CHALLENGE.into()), None);
    assert_eq!(word, "pass");
    assert!(found(&report, "policy.freshness").trusting[0].contains("made anew"));
    assert_eq!(fresh(Policy::new().report_data([1; 64].into()), None).0, "skipped");
    assert_eq!(fresh(Policy::new(), None).0, "not-applicable");
}

#[test]
fn an_age_by_somebodys_word_never_passes() {
    let mut policy = Policy::new();
    policy.max_evidence_age = Some(Duration::from_secs(3600));
    assert_eq!(fresh(policy.clone(), Some(Duration::from_secs(60))).0, "warn");
    assert_eq!(fresh(policy.clone(), Some(Duration::from_secs(3600))).0, "warn");
    assert_eq!(fresh(policy.clone(), Some(Duration::from_secs(3601))).0, "fail");
    assert_eq!(fresh(policy.clone(), None).0, "unknown");
    let mut evidence = WORLD.evidence.clone();
    evidence.obtained_at = Some(now() + Duration::from_secs(3600));
    assert_eq!(found(&verify(&evidence, policy.clone()), "policy.freshness").status, Status::Fail);
    evidence.obtained_at = Some(now() + Duration::from_secs(60));
    assert_eq!(found(&verify(&evidence, policy.clone()), "policy.freshness").status, Status::Warn);
    let both = policy.report_data(CHALLENGE.into());
    assert_eq!(fresh(both.clone(), None).0, "pass");
    assert_eq!(fresh(both, Some(Duration::from_secs(7200))).0, "fail");
}

#[test]
fn a_challenge_without_a_quote_is_not_answered() {
    let mut evidence = emulated().service_version("EMULATED");
    evidence.quote = None;
    let policy = Policy::new().report_data(CHALLENGE.into()).danger_accept_emulated(true);
    let report = verify_app("app", &evidence, &policy);
    assert_ne!(found(&report, "policy.freshness").status, Status::Pass);
    assert_ne!(found(&report, "policy.freshness").status, Status::NotApplicable);
}
