//! Was the key of a custom domain's certificate made inside a genuine CVM?

use std::collections::BTreeMap;

use dstack_check::{CheckDef, Report};

use super::Verifier;

/// Every check of [`Verifier::ingress`] besides those of the CVM that the quote is from, parents before children.
pub const INGRESS_CHECKS: &[CheckDef] = &[];

/// The evidence directory of an ingress: `quote.json`, `sha256sum.txt`, and the files named in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IngressEvidence {
    /// The files by name, with their bytes.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The host name that the certificate must be for.
    pub domain: Option<String>,
    /// The certificates (DER, the leaf first) that the host shows.
    pub tls_chain: Vec<Vec<u8>>,
}

impl Verifier {
    /// Judges an ingress.
    pub fn ingress(&self, name: impl Into<String>, _evidence: &IngressEvidence) -> Report {
        Report::new(name, [])
    }
}
