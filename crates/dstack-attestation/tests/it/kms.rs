//! A KMS: recorded ones, one that a test authority's platform signed for, and forgeries of it.

use dstack_attestation::event_log::{DigestVersion, EventLog};
use dstack_attestation::key_chain::env_key_signer;
use dstack_attestation::report_data::{ReportData, kms_bootstrap, ratls_cert};
use dstack_attestation::versioned::VersionedAttestation;
use dstack_attestation::{
    CreatorFields, CvmEvidence, EnvKeyEvidence, KMS_CHECKS, KmsEvidence, Measurements, MrConfigId, Policy,
    Verifier, cvm_checks,
};
use dstack_check::{Catalogue, Report, Status, Verdict};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData as _,
};
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::Duration;

use crate::authority::{Authority, Contents, DAY, Platform, now};
use crate::evidence::{APP, COMPOSE, at_recording, boot_events, compose_hash, response};

/// The authority and the platform of every scene here: making keys takes time.
fn platform() -> &'static (Authority, Platform) {
    static PLATFORM: OnceLock<(Authority, Platform)> = OnceLock::new();
    PLATFORM.get_or_init(|| {
        let authority = Authority::new(now());
        let platform = authority.platform();
        (authority, platform)
    })
}

/// What is required of the CVM in which the services run.
pub(crate) fn policy() -> Policy {
    Policy::new().compose(COMPOSE).app_id(APP)
}

/// A verifier that takes the authority for Intel.
pub(crate) fn verifier() -> Verifier {
    let (authority, platform) = platform();
    Verifier::new(policy(), now())
        .danger_root(authority.trust_root())
        .collateral(authority.collateral(platform))
}

/// What else is known of the CVM.
pub(crate) fn context() -> CvmEvidence {
    let mut evidence = CvmEvidence::new();
    evidence.app_compose = Some(COMPOSE.to_owned());
    evidence
}

/// A signed attestation of a CVM with this report data.
pub(crate) fn attestation(report_data: ReportData) -> VersionedAttestation {
    let log = EventLog::from_entries(
        boot_events().into_iter().map(|event| event.entry(DigestVersion::V1)).collect(),
    );
    let contents = Contents {
        measurements: Measurements::new([0xd0; 48].into(), &log.replay()),
        creator: CreatorFields {
            mr_config_id: MrConfigId::v1(compose_hash()).to_bytes(),
            ..CreatorFields::default()
        },
        report_data,
        ..Contents::default()
    };
    VersionedAttestation::tdx(platform().1.quote(&contents), log, report_data, "{}")
}

/// The findings that did not pass, by status, in order.
pub(crate) fn flaws(report: &Report) -> Vec<String> {
    let open = report.findings().iter().filter(|finding| {
        !matches!(finding.status, Status::Pass | Status::NotApplicable | Status::Skipped { .. })
    });
    open.map(|finding| format!("{} {}", finding.status.word(), finding.id.as_str())).collect()
}

/// What a report finds that another does not; `policy.required` is left out, as it only sums up.
pub(crate) fn changes(honest: &Report, report: &Report) -> Vec<String> {
    let before = flaws(honest);
    flaws(report)
        .into_iter()
        .filter(|flaw| !before.contains(flaw) && !flaw.ends_with("policy.required"))
        .collect()
}

pub(crate) fn status<'r>(report: &'r Report, id: &str) -> &'r str {
    report.get(id).unwrap().status.word()
}

/// A DER OCTET STRING.
fn octet_string(content: &[u8]) -> Vec<u8> {
    let mut der = vec![0x04];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            der.push(0x84);
            der.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
        }
    }
    der.extend_from_slice(content);
    der
}

/// A CA with a key of its own.
pub(crate) fn authority_named(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params.not_before, params.not_after) = ((now() - DAY).into(), (now() + 30 * DAY).into());
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// The leaf of a service.
pub(crate) struct Leaf {
    pub(crate) key: KeyPair,
    pub(crate) names: Vec<String>,
    pub(crate) usage: Option<&'static str>,
    pub(crate) attestation: Option<Vec<u8>>,
    /// In days from now.
    pub(crate) valid: (i32, i32),
}

impl Leaf {
    pub(crate) fn new(name: &str) -> Self {
        let names = vec![name.to_owned()];
        Self { key: KeyPair::generate().unwrap(), names, usage: None, attestation: None, valid: (-1, 30) }
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }

    pub(crate) fn issue(&self, issuer: &CertifiedIssuer<'static, KeyPair>) -> Vec<u8> {
        self.certificate(issuer).der().to_vec()
    }

