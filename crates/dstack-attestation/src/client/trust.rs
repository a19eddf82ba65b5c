//! Whose certificates a TLS server may show, and what it showed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use tokio::sync::OnceCell;

use super::FetchError;

/// How many certificates a PEM text may hold: a machine's whole store has some 150.
const CERTIFICATES_MAX: usize = 1024;

/// Which servers are believed to be who they say.
///
/// A clone shares what was read of the machine's authorities. Whatever is believed, the certificates that a server
/// showed are passed on, and every handshake proves that the server holds the key of its certificate.
///
/// The authorities of the machine are found as OpenSSL finds them, the variables `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// included (crate `rustls-native-certs`).
#[derive(Clone)]
pub struct TlsTrust {
    inner: Arc<Inner>,
}

struct Inner {
    authorities: Authorities,
    accept_anything: bool,
    /// Made at the first handshake: reading a machine's certificates takes milliseconds.
    judge: OnceCell<Option<Arc<WebPkiServerVerifier>>>,
}

enum Authorities {
    System,
    Given(Vec<CertificateDer<'static>>),
    Nobody,
}

impl TlsTrust {
    fn with(authorities: Authorities, accept_anything: bool) -> Self {
        Self { inner: Arc::new(Inner { authorities, accept_anything, judge: OnceCell::new() }) }
    }

    /// Servers with a certificate that leads to an authority of this machine.
    pub fn system() -> Self {
        Self::with(Authorities::System, false)
    }

    /// Servers with a certificate that leads to one of these authorities: certificates in PEM.
    ///
    /// A server that shows one of these very certificates as its own is believed too, whatever names and dates stand
    /// in it: that is how a self-signed certificate is pinned.
    ///
    /// # Errors
    ///
    /// [`FetchError::InvalidRequest`] when there is no certificate in the text, or one that cannot be read.
    pub fn authorities_pem(pem: &[u8]) -> Result<Self, FetchError> {
        let mut found = Vec::new();
        for item in CertificateDer::pem_slice_iter(pem).take(CERTIFICATES_MAX) {
            let certificate = item.map_err(|error| {
                FetchError::request(format!("the certificate authority cannot be read: {error}"))
            })?;
            found.push(certificate);
        }
        Self::given(found)
    }

    /// As [`authorities_pem`](Self::authorities_pem) with one certificate in DER.
    ///
    /// # Errors
    ///
    /// [`FetchError::InvalidRequest`] when it is not a certificate.
    pub fn authority_der(der: impl Into<Vec<u8>>) -> Result<Self, FetchError> {
        Self::given(vec![CertificateDer::from(der.into())])
    }

    fn given(certificates: Vec<CertificateDer<'static>>) -> Result<Self, FetchError> {
        if certificates.is_empty() {
            return Err(FetchError::request(
                "there is no certificate in the text of the certificate authority",
            ));
        }
        for (index, certificate) in certificates.iter().enumerate() {
            if x509_parser::parse_x509_certificate(certificate).is_err() {
                let reason =
                    format!("certificate {} of the authority is not an X.509 certificate", index + 1);
                return Err(FetchError::request(reason));
            }
        }
        Ok(Self::with(Authorities::Given(certificates), false))
    }

    /// Any server, whatever certificate it shows.
    ///
    /// Whoever stands on the way can answer in the server's place. This is for servers whose certificate is judged
    /// afterwards by the evidence in it (RA-TLS), and for evidence that carries its own proof.
    pub fn danger_accept_any_certificate() -> Self {
        Self::with(Authorities::Nobody, true)
    }

    /// The same authorities, asked for their opinion only: every handshake goes on, and the verdict is passed on.
    pub(super) fn observing(&self) -> Self {
        let authorities = match &self.inner.authorities {
            Authorities::System => Authorities::System,
            Authorities::Given(certificates) => Authorities::Given(certificates.clone()),
            Authorities::Nobody => Authorities::Nobody,
        };
        Self::with(authorities, true)
    }

