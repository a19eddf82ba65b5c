//! What a gateway says of its certificates, and which one it shows.

use super::rpc::{Method, text};
use super::transport::{Place, Request};
use super::{Endpoint, FetchError, Transport, tls};
use crate::GatewayEvidence;
use crate::agent::Empty;

/// The label under a gateway's base domain that is the gateway itself.
const OWN_LABEL: &str = "gateway";

/// Fetches the evidence of a gateway by its base domain, `example.com` for apps at `<id>.example.com`: what
/// `https://gateway.<domain>/.dstack/acme-info` says, and the certificates shown for that name.
///
/// The answer carries its own proof, and the certificate is what it is about: what the transport's authorities think
/// of it decides only whether it is asked. To ask a gateway whose certificate is from a staging CA, use
/// [`TlsTrust::danger_accept_any_certificate`](super::TlsTrust::danger_accept_any_certificate).
///
/// # Errors
///
/// [`FetchError`]; [`FetchError::InvalidRequest`] when the domain is no host name.
pub async fn fetch_gateway(domain: &str, transport: &Transport) -> Result<GatewayEvidence, FetchError> {
    let domain = domain.trim_start_matches("*.").trim_end_matches('.');
    check_host(domain)?;
    fetch_gateway_at(&format!("https://{OWN_LABEL}.{domain}").parse()?, transport).await
}

/// As [`fetch_gateway`], where the gateway's own host name or port is another one: below an `https://` endpoint
/// `/.dstack/acme-info` is asked for.
///
/// # Errors
///
/// [`FetchError`].
pub async fn fetch_gateway_at(
    endpoint: &Endpoint,
    transport: &Transport,
) -> Result<GatewayEvidence, FetchError> {
    const PATH: &str = "/.dstack/acme-info";
    let answer = transport.exchange(Request::get(endpoint, PATH)).await?;
    let place = Place { endpoint: endpoint.as_str(), what: PATH };
    let mut evidence = GatewayEvidence::new();
    evidence.acme_info = Some(text(&place, answer.body)?);
    evidence.tls_chain = answer.peer.map(|peer| peer.chain).unwrap_or_default();
    evidence.domain = endpoint.host_name();
    Ok(evidence)
}

/// Fetches the evidence of a gateway from its RPC (`/prpc/AcmeInfo` of its main listener), and the certificates that
/// its proxy shows for a name under its base domain.
///
/// The RPC's own certificate comes from the KMS; ask it with its CA given, or with any certificate accepted.
///
/// # Errors
///
/// [`FetchError`].
pub async fn fetch_gateway_by_rpc(
    rpc: &Endpoint,
    host: &str,
    port: u16,
    server_name: &str,
    transport: &Transport,
) -> Result<GatewayEvidence, FetchError> {
    let method = Method::new(rpc, "/prpc/", "AcmeInfo");
    let mut evidence = GatewayEvidence::new();
    evidence.acme_info = Some(transport.call_for_text(method, &Empty::default()).await?);
    evidence.tls_chain = tls::probe(host, port, server_name, transport).await?.chain;
    evidence.domain = Some(server_name.to_owned());
    Ok(evidence)
}

/// Fetches what a gateway says about the instances behind it: the JSON of `/.dstack/app-info`. Nothing proves it.
///
/// # Errors
///
/// [`FetchError`].
pub async fn fetch_gateway_app_info(
    endpoint: &Endpoint,
    transport: &Transport,
) -> Result<String, FetchError> {
    const PATH: &str = "/.dstack/app-info";
    let answer = transport.exchange(Request::get(endpoint, PATH)).await?;
    text(&Place { endpoint: endpoint.as_str(), what: PATH }, answer.body)
}

/// Whether a text can stand in a URL as its host, and is nothing more than that.
pub(super) fn check_host(host: &str) -> Result<(), FetchError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
        return Err(FetchError::request(format!("{host:?} is not a host name")));
    }
    Ok(())
}