    pub(crate) fn pem(&self, issuer: &CertifiedIssuer<'static, KeyPair>) -> String {
        self.certificate(issuer).pem()
    }

    fn certificate(&self, issuer: &CertifiedIssuer<'static, KeyPair>) -> rcgen::Certificate {
        let mut params = CertificateParams::new(self.names.clone()).unwrap();
        params.distinguished_name.push(DnType::CommonName, self.names[0].clone());
        let day = |days: i32| {
            if days < 0 { now() - DAY * days.unsigned_abs() } else { now() + DAY * days.unsigned_abs() }
        };
        (params.not_before, params.not_after) = (day(self.valid.0).into(), day(self.valid.1).into());
        let mut extend = |number: u64, content: &[u8]| {
            let oid = [1, 3, 6, 1, 4, 1, 62397, 1, number];
            params.custom_extensions.push(CustomExtension::from_oid_content(&oid, octet_string(content)));
        };
        if let Some(usage) = self.usage {
            extend(4, usage.as_bytes());
        }
        if let Some(attestation) = &self.attestation {
            extend(8, attestation);
        }
        params.signed_by(&self.key, issuer).unwrap()
    }
}

/// A KMS as it should be, in parts that a test can change.
struct Kms {
    ca: CertifiedIssuer<'static, KeyPair>,
    k256: Vec<u8>,
    leaf: Leaf,
    is_dev: bool,
    gateway: Value,
    /// What the quote is about, where that is not the keys themselves.
    quoted: Option<ReportData>,
}

/// A compressed key on the curve.
fn k256(seed: u8) -> Vec<u8> {
    let secret = secp256k1::SecretKey::from_secret_bytes([seed; 32]).unwrap();
    secp256k1::PublicKey::from_secret_key(&secret).serialize().to_vec()
}

impl Kms {
    fn honest() -> Self {
        let mut leaf = Leaf::new("kms.example.com");
        leaf.usage = Some("kms:rpc");
        leaf.attestation = Some(attestation(ratls_cert(&leaf.spki())).encode_v0());
        Self {
            ca: authority_named("Dstack KMS CA"),
            k256: k256(7),
            leaf,
            is_dev: false,
            gateway: json!("11".repeat(20)),
            quoted: None,
        }
    }

    fn ca_pubkey(&self) -> Vec<u8> {
        self.ca.key().subject_public_key_info()
    }

    fn bootstrap(&self) -> Value {
        let data = self.quoted.unwrap_or_else(|| kms_bootstrap(&self.ca_pubkey(), &self.k256));
        json!({
            "ca_pubkey": hex::encode(self.ca_pubkey()),
            "k256_pubkey": hex::encode(&self.k256),
            "attestation": hex::encode(attestation(data).encode_v0()),
        })
    }

    fn meta(&self) -> Value {
        json!({
            "ca_cert": self.ca.pem(),
            "allow_any_upgrade": false,
            "k256_pubkey": hex::encode(&self.k256),
            "bootstrap_info": self.bootstrap(),
            "is_dev": self.is_dev,
            "gateway_app_id": self.gateway,
            "kms_contract_address": "0x0101010101010101010101010101010101010101",
            "chain_id": 31337,
            "app_auth_implementation": null,
        })
    }

    fn evidence(&self) -> KmsEvidence {
        let mut evidence = KmsEvidence::new();
        evidence.bootstrap = Some(self.bootstrap().to_string());
        evidence.meta = Some(self.meta().to_string());
        evidence.tls_chain = vec![self.leaf.issue(&self.ca), self.ca.der().to_vec()];
        evidence.domain = Some("kms.example.com".to_owned());
        evidence.registered_k256 = Some(self.k256.clone());
        evidence.registered_ca = Some(self.ca_pubkey());
        evidence.cvm = context();
        evidence
    }
}

fn report(evidence: &KmsEvidence) -> Report {
    verifier().kms("kms.example.com", evidence)
}

#[test]
fn the_checks_form_a_catalogue() {
    let catalogue = Catalogue::new(cvm_checks().chain(KMS_CHECKS.iter().copied())).unwrap();
    assert!(catalogue.len() > KMS_CHECKS.len());
    let described = KMS_CHECKS.iter().all(|check| !check.proves.is_empty() && !check.layer.is_empty());
    assert!(described);
}

