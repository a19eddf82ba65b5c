//! Documents of evidence that apps serve at URLs of their own.

use dstack_attestation::client::{self, FetchError};
use dstack_check::Hinted as _;

use super::agents::at;
use super::play::{Identity, Server, answer, json, patient};

#[tokio::test]
async fn a_url_may_serve_any_form_of_evidence() {
    let recorded: serde_json::Value =
        serde_json::from_str(include_str!("../../fixtures/agent/get-quote.json")).unwrap();
    let response = recorded["response"].clone();
    let hex = response["quote"].as_str().unwrap().to_owned();
    let mut apart = response.clone();
    apart["event_log"] = serde_json::from_str(response["event_log"].as_str().unwrap()).unwrap();
    apart["vm_config"] = serde_json::from_str(response["vm_config"].as_str().unwrap()).unwrap();
    let attest: serde_json::Value =
        serde_json::from_str(include_str!("../../fixtures/agent/attest.json")).unwrap();
    let forms = [
        response.to_string(),
        apart.to_string(),
        serde_json::json!({ "quote": apart }).to_string(),
        hex.clone(),
        attest["response"].to_string(),
    ];
    for (index, form) in forms.iter().enumerate() {
        let body = form.clone();
        let server = Server::http(move |_| answer("200 OK", "Content-Type: text/plain\r\n", &body)).await;
        let fetched = client::fetch_document(&server.url("/quote.json"), &patient(), at()).await.unwrap();
        assert_eq!(fetched.evidence.quote, Some(hex::decode(&hex).unwrap()), "form {index}");
        assert_eq!(fetched.evidence.event_log.is_some(), index != 3, "form {index}");
        assert_eq!(fetched.evidence.obtained_at, Some(at()));
    }
}

#[tokio::test]
async fn the_certificate_of_the_url_comes_along() {
    let identity = Identity::from_ca();
    let server = Server::https(&identity, |_| json(r#"{"quote":"0400"}"#)).await;
    let fetched = client::fetch_document(&server.url("/quote.json"), &patient(), at()).await.unwrap();
    assert_eq!(fetched.peer.unwrap().chain, identity.chain());
}

#[tokio::test]
async fn what_is_no_evidence_is_said_to_be_none() {
    let server = Server::http(|_| answer("200 OK", "", "<html>hello</html>")).await;
    let url = server.url("/quote.json?secret=hunter2");
    let error = client::fetch_document(&url, &patient(), at()).await.unwrap_err();
    assert!(matches!(&error, FetchError::Undecodable { body, .. } if body.bytes() == b"<html>hello</html>"));
    assert!(error.hint().unwrap().as_str().contains("web page"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    assert_eq!(server.asked()[0].path(), "/quote.json?secret=hunter2");
    assert!(client::fetch_document("unix:/a", &patient(), at()).await.is_err());
}
