//! Evidence about an app, from wherever it can be had.

use std::time::SystemTime;

use super::agent::{APP, BOTH, PUBLIC, app_key_request, quote_args};
use super::capability::version_text;
use super::endpoint::split_url;
use super::error::KeptBody;
use super::legacy::raw_args;
use super::rpc::Method;
use super::transport::{Place, Request};
use super::{AgentClient, BearerToken, Endpoint, FetchError, LegacyAgentClient, TlsPeer, Transport};
use crate::agent::{Empty, VersionResponse};
use crate::report_data;
use crate::{CvmEvidence, DocumentError};

/// Evidence about an app as it was fetched, and what could not be had there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchedApp {
    /// The evidence. Nothing in it has been checked.
    pub evidence: CvmEvidence,
    /// What is missing and why, a sentence each, without a full stop.
    pub missing: Vec<String>,
    /// What the server showed, where TLS was spoken.
    pub peer: Option<TlsPeer>,
}

/// Fetches what an app's own agent hands out: `Info`, a quote over the challenge, and the version.
///
/// `challenge` has up to 64 bytes and is padded with zeros on the right. A random one of 16 bytes or more, made for this
/// call, shows in the quote that it was made after the challenge. `at` is the time that the evidence is said to be from.
///
/// # Errors
///
/// [`FetchError`] when one of the three calls fails; [`FetchError::InvalidRequest`] for a longer challenge, or when the
/// client speaks to the public service, which makes no quotes over challenges: [`fetch_public_app`].
pub async fn fetch_app(
    agent: &AgentClient,
    challenge: &[u8],
    at: SystemTime,
) -> Result<FetchedApp, FetchError> {
    let request = quote_args(challenge)?;
    // First the quote: what is refused is refused before anything is asked.
    let quote = agent.ask_for_text("GetQuote", APP, &request).await?;
    let info = agent.ask_for_text("Info", BOTH, &Empty::default()).await?;
    let version = agent.version().await?;
    let place = |what| Place { endpoint: agent.endpoint().as_str(), what };
    let evidence = add(CvmEvidence::new(), &place("Info"), info.as_bytes())?;
    let evidence = add(evidence, &place("GetQuote"), quote.as_bytes())?;
    Ok(complete(evidence, Some(&version), at))
}

/// As [`fetch_app`], from the legacy service of an agent: `Info`, `RawQuote` and the version.
///
/// # Errors
///
/// [`FetchError`].
pub async fn fetch_legacy_app(
    agent: &LegacyAgentClient,
    challenge: &[u8],
    at: SystemTime,
) -> Result<FetchedApp, FetchError> {
    let data = report_data::padded(challenge).map_err(|error| FetchError::request(error.to_string()))?;
    let quote = agent.ask_for_text("RawQuote", &raw_args(data)).await?;
    let info = agent.ask_for_text("Info", &Empty::default()).await?;
    let version = agent.version().await?;
    let place = |what| Place { endpoint: agent.endpoint().as_str(), what };
    let evidence = add(CvmEvidence::new(), &place("Info"), info.as_bytes())?;
    let evidence = add(evidence, &place("RawQuote"), quote.as_bytes())?;
    Ok(complete(evidence, Some(&version), at))
}

/// Fetches what an agent shows to everybody on port 8090: `Info`, the version, and a quote over the app's signing key.
///
/// That quote answers no challenge: it may have been made at any time since the CVM booted, and passed on from
/// elsewhere. What the app-compose hides (`public_tcbinfo`) is missing.
///
/// # Errors
///
/// [`FetchError`] when `Info` fails; that there is no quote is said in [`FetchedApp::missing`].
pub async fn fetch_public_app(agent: &AgentClient, at: SystemTime) -> Result<FetchedApp, FetchError> {
    let place = |what| Place { endpoint: agent.endpoint().as_str(), what };
    let info = agent.ask_for_text("Info", BOTH, &Empty::default()).await?;
    let version = agent.version().await.ok();
    let mut evidence = add(CvmEvidence::new(), &place("Info"), info.as_bytes())?;
    const METHOD: &str = "GetAttestationForAppKey";
    let quote = agent.ask_for_text(METHOD, PUBLIC, &app_key_request("ed25519")).await;
    let mut missing = Vec::new();
    match quote {
        Ok(quote) => match add(evidence.clone(), &place(METHOD), quote.as_bytes()) {
            Ok(added) => {
                evidence = added;
                missing.push(
                "a quote over a challenge: the public service of an agent makes none, so that nothing here shows when the quote was made"
                    .to_owned(),
                );
            }
            Err(error) => missing.push(format!("a quote: {error}")),
        },
        Err(error) => missing.push(format!("a quote: {error}")),
    }
    let mut fetched = complete(evidence, version.as_ref(), at);
    missing.append(&mut fetched.missing);
    if version.is_none() {
        missing.push("the agent's version".to_owned());
    }
    fetched.missing = missing;
    Ok(fetched)
}

