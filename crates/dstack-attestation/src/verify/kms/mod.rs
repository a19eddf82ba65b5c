//! Is this KMS the one whose keys were made inside a genuine CVM?

use dstack_check::{CheckDef, Report};

use super::Verifier;

/// Every check of [`Verifier::kms`] besides those of the CVM that the KMS runs in, parents before children.
pub const KMS_CHECKS: &[CheckDef] = &[];

/// What a KMS hands out about itself, as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KmsEvidence {
    /// The JSON answer of `Onboard.Bootstrap`, or the content of `bootstrap-info.json`.
    pub bootstrap: Option<String>,
    /// The JSON answer of `KMS.GetMeta`.
    pub meta: Option<String>,
    /// The certificates (DER, the leaf first) that the KMS showed when it was asked over TLS.
    pub tls_chain: Vec<Vec<u8>>,
    /// The k256 root public key that is registered for this KMS elsewhere, such as in its contract.
    pub registered_k256: Option<Vec<u8>>,
}

impl Verifier {
    /// Judges a KMS.
    pub fn kms(&self, name: impl Into<String>, _evidence: &KmsEvidence) -> Report {
        Report::new(name, [])
    }
}
