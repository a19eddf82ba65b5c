//! Attacks on what an ingress and a gateway hand out about themselves. Their own tests go further; these were written
//! without them.

use dstack_attestation::report_data::{HashAlgorithm, TAG_ACME_ACCOUNT, TAG_ZT_CERT, padded, tagged};
use dstack_attestation::{GatewayEvidence, IngressEvidence};
use dstack_check::{Report, ReportSet, Status};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::scene::{Scene, changes_from};
use crate::authority::{DAY, now};

/// What it is, what it does, and what is then found.
type Attack<Subject, Found> = (&'static str, fn(&mut Subject), Found);

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

/// A certificate for the host under a key of its own: PEM, DER and the public key.
fn certificate(host: &str) -> (String, Vec<u8>, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.not_before = (now() - 10 * DAY).into();
    params.not_after = (now() + 80 * DAY).into();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), certificate.der().to_vec(), key.subject_public_key_info())
}

fn get_quote(scene: &Scene) -> Value {
    json!({
        "quote": hex::encode(scene.evidence.quote.as_deref().unwrap()),
        "event_log": scene.evidence.event_log,
        "report_data": scene.contents.report_data.to_string(),
        "vm_config": "",
    })
}

const ACCOUNT: &str = r#"{"uri":"https://acme.example.com/acct/1"}"#;

struct Ingress {
    scene: Scene,
    evidence: IngressEvidence,
}

impl Ingress {
    fn honest() -> Self {
        let (pem, der, _) = certificate("app.example.com");
        let sums = format!(
            "{}  acme-account.json\n{}  cert-app.example.com.pem\n",
            sha256(ACCOUNT.as_bytes()),
            sha256(pem.as_bytes())
        );
        let mut scene = Scene::honest();
        scene.policy.report_data = None;
        scene.contents.report_data = padded(digest(&SHA256, sums.as_bytes()).as_ref()).unwrap();
        scene.sign();
        let mut evidence = IngressEvidence::new()
            .file("quote.json", get_quote(&scene).to_string())
            .file("sha256sum.txt", sums)
            .file("acme-account.json", ACCOUNT)
            .file("cert-app.example.com.pem", pem);
        evidence.domain = Some("app.example.com".to_owned());
        evidence.tls_chain = vec![der];
        evidence.cvm.app_compose.clone_from(&scene.evidence.app_compose);
        Self { scene, evidence }
    }

    fn report(&self) -> Report {
        self.scene.verifier().ingress("app.example.com", &self.evidence)
    }
}

