//! Reading certificates: recorded ones, and what a certificate must not be.

use dstack_attestation::quote::TdxQuote;
use dstack_attestation::ra_tls::{
    CertificateError, Chain, ChainProblem, Extension, HostName, MAX_CERTIFICATE, RaTlsCertificate,
};
use proptest::prelude::*;
use rcgen::{CustomExtension, IsCa, KeyPair, KeyUsagePurpose};
use std::time::{Duration, SystemTime};

use crate::certificates::{Ca, World, extension};
use crate::evidence::APP;

const APP_CERT: &str = include_str!("../fixtures/certificates/app-cert.pem");
const TLS: &str = include_str!("../fixtures/certificates/tls.pem");
const DERIVED: &str = include_str!("../fixtures/certificates/derived-key.pem");
const KMS_CA: &str = include_str!("../fixtures/certificates/kms-ca-next.pem");

fn read(pem: &str) -> Vec<RaTlsCertificate> {
    RaTlsCertificate::all_from_pem(pem).unwrap()
}

#[test]
fn recorded_certificates_are_read() {
    let chain = read(TLS);
    let [leaf, ca] = chain.as_slice() else { panic!("two certificates") };
    assert_eq!(
        (leaf.subject.as_str(), leaf.issuer.as_str()),
        ("CN=example.com", "O=Dstack, CN=Dstack KMS CA")
    );
    assert_eq!(leaf.dns_names, ["a.example.com"]);
    assert_eq!(leaf.usage.as_deref(), Some("app:custom"));
    assert_eq!((leaf.is_ca, leaf.may_sign), (false, Some(false)));
    assert_eq!((leaf.app_id, &leaf.app_info, &leaf.quote), (None, &None, &None));
    assert!(leaf.unwrapped.is_empty() && leaf.unknown_critical.is_empty());
    // 1975-01-01, whatever the time of the recording.
    assert_eq!(leaf.not_before, SystemTime::UNIX_EPOCH + Duration::from_secs(157_766_400));
    assert_eq!((ca.is_ca, ca.path_length, ca.may_sign), (true, Some(1), Some(true)));
    assert!(ca.is_self_issued() && !leaf.is_self_issued());
    assert_eq!((ca.public_key.len(), ca.has_evidence(), &ca.usage), (91, false, &None));
}

#[test]
fn recorded_evidence_is_over_the_key_of_its_certificate() {
    for pem in [APP_CERT, TLS] {
        let chain = read(pem);
        let attestation = chain[0].attestation().unwrap().unwrap();
        assert!(attestation.log_is_shortened());
        assert_eq!(attestation.contradictions(), []);
        let quote = TdxQuote::parse(&attestation.quote).unwrap();
        assert_eq!(quote.report.report_data, chain[0].expected_report_data());
        assert_ne!(quote.report.report_data, chain[1].expected_report_data());
        // Of the firmware's entries the three of the ACPI tables are left.
        let log = &attestation.event_log;
        assert_eq!((log.entries().len(), log.runtime_events().count()), (12, 9));
        let rtmr3 = dstack_attestation::event_log::Rtmr::Rtmr3;
        assert_eq!(log.replay().get(rtmr3), quote.report.measurements.rtmr3);
        // Written again it is the extension's content, byte for byte.
        assert_eq!(Some(attestation.encode_v0()), chain[0].attestation_blob);
    }
    assert!(read(DERIVED)[0].attestation().is_none());
}

#[test]
fn recorded_chains_hold_and_end_at_their_ca() {
    for pem in [APP_CERT, TLS, DERIVED] {
        let chain = read(pem);
        assert_eq!(Chain::new(&chain).problems(), []);
        assert_eq!(Chain::new(&chain).top(), Some(&chain[1]));
        // Without the CA nothing stands at the end, and with it given apart it does again.
        let leaf = &chain[..1];
        assert_eq!(Chain::new(leaf).top(), None);
        let completed = Chain::new(leaf).completed_by(&chain[1]);
        assert_eq!((completed.problems(), completed.top()), (vec![], Some(&chain[1])));
    }
    // Another KMS's CA has the same name and another key.
    let chain = [read(TLS).remove(0), read(KMS_CA).remove(0)];
    let problems = Chain::new(&chain).problems();
    assert!(matches!(problems[..], [ChainProblem::Signature { index: 0, .. }]), "{problems:?}");
}

