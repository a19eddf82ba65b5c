//! What people read when something could not be fetched.

use std::error::Error as _;

use dstack_attestation::client::{self, AgentClient, FetchError, KmsClient, Surface, TlsTrust, Transport};
use dstack_attestation::quote::emulated::EmulatedQuote;
use dstack_check::Hinted as _;

use super::agents::at;
use super::play::{Identity, Play, Server, answer, impatient, json, patient};

/// Message, causes and hint, with ports taken out.
fn told(case: &str, error: &FetchError) -> String {
    let mut text = format!("{case}\n  {error}\n");
    // The words of the libraries below may change; that they are there is what counts.
    if error.source().is_some() {
        text.push_str("  with a cause\n");
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    text
}

async fn info(server: &Server, transport: Transport) -> FetchError {
    AgentClient::new(server.endpoint()).transport(transport).info().await.unwrap_err()
}

#[tokio::test]
async fn errors_say_what_happened_and_what_to_do() {
    let mut lines = Vec::new();
    let mut tell = |case: &str, error: &FetchError| lines.push(told(case, error));

    tell("no scheme", &"localhost:8090".parse::<client::Endpoint>().unwrap_err());
    let nowhere = AgentClient::new("unix:/nonexistent/dstack.sock".parse().unwrap());
    tell("no socket", &nowhere.info().await.unwrap_err());
    let hanging = Server::http(|_| Play::SayAndHang(Vec::new())).await;
    tell("hangs", &info(&hanging, impatient()).await);
    let closing = Server::http(|_| Play::Say(Vec::new())).await;
    tell("closes", &info(&closing, patient()).await);
    let html = Server::http(|_| answer("200 OK", "", "<html>")).await;
    tell("a web page", &info(&html, patient()).await);
    let moved = Server::http(|_| answer("302 Found", "Location: https://example.com/\r\n", "")).await;
    tell("redirected", &info(&moved, patient()).await);
    let refusing =
        Server::http(|_| answer("400 Bad Request", "", r#"{"error":"Service not found: Info"}"#)).await;
    tell("an unknown method", &info(&refusing, patient()).await);
    let locked = Server::http(|_| answer("401 Unauthorized", "", "")).await;
    tell("no credential", &info(&locked, patient()).await);
    let identity = Identity::self_signed();
    let kms = Server::https(&identity, |_| json("{}")).await;
    let trust = TlsTrust::authorities_pem(Identity::from_ca().authority.as_bytes()).unwrap();
    let client = KmsClient::new(kms.endpoint()).transport(Transport::new().trust(trust));
    tell("an untrusted certificate", &client.fetch().await.unwrap_err());
    let app = AgentClient::new(html.endpoint()).surface(Surface::App);
    tell("a long challenge", &client::fetch_app(&app, &[0; 65], at()).await.unwrap_err());
    let public = AgentClient::new(html.endpoint());
    tell("no quotes in public", &client::fetch_app(&public, &[0; 32], at()).await.unwrap_err());
    let quote = EmulatedQuote::default().to_bytes();
    let error = client::fetch_collateral(&quote, client::INTEL_PCS, &impatient()).await.unwrap_err();
    tell("collateral for an emulated quote", &error);
    let other = Server::http(|_| json(r#"{"k256_pubkey":"00"}"#)).await;
    let error = client::fetch_document(&other.url("/quote.json"), &patient(), at()).await.unwrap_err();
    tell("another document", &error);

    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"(127\.0\.0\.1|localhost):\d{4,5}", "$1:[port]");
    settings.bind(|| insta::assert_snapshot!(lines.join("")));
}
