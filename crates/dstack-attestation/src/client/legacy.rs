//! The guest agent's legacy API.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::rpc::Method;
use super::{Endpoint, FetchError, Transport};
use crate::agent::{
    AppInfo, DeriveK256KeyResponse, DeriveKeyArgs, Empty, GetKeyArgs, GetTlsKeyResponse, RawQuoteArgs,
    TdxQuoteArgs, TdxQuoteResponse, VersionResponse,
};
use crate::report_data::{HashAlgorithm, ReportData};

/// A client of the legacy service of a guest agent, `tappd.sock`: `POST /prpc/Tappd.<Method>`.
///
/// New apps use [`AgentClient`](super::AgentClient); both services stand side by side in dstack 0.5 and 0.6.
#[derive(Clone, Debug)]
pub struct LegacyAgentClient {
    endpoint: Endpoint,
    transport: Transport,
}

impl LegacyAgentClient {
    /// The legacy service at this endpoint, as a rule `unix:/var/run/tappd.sock`.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, transport: Transport::new() }
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

    const fn method(&self, name: &'static str) -> Method<'_> {
        Method::new(&self.endpoint, "/prpc/Tappd.", name)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        name: &'static str,
        request: &impl Serialize,
    ) -> Result<T, FetchError> {
        self.transport.call(self.method(name), request).await
    }

    pub(super) async fn ask_for_text(
        &self,
        name: &'static str,
        request: &impl Serialize,
    ) -> Result<String, FetchError> {
        self.transport.call_for_text(self.method(name), request).await
    }

    /// A TLS key that follows from a path, with its certificates.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; nothing of the answer is kept in it.
    pub async fn derive_key(&self, args: &DeriveKeyArgs) -> Result<GetTlsKeyResponse, FetchError> {
        self.transport.call(self.method("DeriveKey").secret(), args).await
    }

    /// The secp256k1 key that follows from a path, with the signatures that tie it to the KMS.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; nothing of the answer is kept in it.
    pub async fn derive_k256_key(&self, args: &GetKeyArgs) -> Result<DeriveK256KeyResponse, FetchError> {
        self.transport.call(self.method("DeriveK256Key").secret(), args).await
    }

    /// A quote over content that the agent hashes together with a tag; an empty tag is `app-data`.
    ///
    /// # Errors
    ///
    /// [`FetchError::InvalidRequest`] for [`HashAlgorithm::Raw`] with content that does not have 64 bytes, without
    /// asking; or [`FetchError`].
    pub async fn tdx_quote(
        &self,
        content: &[u8],
        algorithm: HashAlgorithm,
        tag: &str,
    ) -> Result<TdxQuoteResponse, FetchError> {
        if algorithm == HashAlgorithm::Raw && content.len() != 64 {
            let reason = format!("raw report data has 64 bytes, not {}", content.len());
            return Err(FetchError::InvalidRequest { reason });
        }
        let args = TdxQuoteArgs {
            report_data: content.to_vec(),
            hash_algorithm: algorithm.as_str().to_owned(),
            prefix: tag.to_owned(),
        };
        self.ask("TdxQuote", &args).await
    }

    /// A quote over exactly these bytes.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn raw_quote(&self, report_data: ReportData) -> Result<TdxQuoteResponse, FetchError> {
        self.ask("RawQuote", &raw_args(report_data)).await
    }

    /// What the agent says about the app.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn info(&self) -> Result<AppInfo, FetchError> {
        self.ask("Info", &Empty::default()).await
    }

    /// The agent's version.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn version(&self) -> Result<VersionResponse, FetchError> {
        self.ask("Version", &Empty::default()).await
    }
}

pub(super) fn raw_args(report_data: ReportData) -> RawQuoteArgs {
    RawQuoteArgs { report_data: report_data.as_bytes().to_vec() }
}
