//! Evidence and collateral from whoever has them.

use std::time::SystemTime;

use cli_support::{CliError, ExitCode, SecretSource};
use dstack_attestation::client::{
    self, AgentClient, BearerToken, ConnectFailure, Endpoint, FetchError, FetchedApp, GuestProxy, KmsClient,
    LegacyAgentClient, TlsTrust, Transport,
};
use dstack_attestation::quote::Collateral;
use dstack_attestation::report_data::ReportData;
use dstack_attestation::{CvmEvidence, GatewayEvidence, Id20, IngressEvidence, KmsEvidence};

use crate::context::Context;
use crate::given::HostPort;
use crate::judge::Judge;
use crate::vm;

/// What was not even sent is 2, what a server refused is 1, and what could not be reached or made no sense is 3.
fn failed(error: FetchError) -> CliError {
    let kind = match &error {
        FetchError::InvalidEndpoint { .. } | FetchError::InvalidRequest { .. } => ExitCode::Usage,
        FetchError::Api { status, .. } if !matches!(status, 401 | 403) => ExitCode::No,
        _ => ExitCode::Unreachable,
    };
    let option = match &error {
        FetchError::Connect {
            failure: ConnectFailure::UntrustedCertificate | ConnectFailure::NoAuthorities,
            ..
        } => Some("`--ca-file FILE` names the certificate of an authority"),
        FetchError::Api { status: 401 | 403, .. } => {
            Some("`--token-from FILE` names the file with a VMM's token")
        }
        _ => None,
    };
    let error = CliError::hinted(kind, error);
    match option {
        Some(option) => error.hint(option),
        None => error,
    }
}

/// How services are asked whose word counts for something, if only that they are who they say.
///
/// # Errors
/// The authority's file holds no certificate.
pub(crate) fn transport(ca: Option<&[u8]>) -> Result<Transport, CliError> {
    Ok(match ca {
        Some(pem) => Transport::new()
            .trust(TlsTrust::authorities_pem(pem).map_err(|error| failed(error).context("--ca-file"))?),
        None => Transport::new(),
    })
}

/// How services are asked whose certificate is itself what is judged, or whose answers carry their own proof: whoever is
/// on the way can keep the answer away, and no more.
fn open_transport(judge: &Judge) -> Result<Transport, CliError> {
    match judge.ca() {
        Some(_) => transport(judge.ca()),
        None => Ok(Transport::new().trust(TlsTrust::danger_accept_any_certificate())),
    }
}

fn endpoint(text: &str) -> Result<Endpoint, CliError> {
    text.parse().map_err(failed)
}

/// The evidence, with what is missing said.
fn told(fetched: FetchedApp, context: &Context) -> CvmEvidence {
    for missing in &fetched.missing {
        context.progress.note(format_args!("missing there: {missing}"));
    }
    fetched.evidence
}

/// An app's guest agent, by which of its services is asked.
pub(crate) enum Agent {
    /// dstack.sock, inside of the CVM.
    Own(Endpoint),
    /// tappd.sock, inside of the CVM of an older dstack.
    Legacy(Endpoint),
    /// The public service, as a rule on port 8090.
    Public(Endpoint),
}

impl Agent {
    /// The agent at an endpoint.
    ///
    /// # Errors
    /// The text is no endpoint.
    pub(crate) fn of(text: &str) -> Result<Self, CliError> {
        let endpoint = endpoint(text)?;
        Ok(match endpoint.socket_path() {
            Some(path) if path.file_name().is_some_and(|name| name == "tappd.sock") => Self::Legacy(endpoint),
            Some(_) => Self::Own(endpoint),
            None => Self::Public(endpoint),
        })
    }

    /// Whether it makes quotes over a challenge.
    pub(crate) const fn takes_a_challenge(&self) -> bool {
        matches!(self, Self::Own(_) | Self::Legacy(_))
    }

    /// Asks for everything it hands out.
    ///
    /// # Errors
    /// It cannot be reached, or does not answer as a guest agent does.
    pub(crate) async fn ask(
        self,
        challenge: &ReportData,
        judge: &Judge,
        context: &Context,
    ) -> Result<CvmEvidence, CliError> {
        let (Self::Own(endpoint) | Self::Legacy(endpoint) | Self::Public(endpoint)) = &self;
        let _step = context.progress.step(format_args!("asking {endpoint}"));
        let (transport, at) = (open_transport(judge)?, judge.fetched_at());
        let fetched = match self {
            Self::Own(endpoint) => {
                let agent = AgentClient::new(endpoint).transport(transport);
                client::fetch_app(&agent, challenge.as_ref(), at).await
            }
            Self::Legacy(endpoint) => {
                let agent = LegacyAgentClient::new(endpoint).transport(transport);
                client::fetch_legacy_app(&agent, challenge.as_ref(), at).await
            }
            Self::Public(endpoint) => {
                let agent = AgentClient::new(endpoint).surface(client::Surface::Public).transport(transport);
                client::fetch_public_app(&agent, at).await
            }
        };
        Ok(told(fetched.map_err(failed)?, context))
    }
}