#[test]
fn an_honest_kms() {
    let report = report(&Kms::honest().evidence());
    for check in KMS_CHECKS.iter().filter(|check| !["kms.env-key", "kms.certificate.cvm"].contains(&check.id))
    {
        assert_eq!(status(&report, check.id), "pass", "{}: {:?}", check.id, report.get(check.id));
    }
    // The caller trusts another root CA than Intel's, which is said wherever it counts.
    let warned: Vec<String> = flaws(&report).into_iter().filter(|flaw| !flaw.contains("operator.")).collect();
    assert_eq!(warned, ["warn quote.signature", "warn kms.certificate.cvm", "warn policy.required"]);
}

#[test]
fn without_the_answer_of_bootstrap_that_of_get_meta_counts() {
    let mut evidence = Kms::honest().evidence();
    evidence.bootstrap = None;
    let report = report(&evidence);
    assert_eq!(status(&report, "kms.bootstrap.key-match"), "pass");
    let observed = report.get("kms.bootstrap.readable").unwrap().observed.clone().unwrap();
    assert!(observed.starts_with("GetMeta's bootstrap_info"), "{observed}");
}

#[test]
fn what_was_not_given_is_not_judged_and_the_bootstrap_is_unknown() {
    let report = report(&KmsEvidence::new());
    for check in KMS_CHECKS {
        let expected = match check.id {
            "kms.bootstrap.readable" => "unknown",
            "kms.bootstrap.curve" | "kms.bootstrap.key-match" | "kms.meta.keys" | "kms.registered.keys" => {
                "skipped"
            }
            _ => "not-applicable",
        };
        assert_eq!(status(&report, check.id), expected, "{}", check.id);
    }
}

