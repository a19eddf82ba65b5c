//! A PCCS, played by a server that hands out collateral as Intel's does: the samples of the verification library, and
//! what the test authority signs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use dstack_attestation::client::{self, FetchError, PckCa, QuotedPlatform, Transport};
use dstack_attestation::quote::emulated::EmulatedQuote;
use dstack_attestation::quote::verify::verify;
use dstack_attestation::quote::{Collateral, CollateralParts};
use tokio::task::JoinHandle;

use super::play::{Identity, Play, Server, answer, patient};
use crate::authority::{Authority, Contents, now};

/// Where the sources of the verification library are, with its samples.
fn samples() -> PathBuf {
    // What other platforms need may not be there.
    let system = if cfg!(target_os = "macos") { "apple-darwin" } else { "unknown-linux-gnu" };
    let platform = format!("{}-{system}", std::env::consts::ARCH);
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--filter-platform",
            &platform,
            "--manifest-path",
        ])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "dcap-qvl").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().join("sample")
}

/// How a PCCS writes things down.
#[derive(Clone, Copy, Default)]
struct Manner {
    /// The older spelling of TCB info's header.
    old_header: bool,
    /// Revocation lists as hex: Intel's PCCS does that for the root CA's.
    hex_lists: bool,
}

struct Pccs {
    parts: CollateralParts,
    manner: Manner,
    asked: Mutex<Vec<String>>,
}

/// As it stands in a header: percent encoding of everything but letters, digits and a few signs.
fn encoded(pem: &str) -> String {
    percent_encoding::utf8_percent_encode(pem, percent_encoding::NON_ALPHANUMERIC).to_string()
}

async fn serve(State(pccs): State<Arc<Pccs>>, request: Request) -> Response {
    let uri = request.uri().to_string();
    pccs.asked.lock().unwrap().push(uri.clone());
    let (path, query) = uri.split_once('?').unwrap_or((&uri, ""));
    let query: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let parts = &pccs.parts;
    let list = |der: &[u8]| if pccs.manner.hex_lists { hex::encode(der).into_bytes() } else { der.to_vec() };
    let signed = |member: &str, text: &str, signature: &[u8]| {
        // Byte for byte: the text is what is signed.
        format!("{{\"{member}\":{text},\"signature\":\"{}\"}}", hex::encode(signature))
    };
    match path {
        "/sgx/certification/v4/pckcrl" if query.get("ca") == Some(&"platform") => {
            let header = [("SGX-PCK-CRL-Issuer-Chain", encoded(&parts.pck_crl_issuer_chain))];
            (header, list(&parts.pck_crl)).into_response()
        }
        "/sgx/certification/v4/rootcacrl" => list(&parts.root_ca_crl).into_response(),
        "/tdx/certification/v4/tcb" if query.get("update") == Some(&"standard") => {
            let name =
                if pccs.manner.old_header { "SGX-TCB-Info-Issuer-Chain" } else { "TCB-Info-Issuer-Chain" };
            let header = [(name, encoded(&parts.tcb_info_issuer_chain))];
            (header, signed("tcbInfo", &parts.tcb_info, &parts.tcb_info_signature)).into_response()
        }
        "/tdx/certification/v4/qe/identity" => {
            let header = [("SGX-Enclave-Identity-Issuer-Chain", encoded(&parts.qe_identity_issuer_chain))];
            let body = signed("enclaveIdentity", &parts.qe_identity, &parts.qe_identity_signature);
            (header, body).into_response()
        }
        _ => (axum::http::StatusCode::NOT_FOUND, "No cache data for this platform.").into_response(),
    }
}