/// What a guest tells its VMM.
///
/// # Errors
/// The VMM cannot be reached, or has no such VM.
pub(crate) async fn guest(
    vmm: &str,
    vm: &str,
    token: Option<&SecretSource>,
    judge: &Judge,
    context: &Context,
) -> Result<CvmEvidence, CliError> {
    let secret = token.map(SecretSource::read).transpose();
    let secret = secret.map_err(|error| CliError::hinted(ExitCode::Usage, error))?;
    let mut proxy = GuestProxy::new(endpoint(vmm)?).transport(transport(judge.ca())?);
    if let Some(secret) = &secret {
        proxy = proxy.token(BearerToken::new(secret.expose()).map_err(failed)?);
    }
    let _step = context.progress.step(format_args!("asking {vmm} about {vm}"));
    let id = vm::id(vmm, vm, secret.as_ref(), judge.ca()).await?;
    Ok(told(proxy.fetch_app(&id, judge.fetched_at()).await.map_err(failed)?, context))
}

/// What a URL shows.
///
/// # Errors
/// It cannot be reached, or shows no evidence.
pub(crate) async fn document(url: &str, judge: &Judge, context: &Context) -> Result<CvmEvidence, CliError> {
    let _step = context.progress.step(format_args!("fetching {url}"));
    let fetched = client::fetch_document(url, &transport(judge.ca())?, judge.fetched_at()).await;
    Ok(told(fetched.map_err(failed)?, context))
}

/// What a KMS says about itself, and about the key to which it has an app's environment sealed.
///
/// # Errors
/// It cannot be reached, or does not answer as a KMS does.
pub(crate) async fn kms(
    url: &str,
    env_key_of: Option<Id20>,
    judge: &Judge,
    context: &Context,
) -> Result<KmsEvidence, CliError> {
    let _step = context.progress.step(format_args!("asking {url}"));
    let client = KmsClient::new(endpoint(url)?).transport(open_transport(judge)?);
    let mut evidence = client.fetch().await.map_err(failed)?;
    if let Some(app_id) = env_key_of {
        evidence.env_key = Some(client.fetch_env_key(app_id).await.map_err(failed)?);
    }
    Ok(evidence)
}

/// What a gateway says about its certificates, and those it shows.
///
/// # Errors
/// It cannot be reached, or does not answer as a gateway does.
pub(crate) async fn gateway(
    url: &str,
    judge: &Judge,
    context: &Context,
) -> Result<GatewayEvidence, CliError> {
    let _step = context.progress.step(format_args!("asking {url}"));
    client::fetch_gateway_at(&endpoint(url)?, &open_transport(judge)?).await.map_err(failed)
}

/// What an ingress shows.
///
/// # Errors
/// It cannot be reached, or shows no evidence.
pub(crate) async fn ingress(
    url: &str,
    judge: &Judge,
    context: &Context,
) -> Result<IngressEvidence, CliError> {
    let _step = context.progress.step(format_args!("asking {url}"));
    let fetched = client::fetch_ingress_at(&endpoint(url)?, &open_transport(judge)?).await.map_err(failed)?;
    for missing in &fetched.missing {
        context.progress.note(format_args!("missing there: {missing}"));
    }
    Ok(fetched.evidence)
}

/// The certificates that a TLS server shows.
///
/// # Errors
/// It cannot be reached, or speaks no TLS.
pub(crate) async fn chain(
    address: &HostPort,
    server_name: Option<&str>,
    judge: &Judge,
    context: &Context,
) -> Result<Vec<Vec<u8>>, CliError> {
    let _step = context.progress.step(format_args!("connecting to {address}"));
    let name = server_name.unwrap_or(&address.host);
    let peer = client::probe(&address.host, address.port, name, &open_transport(judge)?).await;
    Ok(peer.map_err(failed)?.chain)
}

/// Whether none of the collateral is for the platform of a quote and good at this time.
pub(crate) fn needs_collateral(quote: &[u8], given: &[Collateral], at: SystemTime) -> bool {
    // A quote of which the platform cannot be told cannot be verified with any.
    let Ok(platform) = client::QuotedPlatform::of_quote(quote) else { return false };
    !given.iter().any(|collateral| collateral.fmspc() == platform.fmspc && collateral.next_update() > at)
}

/// Collateral for the platform of a quote. It is signed by Intel, which is checked when it is used.
///
/// # Errors
/// The quote does not say its platform, or the PCCS cannot be reached or knows nothing about the platform.
pub(crate) async fn collateral(
    quote: &[u8],
    pccs: &str,
    transport: &Transport,
    context: &Context,
) -> Result<Collateral, CliError> {
    let _step = context.progress.step(format_args!("fetching collateral from {pccs}"));
    client::fetch_collateral(quote, pccs, transport).await.map_err(failed)
}
