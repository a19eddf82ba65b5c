//! The app's certificates: who signed them, for what, how long, and what evidence they carry.

use dstack_attestation::quote::TdxQuote;
use dstack_attestation::report_data::{self, HashAlgorithm, TAG_RATLS_CERT};
use dstack_vmm_client::DstackVersion;
use serde_json::{Value, json};

use super::wire::Attestation;
use super::{COMPOSE, Guest};
use crate::x509::Certificate;

const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
const EXTENDED_KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x25];
const SERVER_AUTH: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 3, 2];

fn chain(answer: &Value) -> Vec<Certificate> {
    let pems = answer["certificate_chain"].as_array().unwrap();
    pems.iter().map(|pem| Certificate::from_pem(pem.as_str().unwrap())).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Panics unless each certificate is signed by the next, and the last by itself.
fn assert_linked(chain: &[Certificate]) {
    for pair in chain.windows(2) {
        assert_eq!(pair[0].issuer, pair[1].subject);
        pair[0].verify(&pair[1].public_key_info);
    }
    let root = &chain[chain.len() - 1];
    assert_eq!(root.issuer, root.subject);
    root.verify(&root.public_key_info);
}

#[tokio::test]
async fn a_tls_key_has_a_chain_to_the_kms_and_what_was_asked_for() {
    for version in DstackVersion::ALL {
        let guest = Guest::with_compose(version, COMPOSE);
        let request = json!({
            "subject": "example.com",
            "alt_names": ["a.example.com", "192.0.2.7"],
            "usage_ra_tls": true,
            "usage_server_auth": true,
            "not_before": 1_700_000_000,
            "not_after": 1_800_000_000,
            "with_app_info": true,
        });
        let answer = guest.ask("GetTlsKey", &request).await;
        let chain = chain(&answer);
        assert_eq!(chain.len(), 3);
        assert_linked(&chain);
        let [leaf, app, root] = chain.as_slice() else { unreachable!("three certificates") };
        assert_eq!(root.public_key_info, guest.kms.ca_pubkey());
        assert!(contains(&app.subject, b"Dstack App CA") && contains(&root.subject, b"Dstack KMS CA"));
        for certificate in &chain {
            assert!(contains(&certificate.subject, b"EMULATED"));
        }
        assert!(contains(&leaf.subject, b"example.com"));
        let value = |oid: &[u8]| leaf.extensions.iter().find(|(found, _)| found == oid).unwrap().1.clone();
        assert!(contains(&value(&SUBJECT_ALT_NAME), b"a.example.com"));
        assert!(contains(&value(&SUBJECT_ALT_NAME), &[192, 0, 2, 7]));
        assert!(contains(&value(&EXTENDED_KEY_USAGE), &SERVER_AUTH));
        assert!(!contains(&value(&EXTENDED_KEY_USAGE), &CLIENT_AUTH));
        assert_eq!(leaf.validity, ["231114221320Z", "270115080000Z"]);
        assert_eq!(leaf.dstack_extension(3).unwrap(), guest.agent.app_id().as_ref());
        assert_eq!(leaf.dstack_extension(4).unwrap(), b"app:custom");
        assert_eq!(app.dstack_extension(4).unwrap(), b"app:ca");
        assert!(contains(&leaf.dstack_extension(9).unwrap(), guest.agent.compose_hash().as_ref()));
        // The private key is the certificate's.
        use p256::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
        let key = p256::SecretKey::from_pkcs8_pem(answer["key"].as_str().unwrap()).unwrap();
        assert_eq!(key.public_key().to_public_key_der().unwrap().as_bytes(), leaf.public_key_info);
        // The evidence binds the public key.
        let attestation = Attestation::read(&leaf.dstack_extension(8).unwrap());
        let quote = TdxQuote::parse(&attestation.quote).unwrap();
        let expected = report_data::tagged(HashAlgorithm::Sha512, TAG_RATLS_CERT, &leaf.public_key_info);
        assert_eq!(quote.report.report_data, expected.unwrap());
        assert!(quote.is_emulated());
    }
}

#[tokio::test]
async fn keys_are_fresh_and_extensions_only_there_when_asked_for() {
    let guest = Guest::with_compose(DstackVersion::Next, COMPOSE);
    let plain = json!({ "subject": "x" });
    let one = guest.ask("GetTlsKey", &plain).await;
    let two = guest.ask("GetTlsKey", &plain).await;
    assert_ne!(one["key"], two["key"]);
    let leaf = &chain(&one)[0];
    assert_eq!((leaf.dstack_extension(8), leaf.dstack_extension(9)), (None, None));
    assert!(!leaf.extensions.iter().any(|(oid, _)| oid == &EXTENDED_KEY_USAGE));
    // Ten years of 365 days from the clock's 2026-01-01.
    assert_eq!(leaf.validity, ["750101000000Z", "351230000000Z"]);
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let next = Guest::with_compose(DstackVersion::Next, COMPOSE);
    let backwards = json!({ "not_before": 200, "not_after": 100 });
    assert_eq!(next.refusal("GetTlsKey", &backwards).await, "not_before must be earlier than not_after");
    let far = json!({ "not_after": u64::MAX });
    assert!(next.refusal("GetTlsKey", &far).await.contains("9999"));
    let name = json!({ "alt_names": ["b\u{fc}cher.example.com"] });
    assert!(!next.refusal("GetTlsKey", &name).await.is_empty());
    // dstack 0.5 does not look at the order.
    let old = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    assert_linked(&chain(&old.ask("GetTlsKey", &backwards).await));
}

#[tokio::test]
async fn without_a_kms_the_app_is_its_own_root() {
    let compose = COMPOSE.replace("\"kms_enabled\":true", "\"key_provider\":\"local\"");
    let guest = Guest::with_compose(DstackVersion::Next, &compose);
    let chain = chain(&guest.ask("GetTlsKey", &json!({ "subject": "x" })).await);
    assert_eq!(chain.len(), 2);
    assert_linked(&chain);
    assert!(contains(&chain[1].subject, b"App Root Cert"));
    assert_eq!(chain[0].dstack_extension(3), None);
}

#[tokio::test]
async fn the_apps_own_certificate_carries_evidence() {
    let guest = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    let info = guest.ask("Info", &json!({})).await;
    let pem = info["app_cert"].as_str().unwrap();
    let pems: Vec<&str> = pem.split_inclusive("-----END CERTIFICATE-----\n").collect();
    let chain: Vec<Certificate> = pems.iter().map(|pem| Certificate::from_pem(pem.trim())).collect();
    assert_eq!(chain.len(), 3);
    assert_linked(&chain);
    let attestation = Attestation::read(&chain[0].dstack_extension(8).unwrap());
    assert!(TdxQuote::parse(&attestation.quote).unwrap().is_emulated());
    // Asked again, it is the same.
    assert_eq!(guest.ask("Info", &json!({})).await["app_cert"], info["app_cert"]);
}