    /// A TLS configuration for one connection, and the place where it notes what the server showed.
    pub(super) async fn for_connection(&self) -> Result<(ClientConfig, Arc<Observer>), TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let judge = self.inner.judge.get_or_try_init(|| self.judge(&provider)).await?.clone();
        let pinned = match &self.inner.authorities {
            Authorities::Given(certificates) => certificates.clone(),
            Authorities::System | Authorities::Nobody => Vec::new(),
        };
        let observer = Arc::new(Observer {
            judge,
            pinned,
            accept_anything: self.inner.accept_anything,
            provider: Arc::clone(&provider),
            seen: Mutex::default(),
        });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&observer) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        // A resumed session shows no certificate.
        config.resumption = rustls::client::Resumption::disabled();
        Ok((config, observer))
    }

    async fn judge(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<WebPkiServerVerifier>>, TrustError> {
        let mut roots = RootCertStore::empty();
        match &self.inner.authorities {
            Authorities::Nobody => return Ok(None),
            Authorities::Given(certificates) => {
                roots.add_parsable_certificates(certificates.iter().cloned());
                // A pinned certificate need not be one that can sign others.
                if roots.is_empty() {
                    return Ok(None);
                }
            }
            Authorities::System => {
                let native = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
                    .await
                    .map_err(|_| TrustError::Cancelled)?;
                roots.add_parsable_certificates(native.certs);
                if roots.is_empty() {
                    // Who only asks for an opinion gets none, and is told so.
                    return if self.inner.accept_anything {
                        Ok(None)
                    } else {
                        Err(TrustError::NoAuthorities)
                    };
                }
            }
        }
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        builder.build().map(Some).map_err(|error| TrustError::Verifier(error.to_string()))
    }
}

impl fmt::Debug for TlsTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authorities = match &self.inner.authorities {
            Authorities::System => "the system's authorities".to_owned(),
            Authorities::Given(certificates) => format!("{} given certificates", certificates.len()),
            Authorities::Nobody => "nobody".to_owned(),
        };
        let mut written = f.debug_struct("TlsTrust");
        written.field("authorities", &authorities).field("accepts_anything", &self.inner.accept_anything);
        written.finish()
    }
}

/// Why there is nothing to judge a certificate by.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrustError {
    #[error("this machine has no certificate authorities that could be read")]
    NoAuthorities,
    #[error("reading the certificate authorities of this machine was cancelled")]
    Cancelled,
    #[error("the certificate authorities cannot be used: {0}")]
    Verifier(String),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// The certificates that a server showed, and what the authorities say about them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsPeer {
    /// The certificates in DER as the server sent them, its own first.
    pub chain: Vec<Vec<u8>>,
    /// Whether they lead to a trusted authority, are for the server's name and valid now, by this machine's clock;
    /// otherwise why not.
    pub verified: Result<(), String>,
}

#[derive(Default)]
struct Seen {
    peer: Option<TlsPeer>,
    /// Whether the server proved that it has the key of its certificate.
    holds_key: bool,
}

/// Notes the certificates of a handshake, and judges them.
pub(super) struct Observer {
    judge: Option<Arc<WebPkiServerVerifier>>,
    pinned: Vec<CertificateDer<'static>>,
    accept_anything: bool,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Seen>,
}

impl Observer {
    /// What the server showed, once it has proved to hold the key.
    pub(super) fn peer(&self) -> Option<TlsPeer> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.peer.clone().filter(|_| seen.holds_key)
    }

    fn verdict(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if self.pinned.iter().any(|pinned| pinned.as_ref() == own.as_ref()) {
            return Ok(());
        }
        match &self.judge {
            Some(judge) => judge.verify_server_cert(own, others, name, ocsp, now).map(|_| ()),
            None => Err(CertificateError::Other(OtherError(Arc::new(NobodyAsked))).into()),
        }
    }

    fn holds_key(
        &self,
        checked: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if checked.is_ok() {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).holds_key = true;
        }
        checked
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no authority was asked to vouch for the certificate")]
struct NobodyAsked;

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("accept_anything", &self.accept_anything).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.verdict(own, others, name, ocsp, now);
        let chain = std::iter::once(own).chain(others).map(|certificate| certificate.to_vec()).collect();
        let verified = verdict.as_ref().map_err(plain).copied();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen { peer: Some(TlsPeer { chain, verified }), holds_key: false };
        match verdict {
            Err(error) if !self.accept_anything => Err(error),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.holds_key(verify_tls12_signature(message, certificate, signed, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.holds_key(verify_tls13_signature(message, certificate, signed, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The verdict in words for people.
fn plain(error: &rustls::Error) -> String {
    match error {
        // A signature that does not match is that of another authority of the same name.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "the certificate does not lead to a trusted authority".to_owned(),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the certificate is for another name".to_owned(),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the certificate is expired".to_owned(),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "the certificate is not valid yet".to_owned(),
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => other.to_string(),
        other => other.to_string(),
    }
}