#[test]
fn what_is_no_certificate_is_refused() {
    let der = read(TLS).remove(0).der;
    let error = |bytes: &[u8]| RaTlsCertificate::from_der(bytes).unwrap_err();
    assert!(matches!(error(&[]), CertificateError::X509(_)));
    assert!(matches!(error(&der[..100]), CertificateError::X509(_)));
    assert_eq!(
        error(&[der.as_slice(), &[0]].concat()).to_string(),
        "not an X.509 certificate: 1 bytes follow it"
    );
    // No word of the X.509 library's about its own types.
    for (bytes, words) in [
        (b"".as_slice(), "there are no bytes"),
        (b"{\"quote\":\"0400\"}", "the bytes do not begin as one in DER does"),
        (&der[..100], "the bytes are not the DER of one, or not all of it"),
    ] {
        assert_eq!(error(bytes).to_string(), format!("not an X.509 certificate: {words}"));
    }
    let length = MAX_CERTIFICATE + 1;
    assert_eq!(error(&vec![0x30; length]), CertificateError::TooLong { length });
    let pem = |text: &str| RaTlsCertificate::all_from_pem(text).unwrap_err();
    assert!(matches!(pem("nothing here"), CertificateError::Pem(_)));
    assert!(matches!(
        pem("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
        CertificateError::Pem(_)
    ));
    assert!(matches!(pem(&TLS[..300]), CertificateError::Pem(_)));
    assert_eq!(pem(&KMS_CA.repeat(17)), CertificateError::TooMany);
    // Keys in the same file are passed over.
    let with_key = format!("{}{KMS_CA}", KeyPair::generate().unwrap().serialize_pem());
    assert_eq!(read(&with_key), read(KMS_CA));
}

#[test]
fn extensions_say_what_they_hold() {
    let world = World::new();
    let evidence = world.issue(|params| params.custom_extensions.push(extension(9, b"\x80")));
    let leaf = RaTlsCertificate::from_der(&evidence.chain[0]).unwrap();
    assert_eq!((leaf.app_id, leaf.usage.as_deref()), (Some(APP), Some("app:custom")));
    assert_eq!(leaf.app_info.as_deref(), Some(b"\x80".as_slice()));
    assert_eq!(leaf.ip_addresses, [std::net::IpAddr::from([192, 0, 2, 7])]);
    assert!(leaf.covers(&HostName::new("192.0.2.7")) && leaf.covers(&HostName::new("A.example.com.")));
    assert!(!leaf.covers(&HostName::new("192.0.2.8")) && !leaf.covers(&HostName::new("example.com")));
}

#[test]
fn older_forms_are_read_and_said_to_be() {
    let world = World::new();
    let bare = |number: u64, content: &[u8]| {
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 62397, 1, number], content.to_vec())
    };
    let quote = world.attestation(&world.public_key()).quote;
    // An app id that begins like an octet string of its length.
    let id = [[4, 18].as_slice(), &[7; 18]].concat();
    let evidence = world.issue(|params| {
        params.custom_extensions =
            vec![bare(1, &quote), bare(2, b"[]"), bare(3, &id), bare(4, b"app:custom")];
    });
    let leaf = RaTlsCertificate::from_der(&evidence.chain[0]).unwrap();
    assert_eq!(leaf.quote, Some(quote));
    assert_eq!(leaf.event_log.as_deref(), Some("[]"));
    assert_eq!(leaf.app_id.unwrap().as_ref(), id);
    let unwrapped = [Extension::Quote, Extension::EventLog, Extension::AppId, Extension::Usage];
    assert_eq!(leaf.unwrapped, unwrapped);
}

#[test]
fn extensions_that_cannot_be_are_refused() {
    let world = World::new();
    let error = |number: u64, content: &[u8]| {
        let evidence = world.issue(|params| params.custom_extensions = vec![extension(number, content)]);
        RaTlsCertificate::from_der(&evidence.chain[0]).unwrap_err().to_string()
    };
    let words = error(3, &[1; 19]);
    assert_eq!(words, "the extension 1.3.6.1.4.1.62397.1.3: 19 bytes where 20 are expected");
    assert_eq!(error(4, &[0xff]), "the extension 1.3.6.1.4.1.62397.1.4: it is not UTF-8");
    // Two attestations in one certificate are two answers to one question.
    let evidence = world.issue(|params| {
        let other = world.attestation(&[0; 91]).encode_v0();
        params.custom_extensions.push(extension(8, &other));
    });
    let error = RaTlsCertificate::from_der(&evidence.chain[0]).unwrap_err();
    assert_eq!(error, CertificateError::Twice("1.3.6.1.4.1.62397.1.8".to_owned()));
}

fn problems(chain: &[Vec<u8>]) -> Vec<ChainProblem> {
    let chain: Vec<_> = chain.iter().map(|der| RaTlsCertificate::from_der(der).unwrap()).collect();
    Chain::new(&chain).problems()
}

