//! Reports about certificates: recorded ones, a genuine-looking one, and forgeries that each fail in the right check.

use dstack_attestation::event_log::KeyProviderKind;
use dstack_attestation::quote::Collateral;
use dstack_attestation::{CERTIFICATE_CHECKS, CertificateEvidence, Policy, Verifier};
use dstack_check::{Report, Status};
use rcgen::KeyPair;
use std::time::Duration;

use crate::authority::{self, Authority};
use crate::certificates::{Ca, World, extension};
use crate::evidence::at_recording;

const APP_CERT: &str = include_str!("../fixtures/certificates/app-cert.pem");
const TLS: &str = include_str!("../fixtures/certificates/tls.pem");
const DERIVED: &str = include_str!("../fixtures/certificates/derived-key.pem");
const KMS_CA: &str = include_str!("../fixtures/certificates/kms-ca-next.pem");

/// `id status` of every check of certificates.
fn answers(report: &Report) -> Vec<String> {
    let line = |id: &str| format!("{id} {}", report.get(id).unwrap().status.word());
    CERTIFICATE_CHECKS.iter().map(|check| line(check.id)).collect()
}

/// The ids of the failed checks, whichever room they are of, but for the conclusion.
fn failed(report: &Report) -> Vec<String> {
    let failed = report.findings().iter().filter(|finding| finding.status == Status::Fail);
    failed.map(|finding| finding.id.to_string()).filter(|id| id != "policy.required").collect()
}

fn status<'a>(report: &'a Report, id: &str) -> &'a str {
    report.get(id).unwrap().status.word()
}

fn recorded(pem: &str, change: impl FnOnce(CertificateEvidence) -> CertificateEvidence) -> Report {
    let evidence = change(CertificateEvidence::from_pem(pem).unwrap());
    Verifier::new(Policy::new(), at_recording()).certificate("recorded", &evidence)
}

impl World {
    fn collateral(&self) -> Collateral {
        self.authority.collateral(&self.platform)
    }

    fn verifier(&self, policy: Policy) -> Verifier {
        Verifier::new(policy, authority::now())
            .danger_root(self.authority.trust_root())
            .collateral(self.collateral())
    }

    fn judge(&self, evidence: &CertificateEvidence) -> Report {
        self.verifier(Policy::new()).certificate("app", evidence)
    }
}

#[test]
fn a_recorded_certificate_is_bound_to_its_key_and_its_quote_is_found_out() {
    for pem in [APP_CERT, TLS] {
        let report = recorded(pem, |evidence| evidence.usage("app:custom"));
        let expected = [
            "cert.readable pass",
            "cert.chain pass",
            "cert.root unknown",
            "cert.validity pass",
            "cert.usage pass",
            "cert.names not-applicable",
            "cert.attestation pass",
            "cert.key-binding pass",
            "cert.app-id not-applicable",
            "cert.key-provider pass",
        ];
        assert_eq!(answers(&report), expected);
        assert_eq!(status(&report, "quote.signature"), "fail");
        assert_eq!(status(&report, "eventlog.replay-rtmr3"), "pass");
        assert_eq!(status(&report, "eventlog.attestation"), "pass");
        // Certificates leave the firmware's entries out, which is no contradiction.
        assert_eq!(status(&report, "eventlog.replay-boot"), "not-applicable");
    }
}

#[test]
fn a_certificate_without_evidence_proves_its_issuer_only() {
    let report = recorded(DERIVED, |evidence| evidence);
    let expected = [
        "cert.readable pass",
        "cert.chain pass",
        "cert.root unknown",
        "cert.validity pass",
        "cert.usage not-applicable",
        "cert.names not-applicable",
        "cert.attestation unknown",
        "cert.key-binding skipped",
        "cert.app-id skipped",
        "cert.key-provider skipped",
    ];
    assert_eq!(answers(&report), expected);
}

#[test]
fn nothing_is_unknown_everywhere() {
    let report =
        Verifier::new(Policy::new(), at_recording()).certificate("nothing", &CertificateEvidence::default());
    assert_eq!(answers(&report)[0], "cert.readable unknown");
    assert!(answers(&report)[1..].iter().all(|line| line.ends_with("skipped")));
    assert!(!report.findings().iter().any(|finding| finding.status == Status::Pass));
    let garbage = CertificateEvidence::new(vec![b"garbage".to_vec()]);
    let report = Verifier::new(Policy::new(), at_recording()).certificate("garbage", &garbage);
    assert_eq!(answers(&report)[0], "cert.readable unknown");
    assert!(!report.findings().iter().any(|finding| finding.status == Status::Pass));
}

