//! Are the keys of a gateway's certificates, and its ACME account, held by genuine CVMs?

use dstack_check::{CheckDef, ReportSet};

use super::Verifier;

/// Every check of [`Verifier::gateway`] besides those of the CVMs that the quotes are from, parents before children.
pub const GATEWAY_CHECKS: &[CheckDef] = &[];

/// A public key that a gateway had quoted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotedKey {
    /// SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
    /// The quote's bytes, where there is one.
    pub quote: Vec<u8>,
    /// The attestation's bytes, where there is one.
    pub attestation: Vec<u8>,
}

/// What a gateway hands out about its certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayEvidence {
    /// The JSON answer of `AcmeInfo` (also at `/.dstack/acme-info`).
    pub acme_info: Option<String>,
    /// The certificates (DER, the leaf first) that the gateway shows for its domain.
    pub tls_chain: Vec<Vec<u8>>,
}

impl Verifier {
    /// Judges a gateway: one report for the gateway, and one for each quote it shows.
    pub fn gateway(&self, _name: impl Into<String>, _evidence: &GatewayEvidence) -> ReportSet {
        ReportSet::default()
    }
}
