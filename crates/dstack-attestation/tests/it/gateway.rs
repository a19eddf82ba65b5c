//! A gateway whose quotes a test authority's platform signed, and forgeries of it.

use dstack_attestation::report_data::{acme_account, ratls_cert, zt_cert};
use dstack_attestation::versioned::VersionedAttestation;
use dstack_attestation::{GATEWAY_CHECKS, GatewayEvidence, Verifier};
use dstack_check::{ReportSet, Status, Verdict};
use proptest::prelude::*;
use rcgen::{CertifiedIssuer, KeyPair};
use serde_json::{Value, json};

use crate::authority::now;
use crate::evidence::{COMPOSE, emulated};
use crate::kms::{Leaf, attestation, authority_named, changes, flaws, policy, status, verifier};

const ACCOUNT: &str = "https://acme.example/acct/1";
const OTHER_ACCOUNT: &str = "https://acme.example/acct/2";

/// A gateway as it should be, in parts that a test can change.
struct Gateway {
    ca: CertifiedIssuer<'static, KeyPair>,
    leaf: Leaf,
    info: Value,
}

/// A key with the quote that binds it, in the newer form.
fn quoted(key: &Leaf) -> Value {
    let attested = attestation(zt_cert(&key.spki()));
    json!({
        "public_key": hex::encode(key.spki()),
        "quote": hex::encode(&attested.quote),
        "attestation": hex::encode(attested.encode_v0()),
    })
}

fn account(attested: &VersionedAttestation) -> Value {
    json!(hex::encode(attested.encode_v0()))
}

impl Gateway {
    fn honest() -> Self {
        let (leaf, old) = (Leaf::new("*.example.com"), Leaf::new("*.example.com"));
        let attested = attestation(acme_account(ACCOUNT));
        let info = json!({
            "account_uri": ACCOUNT,
            "quoted_hist_keys": [quoted(&old), quoted(&leaf)],
            "account_quote": hex::encode(&attested.quote),
            "account_attestation": account(&attested),
        });
        Self { ca: authority_named("A public CA"), leaf, info }
    }

    fn evidence(&self) -> GatewayEvidence {
        let mut evidence = GatewayEvidence::new();
        evidence.acme_info = Some(self.info.to_string());
        evidence.tls_chain = vec![self.leaf.issue(&self.ca), self.ca.der().to_vec()];
        evidence.domain = Some("gateway.example.com".to_owned());
        evidence
    }

    fn reports(&self) -> ReportSet {
        reports(&self.evidence())
    }
}

/// The reports of a gateway. No app-compose text comes with its quotes; the policy names the hash.
fn reports(evidence: &GatewayEvidence) -> ReportSet {
    verifier().gateway("gw", evidence)
}

/// The flaws of every report that the honest gateway's do not have, the gateway's own first.
fn found(set: &ReportSet) -> Vec<String> {
    let honest = Gateway::honest().reports();
    let mut found = Vec::new();
    for (index, report) in set.reports().iter().enumerate() {
        let model = &honest.reports()[index.min(1)];
        let prefix = if index == 0 { String::new() } else { format!("{}: ", report.subject()) };
        found.extend(changes(model, report).into_iter().map(|flaw| format!("{prefix}{flaw}")));
    }
    found
}

#[test]
fn an_honest_gateway() {
    let set = Gateway::honest().reports();
    let subjects: Vec<&str> = set.reports().iter().map(|report| report.subject()).collect();
    assert_eq!(
        subjects,
        ["gw", "gw: ACME account", "gw: certificate key 1 of 2", "gw: certificate key 2 of 2, in use"]
    );
    let (own, quotes) = set.reports().split_first().unwrap();
    for check in &GATEWAY_CHECKS[..GATEWAY_CHECKS.len() - 1] {
        let expected = if check.id.ends_with(".cvm") { ["warn", "unknown"] } else { ["pass", "pass"] };
        assert!(expected.contains(&status(own, check.id)), "{}: {:?}", check.id, own.get(check.id));
    }
    for report in quotes {
        assert_eq!(status(report, "gateway.evidence.binding"), "pass");
        assert_eq!(status(report, "eventlog.replay-rtmr3"), "pass");
        // The caller trusts another root CA than Intel's.
        assert_eq!(status(report, "quote.signature"), "warn");
        assert!(!flaws(report).iter().any(|flaw| flaw.starts_with("fail")), "{:?}", flaws(report));
    }
}