#[test]
fn ingresses() {
    let honest = Ingress::honest().report();
    assert_eq!(honest.counts().fail, 0, "{:?}", honest.findings());
    for id in ["ingress.checksums", "ingress.quote-binding", "ingress.certificate", "ingress.live"] {
        assert_eq!(honest.get(id).unwrap().status, Status::Pass, "{id}");
    }
    let attacks: [Attack<Ingress, &str>; 6] = [
        (
            "a checksum is edited",
            |ingress| {
                let sums = ingress.evidence.files.get_mut("sha256sum.txt").unwrap();
                sums[0] = if sums[0] == b'0' { b'1' } else { b'0' };
            },
            "fail ingress.checksums ingress.quote-binding",
        ),
        (
            "the certificate is swapped",
            |ingress| {
                let (pem, der, _) = certificate("app.example.com");
                ingress.evidence.files.insert("cert-app.example.com.pem".to_owned(), pem.into_bytes());
                ingress.evidence.tls_chain = vec![der];
            },
            "fail ingress.checksums",
        ),
        (
            "certificate and checksums are swapped together",
            |ingress| {
                let (pem, der, _) = certificate("app.example.com");
                let sums = format!("{}  cert-app.example.com.pem\n", sha256(pem.as_bytes()));
                ingress.evidence.files.insert("cert-app.example.com.pem".to_owned(), pem.into_bytes());
                ingress.evidence.files.insert("sha256sum.txt".to_owned(), sums.into_bytes());
                ingress.evidence.tls_chain = vec![der];
            },
            "fail ingress.quote-binding ingress.account",
        ),
        (
            "the host shows another certificate",
            |ingress| ingress.evidence.tls_chain = vec![certificate("app.example.com").1],
            "fail ingress.live",
        ),
        (
            "the evidence is that of another CVM",
            |ingress| {
                let quote = get_quote(&Scene::honest()).to_string();
                ingress.evidence.files.insert("quote.json".to_owned(), quote.into_bytes());
            },
            "fail ingress.quote-binding",
        ),
        (
            "the time is after the certificate's",
            |ingress| {
                ingress.scene.now = now() + 90 * DAY;
                ingress.scene.only_collateral_in_date();
            },
            "fail ingress.validity",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, forge, expected) in attacks {
        let mut ingress = Ingress::honest();
        forge(&mut ingress);
        let found = changes_from(&honest, &ingress.report());
        if found != expected {
            wrong.push(format!("{name}:\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const ACCOUNT_URI: &str = "https://acme.example.com/acct/1";

struct Gateway {
    evidence: GatewayEvidence,
    info: Value,
}

impl Gateway {
    fn honest() -> Self {
        let (_, der, public_key) = certificate("*.example.com");
        let quoted = |tag: &str, content: &[u8]| {
            let mut scene = Scene::honest();
            scene.contents.report_data = tagged(HashAlgorithm::default(), tag, content).unwrap();
            scene.sign();
            get_quote(&scene).to_string()
        };
        let key = quoted(TAG_ZT_CERT, &public_key);
        let account = quoted(TAG_ACME_ACCOUNT, ACCOUNT_URI.as_bytes());
        let info = json!({
            "account_uri": ACCOUNT_URI,
            "quoted_hist_keys": [{ "public_key": hex::encode(&public_key), "quote": key, "attestation": "" }],
            "account_quote": account,
            "account_attestation": "",
        });
        let mut evidence = GatewayEvidence::new();
        evidence.tls_chain = vec![der];
        evidence.domain = Some("gateway.example.com".to_owned());
        Self { evidence, info }
    }

    fn reports(mut self) -> ReportSet {
        self.evidence.acme_info = Some(self.info.to_string());
        let mut scene = Scene::honest();
        scene.policy.report_data = None;
        scene.verifier().gateway("gateway.example.com", &self.evidence)
    }
}

/// The ids that fail in any of the reports.
fn failures(reports: &ReportSet) -> Vec<String> {
    let findings = reports.reports().iter().flat_map(Report::findings);
    let failed = findings.filter(|finding| finding.status == Status::Fail);
    failed.map(|finding| finding.id.to_string()).filter(|id| id != "policy.required").collect()
}

#[test]
fn gateways() {
    let honest = Gateway::honest().reports();
    assert_eq!(failures(&honest), [""; 0]);
    let first = &honest.reports()[0];
    for id in ["gateway.account.quoted", "gateway.certificate.quoted", "gateway.certificate.names"] {
        assert_eq!(first.get(id).unwrap().status, Status::Pass, "{id} {:?}", first.get(id));
    }
    let attacks: [Attack<Gateway, &[&str]>; 4] = [
        (
            "the certificate's key was never quoted",
            |gateway| gateway.evidence.tls_chain = vec![certificate("*.example.com").1],
            &["gateway.certificate.quoted"],
        ),
        (
            "the key in the list is another than the quoted one",
            |gateway| {
                let (_, der, public_key) = certificate("*.example.com");
                gateway.evidence.tls_chain = vec![der];
                gateway.info["quoted_hist_keys"][0]["public_key"] = hex::encode(public_key).into();
            },
            &["gateway.certificate.quoted", "gateway.history", "gateway.evidence.binding"],
        ),
        (
            "the ACME account is another",
            |gateway| gateway.info["account_uri"] = "https://acme.example.com/acct/2".into(),
            &["gateway.account.quoted", "gateway.evidence.binding"],
        ),
        (
            "the certificate is for another domain",
            |gateway| gateway.evidence.domain = Some("gateway.example.net".to_owned()),
            &["gateway.certificate.names"],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, forge, expected) in attacks {
        let mut gateway = Gateway::honest();
        forge(&mut gateway);
        let found = failures(&gateway.reports());
        if found != expected {
            wrong.push(format!("{name}:\n  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