struct Running {
    pccs: Arc<Pccs>,
    url: String,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn start(parts: CollateralParts, manner: Manner) -> Running {
    let pccs = Arc::new(Pccs { parts, manner, asked: Mutex::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(serve).with_state(Arc::clone(&pccs));
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Running { pccs, url, task }
}

#[tokio::test]
async fn genuine_collateral_survives_the_way() {
    let samples = samples();
    let quote = std::fs::read(samples.join("tdx_quote")).unwrap();
    let json = std::fs::read_to_string(samples.join("tdx_quote_collateral.json")).unwrap();
    let sample = Collateral::from_json(&json, "the sample").unwrap();
    let platform = QuotedPlatform::of_quote(&quote).unwrap();
    assert_eq!((platform.fmspc, platform.ca), (sample.fmspc(), PckCa::Platform));
    for (old_header, hex_lists) in [(false, false), (true, true)] {
        let pccs = start(sample.parts(), Manner { old_header, hex_lists }).await;
        for suffix in ["", "/", "/sgx/certification/v4", "/sgx/certification/v4/"] {
            let url = format!("{}{suffix}", pccs.url);
            let fetched = client::fetch_collateral(&quote, &url, &Transport::new()).await.unwrap();
            assert_eq!(fetched.source(), pccs.url);
            let (fetched, sample) = (fetched.parts(), sample.parts());
            assert_eq!(fetched.tcb_info, sample.tcb_info);
            assert_eq!(fetched.qe_identity, sample.qe_identity);
            assert_eq!(
                CollateralParts { pck_certificate_chain: sample.pck_certificate_chain.clone(), ..fetched },
                sample
            );
        }
        let asked = pccs.pccs.asked.lock().unwrap().clone();
        let fmspc = format!("fmspc={}", hex::encode_upper(platform.fmspc.as_bytes()));
        assert!(asked.iter().any(|uri| uri.contains(&fmspc)), "{asked:?}");
    }
}

#[tokio::test]
async fn fetched_collateral_verifies_a_quote() {
    let authority = Authority::new(now());
    let platform = authority.platform();
    let quote = platform.quote(&Contents::default());
    let parts = authority.collateral(&platform).parts();
    let pccs = start(parts, Manner::default()).await;
    let collateral = client::fetch_collateral(&quote, &pccs.url, &Transport::new()).await.unwrap();
    verify(&quote, &collateral, now(), &authority.trust_root()).unwrap();
}

#[tokio::test]
async fn signed_texts_are_not_written_anew() {
    let authority = Authority::new(now());
    let platform = authority.platform();
    let quote = platform.quote(&Contents::default());
    let mut parts = authority.collateral(&platform).parts();
    // Spaces and an order of its own are part of what is signed.
    parts.tcb_info = parts.tcb_info.replacen('{', "{ ", 1);
    parts.qe_identity = parts.qe_identity.replacen('{', "{\n\t", 1);
    let expected = (parts.tcb_info.clone(), parts.qe_identity.clone());
    let pccs = start(parts, Manner::default()).await;
    let fetched = client::fetch_collateral(&quote, &pccs.url, &Transport::new()).await.unwrap().parts();
    assert_eq!((fetched.tcb_info, fetched.qe_identity), expected);
}

#[tokio::test]
async fn collateral_for_another_platform_is_refused() {
    let authority = Authority::new(now());
    let platform = authority.platform();
    let quote = platform.quote(&Contents::default());
    let mut parts = authority.collateral(&platform).parts();
    let fmspc = hex::encode_upper(QuotedPlatform::of_quote(&quote).unwrap().fmspc.as_bytes());
    assert!(parts.tcb_info.contains(&fmspc), "{}", parts.tcb_info);
    parts.tcb_info = parts.tcb_info.replace(&fmspc, "00A067110000");
    let pccs = start(parts, Manner::default()).await;
    let error = client::fetch_collateral(&quote, &pccs.url, &Transport::new()).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::Undecodable { reason, .. } if reason.contains("FMSPC")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_pccs_of_its_own_making_is_believed_where_it_is_pinned() {
    let authority = Authority::new(now());
    let platform = authority.platform();
    let quote = platform.quote(&Contents::default());
    let identity = Identity::self_signed();
    let server = Server::https(&identity, |_| answer("404 Not Found", "", "No cache data")).await;
    let refused = client::fetch_collateral(&quote, &server.url(""), &Transport::new()).await.unwrap_err();
    assert!(matches!(refused, FetchError::Connect { .. }), "{refused:?}");
    let transport = Transport::new().trust(identity.trust());
    let error = client::fetch_collateral(&quote, &server.url(""), &transport).await.unwrap_err();
    assert!(matches!(&error, FetchError::Api { status: 404, message, .. } if message == "No cache data"));
}

#[tokio::test]
async fn quotes_without_a_platform_are_not_asked_about() {
    let server = Server::http(|_| answer("200 OK", "", "")).await;
    let truncated = std::fs::read(samples().join("tdx_quote")).unwrap();
    for quote in [EmulatedQuote::default().to_bytes(), vec![], truncated[..700].to_vec()] {
        let error = client::fetch_collateral(&quote, &server.url(""), &patient()).await.unwrap_err();
        assert!(matches!(error, FetchError::InvalidRequest { .. }), "{error:?}");
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn every_part_must_be_what_it_should_be() {
    let authority = Authority::new(now());
    let platform = authority.platform();
    let quote = platform.quote(&Contents::default());
    let parts = authority.collateral(&platform).parts();
    let chain = encoded(&parts.tcb_info_issuer_chain);
    let headers = format!(
        "TCB-Info-Issuer-Chain: {chain}\r\nSGX-Enclave-Identity-Issuer-Chain: {chain}\r\nSGX-PCK-CRL-Issuer-Chain: {chain}\r\n"
    );
    // Each server says one wrong thing in answer to everything.
    for (headers, body) in [
        (String::new(), "{}"),
        (headers.clone(), "{}"),
        (headers.clone(), "<html>"),
        (headers.clone(), r#"{"tcbInfo":{},"enclaveIdentity":{},"signature":"zz"}"#),
        (headers.clone(), r#"{"tcbInfo":{},"enclaveIdentity":{},"signature":"00"}"#),
        (headers.replace(&chain, "nonsense"), r#"{"tcbInfo":{},"enclaveIdentity":{},"signature":"00"}"#),
        (headers.replace(&chain, "%ff%fe"), r#"{"tcbInfo":{},"enclaveIdentity":{},"signature":"00"}"#),
    ] {
        let server: Server = Server::http(move |_| -> Play { answer("200 OK", &headers, body) }).await;
        let error = client::fetch_collateral(&quote, &server.url(""), &patient()).await.unwrap_err();
        assert!(matches!(error, FetchError::Undecodable { .. }), "{body}: {error:?}");
    }
}
