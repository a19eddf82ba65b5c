//! What certificates the client accepts.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::sync::OnceCell;

use crate::error::{Error, Result};

/// Which authorities may sign the server's certificate.
#[derive(Default)]
pub(crate) struct TlsOptions {
    /// Certificates given by the user.
    pub(crate) extra: Vec<CertificateDer<'static>>,
    /// Whether only those count.
    pub(crate) only_extra: bool,
    /// Whether any certificate is accepted.
    pub(crate) accept_anything: bool,
    /// Made at the first connection that needs it: reading a machine's certificates takes milliseconds.
    built: OnceCell<Arc<ClientConfig>>,
}

/// There is nothing to verify a certificate with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootsError {
    #[error("this machine has no certificate authorities that could be read{}", details(.0))]
    NoneFound(Vec<String>),
    #[error("reading the certificate authorities of this machine was cancelled")]
    Cancelled,
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

fn details(errors: &[String]) -> String {
    if errors.is_empty() { String::new() } else { format!(": {}", errors.join("; ")) }
}

impl TlsOptions {
    /// The configuration, made once.
    pub(crate) async fn config(&self) -> Result<Arc<ClientConfig>, RootsError> {
        self.built.get_or_try_init(|| self.build()).await.cloned()
    }

    async fn build(&self) -> Result<Arc<ClientConfig>, RootsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        if self.accept_anything {
            let verifier = Arc::new(AcceptAnything(provider));
            let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
            return Ok(Arc::new(config));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.extra.iter().cloned());
        if !self.only_extra {
            let native = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
                .await
                .map_err(|_| RootsError::Cancelled)?;
            roots.add_parsable_certificates(native.certs);
            if roots.is_empty() {
                return Err(RootsError::NoneFound(native.errors.iter().map(ToString::to_string).collect()));
            }
        }
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }
}

/// The certificates in a PEM text.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let invalid = |what: String| Error::InvalidRequest {
        what,
        hint: Some(
            "give the certificate of the authority as PEM, -----BEGIN CERTIFICATE----- and so on".to_owned(),
        ),
    };
    let mut found = Vec::new();
    let mut store = RootCertStore::empty();
    for item in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            item.map_err(|error| invalid(format!("the certificate authority cannot be read: {error}")))?;
        store
            .add(certificate.clone())
            .map_err(|error| invalid(format!("certificate {} cannot be used: {error}", found.len() + 1)))?;
        found.push(certificate);
    }
    if found.is_empty() {
        return Err(invalid("there is no certificate in the text of the certificate authority".to_owned()));
    }
    Ok(found)
}

/// Accepts every certificate. The signatures of the handshake are still checked, so that the peer at least owns the key.
#[derive(Debug)]
struct AcceptAnything(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
