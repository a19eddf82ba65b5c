//! What an app-compose is said to be.

use dstack_attestation::event_log::KeyProviderKind;
use dstack_attestation::{
    ComposeClaim, Digest32, Digest48, Id20, MrConfigDocument, MrConfigId, Policy, Verifier,
};
use dstack_check::{Report, Verdict};
use proptest::prelude::*;

use crate::evidence::{COMPOSE, at_recording, compose_hash};

fn judge(bytes: &[u8], claim: &ComposeClaim) -> Report {
    Verifier::new(Policy::new(), at_recording()).compose("app-compose.json", bytes, claim)
}

fn word(report: &Report, id: &str) -> &'static str {
    report.get(id).unwrap().status.word()
}

fn fix(report: &Report, id: &str) -> String {
    report.get(id).unwrap().fix.as_ref().unwrap().action.to_string()
}

fn claim(hash: Digest32) -> ComposeClaim {
    let mut claim = ComposeClaim::default();
    claim.hash = Some(hash);
    claim
}

fn id_of(hash: &Digest32) -> Id20 {
    Id20::from_slice(&hash.as_bytes()[..20]).unwrap()
}

#[test]
fn everything_fits() {
    let hash = compose_hash();
    let mut claim = claim(hash);
    claim.app_id = Some(id_of(&hash));
    claim.mr_config_id = Some(MrConfigId::v1(hash).to_bytes());
    let report = judge(COMPOSE.as_bytes(), &claim);
    assert_eq!(report.verdict(), Verdict::Ok, "{report:?}");
    assert!(report.findings().iter().all(|finding| finding.status.word() == "pass"));
}

#[test]
fn without_a_claim_the_values_are_told() {
    let report = judge(COMPOSE.as_bytes(), &ComposeClaim::default());
    assert_eq!(word(&report, "compose.document"), "pass");
    for id in ["compose.hash", "compose.app-id", "compose.mr-config-id"] {
        assert_eq!(word(&report, id), "not-applicable");
        assert!(report.get(id).unwrap().observed.is_some(), "{id}");
    }
    // The policy's values stand in for claims.
    let policy = Policy::new().compose(COMPOSE).app_id([9; 20].into());
    let report =
        Verifier::new(policy, at_recording()).compose("c", COMPOSE.as_bytes(), &ComposeClaim::default());
    assert_eq!((word(&report, "compose.hash"), word(&report, "compose.app-id")), ("pass", "unknown"));
}

#[test]
fn another_form_of_the_same_compose_is_named() {
    for (text, advice) in [
        (format!("{COMPOSE}\n"), "a newline at the end"),
        (format!("\u{feff}{COMPOSE}"), "byte order mark"),
        (COMPOSE.replace(',', ", "), "written differently"),
        (COMPOSE.replace("demo", "evil"), "another one"),
    ] {
        let report = judge(text.as_bytes(), &claim(compose_hash()));
        assert_eq!(word(&report, "compose.hash"), "fail", "{text}");
        assert!(fix(&report, "compose.hash").contains(advice), "{text}");
    }
}

