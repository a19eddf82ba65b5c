//! Attacks on attestations as one blob, and on the certificates that carry them.

use std::sync::OnceLock;

use dstack_attestation::event_log::{Event, EventLog, KeyProvider, KeyProviderKind, RuntimeEvent};
use dstack_attestation::report_data::{HashAlgorithm, TAG_RATLS_CERT, tagged};
use dstack_attestation::versioned::VersionedAttestation;
use dstack_attestation::{CertificateEvidence, MrConfigId, Policy};
use dstack_check::{Report, Status, Verdict};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};

use super::scene::{Scene, changes_from};
use crate::authority::{DAY, now};
use crate::evidence::{APP, boot_events, compose_hash};

/// The attestation of the honest app.
fn honest() -> (Scene, VersionedAttestation) {
    let scene = Scene::honest();
    let log = EventLog::parse(scene.evidence.event_log.as_deref().unwrap()).unwrap();
    let quote = scene.evidence.quote.clone().unwrap();
    let config = format!("{{\"vm_config\":\"{{\\\"os_image_hash\\\":\\\"{}\\\"}}\"}}", "44".repeat(32));
    let attestation = VersionedAttestation::tdx(quote, log, scene.contents.report_data, config);
    (scene, attestation)
}

/// The report about what is in a blob, beside what the agent says in other answers.
fn judge(scene: &Scene, bytes: &[u8]) -> Option<Report> {
    let mut evidence = VersionedAttestation::decode(bytes).ok()?.to_evidence();
    evidence.app_compose.clone_from(&scene.evidence.app_compose);
    evidence.app_id.clone_from(&scene.evidence.app_id);
    evidence.device_id.clone_from(&scene.evidence.device_id);
    Some(scene.verifier().app("blob", &evidence))
}

#[test]
fn either_encoding_of_the_honest_app_is_taken() {
    let (scene, attestation) = honest();
    for bytes in [attestation.encode_v0(), attestation.encode_v1()] {
        let report = judge(&scene, &bytes).unwrap();
        assert_eq!(changes_from(&scene.report(), &report), "");
        assert_eq!(report.verdict(), Verdict::Warnings);
    }
}

type Forge = fn(&mut VersionedAttestation);

