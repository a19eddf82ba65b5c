//! What a KMS says of itself.

use super::rpc::{Method, text};
use super::transport::Place;
use super::{Endpoint, FetchError, Transport};
use crate::agent::Empty;
use crate::{EnvKeyEvidence, Id20, KmsEvidence};

/// A client of one KMS: what it tells to anybody.
///
/// A KMS signs its own certificate, so that with the usual transport it is believed by nobody. Ask it with
/// [`TlsTrust::danger_accept_any_certificate`](super::TlsTrust::danger_accept_any_certificate) and let
/// [`Verifier::kms`](crate::Verifier::kms) judge certificate and answer, or give its CA where you know it.
#[derive(Clone, Debug)]
pub struct KmsClient {
    endpoint: Endpoint,
    transport: Transport,
}

impl KmsClient {
    /// The KMS at this endpoint, `https://` as a rule; while it is being set up `http://`.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, transport: Transport::new() }
    }

    /// Asks within other limits, or believes other TLS servers.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Where the KMS is.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Fetches `GetMeta` and the certificates that the KMS shows meanwhile.
    ///
    /// What was registered for the KMS elsewhere, and what it answered to its bootstrap, is the caller's to add; what
    /// it kept of that answer is in `GetMeta`.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; a KMS that has not been set up yet says `Service not found`.
    pub async fn fetch(&self) -> Result<KmsEvidence, FetchError> {
        let answer = self.transport.call_for_answer(self.method("GetMeta"), &Empty::default()).await?;
        let mut evidence = KmsEvidence::new();
        evidence.meta = Some(text(&self.place("GetMeta"), answer.body)?);
        evidence.tls_chain = answer.peer.map(|peer| peer.chain).unwrap_or_default();
        evidence.domain = self.endpoint.host_name().filter(|_| self.endpoint.is_tls());
        Ok(evidence)
    }

    /// Fetches the key to which the KMS has the environment of an app sealed, with its signatures.
    ///
    /// # Errors
    ///
    /// [`FetchError`].
    pub async fn fetch_env_key(&self, app_id: Id20) -> Result<EnvKeyEvidence, FetchError> {
        #[derive(serde::Serialize)]
        struct AppId {
            app_id: Id20,
        }
        let method = self.method("GetAppEnvEncryptPubKey");
        let answer = self.transport.call_for_text(method, &AppId { app_id }).await?;
        Ok(EnvKeyEvidence::new(app_id, answer))
    }

    /// Fetches what a KMS that is being set up says about the CVM it runs in: the JSON answer of
    /// `Onboard.GetAttestationInfo` (dstack 0.5.7 and later). Nothing proves it.
    ///
    /// # Errors
    ///
    /// [`FetchError`]; a KMS that is set up says `Service not found`.
    pub async fn fetch_attestation_info(&self) -> Result<String, FetchError> {
        let method = Method::new(&self.endpoint, "/prpc/Onboard.", "GetAttestationInfo");
        self.transport.call_for_text(method, &Empty::default()).await
    }

    const fn method(&self, name: &'static str) -> Method<'_> {
        Method::new(&self.endpoint, "/prpc/KMS.", name)
    }

    fn place(&self, what: &'static str) -> Place<'_> {
        Place { endpoint: self.endpoint.as_str(), what }
    }
}