#[test]
fn what_is_not_json_is_unknown_and_its_hash_is_told() {
    for bytes in
        [b"services: {}".as_slice(), b"", b"[]", b"\xff\xfe", br#"{"name":"a","name":"b"}"#, b"{\"name\":1}"]
    {
        let report = judge(bytes, &ComposeClaim::default());
        let finding = report.get("compose.document").unwrap();
        assert_eq!(finding.status.word(), "unknown", "{bytes:?}");
        assert!(finding.observed.as_deref().unwrap().contains("compose hash "), "{finding:?}");
    }
    // A Docker Compose file written as JSON is not an app-compose.
    let report = judge(br#"{"services":{}}"#, &ComposeClaim::default());
    assert_eq!(word(&report, "compose.document"), "warn");
    let deep = "[".repeat(100_000);
    assert_eq!(word(&judge(deep.as_bytes(), &ComposeClaim::default()), "compose.document"), "unknown");
}

#[test]
fn an_app_id_of_its_own_cannot_be_told() {
    let mut claim = ComposeClaim::default();
    claim.app_id = Some([7; 20].into());
    assert_eq!(word(&judge(COMPOSE.as_bytes(), &claim), "compose.app-id"), "unknown");
    claim.app_id = Some(id_of(&compose_hash()));
    let report = judge(format!("{COMPOSE}\n").as_bytes(), &claim);
    assert_eq!(word(&report, "compose.app-id"), "unknown");
    assert!(fix(&report, "compose.app-id").contains("a newline at the end"));
}

fn commit(bytes: &str, app: Option<Id20>, id: Digest48, document: Option<&str>) -> &'static str {
    let mut claim = ComposeClaim::default();
    claim.app_id = app;
    claim.mr_config_id = Some(id);
    claim.mr_config_document = document.map(str::to_owned);
    word(&judge(bytes.as_bytes(), &claim), "compose.mr-config-id")
}

#[test]
fn mr_config_id_of_version_1() {
    assert_eq!(commit(COMPOSE, None, MrConfigId::v1(compose_hash()).to_bytes(), None), "pass");
    assert_eq!(commit(COMPOSE, None, MrConfigId::v1([9; 32].into()).to_bytes(), None), "fail");
    assert_eq!(commit(COMPOSE, None, Digest48::ZERO, None), "unknown");
    assert_eq!(commit(COMPOSE, None, Digest48::new([9; 48]), None), "unknown");
}

#[test]
fn mr_config_id_of_version_2_needs_the_app_id() {
    let compose = r#"{"manifest_version":2,"name":"a","runner":"docker-compose","key_provider":"kms","key_provider_id":"3059"}"#;
    let hash = Policy::new().compose(compose).compose_hashes.into_iter().next().unwrap();
    let app = Id20::new([7; 20]);
    let id =
        |app: &Id20, provider: &[u8]| MrConfigId::v2(&hash, app, KeyProviderKind::Kms, provider).to_bytes();
    assert_eq!(commit(compose, Some(app), id(&app, &[0x30, 0x59]), None), "pass");
    assert_eq!(commit(compose, None, id(&id_of(&hash), &[0x30, 0x59]), None), "pass");
    assert_eq!(commit(compose, None, id(&app, &[0x30, 0x59]), None), "unknown");
    assert_eq!(commit(compose, Some(app), id(&app, &[0x30, 0x58]), None), "fail");
    assert_eq!(commit("nonsense", Some(app), id(&app, &[0x30, 0x59]), None), "unknown");
    let strange = compose.replace("\"kms\"", "\"xms\"");
    assert_eq!(commit(&strange, Some(app), id(&app, &[0x30, 0x59]), None), "unknown");
}

#[test]
fn mr_config_id_of_version_3_needs_its_document() {
    let text = |hash| String::from_utf8(MrConfigDocument::new(hash, "kms").to_bytes()).unwrap();
    let right = text(compose_hash());
    let id = MrConfigId::v3(right.as_bytes()).to_bytes();
    assert_eq!(commit(COMPOSE, None, id, None), "unknown");
    assert_eq!(commit(COMPOSE, None, id, Some(&right)), "pass");
    assert_eq!(commit(COMPOSE, None, id, Some(&format!("{right} "))), "fail");
    let other = text([9; 32].into());
    assert_eq!(commit(COMPOSE, None, MrConfigId::v3(other.as_bytes()).to_bytes(), Some(&other)), "fail");
    assert_eq!(commit(COMPOSE, None, MrConfigId::v3(b"x").to_bytes(), Some("x")), "unknown");
    let second = right.replace("\"version\":3", "\"version\":2");
    assert_eq!(commit(COMPOSE, None, MrConfigId::v3(second.as_bytes()).to_bytes(), Some(&second)), "unknown");
}

proptest! {
    #[test]
    fn any_changed_bit_is_found(at in 0..COMPOSE.len(), bit in 0..8u8) {
        let mut bytes = COMPOSE.as_bytes().to_vec();
        bytes[at] ^= 1 << bit;
        let report = judge(&bytes, &claim(compose_hash()));
        prop_assert_eq!(word(&report, "compose.hash"), "fail");
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut claim = claim([1; 32].into());
        claim.app_id = Some([1; 20].into());
        claim.mr_config_id = Some(Digest48::new([2; 48]));
        let report = judge(&bytes, &claim);
        prop_assert_eq!(word(&report, "compose.hash"), "fail");
        prop_assert_eq!(word(&report, "compose.document"), "unknown");
    }
}
