//! Whatever bytes come, the answer is not yes.

use dstack_attestation::quote::Collateral;
use dstack_attestation::{
    CertificateEvidence, CvmEvidence, GatewayEvidence, IngressEvidence, KmsEvidence, Policy, Verifier,
};
use dstack_check::{Status, Verdict};
use proptest::prelude::*;

use crate::evidence::{COMPOSE, at_recording, recorded};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![
        Just(vec![]),
        Just(vec![4, 0, 2, 0, 0x81, 0, 0, 0]),
        Just(vec![5, 0, 2, 0, 0x81, 0, 0, 0]),
        Just(vec![0, 0]),
        Just(b"{".to_vec()),
    ];
    (header, prop::collection::vec(any::<u8>(), 0..1200)).prop_map(|(head, tail)| [head, tail].concat())
}

fn text() -> impl Strategy<Value = String> {
    let json = prop_oneof![
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("null".to_owned()),
        Just("[{}]".to_owned()),
        Just(r#"{"event_log":[],"app_compose":""}"#.to_owned()),
        Just(COMPOSE.to_owned()),
    ];
    prop_oneof![json, any::<String>()]
}

proptest! {
    #[test]
    fn of_any_evidence_about_an_app(
        quote in prop::option::of(bytes()),
        log in prop::option::of(text()),
        tcb in prop::option::of(text()),
        compose in prop::option::of(text()),
        document in prop::option::of(text()),
        collateral in text(),
    ) {
        let mut evidence = CvmEvidence::new();
        evidence.quote = quote;
        evidence.event_log = log;
        evidence.tcb_info = tcb;
        evidence.app_compose = compose;
        evidence.mr_config_document = document;
        let mut verifier = Verifier::new(Policy::new(), at_recording());
        if let Ok(collateral) = Collateral::from_json(&collateral, "random") {
            verifier = verifier.collateral(collateral);
        }
        let report = verifier.app("random", &evidence);
        prop_assert_ne!(report.verdict(), Verdict::Ok);
        prop_assert_ne!(report.verdict(), Verdict::Warnings);
        let signature = report.get("quote.signature").map(|finding| &finding.status);
        prop_assert_ne!(signature, Some(&Status::Pass));
    }

    /// Random bytes in the place of one member of the recorded evidence: nothing of it passes that read the member.
    #[test]
    fn of_recorded_evidence_with_a_random_part(which in 0u8..4, quote in bytes(), text in text()) {
        let mut evidence = recorded();
        match which {
            0 => evidence.quote = Some(quote),
            1 => evidence.event_log = Some(text),
            2 => evidence.tcb_info = Some(text),
            _ => evidence.app_compose = Some(text),
        }
        let report = Verifier::new(Policy::new(), at_recording()).app("random", &evidence);
        prop_assert_ne!(report.verdict(), Verdict::Ok);
        if which == 3 {
            prop_assert_ne!(report.get("app.compose.hash").map(|finding| &finding.status), Some(&Status::Pass));
        }
    }

    #[test]
    fn of_any_evidence_about_a_service(first in bytes(), second in bytes(), a in text(), b in text()) {
        let verifier = Verifier::new(Policy::new().danger_accept_emulated(true), at_recording());
        let mut certificate = CertificateEvidence::default();
        certificate.chain = vec![first.clone()];
        certificate.root = Some(second.clone());
        prop_assert_ne!(verifier.certificate("random", &certificate).verdict(), Verdict::Ok);
        let mut kms = KmsEvidence::default();
        kms.bootstrap = Some(a.clone());
        kms.meta = Some(b.clone());
        kms.tls_chain = vec![first.clone()];
        prop_assert_ne!(verifier.kms("random", &kms).verdict(), Verdict::Ok);
        let mut gateway = GatewayEvidence::default();
        gateway.acme_info = Some(a.clone());
        gateway.tls_chain = vec![first];
        prop_assert_ne!(verifier.gateway("random", &gateway).verdict(), Verdict::Ok);
        let mut ingress = IngressEvidence::default();
        ingress.files.insert("quote.json".to_owned(), a.into_bytes());
        ingress.files.insert("sha256sum.txt".to_owned(), b.into_bytes());
        ingress.domain = Some("example.com".to_owned());
        ingress.tls_chain = vec![second];
        prop_assert_ne!(verifier.ingress("random", &ingress).verdict(), Verdict::Ok);
    }
}