#[test]
fn a_pinned_root_is_compared_by_its_key() {
    let ca = |pem: &str| CertificateEvidence::from_pem(pem).unwrap().chain.pop().unwrap();
    let report = recorded(TLS, |evidence| evidence.root(ca(TLS)));
    assert_eq!(status(&report, "cert.root"), "pass");
    // Every KMS calls its CA alike.
    let report = recorded(TLS, |evidence| evidence.root(ca(KMS_CA)));
    assert_eq!(status(&report, "cert.root"), "fail");
    let report = recorded(TLS, |evidence| evidence.root(b"garbage".to_vec()));
    assert_eq!(status(&report, "cert.root"), "unknown");
    // A leaf alone, whose CA is given apart.
    let leaf_alone = |mut evidence: CertificateEvidence| {
        evidence.chain.truncate(1);
        evidence
    };
    let report = recorded(TLS, |evidence| leaf_alone(evidence).root(ca(TLS)));
    assert_eq!((status(&report, "cert.chain"), status(&report, "cert.root")), ("pass", "pass"));
    let report = recorded(TLS, leaf_alone);
    assert_eq!((status(&report, "cert.chain"), status(&report, "cert.root")), ("unknown", "skipped"));
    let report = recorded(TLS, |evidence| leaf_alone(evidence).root(ca(KMS_CA)));
    assert_eq!((status(&report, "cert.chain"), status(&report, "cert.root")), ("fail", "skipped"));
}

#[test]
fn the_policys_key_provider_pins_the_root_too() {
    let world = World::new();
    let mut evidence = world.issue(|_| ());
    evidence.root = None;
    let judge = |id: Option<Vec<u8>>| {
        let policy = Policy::new().key_provider(KeyProviderKind::Kms, id);
        let report = world.verifier(policy).certificate("app", &evidence);
        status(&report, "cert.root").to_owned()
    };
    assert_eq!(judge(Some(world.root.public_key())), "pass");
    assert_eq!(judge(Some(Ca::root().public_key())), "fail");
    // Any KMS will do is no word about this one.
    assert_eq!(judge(None), "unknown");
}

#[test]
fn a_genuine_certificate_passes_every_check_of_certificates() {
    let world = World::new();
    let report = world.judge(&world.issue(|_| ()));
    let expected: Vec<String> = CERTIFICATE_CHECKS.iter().map(|check| format!("{} pass", check.id)).collect();
    assert_eq!(answers(&report), expected);
    assert_eq!(failed(&report), [""; 0]);
    // Signed under the root of a test authority, which the caller was made to trust.
    assert_eq!(status(&report, "quote.signature"), "warn");
}

#[test]
fn each_forgery_fails_in_its_check() {
    let world = World::new();
    let fails = |what: &str, evidence: &CertificateEvidence, expected: &[&str]| {
        assert_eq!(failed(&world.judge(evidence)), expected, "{what}");
    };
    // Evidence of the right CVM, copied into a certificate over the forger's key by somebody who can issue.
    let forgers = KeyPair::generate().unwrap();
    let leaf = world.app_ca.sign(&world.leaf_params(), &forgers);
    fails("swapped key", &world.present(leaf), &["cert.key-binding"]);

    // The whole made anew under a CA of the same name.
    let other = Ca::root();
    let other_app = other.app(|_| ());
    let leaf = other_app.sign(&world.leaf_params(), &world.key);
    let mut evidence = world.present(leaf.clone());
    evidence.chain = vec![leaf.clone(), other_app.der.clone(), other.der];
    fails("another KMS", &evidence, &["cert.root", "cert.key-provider"]);
    evidence.chain = vec![leaf, other_app.der, world.root.der.clone()];
    fails("another KMS's app CA below the right name", &evidence, &["cert.chain"]);

    let evidence = world.issue(|params| params.custom_extensions[0] = extension(3, &[0x12; 20]));
    fails("another app's id", &evidence, &["cert.app-id"]);
    // The app CA of another app of the same KMS.
    let app_ca = world.root.app(|params| params.custom_extensions[0] = extension(3, &[0x12; 20]));
    let leaf = app_ca.sign(&world.leaf_params(), &world.key);
    let mut evidence = world.present(leaf);
    evidence.chain[1] = app_ca.der;
    fails("another app's CA", &evidence, &["cert.app-id"]);

    let evidence = world.issue(|params| params.custom_extensions[1] = extension(4, b"app:custom"));
    fails("an app that plays the KMS", &evidence.usage("kms:rpc"), &["cert.usage"]);
    let evidence = world.issue(|params| drop(params.custom_extensions.remove(1)));
    fails("no usage", &evidence, &["cert.usage"]);
    fails("another host", &world.issue(|_| ()).host("b.example.com"), &["cert.names"]);
    fails("another address", &world.issue(|_| ()).host("192.0.2.8"), &["cert.names"]);

    let hour = Duration::from_secs(3600);
    let evidence = world.issue(|params| params.not_after = (authority::now() - hour / 2).into());
    fails("expired", &evidence, &["cert.validity"]);
    let evidence = world.issue(|params| params.not_before = (authority::now() + hour / 2).into());
    fails("not valid yet", &evidence, &["cert.validity"]);

    // Quote, log and report data of the blob do not agree with each other.
    let mut attestation = world.attestation(&world.public_key());
    attestation.report_data = [7; 64].into();
    let evidence = world.issue(|params| params.custom_extensions[2] = extension(8, &attestation.encode_v0()));
    fails("contradicting blob", &evidence, &["eventlog.attestation"]);
}