#[test]
fn a_chain_needs_authorities() {
    let world = World::new();
    let good = world.issue(|_| ()).chain;
    assert_eq!(problems(&good), []);
    assert_eq!(problems(&[]), [ChainProblem::Empty]);
    assert_eq!(problems(&vec![good[2].clone(); 17]), [ChainProblem::TooLong]);
    // The app CA is skipped, or comes last.
    let skipped = problems(&[good[0].clone(), good[2].clone()]);
    assert!(matches!(
        skipped[..],
        [ChainProblem::Issuer { index: 0, .. }, ChainProblem::Signature { index: 0, .. }]
    ));
    assert!(!problems(&[good[0].clone(), good[2].clone(), good[1].clone()]).is_empty());
    let below = |ca: Ca| {
        let leaf = ca.sign(&world.leaf_params(), &world.key);
        problems(&[leaf, ca.der, world.root.der.clone()])
    };
    let no_ca = below(world.root.app(|params| params.is_ca = IsCa::ExplicitNoCa));
    assert_eq!(no_ca, [ChainProblem::NotCa { index: 1 }]);
    let may_not = below(world.root.app(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]));
    assert_eq!(may_not, [ChainProblem::MayNotSign { index: 1 }]);
    let mut critical = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    critical.set_criticality(true);
    let unknown = below(world.root.app(|params| params.custom_extensions.push(critical)));
    let extension = "1.3.6.1.4.1.99999.1".to_owned();
    assert_eq!(unknown, [ChainProblem::Critical { index: 1, extension }]);
    // A CA below the app CA, which allows none.
    let deeper = world.app_ca.app(|_| ());
    let leaf = deeper.sign(&world.leaf_params(), &world.key);
    let chain = [leaf, deeper.der, world.app_ca.der.clone(), world.root.der.clone()];
    assert_eq!(
        problems(&chain),
        [
            ChainProblem::PathLength { index: 2, allows: 0, below: 1 },
            ChainProblem::PathLength { index: 3, allows: 1, below: 2 }
        ]
    );
    // A leaf that signs another leaf.
    let leaf_as_ca =
        Ca { params: world.leaf_params(), key: KeyPair::generate().unwrap(), der: good[0].clone() };
    let forged = leaf_as_ca.sign(&world.leaf_params(), &world.key);
    assert!(
        problems(&[forged, good[0].clone(), good[1].clone()]).contains(&ChainProblem::NotCa { index: 1 })
    );
}

#[test]
fn a_root_completes_a_chain_only_where_it_is_the_next() {
    let world = World::new();
    let good: Vec<_> =
        world.issue(|_| ()).chain.iter().map(|der| RaTlsCertificate::from_der(der).unwrap()).collect();
    let other = RaTlsCertificate::from_der(&Ca::root().der).unwrap();
    // A whole chain is not continued by another CA of the same name.
    assert_eq!(Chain::new(&good).completed_by(&other).top(), Some(&good[2]));
    let open = Chain::new(&good[..2]).completed_by(&other);
    assert!(matches!(open.problems()[..], [ChainProblem::Signature { index: 1, .. }]));
    assert_eq!(Chain::new(&good[..1]).completed_by(&good[2]).top(), None);
}

/// Where the key stands in the certificate.
fn key_at(certificate: &RaTlsCertificate) -> usize {
    let key = &certificate.public_key;
    certificate.der.windows(key.len()).position(|window| window == key).unwrap()
}

#[test]
fn any_flipped_bit_outside_of_what_is_signed_breaks_the_chain() {
    let mut chain = read(TLS);
    let good = chain[0].der.clone();
    // The headers before the signed part, and the algorithm and the signature after it.
    for at in (0..8).chain(good.len() - 90..good.len()) {
        for bit in 0..8u8 {
            let mut der = good.clone();
            der[at] ^= 1u8 << bit;
            if let Ok(changed) = RaTlsCertificate::from_der(&der) {
                chain[0] = changed;
                assert!(!Chain::new(&chain).problems().is_empty(), "byte {at}, bit {bit}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_of_the_key_breaks_the_binding(at in 0..91usize, bit in 0..8u8) {
        let leaf = read(TLS).remove(0);
        let mut der = leaf.der.clone();
        der[key_at(&leaf) + at] ^= 1u8 << bit;
        if let Ok(changed) = RaTlsCertificate::from_der(&der) {
            let quote = TdxQuote::parse(&changed.attestation().unwrap().unwrap().quote).unwrap();
            prop_assert_ne!(quote.report.report_data, changed.expected_report_data());
        }
    }

    #[test]
    fn any_flipped_bit_of_a_certificate_breaks_the_chain(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut chain = read(TLS);
        let mut der = chain[0].der.clone();
        let at = at.index(der.len());
        der[at] ^= 1u8 << bit;
        if let Ok(changed) = RaTlsCertificate::from_der(&der) {
            chain[0] = changed;
            prop_assert!(!Chain::new(&chain).problems().is_empty(), "byte {at}");
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()) {
        prop_assert!(RaTlsCertificate::from_der(&bytes).is_err());
        let der = read(KMS_CA).remove(0).der;
        prop_assert!(RaTlsCertificate::from_der(&der[..cut.index(der.len())]).is_err());
        let _ = RaTlsCertificate::all_from_pem(&String::from_utf8_lossy(&bytes));
    }
}
