//! What does an RA-TLS certificate prove about who has its key?

mod checks;
mod presented;

use dstack_check::Report;

pub use checks::CERTIFICATE_CHECKS;
pub(in crate::verify) use presented::Presented;

use super::cvm::Part;
use super::{CvmEvidence, Verifier};
use crate::ra_tls::{CertificateError, RaTlsCertificate};

/// A certificate with what it is held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateEvidence {
    /// The certificates in DER, the leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The certificate of the CA (DER) that the chain must lead to: a KMS's root CA. Without one, the key providers of
    /// the kind `kms` that the policy names are taken.
    pub root: Option<Vec<u8>>,
    /// The special usage that the leaf must have, such as `kms:rpc`.
    pub usage: Option<String>,
    /// The host name or IP address that the leaf must be for.
    pub host: Option<String>,
}

impl CertificateEvidence {
    /// These certificates in DER, the leaf first.
    pub fn new(chain: Vec<Vec<u8>>) -> Self {
        Self { chain, ..Self::default() }
    }

    /// The certificates of a PEM text, the leaf first.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] when there are none, or one cannot be read.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        let chain = RaTlsCertificate::all_from_pem(pem)?;
        Ok(Self::new(chain.into_iter().map(|certificate| certificate.der).collect()))
    }

    /// Requires that the chain leads to this CA (DER).
    #[must_use]
    pub fn root(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.root = Some(der.into());
        self
    }

    /// Requires this special usage of the leaf.
    #[must_use]
    pub fn usage(mut self, usage: impl Into<String>) -> Self {
        self.usage = Some(usage.into());
        self
    }

    /// Requires that the leaf is for this host name or IP address.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }
}

/// The evidence that a certificate carries. A blob that is no attestation gives none; `cert.attestation` says so.
pub(in crate::verify) fn carried(certificate: &RaTlsCertificate) -> CvmEvidence {
    if let Some(attestation) = certificate.attestation() {
        return attestation.map(|attestation| attestation.to_evidence()).unwrap_or_default();
    }
    let mut evidence = CvmEvidence::new();
    evidence.quote.clone_from(&certificate.quote);
    evidence.event_log.clone_from(&certificate.event_log);
    evidence
}

impl Verifier {
    /// Judges an RA-TLS certificate: who issued it, and what the evidence in it proves about the CVM that has its key.
    ///
    /// That somebody shows a certificate does not mean that they have its key. A TLS handshake does.
    pub fn certificate(&self, name: impl Into<String>, evidence: &CertificateEvidence) -> Report {
        let presented = Presented::read(&evidence.chain, evidence.root.as_deref());
        let leaf = match &presented {
            Part::Read(presented) => presented.leaf(),
            Part::Absent | Part::Unreadable(_) => None,
        };
        let cvm = leaf.map(carried).unwrap_or_default();
        self.cvm(name, &cvm, CERTIFICATE_CHECKS, |check, subject| {
            checks::evaluate(check, subject, evidence, &presented)
        })
    }
}
