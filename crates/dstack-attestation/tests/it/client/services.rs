//! A KMS, a gateway and an ingress, each as its program answers.

use std::sync::Arc;

use dstack_attestation::Id20;
use dstack_attestation::client::{self, FetchError, KmsClient, Transport};
use dstack_emulator::clock::Clock;
use dstack_emulator::kms::{Kms, RootKeys, router};

use super::play::{Identity, Play, Server, answer, impatient, json, patient};

#[tokio::test]
async fn a_kms_is_asked_over_any_certificate_which_comes_along() {
    const META: &str = r#"{"ca_cert":"x","k256_pubkey":"00","bootstrap_info":null}"#;
    let identity = Identity::from_ca();
    let server = Server::https(&identity, |asked| match asked.path() {
        "/prpc/KMS.GetMeta?json" => json(META),
        _ => answer("400 Bad Request", "", r#"{"error":"Service not found"}"#),
    })
    .await;
    let kms = KmsClient::new(server.endpoint()).transport(patient());
    let evidence = kms.fetch().await.unwrap();
    assert_eq!(evidence.meta.as_deref(), Some(META));
    assert_eq!(evidence.tls_chain, identity.chain());
    assert_eq!(evidence.domain.as_deref(), Some("localhost"));
    assert!(kms.fetch_attestation_info().await.unwrap_err().is_not_there());
    // With the usual trust it is not even asked.
    let error = KmsClient::new(server.endpoint()).transport(Transport::new()).fetch().await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn the_emulated_kms_answers() {
    let kms = Arc::new(Kms::new(&RootKeys::from_seed(b"client tests").unwrap(), 1_767_225_600).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = router(Arc::clone(&kms), Clock::manual());
    let task = tokio::spawn(async move { axum::serve(listener, routes).await });
    let client = KmsClient::new(format!("http://{address}").parse().unwrap());
    let evidence = client.fetch().await.unwrap();
    let meta: serde_json::Value = serde_json::from_str(&evidence.meta.unwrap()).unwrap();
    assert_eq!(meta["k256_pubkey"], hex::encode(kms.k256_pubkey()));
    assert!(evidence.tls_chain.is_empty() && evidence.domain.is_none());
    let key = client.fetch_env_key(Id20::new([0x11; 20])).await.unwrap();
    let answer: serde_json::Value = serde_json::from_str(&key.answer).unwrap();
    assert_eq!(answer["public_key"], hex::encode(kms.env_public_key(&[0x11; 20]).unwrap()));
    task.abort();
}

#[tokio::test]
async fn a_gateway_is_asked_for_its_keys_and_shows_its_certificate() {
    const ACME: &str =
        r#"{"account_uri":"","quoted_hist_keys":[],"account_quote":"","account_attestation":""}"#;
    let identity = Identity::from_ca();
    let server = Server::https(&identity, |asked| match asked.path() {
        "/.dstack/acme-info" | "/prpc/AcmeInfo?json" => json(ACME),
        "/.dstack/app-info" => json("{}"),
        _ => answer("404 Not Found", "", ""),
    })
    .await;
    let by_page = client::fetch_gateway_at(&server.endpoint(), &patient()).await.unwrap();
    let (endpoint, port) = (server.endpoint(), server.port());
    let by_rpc =
        client::fetch_gateway_by_rpc(&endpoint, "127.0.0.1", port, "localhost", &patient()).await.unwrap();
    for evidence in [by_page, by_rpc] {
        assert_eq!(evidence.acme_info.as_deref(), Some(ACME));
        assert_eq!(evidence.tls_chain, identity.chain());
        assert_eq!(evidence.domain.as_deref(), Some("localhost"));
    }
    assert_eq!(client::fetch_gateway_app_info(&endpoint, &patient()).await.unwrap(), "{}");
    for domain in ["", "a/b", "a@b", "a?b", "exa mple.com", "[::1]"] {
        let error = client::fetch_gateway(domain, &patient()).await.unwrap_err();
        assert!(matches!(error, FetchError::InvalidRequest { .. }), "{domain}: {error:?}");
    }
}

#[tokio::test]
async fn an_ingress_is_fetched_file_by_file_and_nothing_else() {
    const LIST: &str =
        "00  acme-account.json\n11  cert-localhost.pem\n22  gone.pem\n33  ../../etc/passwd\n44  /prpc/Info\n";
    let identity = Identity::from_ca();
    let server = Server::https(&identity, |asked| match asked.path() {
        "/evidences/sha256sum.txt" => answer("200 OK", "", LIST),
        "/evidences/quote.json" => json(r#"{"quote":"0400","event_log":"[]"}"#),
        "/evidences/acme-account.json" => json("{}"),
        "/evidences/cert-localhost.pem" => answer("200 OK", "", "pem"),
        _ => answer("404 Not Found", "", ""),
    })
    .await;
    let fetched = client::fetch_ingress_at(&server.endpoint(), &patient()).await.unwrap();
    let names: Vec<&str> = fetched.evidence.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["acme-account.json", "cert-localhost.pem", "quote.json", "sha256sum.txt"]);
    assert_eq!(fetched.evidence.files["sha256sum.txt"], LIST.as_bytes());
    assert_eq!(fetched.evidence.tls_chain, identity.chain());
    assert_eq!(fetched.evidence.domain.as_deref(), Some("localhost"));
    assert_eq!(fetched.missing.len(), 2, "{:?}", fetched.missing);
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.path().starts_with("/evidences/")), "{asked:?}");
    assert!(!asked.iter().any(|asked| asked.path().contains("..") || asked.path().contains("passwd")));
}

#[tokio::test]
async fn an_ingress_without_its_quote_is_no_evidence() {
    let server = Server::http(|asked| match asked.path() {
        "/evidences/sha256sum.txt" => answer("200 OK", "", ""),
        _ => answer("404 Not Found", "", ""),
    })
    .await;
    let error = client::fetch_ingress_at(&server.endpoint(), &patient()).await.unwrap_err();
    assert!(matches!(&error, FetchError::Api { status: 404, what, .. } if what == "/evidences/quote.json"));
    assert!(client::fetch_ingress("a/../b", &patient()).await.is_err());
}

#[tokio::test]
async fn an_ingress_cannot_take_all_day() {
    let list: String = (0..60).map(|n| format!("00  file-{n}\n")).collect();
    let server = Server::http(move |asked| match asked.path() {
        "/evidences/sha256sum.txt" => answer("200 OK", "", &list),
        "/evidences/quote.json" => json("{}"),
        _ => Play::SayAndHang(Vec::new()),
    })
    .await;
    let error = client::fetch_ingress_at(&server.endpoint(), &impatient()).await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error:?}");
    assert!(server.asked().len() <= 3, "one file that hangs uses up the time for all");
}

#[tokio::test]
async fn an_ingress_cannot_fill_the_memory() {
    let list: String = (0..60).map(|n| format!("00  file-{n}\n")).collect();
    let server = Server::http(move |asked| match asked.path() {
        "/evidences/sha256sum.txt" => answer("200 OK", "", &list),
        _ => answer("200 OK", "", vec![b'a'; 4 << 20]),
    })
    .await;
    let error = client::fetch_ingress_at(&server.endpoint(), &patient()).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { limit: 33_554_432, .. }), "{error:?}");
}
