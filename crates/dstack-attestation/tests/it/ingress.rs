//! An ingress whose quote a test authority's platform signed, and forgeries of it.

use dstack_attestation::report_data::{ReportData, sha256_of};
use dstack_attestation::{INGRESS_CHECKS, IngressEvidence, Policy, cvm_checks};
use dstack_check::{Answer, Catalogue, Report};
use proptest::prelude::*;
use rcgen::{CertifiedIssuer, KeyPair};
use serde_json::json;

use crate::kms::{Leaf, attestation, authority_named, changes, context, flaws, status, verifier};

const DOMAIN: &str = "app.example.com";

/// An ingress as it should be, in parts that a test can change.
struct Ingress {
    ca: CertifiedIssuer<'static, KeyPair>,
    leaf: Leaf,
    certificate: String,
    account: String,
    /// The certificate that the host shows.
    live: Vec<u8>,
    /// What the quote is about, where that is not the list itself.
    quoted: Option<ReportData>,
}

/// A line as `sha256sum` writes it.
fn line(name: &str, content: &str) -> String {
    let policy = Policy::new().compose(content);
    format!("{}  {name}\n", policy.compose_hashes.first().unwrap())
}

impl Ingress {
    fn honest() -> Self {
        let ca = authority_named("A public CA");
        let leaf = Leaf::new(DOMAIN);
        // Two signatures over one certificate differ: take both forms from one.
        let certificate = leaf.pem(&ca);
        let live = der(&certificate);
        let account = json!({"body": {}, "uri": "https://acme.example/acct/1"}).to_string();
        Self { ca, leaf, certificate, account, live, quoted: None }
    }

    fn list(&self) -> String {
        line("acme-account.json", &self.account) + &line("cert-app.example.com.pem", &self.certificate)
    }

    fn evidence(&self) -> IngressEvidence {
        let list = self.list();
        let attested = attestation(self.quoted.unwrap_or_else(|| sha256_of(list.as_bytes())));
        let quote = json!({
            "quote": hex::encode(&attested.quote),
            "event_log": attested.event_log.to_json(),
            "hash_algorithm": "raw",
            "prefix": "",
        });
        let mut evidence = IngressEvidence::new()
            .file("quote.json", quote.to_string())
            .file("sha256sum.txt", list)
            .file("acme-account.json", self.account.clone())
            .file("cert-app.example.com.pem", self.certificate.clone());
        evidence.domain = Some(DOMAIN.to_owned());
        evidence.tls_chain = vec![self.live.clone(), self.ca.der().to_vec()];
        evidence.cvm = context();
        evidence
    }
}

/// The certificate in a PEM text.
fn der(pem: &str) -> Vec<u8> {
    dstack_attestation::ra_tls::RaTlsCertificate::all_from_pem(pem).unwrap()[0].der.clone()
}

fn report(evidence: &IngressEvidence) -> Report {
    verifier().ingress(DOMAIN, evidence)
}

#[test]
fn an_honest_ingress() {
    let catalogue = Catalogue::new(cvm_checks().chain(INGRESS_CHECKS.iter().copied()));
    assert!(catalogue.is_ok());
    let report = report(&Ingress::honest().evidence());
    for check in INGRESS_CHECKS {
        assert_eq!(status(&report, check.id), "pass", "{}: {:?}", check.id, report.get(check.id));
    }
    let flaws: Vec<String> = flaws(&report).into_iter().filter(|flaw| !flaw.contains("operator.")).collect();
    // The caller trusts another root CA than Intel's.
    assert_eq!(flaws, ["warn quote.signature", "warn policy.required"]);
}

