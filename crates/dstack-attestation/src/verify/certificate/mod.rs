//! What does an RA-TLS certificate prove about who has its key?

use dstack_check::{CheckDef, Report};

use super::Verifier;

/// Every check of [`Verifier::certificate`] besides those of the CVM that the evidence in it is from, parents before
/// children.
pub const CERTIFICATE_CHECKS: &[CheckDef] = &[];

/// A certificate with what it is held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateEvidence {
    /// The certificates in DER, the leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The certificate of the CA (DER) that the chain must lead to: a KMS's root CA.
    pub root: Option<Vec<u8>>,
}

impl Verifier {
    /// Judges an RA-TLS certificate.
    pub fn certificate(&self, name: impl Into<String>, _evidence: &CertificateEvidence) -> Report {
        Report::new(name, [])
    }
}
