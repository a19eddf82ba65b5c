//! RA-TLS certificates: X.509 certificates that carry evidence about the CVM that has the key.
//!
//! The extensions are dstack's, under OID 1.3.6.1.4.1.62397.1; each value is an OCTET STRING inside the extension's
//! own. Source: upstream `ra-tls/src/oids.rs`.

use crate::Id20;
use crate::versioned::VersionedAttestation;

/// Why bytes are not a certificate, or its extensions not those of dstack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The bytes are not an X.509 certificate in DER.
    #[error("not an X.509 certificate: {0}")]
    X509(String),
}

/// A certificate, read but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RaTlsCertificate {
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// SubjectPublicKeyInfo in DER: what the report data of the quote binds.
    pub public_key: Vec<u8>,
    /// The special usage, such as `kms:rpc`, `app:ca` or `app:custom`.
    pub usage: Option<String>,
    /// The attestation in it.
    pub attestation: Option<VersionedAttestation>,
    /// The bare quote of older versions.
    pub quote: Option<Vec<u8>>,
    /// The event log of older versions, as JSON text.
    pub event_log: Option<String>,
    /// The app id.
    pub app_id: Option<Id20>,
}

impl RaTlsCertificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    ///
    /// [`CertificateError`].
    pub fn from_der(_der: &[u8]) -> Result<Self, CertificateError> {
        Err(CertificateError::X509("not built yet".to_owned()))
    }

    /// Reads the certificates of a PEM text, in order.
    ///
    /// # Errors
    ///
    /// [`CertificateError`].
    pub fn all_from_pem(_pem: &str) -> Result<Vec<Self>, CertificateError> {
        Ok(Vec::new())
    }
}
