//! RA-TLS certificates: X.509 certificates that carry evidence about the CVM that has the key.
//!
//! The extensions are dstack's, under OID 1.3.6.1.4.1.62397.1; each value is an OCTET STRING inside the extension's
//! own. Source: upstream `ra-tls/src/oids.rs`, and certificates recorded from the guest agent.
//!
//! A certificate that is read is not verified. [`Chain`] checks who signed it; that its key belongs to the CVM of its
//! quote is what [`RaTlsCertificate::expected_report_data`] is for; the quote itself is a matter of a
//! [`Verifier`](crate::Verifier).

mod chain;
mod extension;
mod names;
mod read;

pub use chain::{Chain, ChainProblem, MAX_CHAIN};
pub use extension::Extension;
pub use names::HostName;

use std::net::IpAddr;
use std::time::SystemTime;

use crate::Id20;
use crate::report_data::{self, HashAlgorithm, ReportData, TAG_RATLS_CERT};
use crate::versioned::{AttestationError, VersionedAttestation};

/// The longest certificate that is read, in bytes: 1 MiB. One with evidence has about 8 KB.
pub const MAX_CERTIFICATE: usize = 1 << 20;

/// Why bytes are not a certificate, or its extensions not those of dstack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// There is more than [`MAX_CERTIFICATE`].
    #[error("the certificate has {length} bytes, more than the limit of {MAX_CERTIFICATE}")]
    TooLong {
        /// The length in bytes.
        length: usize,
    },
    /// There are more than [`MAX_CHAIN`] certificates.
    #[error("there are more than {MAX_CHAIN} certificates")]
    TooMany,
    /// The bytes are not an X.509 certificate in DER.
    #[error("not an X.509 certificate: {0}")]
    X509(String),
    /// The text is not PEM.
    #[error("not PEM: {0}")]
    Pem(String),
    /// An extension is there twice, so that there are two answers to one question.
    #[error("the extension {0} is there twice")]
    Twice(String),
    /// An extension does not hold what it should.
    #[error("the extension {extension}: {problem}")]
    Extension {
        /// The extension.
        extension: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A certificate, read but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RaTlsCertificate {
    /// The certificate in DER.
    pub der: Vec<u8>,
    /// SubjectPublicKeyInfo in DER, byte for byte as in the certificate: what the report data of the quote binds.
    pub public_key: Vec<u8>,
    /// The subject as text, such as `O=Dstack, CN=Dstack KMS CA`; at most 256 bytes of it.
    pub subject: String,
    /// The issuer as text, likewise.
    pub issuer: String,
    /// The serial number in hex with colons, at most 256 bytes of it.
    pub serial: String,
    /// DNS names of the subject alternative name.
    pub dns_names: Vec<String>,
    /// IP addresses of the subject alternative name.
    pub ip_addresses: Vec<IpAddr>,
    /// Start of validity. dstack's certificates say 1975-01-01 unless another was asked for, so that this says nothing
    /// about when the certificate was made.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
    /// Whether the basic constraints make it a CA.
    pub is_ca: bool,
    /// How many CAs may stand between this one and a leaf. `None` for any number.
    pub path_length: Option<u32>,
    /// Whether its key may sign certificates. `None` when it has no key usage extension.
    pub may_sign: Option<bool>,
    /// The special usage, such as `kms:rpc`, `app:ca` or `app:custom`.
    pub usage: Option<String>,
    /// The attestation in it, not decoded; see [`attestation`](Self::attestation).
    pub attestation_blob: Option<Vec<u8>>,
    /// The bare quote of older versions.
    pub quote: Option<Vec<u8>>,
    /// The event log of older versions, as JSON text.
    pub event_log: Option<String>,
    /// The app id.
    pub app_id: Option<Id20>,
    /// Ids and measurements of the app, a MessagePack map by field name. Its issuer wrote it; it is not evidence.
    pub app_info: Option<Vec<u8>>,
    /// Those of dstack's extensions that hold their content as such and not in an OCTET STRING of its own. None of the
    /// recorded certificates has one.
    pub unwrapped: Vec<Extension>,
    /// Object identifiers of extensions that are marked critical and that nothing here knows, in dotted form.
    pub unknown_critical: Vec<String>,
}

impl RaTlsCertificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]. An attestation that cannot be decoded is no error here.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        read::from_der(der)
    }

    /// Reads the certificates of a PEM text, in order. Blocks of other kinds, such as private keys, are passed over.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]; also when there is no certificate at all.
    pub fn all_from_pem(pem: &str) -> Result<Vec<Self>, CertificateError> {
        read::all_from_pem(pem)
    }

    /// The attestation in it. `None` when it carries none.
    ///
    /// # Errors
    ///
    /// [`AttestationError`] inside, when what it carries is none.
    pub fn attestation(&self) -> Option<Result<VersionedAttestation, AttestationError>> {
        self.attestation_blob.as_deref().map(VersionedAttestation::decode)
    }

    /// Whether it carries evidence: an attestation, or the bare quote of older versions.
    pub const fn has_evidence(&self) -> bool {
        self.attestation_blob.is_some() || self.quote.is_some()
    }

    /// The report data that a quote must have to show that the CVM has the key: SHA-512 of `ratls-cert:` and
    /// [`public_key`](Self::public_key).
    pub fn expected_report_data(&self) -> ReportData {
        // Only raw report data can be of a wrong length.
        report_data::tagged(HashAlgorithm::Sha512, TAG_RATLS_CERT, &self.public_key).unwrap_or_default()
    }

    /// Whether the certificate names its own subject as issuer.
    pub fn is_self_issued(&self) -> bool {
        chain::is_self_issued(self)
    }

    /// Whether the certificate is for this host name or IP address, by its subject alternative name.
    pub fn covers(&self, host: &HostName) -> bool {
        host.is_covered_by(self)
    }
}