#[test]
fn each_contradiction_is_found() {
    let (scene, attestation) = honest();
    let attacks: [(&str, Forge, &str); 8] = [
        (
            "the events are listed otherwise than they are logged",
            |blob| blob.runtime_events[2] = Event::ComposeHash([9; 32].into()).to_runtime(),
            "fail eventlog.attestation",
        ),
        (
            "an event is left out of the list",
            |blob| drop(blob.runtime_events.pop()),
            "fail eventlog.attestation",
        ),
        (
            "an event is added to the list",
            |blob| blob.runtime_events.push(RuntimeEvent::new("visit", [])),
            "fail eventlog.attestation",
        ),
        (
            "the report data is stated otherwise than it is quoted",
            |blob| blob.report_data = [0x77; 64].into(),
            "fail eventlog.attestation",
        ),
        (
            "list and log are swapped together",
            |blob| {
                let event = Event::ComposeHash([9; 32].into()).to_runtime();
                let mut entries = blob.event_log.entries().to_vec();
                entries[2] = event.clone().entry(entries[2].version());
                blob.event_log = EventLog::from_entries(entries);
                blob.runtime_events[2] = event;
            },
            "fail eventlog.replay-rtmr3 app.compose.hash app.compose.deployed app.mrconfigid.compose",
        ),
        (
            "the quote is that of another app",
            |blob| {
                let mut events = boot_events();
                events[1] = Event::AppId([0x22; 20].into()).to_runtime();
                blob.quote = Scene::of(events, MrConfigId::v1(compose_hash())).evidence.quote.unwrap();
            },
            "fail eventlog.replay-rtmr3",
        ),
        ("the quote is left out", |blob| blob.quote.clear(), "unknown quote.present"),
        (
            "the vm_config names another image",
            |blob| blob.config = blob.config.replace("44", "45"),
            "fail os.vm-config",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, forge, expected) in attacks {
        let mut forged = attestation.clone();
        forge(&mut forged);
        for bytes in [forged.encode_v0(), forged.encode_v1()] {
            let report = judge(&scene, &bytes).unwrap();
            let found = changes_from(&scene.report(), &report);
            if found != expected || matches!(report.verdict(), Verdict::Ok | Verdict::Warnings) {
                wrong.push(format!("{name}:\n  expected {expected}\n  found    {found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_attestation_of_another_platform_is_recognised_and_not_taken() {
    let (scene, attestation) = honest();
    let mut bytes = attestation.encode_v0();
    bytes[1] = 1;
    let report = judge(&scene, &bytes).unwrap();
    assert!(matches!(report.verdict(), Verdict::Undetermined), "{}", report.verdict());
    let named = report.findings().iter().filter(
        |finding| matches!(&finding.status, Status::Unknown { why } if why.contains("not verified here")),
    );
    assert!(named.count() > 0);
}

#[test]
fn bytes_behind_an_attestation_are_refused() {
    let (_, attestation) = honest();
    for mut bytes in [attestation.encode_v0(), attestation.encode_v1()] {
        bytes.push(0);
        assert!(VersionedAttestation::decode(&bytes).is_err());
        bytes.truncate(bytes.len() - 2);
        assert!(VersionedAttestation::decode(&bytes).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A bit of a payload, of the quote's signed part, or of the lengths between them.
    #[test]
    fn a_flipped_bit_in_an_attestation_is_noticed(
        second in any::<bool>(),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let (scene, attestation) = honest();
        let mut bytes = if second { attestation.encode_v1() } else { attestation.encode_v0() };
        let honest = judge(&scene, &bytes).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let Ok(changed) = VersionedAttestation::decode(&bytes) else { return Ok(()) };
        // What is said in other words only, the armour of certificates and the configuration are no payloads.
        let body = |quote: &[u8]| quote.get(..700).map(<[u8]>::to_vec);
        let same = (&changed.event_log, &changed.runtime_events, changed.report_data, body(&changed.quote))
            == (&attestation.event_log, &attestation.runtime_events, attestation.report_data, body(&attestation.quote));
        if same {
            return Ok(());
        }
        let report = judge(&scene, &bytes).unwrap();
        let lost = honest.findings().iter().any(|finding| {
            matches!(finding.status, Status::Pass | Status::Warn)
                && report.get(finding.id.as_str()).map(|now| &now.status) != Some(&finding.status)
        });
        prop_assert!(lost, "byte {at} bit {bit}");
    }
}

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Dstack KMS CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (now() - 400 * DAY).into();
        params.not_after = (now() + 4000 * DAY).into();
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The KMS of the honest app.
    fn kms() -> &'static Self {
        static KMS: OnceLock<Ca> = OnceLock::new();
        KMS.get_or_init(Self::new)
    }

    fn public_key(&self) -> Vec<u8> {
        self.0.key().subject_public_key_info()
    }
}

/// A certificate with an attestation, and what can be wrong with it.
struct Leaf {
    key: KeyPair,
    /// The public key that the quote is over; the certificate's own where there is none.
    quoted_key: Option<Vec<u8>>,
    app_id: [u8; 20],
    valid_days: u32,
    issuer: Option<Ca>,
    attested: fn(&mut VersionedAttestation),
}

impl Leaf {
    fn honest() -> Self {
        Self {
            key: KeyPair::generate().unwrap(),
            quoted_key: None,
            app_id: *APP.as_bytes(),
            valid_days: 30,
            issuer: None,
            attested: |_| (),
        }
    }

    fn report(&self) -> Report {
        let kms = Ca::kms();
        let mut events = boot_events();
        let provider = events.iter().position(|event| event.name() == "key-provider").unwrap();
        let measured = KeyProvider::new(KeyProviderKind::Kms, &kms.public_key());
        events[provider] = Event::KeyProvider(measured).to_runtime();
        let mut scene = Scene::of(events, MrConfigId::v1(compose_hash()));
        let own = self.key.subject_public_key_info();
        let quoted = self.quoted_key.as_ref().unwrap_or(&own);
        scene.contents.report_data = tagged(HashAlgorithm::default(), TAG_RATLS_CERT, quoted).unwrap();
        scene.sign();
        scene.policy.report_data = None;
        scene.policy.key_providers.clear();
        let policy: Policy = scene.policy.clone();
        scene.policy = policy.key_provider(KeyProviderKind::Kms, Some(kms.public_key()));

        let log = EventLog::parse(scene.evidence.event_log.as_deref().unwrap()).unwrap();
        let quote = scene.evidence.quote.clone().unwrap();
        let mut attestation =
            VersionedAttestation::tdx(quote, log, scene.contents.report_data, "{}").shortened();
        (self.attested)(&mut attestation);

        let mut params = CertificateParams::new(vec!["demo.example.com".to_owned()]).unwrap();
        params.not_before = (now() - 10 * DAY).into();
        params.not_after = (now() - DAY + DAY * self.valid_days).into();
        params.custom_extensions =
            [(3, self.app_id.to_vec()), (4, b"app:custom".to_vec()), (8, attestation.encode_v0())]
                .map(|(number, payload)| {
                    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 62397, 1, number], octets(&payload))
                })
                .into();
        let issuer = self.issuer.as_ref().unwrap_or(kms);
        let leaf = params.signed_by(&self.key, &issuer.0).unwrap();
        let chain = vec![leaf.der().to_vec(), issuer.0.der().to_vec()];
        let evidence = CertificateEvidence::new(chain)
            .root(kms.0.der().to_vec())
            .usage("app:custom")
            .host("demo.example.com");
        scene.verifier().certificate("demo.example.com", &evidence)
    }
}

/// A DER OCTET STRING.
fn octets(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0x04, 0x84], &length[..], payload].concat()
}

#[test]
fn certificates() {
    let honest = Leaf::honest().report();
    for id in
        ["cert.chain", "cert.root", "cert.validity", "cert.key-binding", "cert.app-id", "cert.key-provider"]
    {
        assert_eq!(honest.get(id).unwrap().status, Status::Pass, "{id} {:?}", honest.get(id));
    }
    assert!(matches!(honest.verdict(), Verdict::Warnings | Verdict::Undetermined), "{}", honest.verdict());
    assert_eq!(honest.counts().fail, 0);

    let foreign_key = || Some(KeyPair::generate().unwrap().subject_public_key_info());
    let attacks: Vec<(&str, Leaf, &str)> = vec![
        (
            "the key is another than the quoted one",
            Leaf { quoted_key: foreign_key(), ..Leaf::honest() },
            "fail cert.key-binding",
        ),
        ("the certificate is expired", Leaf { valid_days: 0, ..Leaf::honest() }, "fail cert.validity"),
        (
            "the certificate says another app",
            Leaf { app_id: [0x22; 20], ..Leaf::honest() },
            "fail cert.app-id",
        ),
        (
            "the certificate is issued by another KMS",
            Leaf { issuer: Some(Ca::new()), ..Leaf::honest() },
            "fail cert.root cert.key-provider",
        ),
        (
            "the attestation is that of another CVM",
            Leaf {
                attested: |blob| {
                    let scene = Scene::honest();
                    blob.quote = scene.evidence.quote.unwrap();
                    blob.report_data = scene.contents.report_data;
                },
                ..Leaf::honest()
            },
            "fail eventlog.replay-rtmr3 cert.key-binding",
        ),
        (
            "the attestation's log is edited",
            Leaf {
                attested: |blob| {
                    let event = Event::AppId([0x22; 20].into()).to_runtime();
                    let mut entries = blob.event_log.entries().to_vec();
                    entries[1] = event.clone().entry(entries[1].version()).without_stated_digest();
                    blob.event_log = EventLog::from_entries(entries);
                    blob.runtime_events[1] = event;
                },
                ..Leaf::honest()
            },
            "fail eventlog.replay-rtmr3 app.id.app-id cert.app-id",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, leaf, expected) in attacks {
        let report = leaf.report();
        let found = changes_from(&honest, &report);
        if found != expected || report.verdict() != Verdict::Failed {
            wrong.push(format!("{name} ({}):\n  expected {expected}\n  found    {found}", report.verdict()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