#[test]
fn emulated_evidence_fails_even_with_everything_else_right() {
    let world = World::new();
    let blob = world.emulated_attestation(&world.public_key()).encode_v0();
    let evidence = world.issue(|params| params.custom_extensions[2] = extension(8, &blob));
    let report = world.judge(&evidence);
    assert_eq!(status(&report, "cert.key-binding"), "pass");
    assert_eq!(status(&report, "quote.signature"), "fail");
    assert_eq!(report.meta().get("evidence").map(String::as_str), Some("EMULATED"));
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let world = World::new();
    // Two attestations, one of them over the right key.
    let evidence = world.issue(|params| {
        let other = world.attestation(&[0; 91]).encode_v0();
        params.custom_extensions.insert(0, extension(8, &other));
    });
    let report = world.judge(&evidence);
    assert_eq!(status(&report, "cert.readable"), "unknown");
    assert_eq!(status(&report, "quote.present"), "unknown");
    // An extension that is no attestation.
    let evidence = world.issue(|params| params.custom_extensions[2] = extension(8, b"\0\0garbage"));
    let report = world.judge(&evidence);
    assert_eq!(
        (status(&report, "cert.attestation"), status(&report, "cert.key-binding")),
        ("unknown", "skipped")
    );
}

#[test]
fn an_older_certificate_with_a_bare_quote_is_judged_alike() {
    let world = World::new();
    let attestation = world.attestation(&world.public_key());
    let (quote, log) = (attestation.quote.clone(), attestation.event_log.to_json());
    let evidence = world.issue(|params| {
        params.custom_extensions[2] = extension(1, &quote);
        params.custom_extensions.push(extension(2, log.as_bytes()));
    });
    let report = world.judge(&evidence);
    for id in ["cert.attestation", "cert.key-binding", "cert.app-id", "eventlog.replay-rtmr3"] {
        assert_eq!(status(&report, id), "pass", "{id}");
    }
}

#[test]
fn a_report_reads_well() {
    let report = recorded(TLS, |evidence| evidence.host("a.example.com").usage("app:custom"));
    let mut lines = Vec::new();
    for check in CERTIFICATE_CHECKS {
        let finding = report.get(check.id).unwrap();
        lines.push(format!("{} {}", check.id, finding.status.word()));
        if let Status::Unknown { why } = &finding.status {
            lines.push(format!("  why: {why}"));
        }
        for (label, text) in [("observed", &finding.observed), ("expected", &finding.expected)] {
            lines.extend(text.as_ref().map(|text| format!("  {label}: {text}")));
        }
        lines.extend(finding.trusting.iter().map(|text| format!("  on trust: {text}")));
        lines.extend(finding.fix.as_ref().map(|fix| format!("  fix: {}", fix.action)));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn another_platforms_collateral_does_not_help() {
    let world = World::new();
    let other = Authority::new(authority::now());
    let verifier = Verifier::new(Policy::new(), authority::now())
        .danger_root(other.trust_root())
        .collateral(other.collateral(&other.platform()));
    let report = verifier.certificate("app", &world.issue(|_| ()));
    assert_eq!(status(&report, "quote.signature"), "fail");
}

#[test]
fn the_identity_claims_no_more_than_that_a_quote_was_asked_for() {
    let world = World::new();
    let report = world.judge(&world.issue(|_| ()));
    let identity = report.conclusions().iter().find(|one| one.question == "identity").unwrap();
    let words = "this CVM asked for a quote over the certificate's key, and it runs app ";
    assert!(identity.statement.starts_with(words), "{}", identity.statement);
}

#[test]
fn a_start_of_validity_is_no_age() {
    let world = World::new();
    let mut policy = Policy::new();
    policy.max_evidence_age = Some(Duration::from_secs(100 * 365 * 86_400));
    let report = world.verifier(policy).certificate("app", &world.issue(|_| ()));
    assert_eq!(status(&report, "policy.freshness"), "unknown");
}
