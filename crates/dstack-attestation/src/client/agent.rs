//! The guest agent's current API.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::rpc::Method;
use super::{AgentCapabilities, Endpoint, FetchError, Transport};
use crate::agent::{
    AppInfo, AttestResponse, EmitEventArgs, Empty, GetAttestationForAppKeyRequest, GetKeyArgs,
    GetKeyResponse, GetQuoteResponse, GetTlsKeyArgs, GetTlsKeyResponse, GpuInfoResponse, RawQuoteArgs,
    SignRequest, SignResponse, VerifyRequest, VerifyResponse, VersionResponse,
};
use crate::report_data;

/// Which of the agent's services is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Surface {
    /// The app's own, `dstack.sock`: `POST /<Method>`. Keys, quotes, signatures and what is known about the app.
    App,
    /// The one for everybody, port 8090: `POST /prpc/Worker.<Method>`. What is known about the app, as far as the
    /// app-compose allows, and a quote over the app's signing key.
    Public,
}

/// A client of one guest agent. Cheap to clone.
///
/// A method that the agent's service does not have is refused before anything is sent. Answers are what the agent
/// says: nothing in them is checked.
///
/// ```no_run
/// use dstack_attestation::client::AgentClient;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = AgentClient::new("unix:/var/run/dstack.sock".parse()?);
/// let answer = agent.get_quote(b"a challenge").await?;
/// println!("{} bytes of quote", answer.quote.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AgentClient {
    endpoint: Endpoint,
    surface: Surface,
    transport: Transport,
}

impl AgentClient {
    /// The agent at this endpoint: a unix socket is taken for the app's own, everything else for the public service.
    pub fn new(endpoint: Endpoint) -> Self {
        let surface = if endpoint.socket_path().is_some() { Surface::App } else { Surface::Public };
        Self { endpoint, surface, transport: Transport::new() }
    }

    /// Says which service it is, where the endpoint does not tell: the app's socket passed on over TCP, for instance.
    #[must_use]
    pub const fn surface(mut self, surface: Surface) -> Self {
        self.surface = surface;
        self
    }

    /// Asks within other limits, or believes other TLS servers.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Where the agent is.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Which of its services is spoken to.
    pub const fn speaks_to(&self) -> Surface {
        self.surface
    }

    fn method(&self, name: &'static str, on: &[Surface]) -> Result<Method<'_>, FetchError> {
        if !on.contains(&self.surface) {
            let reason = match self.surface {
                Surface::App => format!("{name} is a method of the public service, not of dstack.sock"),
                Surface::Public => {
                    format!(
                        "{name} is a method of dstack.sock inside of the CVM; the public service does not have it"
                    )
                }
            };
            return Err(FetchError::InvalidRequest { reason });
        }
        let mount = match self.surface {
            Surface::App => "/",
            Surface::Public => "/prpc/Worker.",
        };
        Ok(Method::new(&self.endpoint, mount, name))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        name: &'static str,
        on: &[Surface],
        request: &impl Serialize,
    ) -> Result<T, FetchError> {
        self.transport.call(self.method(name, on)?, request).await
    }

    /// The JSON answer of a method, as it came.
    pub(super) async fn ask_for_text(
        &self,
        name: &'static str,
        on: &[Surface],
        request: &impl Serialize,
    ) -> Result<String, FetchError> {
        self.transport.call_for_text(self.method(name, on)?, request).await
    }

    /// A fresh TLS key with its certificates.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; nothing of the answer is kept in it.
    pub async fn get_tls_key(&self, args: &GetTlsKeyArgs) -> Result<GetTlsKeyResponse, FetchError> {
        self.transport.call(self.method("GetTlsKey", APP)?.secret(), args).await
    }

    /// The key that follows from a path, with the signatures that tie it to the KMS.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; nothing of the answer is kept in it.
    pub async fn get_key(&self, args: &GetKeyArgs) -> Result<GetKeyResponse, FetchError> {
        self.transport.call(self.method("GetKey", APP)?.secret(), args).await
    }

    /// A quote over up to 64 bytes, which are padded with zeros on the right.
    ///
    /// # Errors
    ///
    /// [`FetchError::InvalidRequest`] for more than 64 bytes, without asking; or [`FetchError`].
    pub async fn get_quote(&self, report_data: &[u8]) -> Result<GetQuoteResponse, FetchError> {
        let request = quote_args(report_data)?;
        self.ask("GetQuote", APP, &request).await
    }

    /// An attestation over up to 64 bytes, which are padded with zeros on the right.
    ///
    /// # Errors
    ///
    /// [`FetchError::InvalidRequest`] for more than 64 bytes, without asking; or [`FetchError`].
    pub async fn attest(&self, report_data: &[u8]) -> Result<AttestResponse, FetchError> {
        let request = quote_args(report_data)?;
        self.ask("Attest", APP, &request).await
    }

    /// What the agent says about the app. The public service leaves out what the app-compose hides.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn info(&self) -> Result<AppInfo, FetchError> {
        self.ask("Info", BOTH, &Empty::default()).await
    }

    /// What was found out about the GPUs. Dstack 0.6.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; for 0.5 one that [is not there](FetchError::is_not_there).
    pub async fn gpu_info(&self) -> Result<GpuInfoResponse, FetchError> {
        self.ask("GpuInfo", APP, &Empty::default()).await
    }

    /// Signs with the app's signing key.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn sign(&self, request: &SignRequest) -> Result<SignResponse, FetchError> {
        self.ask("Sign", APP, request).await
    }

    /// Lets the agent check a signature. Whoever does not trust the agent checks it himself.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn verify(&self, request: &VerifyRequest) -> Result<VerifyResponse, FetchError> {
        self.ask("Verify", APP, request).await
    }

    /// Measures an event into RTMR3. Dstack 0.5; an event cannot be taken back.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; for 0.6 one that [is not there](FetchError::is_not_there).
    pub async fn emit_event(&self, event: &str, payload: &[u8]) -> Result<(), FetchError> {
        let args = EmitEventArgs { event: event.to_owned(), payload: payload.to_vec() };
        self.transport.call_for_nothing(self.method("EmitEvent", APP)?, &args).await
    }

    /// The agent's version.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn version(&self) -> Result<VersionResponse, FetchError> {
        self.ask("Version", BOTH, &Empty::default()).await
    }

    /// What this agent can do, by the version it states.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn capabilities(&self) -> Result<AgentCapabilities, FetchError> {
        Ok(AgentCapabilities::of(&self.version().await?))
    }

    /// A quote over the app's signing key (`ed25519` or `secp256k1`), from the public service.
    ///
    /// The report data is fixed by the key, so that such a quote says nothing about when it was made.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn get_attestation_for_app_key(&self, algorithm: &str) -> Result<GetQuoteResponse, FetchError> {
        self.ask("GetAttestationForAppKey", PUBLIC, &app_key_request(algorithm)).await
    }
}

pub(super) const APP: &[Surface] = &[Surface::App];
pub(super) const PUBLIC: &[Surface] = &[Surface::Public];
pub(super) const BOTH: &[Surface] = &[Surface::App, Surface::Public];

pub(super) fn app_key_request(algorithm: &str) -> GetAttestationForAppKeyRequest {
    GetAttestationForAppKeyRequest { algorithm: algorithm.to_owned() }
}

/// The agent refuses more than 64 bytes; so does this, without asking.
pub(super) fn quote_args(report_data: &[u8]) -> Result<RawQuoteArgs, FetchError> {
    report_data::padded(report_data).map_err(|error| FetchError::request(error.to_string()))?;
    Ok(RawQuoteArgs { report_data: report_data.to_vec() })
}