/// What is forged, how, and what has to be found.
type Attack = (&'static str, fn(&mut Kms) -> KmsEvidence, &'static [&'static str]);

const ATTACKS: &[Attack] = &[
    (
        "the attestation is about the keys of another KMS",
        |kms| {
            kms.quoted = Some(kms_bootstrap(&kms.ca_pubkey(), &k256(8)));
            kms.evidence()
        },
        &["fail kms.bootstrap.key-match"],
    ),
    (
        "the keys are swapped in the binding",
        |kms| {
            kms.quoted = Some(kms_bootstrap(&kms.k256, &kms.ca_pubkey()));
            kms.evidence()
        },
        &["fail kms.bootstrap.key-match"],
    ),
    (
        "the quote is one of an app that chose its report data",
        |kms| {
            kms.quoted = Some(ReportData::new([0x5a; 64]));
            kms.evidence()
        },
        &["fail kms.bootstrap.key-match"],
    ),
    (
        "the whole bootstrap is that of another KMS",
        |kms| {
            let mut evidence = kms.evidence();
            evidence.bootstrap = Some(Kms::honest().bootstrap().to_string());
            evidence
        },
        // The k256 key is the same in every scene: the CA tells them apart.
        &[
            "fail kms.meta.keys",
            "fail kms.meta.bootstrap-info",
            "fail kms.registered.keys",
            "fail kms.certificate.root",
        ],
    ),
    (
        "GetMeta names another k256 key",
        |kms| {
            let mut evidence = kms.evidence();
            let mut meta = kms.meta();
            meta["k256_pubkey"] = json!(hex::encode(k256(9)));
            evidence.meta = Some(meta.to_string());
            evidence
        },
        &["fail kms.meta.keys"],
    ),
    (
        "GetMeta names another root CA",
        |kms| {
            let mut evidence = kms.evidence();
            let mut meta = kms.meta();
            meta["ca_cert"] = json!(authority_named("Dstack KMS CA").pem());
            evidence.meta = Some(meta.to_string());
            evidence
        },
        &["fail kms.meta.keys"],
    ),
    (
        "GetMeta shows the bootstrap of other keys",
        |kms| {
            let mut evidence = kms.evidence();
            let mut meta = kms.meta();
            meta["bootstrap_info"] = Kms::honest().bootstrap();
            evidence.meta = Some(meta.to_string());
            evidence
        },
        &["fail kms.meta.bootstrap-info"],
    ),
    (
        "a text in place of the k256 key, with a quote about it",
        |kms| {
            kms.k256 = vec![5; 33];
            kms.evidence()
        },
        &["fail kms.bootstrap.curve"],
    ),
    (
        "other keys are registered",
        |kms| {
            let mut evidence = kms.evidence();
            evidence.registered_k256 = Some(k256(9));
            evidence
        },
        &["fail kms.registered.keys"],
    ),
    (
        "the KMS lets everybody in",
        |kms| {
            kms.is_dev = true;
            kms.evidence()
        },
        &["fail kms.meta.production"],
    ),
    (
        "every app is a gateway",
        |kms| {
            kms.gateway = json!("any");
            kms.evidence()
        },
        &["warn kms.meta.production"],
    ),
    (
        "the TLS certificate is of another CA of the same name",
        |kms| {
            let mut evidence = kms.evidence();
            let other = authority_named("Dstack KMS CA");
            evidence.tls_chain = vec![kms.leaf.issue(&other), other.der().to_vec()];
            evidence
        },
        &["fail kms.certificate.root"],
    ),
    (
        "the TLS certificate is of another CA, and the KMS's own CA is shown behind it",
        |kms| {
            let mut evidence = kms.evidence();
            let other = authority_named("Dstack KMS CA");
            evidence.tls_chain = vec![kms.leaf.issue(&other), kms.ca.der().to_vec()];
            evidence
        },
        &["fail kms.certificate.root"],
    ),
    (
        "the TLS certificate is that of an app under the KMS",
        |kms| {
            kms.leaf.usage = Some("app:custom");
            kms.evidence()
        },
        &["fail kms.certificate.usage"],
    ),
    (
        "the TLS certificate has the attestation of another key",
        |kms| {
            kms.leaf.attestation = Some(attestation(ratls_cert(&Leaf::new("x").spki())).encode_v0());
            kms.evidence()
        },
        &["fail kms.certificate.key-binding"],
    ),
    (
        "the TLS certificate has no attestation",
        |kms| {
            kms.leaf.attestation = None;
            kms.evidence()
        },
        &["unknown kms.certificate.key-binding"],
    ),
    (
        "the TLS certificate has a quote that nobody signed",
        |kms| {
            let mut unsigned = attestation(ratls_cert(&kms.leaf.spki()));
            unsigned.quote[700] ^= 1;
            kms.leaf.attestation = Some(unsigned.encode_v0());
            kms.evidence()
        },
        &["fail kms.certificate.cvm"],
    ),
    (
        "the TLS certificate is expired",
        |kms| {
            kms.leaf.valid = (-9, -2);
            kms.evidence()
        },
        &["fail kms.certificate.validity"],
    ),
    (
        "the TLS certificate is for another host",
        |kms| {
            kms.leaf.names = vec!["kms.example.org".to_owned()];
            kms.evidence()
        },
        &["fail kms.certificate.names"],
    ),
];

#[test]
fn each_forgery_fails_where_it_should() {
    let honest = report(&Kms::honest().evidence());
    let mut wrong = Vec::new();
    for (name, forge, expected) in ATTACKS {
        let mut found = changes(&honest, &report(&forge(&mut Kms::honest())));
        found.retain(|flaw| !flaw.contains("operator."));
        if found != *expected {
            wrong.push(format!("{name}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_leaf_alone_is_completed_by_the_ca_of_get_meta() {
    let kms = Kms::honest();
    let mut evidence = kms.evidence();
    evidence.tls_chain.truncate(1);
    assert_eq!(status(&report(&evidence), "kms.certificate.root"), "pass");
    evidence.meta = None;
    let report = report(&evidence);
    assert_eq!(status(&report, "kms.certificate.root"), "unknown");
}

#[test]
fn a_kms_that_bootstrapped_by_itself() {
    let kms = Kms::honest();
    let mut meta = kms.meta();
    meta["bootstrap_info"] = Value::Null;
    let mut evidence = kms.evidence();
    evidence.meta = Some(meta.to_string());
    // Whoever kept the bootstrap answer of the site can still give it.
    assert_eq!(status(&report(&evidence), "kms.meta.bootstrap-info"), "not-applicable");
    evidence.bootstrap = None;
    let report = report(&evidence);
    assert_eq!(status(&report, "kms.meta.bootstrap-info"), "unknown");
    assert_eq!(status(&report, "kms.bootstrap.readable"), "unknown");
    assert_eq!(report.verdict(), Verdict::Undetermined);
}

#[test]
fn answers_that_cannot_be_read_are_unknown() {
    let kms = Kms::honest();
    for text in ["", "x", "[]", "{}", r#"{"error":"KMS has already been bootstrapped"}"#] {
        let mut evidence = kms.evidence();
        evidence.bootstrap = Some(text.to_owned());
        evidence.meta = Some(text.to_owned());
        evidence.env_key = Some(EnvKeyEvidence::new(APP, text));
        evidence.tls_chain = vec![text.as_bytes().to_vec()];
        let report = report(&evidence);
        for id in ["kms.bootstrap.readable", "kms.meta.readable", "kms.certificate.readable", "kms.env-key"] {
            assert_eq!(status(&report, id), "unknown", "{id} of {text:?}");
        }
        assert!(KMS_CHECKS.iter().all(|check| status(&report, check.id) != "pass"), "{text:?}");
    }
}

#[test]
fn the_old_form_with_a_quote_and_a_log() {
    let kms = Kms::honest();
    let attested = attestation(kms_bootstrap(&kms.ca_pubkey(), &kms.k256));
    let log = attested.event_log.to_json();
    for eventlog in [hex::encode(&log), log] {
        let mut evidence = kms.evidence();
        let answer = json!({
            "ca_pubkey": hex::encode(kms.ca_pubkey()),
            "k256_pubkey": hex::encode(&kms.k256),
            "quote": hex::encode(&attested.quote),
            "eventlog": eventlog,
        });
        evidence.bootstrap = Some(answer.to_string());
        let report = report(&evidence);
        assert_eq!(status(&report, "kms.bootstrap.key-match"), "pass");
        assert_eq!(status(&report, "eventlog.replay-rtmr3"), "pass");
    }
}

/// A recorded answer.
macro_rules! recorded {
    ($file:literal) => {
        response(include_str!(concat!("../fixtures/kms/", $file)))
    };
}

/// The evidence of a recorded KMS.
fn recorded(bootstrap: &Value, meta: &Value, env_key: &Value) -> KmsEvidence {
    let mut evidence = KmsEvidence::new();
    evidence.bootstrap = Some(bootstrap.to_string());
    evidence.meta = Some(meta.to_string());
    evidence.env_key = Some(EnvKeyEvidence::new([0x11; 20].into(), env_key.to_string()));
    evidence
}

fn at_recording_of(evidence: &KmsEvidence) -> Report {
    // The KMSs were recorded a quarter of an hour after the agent.
    Verifier::new(Policy::new(), at_recording() + Duration::from_secs(1000)).kms("kms.example.com", evidence)
}

#[test]
fn the_recorded_kms_bind_their_keys_and_are_not_genuine() {
    for evidence in [
        recorded(
            &recorded!("bootstrap-next.json"),
            &recorded!("meta-next.json"),
            &recorded!("env-key-next.json"),
        ),
        recorded(
            &recorded!("bootstrap-again-v0.5.11.json"),
            &recorded!("meta-v0.5.11.json"),
            &recorded!("env-key-v0.5.11.json"),
        ),
    ] {
        let report = at_recording_of(&evidence);
        for id in [
            "kms.bootstrap.readable",
            "kms.bootstrap.curve",
            "kms.bootstrap.key-match",
            "kms.meta.readable",
            "kms.meta.keys",
            "kms.meta.bootstrap-info",
            "kms.env-key",
            "eventlog.replay-rtmr3",
        ] {
            assert_eq!(status(&report, id), "pass", "{id}: {:?}", report.get(id));
        }
        assert_eq!(status(&report, "kms.meta.production"), "fail");
        assert_ne!(status(&report, "quote.signature"), "pass");
        assert_eq!(report.verdict(), Verdict::Failed);
    }
}

#[test]
fn the_report_of_the_recorded_kms() {
    let evidence = recorded(
        &recorded!("bootstrap-next.json"),
        &recorded!("meta-next.json"),
        &recorded!("env-key-next.json"),
    );
    let report = at_recording_of(&evidence);
    let own = report.findings().iter().filter(|finding| finding.id.as_str().starts_with("kms."));
    let own = Report::new(report.subject(), own.cloned());
    insta::assert_snapshot!(dstack_check::render::markdown::report(&own));
}

#[test]
fn the_answer_before_the_keys_were_replaced_is_that_of_another_kms() {
    let evidence = recorded(
        &recorded!("bootstrap-v0.5.11.json"),
        &recorded!("meta-v0.5.11.json"),
        &recorded!("env-key-v0.5.11.json"),
    );
    let report = at_recording_of(&evidence);
    assert_eq!(status(&report, "kms.bootstrap.key-match"), "pass");
    for id in ["kms.meta.keys", "kms.meta.bootstrap-info", "kms.env-key"] {
        assert_eq!(status(&report, id), "fail", "{id}");
    }
    let refused = recorded!("bootstrap-again-next.json");
    let evidence = recorded(&refused, &recorded!("meta-next.json"), &recorded!("env-key-next.json"));
    let finding = at_recording_of(&evidence).get("kms.bootstrap.readable").unwrap().clone();
    assert!(format!("{:?}", finding.status).contains("already been bootstrapped"));
}

#[test]
fn an_env_key_that_anything_was_done_to() {
    let (bootstrap, meta) = (recorded!("bootstrap-next.json"), recorded!("meta-next.json"));
    let genuine = recorded!("env-key-next.json");
    let judge = |answer: &Value, app: [u8; 20]| {
        let mut evidence = recorded(&bootstrap, &meta, answer);
        evidence.env_key = Some(EnvKeyEvidence::new(app.into(), answer.to_string()));
        at_recording_of(&evidence).get("kms.env-key").unwrap().clone()
    };
    assert_eq!(judge(&genuine, [0x11; 20]).status, Status::Pass);
    assert_eq!(judge(&genuine, [0x12; 20]).status, Status::Fail);
    let flip = |member: &str| {
        let mut bytes = hex::decode(genuine[member].as_str().unwrap()).unwrap();
        bytes[5] ^= 1;
        let mut answer = genuine.clone();
        answer[member] = json!(hex::encode(bytes));
        answer
    };
    for member in ["public_key", "signature", "signature_v1"] {
        assert_eq!(judge(&flip(member), [0x11; 20]).status, Status::Fail, "{member}");
    }
    let mut later = genuine.clone();
    later["timestamp"] = json!(genuine["timestamp"].as_u64().unwrap() + 1);
    assert_eq!(judge(&later, [0x11; 20]).status, Status::Fail);
    let mut old = genuine.clone();
    old["signature_v1"] = json!("");
    assert_eq!(judge(&old, [0x11; 20]).status, Status::Warn);
    let mut none = old;
    none["signature"] = json!("");
    assert_eq!(judge(&none, [0x11; 20]).status, Status::Fail);
}

#[test]
fn the_signer_of_an_env_key_is_the_recorded_root_key() {
    let answer = recorded!("env-key-v0.5.11.json");
    let bytes = |member: &str| hex::decode(answer[member].as_str().unwrap()).unwrap();
    let signer = env_key_signer(
        &[0x11; 20].into(),
        &bytes("public_key"),
        answer["timestamp"].as_u64(),
        &bytes("signature_v1"),
    );
    assert_eq!(signer.unwrap().to_string(), recorded!("meta-v0.5.11.json")["k256_pubkey"].as_str().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to one digit of the keys or to one byte of the quote's report data, the binding does not pass.
    #[test]
    fn any_change_of_a_bound_key_breaks_the_binding(member in 0..2usize, at in any::<prop::sample::Index>(), flip in 1..16u8) {
        let name = ["ca_pubkey", "k256_pubkey"][member];
        let mut answer = recorded!("bootstrap-next.json");
        let mut digits = answer[name].as_str().unwrap().to_owned().into_bytes();
        let at = at.index(digits.len());
        let value = char::from(digits[at]).to_digit(16).unwrap() ^ u32::from(flip);
        digits[at] = char::from_digit(value, 16).unwrap() as u8;
        answer[name] = json!(String::from_utf8(digits).unwrap());
        let mut evidence = KmsEvidence::new();
        evidence.bootstrap = Some(answer.to_string());
        let report = at_recording_of(&evidence);
        prop_assert_eq!(status(&report, "kms.bootstrap.key-match"), "fail");
    }

    /// Answers with a byte changed, or cut, or of any other text, are judged without a panic.
    #[test]
    fn hostile_answers_are_judged(
        cut in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in 0x20..0x7fu8,
        text in ".{0,60}",
    ) {
        for genuine in [
            recorded!("bootstrap-v0.5.11.json").to_string(),
            recorded!("meta-v0.5.11.json").to_string(),
            recorded!("env-key-v0.5.11.json").to_string(),
            text,
        ] {
            let mut bytes = genuine.into_bytes();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                bytes.truncate(cut.index(2 * bytes.len()));
            }
            let hostile = String::from_utf8_lossy(&bytes).into_owned();
            let mut evidence = KmsEvidence::new();
            evidence.bootstrap = Some(hostile.clone());
            evidence.meta = Some(hostile.clone());
            evidence.tls_chain = vec![hostile.clone().into_bytes()];
            evidence.env_key = Some(EnvKeyEvidence::new(APP, hostile));
            let report = at_recording_of(&evidence);
            prop_assert_ne!(report.verdict(), Verdict::Ok);
        }
    }
}