/// The way to the guests of a VMM: `POST <vmm>/guest/<Method>` with the id of a VM.
///
/// What comes back is the guest's word as the VMM passes it on.
#[derive(Clone, Debug)]
pub struct GuestProxy {
    vmm: Endpoint,
    token: Option<BearerToken>,
    transport: Transport,
}

impl GuestProxy {
    /// The guests of the VMM at this endpoint.
    pub fn new(vmm: Endpoint) -> Self {
        Self { vmm, token: None, transport: Transport::new() }
    }

    /// Sends a token with every call.
    #[must_use]
    pub fn token(mut self, token: BearerToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Asks within other limits, or believes other TLS servers.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Fetches what the guest of a VM says about itself: `Info`. There is no quote in it.
    ///
    /// `vm` is the id that the VMM gave to the VM, not the app's or the instance's.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; a VM that does not exist or has not booted is a [`FetchError::Api`] in the VMM's words.
    pub async fn fetch_app(&self, vm: &str, at: SystemTime) -> Result<FetchedApp, FetchError> {
        #[derive(serde::Serialize)]
        struct Id<'a> {
            id: &'a str,
        }
        if vm.is_empty() {
            return Err(FetchError::request("the id of the VM is empty"));
        }
        let mut method = Method::new(&self.vmm, "/guest/", "Info");
        method.token = self.token.as_ref();
        let answer = self.transport.call_for_answer(method, &Id { id: vm }).await?;
        let place = Place { endpoint: self.vmm.as_str(), what: "Info" };
        let evidence = add(CvmEvidence::new(), &place, &answer.body)?;
        let mut fetched = complete(evidence, None, at);
        fetched.peer = answer.peer;
        fetched.missing.insert(0, "a quote: the VMM passes on what the guest says, and guests give quotes to their own apps and on port 8090 only".to_owned());
        Ok(fetched)
    }
}

/// Fetches a document of evidence from a URL, such as the `/quote.json` that an app serves, in any form that
/// [`CvmEvidence::from_document`] reads.
///
/// The query of the URL is sent, and does not get into errors.
///
/// # Errors
///
/// [`FetchError`]; [`FetchError::Undecodable`] when the answer is no evidence.
pub async fn fetch_document(
    url: &str,
    transport: &Transport,
    at: SystemTime,
) -> Result<FetchedApp, FetchError> {
    let (endpoint, path) = split_url(url)?;
    let request = Request::get(&endpoint, &path);
    let place = Place { endpoint: endpoint.as_str(), what: request.what };
    let answer = transport.exchange(request).await?;
    let evidence = add(CvmEvidence::new(), &place, &answer.body)?;
    let mut fetched = complete(evidence, None, at);
    fetched.peer = answer.peer;
    Ok(fetched)
}

/// Reads an answer into the evidence.
fn add(evidence: CvmEvidence, place: &Place<'_>, body: &[u8]) -> Result<CvmEvidence, FetchError> {
    let read = evidence.read_document(body);
    let error = match read {
        Ok((evidence, _)) => return Ok(evidence),
        Err(error) => error,
    };
    Err(place.undecodable(in_one_line(&error), KeptBody::of(body)))
}

fn in_one_line(error: &DocumentError) -> String {
    error.to_string().replace(['\n', '\r'], " ")
}

fn complete(mut evidence: CvmEvidence, version: Option<&VersionResponse>, at: SystemTime) -> FetchedApp {
    if let Some(version) = version {
        let text = version_text(version);
        if !text.is_empty() {
            evidence.service_versions.push(text);
        }
    }
    evidence.obtained_at = Some(at);
    let mut missing = Vec::new();
    if evidence.tcb_info.is_none() && evidence.app_compose.is_none() {
        missing.push("the app-compose: it is not in what was fetched".to_owned());
    }
    if evidence.quote.is_some() && evidence.event_log.is_none() && evidence.tcb_info.is_none() {
        missing.push("the event log that belongs to the quote".to_owned());
    }
    FetchedApp { evidence, missing, peer: None }
}