/// What is forged, how, and what has to be found.
type Attack = (&'static str, fn(&mut Gateway) -> GatewayEvidence, &'static [&'static str]);

const ATTACKS: &[Attack] = &[
    (
        "a foreign ACME account is named",
        |gateway| {
            gateway.info["account_uri"] = json!(OTHER_ACCOUNT);
            gateway.evidence()
        },
        &["fail gateway.account.quoted", "gw: ACME account: fail gateway.evidence.binding"],
    ),
    (
        "the account is shown with the quote of a certificate key",
        |gateway| {
            gateway.info["account_attestation"] = gateway.info["quoted_hist_keys"][0]["attestation"].clone();
            gateway.evidence()
        },
        &["fail gateway.account.quoted", "gw: ACME account: fail gateway.evidence.binding"],
    ),
    (
        "the account has no quote",
        |gateway| {
            gateway.info["account_attestation"] = json!("");
            gateway.info["account_quote"] = Value::Null;
            gateway.evidence()
        },
        &["unknown gateway.account.quoted"],
    ),
    (
        "the certificate's key is not among those listed",
        |gateway| {
            gateway.leaf = Leaf::new("*.example.com");
            gateway.evidence()
        },
        &["fail gateway.certificate.quoted"],
    ),
    (
        "the certificate's key is listed with the quote of another",
        |gateway| {
            let keys = &mut gateway.info["quoted_hist_keys"];
            keys[1]["attestation"] = keys[0]["attestation"].clone();
            gateway.evidence()
        },
        &[
            "fail gateway.certificate.quoted",
            "fail gateway.history",
            "gw: certificate key 2 of 2, in use: fail gateway.evidence.binding",
        ],
    ),
    (
        "the certificate's key is listed with the quote of an app's certificate",
        |gateway| {
            let attested = attestation(ratls_cert(&gateway.leaf.spki()));
            gateway.info["quoted_hist_keys"][1]["attestation"] = account(&attested);
            gateway.evidence()
        },
        &[
            "fail gateway.certificate.quoted",
            "fail gateway.history",
            "gw: certificate key 2 of 2, in use: fail gateway.evidence.binding",
        ],
    ),
    (
        "the certificate's key is listed with a quote that nobody signed",
        |gateway| {
            let mut unsigned = attestation(zt_cert(&gateway.leaf.spki()));
            unsigned.quote[700] ^= 1;
            gateway.info["quoted_hist_keys"][1]["attestation"] = account(&unsigned);
            gateway.evidence()
        },
        &["fail gateway.certificate.cvm", "gw: certificate key 2 of 2, in use: fail quote.signature"],
    ),
    (
        "an older key was never quoted",
        |gateway| {
            gateway.info["quoted_hist_keys"][0] =
                json!({"public_key": "3059", "quote": "", "attestation": ""});
            gateway.evidence()
        },
        &["unknown gateway.history"],
    ),
    (
        "an older key has the quote of another",
        |gateway| {
            gateway.info["quoted_hist_keys"][0]["public_key"] = json!(hex::encode(Leaf::new("x").spki()));
            gateway.evidence()
        },
        &["fail gateway.history", "gw: certificate key 1 of 2: fail gateway.evidence.binding"],
    ),
    (
        "the certificate is for another domain",
        |gateway| {
            let mut evidence = gateway.evidence();
            evidence.domain = Some("gateway.example.org".to_owned());
            evidence
        },
        &["fail gateway.certificate.names"],
    ),
    (
        "the certificate is expired",
        |gateway| {
            gateway.leaf.valid = (-9, -2);
            gateway.evidence()
        },
        &["fail gateway.certificate.validity"],
    ),
    (
        "no certificate was given",
        |gateway| {
            let mut evidence = gateway.evidence();
            evidence.tls_chain.clear();
            evidence
        },
        &["unknown gateway.certificate.readable"],
    ),
    (
        "no answer of AcmeInfo was given",
        |gateway| {
            let mut evidence = gateway.evidence();
            evidence.acme_info = None;
            evidence
        },
        &["unknown gateway.acme-info.readable"],
    ),
];

#[test]
fn each_forgery_fails_where_it_should() {
    let mut wrong = Vec::new();
    for (name, forge, expected) in ATTACKS {
        let set = reports(&forge(&mut Gateway::honest()));
        let found = found(&set);
        if found != *expected {
            wrong.push(format!("{name}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_gateway_without_a_certificate_yet_as_recorded() {
    let mut evidence = GatewayEvidence::new();
    evidence.acme_info = Some(include_str!("../fixtures/gateway/acme-info-next.json").to_owned());
    let answer: Value = serde_json::from_str(evidence.acme_info.as_deref().unwrap()).unwrap();
    evidence.acme_info = Some(answer["response"].to_string());
    let set = reports(&evidence);
    assert_eq!(set.reports().len(), 1);
    let own = &set.reports()[0];
    assert_eq!(status(own, "gateway.acme-info.readable"), "pass");
    for id in ["gateway.account.quoted", "gateway.history", "gateway.certificate.readable"] {
        assert_eq!(status(own, id), "unknown", "{id}");
    }
    assert_eq!(set.verdict(), Verdict::Undetermined);
}

#[test]
fn quotes_in_every_form_are_read() {
    let mut gateway = Gateway::honest();
    let attested = attestation(zt_cert(&gateway.leaf.spki()));
    let get_quote = json!({"quote": hex::encode(&attested.quote), "event_log": attested.event_log.to_json(), "vm_config": ""});
    for (form, with_log) in [
        (json!(hex::encode(&attested.quote)), false),
        (json!(format!("0x{}", hex::encode(attested.encode_v1()))), true),
        (json!(get_quote.to_string()), true),
        (get_quote, true),
    ] {
        gateway.info["quoted_hist_keys"][1] =
            json!({"public_key": hex::encode(gateway.leaf.spki()), "quote": form});
        let set = gateway.reports();
        assert_eq!(status(&set.reports()[0], "gateway.certificate.quoted"), "pass", "{form}");
        let report = set.get("gw: certificate key 2 of 2, in use").unwrap();
        assert_eq!(status(report, "gateway.evidence.binding"), "pass");
        let replayed = if with_log { "pass" } else { "skipped" };
        assert_eq!(status(report, "eventlog.replay-rtmr3"), replayed, "{form}");
    }
}

#[test]
fn answers_that_cannot_be_read_are_unknown() {
    let long = json!({"account_uri": "x".repeat(5000), "quoted_hist_keys": []}).to_string();
    for text in [
        "",
        "x",
        "[]",
        "{}",
        "null",
        r#"{"error":"no"}"#,
        r#"{"account_uri":"","quoted_hist_keys":{}}"#,
        &long,
    ] {
        let mut evidence = Gateway::honest().evidence();
        evidence.acme_info = Some(text.to_owned());
        let set = reports(&evidence);
        assert_eq!(status(&set.reports()[0], "gateway.acme-info.readable"), "unknown", "{text:.50}");
        assert_eq!(set.reports().len(), 1);
    }
    for key in [
        json!(1),
        json!(null),
        json!({}),
        json!({"public_key": "zz"}),
        json!({"public_key": {}, "quote": []}),
    ] {
        let mut gateway = Gateway::honest();
        gateway.info["quoted_hist_keys"][0] = key.clone();
        let set = gateway.reports();
        assert_eq!(status(&set.reports()[0], "gateway.history"), "unknown", "{key}");
        assert_eq!(status(&set.reports()[0], "gateway.certificate.quoted"), "pass", "{key}");
    }
}

#[test]
fn of_very_many_keys_the_one_in_use_is_looked_at() {
    let mut gateway = Gateway::honest();
    let mut keys = vec![json!({"public_key": "3059", "quote": ""}); 2000];
    keys.push(quoted(&gateway.leaf));
    gateway.info["quoted_hist_keys"] = Value::from(keys);
    let set = gateway.reports();
    let own = &set.reports()[0];
    assert_eq!(status(own, "gateway.certificate.quoted"), "pass");
    assert!(set.get("gw: certificate key 2001 of 2001, in use").is_some());
    assert_eq!(status(own, "gateway.history"), "unknown");
}

#[test]
fn emulated_quotes_are_said_to_be() {
    let mut gateway = Gateway::honest();
    let emulated = emulated().quote.unwrap();
    gateway.info["quoted_hist_keys"][1]["attestation"] = Value::Null;
    gateway.info["quoted_hist_keys"][1]["quote"] = json!(hex::encode(emulated));
    let set = gateway.reports();
    assert_eq!(set.reports()[0].meta().get("evidence").map(String::as_str), Some("EMULATED"));
    let mut evidence = Gateway::honest().evidence();
    evidence.service_versions = vec!["0.6.0 EMULATED".to_owned()];
    let set = Verifier::new(policy().compose(COMPOSE), now()).gateway("gw", &evidence);
    for report in set.reports() {
        assert_eq!(report.meta().get("evidence").map(String::as_str), Some("EMULATED"));
    }
    let signature = &set.reports()[1].get("quote.signature").unwrap().status;
    assert_eq!(*signature, Status::Fail);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Answers and certificates of any content are judged without a panic, and nothing about them passes.
    #[test]
    fn hostile_answers_are_judged(
        uri in ".{0,20}",
        key in "(0x)?[0-9a-f]{0,40}",
        quote in "(04000200[0-9a-f]{0,80}|00[0-9a-f]{0,80}|.{0,20})",
        certificate in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut evidence = GatewayEvidence::new();
        let keys = json!([{"public_key": key, "quote": quote, "attestation": ""}, {"public_key": key, "attestation": quote}]);
        let answer = json!({"account_uri": uri, "quoted_hist_keys": keys, "account_quote": quote});
        evidence.acme_info = Some(answer.to_string());
        evidence.tls_chain = vec![certificate];
        let set = reports(&evidence);
        for report in set.reports() {
            for check in GATEWAY_CHECKS.iter().filter(|check| check.id != "gateway.acme-info.readable") {
                prop_assert!(report.get(check.id).is_none_or(|finding| finding.status != Status::Pass));
            }
        }
    }
}