/// What is forged, how, and what has to be found.
type Attack = (&'static str, fn(&mut Ingress) -> IngressEvidence, &'static [&'static str]);

const ATTACKS: &[Attack] = &[
    (
        "the certificate is replaced",
        |ingress| {
            let other = Leaf::new(DOMAIN).pem(&ingress.ca);
            ingress.live = der(&other);
            ingress.evidence().file("cert-app.example.com.pem", other)
        },
        &["fail ingress.checksums"],
    ),
    (
        "the certificate and its line in the list are replaced",
        |ingress| {
            ingress.quoted = Some(sha256_of(ingress.list().as_bytes()));
            ingress.certificate = Leaf::new(DOMAIN).pem(&ingress.ca);
            ingress.live = der(&ingress.certificate);
            ingress.evidence()
        },
        &["fail ingress.quote-binding"],
    ),
    (
        "the quote is that of another app",
        |ingress| {
            ingress.quoted = Some(ReportData::new([0x5a; 64]));
            ingress.evidence()
        },
        &["fail ingress.quote-binding"],
    ),
    (
        "the digest of the list stands in the second half of the report data",
        |ingress| {
            let mut bytes = *sha256_of(ingress.list().as_bytes()).as_bytes();
            bytes.rotate_right(32);
            ingress.quoted = Some(ReportData::new(bytes));
            ingress.evidence()
        },
        &["fail ingress.quote-binding"],
    ),
    (
        "the evidence is that of another domain",
        |ingress| {
            ingress.leaf = Leaf::new("app.example.org");
            ingress.certificate = ingress.leaf.pem(&ingress.ca);
            ingress.evidence()
        },
        &["fail ingress.certificate"],
    ),
    (
        "the certificate is there and not in the list",
        |ingress| {
            let evidence = ingress.evidence();
            let list = line("acme-account.json", &ingress.account);
            ingress.quoted = Some(sha256_of(list.as_bytes()));
            let quote = ingress.evidence().files["quote.json"].clone();
            evidence.file("sha256sum.txt", list).file("quote.json", quote)
        },
        &["unknown ingress.certificate"],
    ),
    (
        "the host shows a certificate with another key",
        |ingress| {
            ingress.live = Leaf::new(DOMAIN).issue(&ingress.ca);
            ingress.evidence()
        },
        &["fail ingress.live"],
    ),
    (
        "the host shows a new certificate with the same key",
        |ingress| {
            ingress.leaf.valid = (-1, 60);
            ingress.live = ingress.leaf.issue(&ingress.ca);
            ingress.evidence()
        },
        &["warn ingress.live"],
    ),
    (
        "the host shows a certificate for another domain with the same key",
        |ingress| {
            ingress.leaf.names = vec!["app.example.org".to_owned()];
            ingress.live = ingress.leaf.issue(&ingress.ca);
            ingress.evidence()
        },
        &["fail ingress.live"],
    ),
    (
        "no certificate of the host was given",
        |ingress| {
            let mut evidence = ingress.evidence();
            evidence.tls_chain.clear();
            evidence
        },
        &["unknown ingress.live"],
    ),
    (
        "the certificate is expired",
        |ingress| {
            ingress.leaf.valid = (-9, -2);
            ingress.certificate = ingress.leaf.pem(&ingress.ca);
            ingress.live = der(&ingress.certificate);
            ingress.evidence()
        },
        &["fail ingress.validity"],
    ),
    (
        "the account file was edited",
        |ingress| ingress.evidence().file("acme-account.json", r#"{"uri":"https://acme.example/acct/2"}"#),
        &["fail ingress.checksums"],
    ),
    (
        "an account that nobody quoted was added",
        |ingress| {
            let list = line("cert-app.example.com.pem", &ingress.certificate);
            ingress.quoted = Some(sha256_of(list.as_bytes()));
            ingress.evidence().file("sha256sum.txt", list)
        },
        &["fail ingress.account"],
    ),
    (
        "a listed file is not there",
        |ingress| {
            let mut evidence = ingress.evidence();
            evidence.files.remove("acme-account.json");
            evidence
        },
        &["unknown ingress.checksums"],
    ),
    (
        "nobody signed the quote",
        |ingress| {
            let list = ingress.list();
            let mut attested = attestation(sha256_of(list.as_bytes()));
            attested.quote[700] ^= 1;
            let quote =
                json!({"quote": hex::encode(&attested.quote), "event_log": attested.event_log.to_json()});
            ingress.evidence().file("quote.json", quote.to_string())
        },
        &["fail quote.signature"],
    ),
    (
        "the quote cannot be read",
        |ingress| ingress.evidence().file("quote.json", "{}"),
        &["unknown quote.present", "unknown ingress.quote-file"],
    ),
    (
        "the list cannot be read",
        |ingress| {
            let list = "what the list says";
            ingress.quoted = Some(sha256_of(list.as_bytes()));
            ingress.evidence().file("sha256sum.txt", list)
        },
        &["unknown ingress.checksums"],
    ),
];

#[test]
fn each_forgery_fails_where_it_should() {
    let honest = report(&Ingress::honest().evidence());
    let mut wrong = Vec::new();
    for (name, forge, expected) in ATTACKS {
        let mut found = changes(&honest, &report(&forge(&mut Ingress::honest())));
        found.retain(|flaw| !flaw.contains("operator.") && !flaw.contains("eventlog."));
        if found != *expected {
            wrong.push(format!("{name}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_given_passes_nothing() {
    let report = report(&IngressEvidence::new());
    for check in INGRESS_CHECKS {
        let expected = match check.id {
            "ingress.quote-file" | "ingress.checksums" => "unknown",
            _ => "skipped",
        };
        assert_eq!(status(&report, check.id), expected, "{}", check.id);
    }
}

#[test]
fn of_several_certificates_the_one_for_the_domain_counts() {
    let ingress = Ingress::honest();
    let other = Leaf::new("other.example.com").pem(&ingress.ca);
    let list = ingress.list() + &line("cert-a.pem", &other);
    let quote = |quoted| {
        let mut ingress = Ingress::honest();
        ingress.quoted = Some(quoted);
        ingress.evidence().files["quote.json"].clone()
    };
    let mut evidence = ingress
        .evidence()
        .file("quote.json", quote(sha256_of(list.as_bytes())))
        .file("sha256sum.txt", list)
        .file("cert-a.pem", other);
    let found = |evidence: &IngressEvidence| {
        let report = report(evidence);
        ["ingress.certificate", "ingress.live"].map(|id| status(&report, id).to_owned())
    };
    assert_eq!(found(&evidence), ["pass", "pass"]);
    // Without a domain, the certificate that the host shows tells.
    evidence.domain = None;
    assert_eq!(found(&evidence), ["pass", "pass"]);
    evidence.tls_chain.clear();
    assert_eq!(found(&evidence), ["unknown", "skipped"]);
}

#[test]
fn what_the_list_leaves_out_is_named() {
    let evidence = Ingress::honest().evidence().file("note.txt", "hello");
    let report = report(&evidence);
    let finding = report.get("ingress.checksums").unwrap();
    assert_eq!(finding.evidence.last().unwrap().excerpt, "note.txt");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any change of one byte in a file of the evidence is found.
    #[test]
    fn any_change_of_a_file_is_found(file in 0..4usize, at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        static HONEST: std::sync::OnceLock<IngressEvidence> = std::sync::OnceLock::new();
        let mut evidence = HONEST.get_or_init(|| Ingress::honest().evidence()).clone();
        let name = ["quote.json", "sha256sum.txt", "acme-account.json", "cert-app.example.com.pem"][file];
        let bytes = evidence.files.get_mut(name).unwrap();
        // The members of quote.json that nobody uses may hold anything; its quote and log may not.
        let range = if file == 0 { quote_range(bytes) } else { 0..bytes.len() };
        let at = range.start + at.index(range.len());
        bytes[at] ^= flip;
        let same = file == 0 && bytes[at].eq_ignore_ascii_case(&(bytes[at] ^ flip));
        let report = report(&evidence);
        prop_assert!(same || !matches!(report.verdict(), dstack_check::Verdict::Ok | dstack_check::Verdict::Warnings), "{name} at {at}");
    }
}

/// Where the digits of the signed part of the quote stand in `quote.json`: its first 632 bytes.
fn quote_range(bytes: &[u8]) -> std::ops::Range<usize> {
    let text = std::str::from_utf8(bytes).unwrap();
    let start = text.find(r#""quote":""#).unwrap() + 9;
    start..start + 2 * 632
}

#[test]
fn a_list_that_cannot_be_read_binds_nothing() {
    let identity = |report: &Report| {
        report.conclusions().iter().find(|one| one.question == "identity").map(|one| one.answer)
    };
    assert_eq!(identity(&report(&Ingress::honest().evidence())), Some(Answer::WithReserve));
    let mut ingress = Ingress::honest();
    let list = "what the list says";
    ingress.quoted = Some(sha256_of(list.as_bytes()));
    let report = report(&ingress.evidence().file("sha256sum.txt", list));
    assert_eq!(status(&report, "ingress.quote-binding"), "pass");
    assert_eq!(identity(&report), Some(Answer::NotShown));
}
