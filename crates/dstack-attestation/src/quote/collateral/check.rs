//! Is collateral genuine and of this time? Told without a quote.

use std::time::SystemTime;

use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::{Collateral, CollateralTee};
use crate::quote::chain::{Chain, ChainError, time_text};
use crate::quote::verify::TrustRoot;

/// Why collateral is of no use for judging a quote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CollateralFault {
    /// A part of it has expired.
    #[error("the {part} expired at {at}")]
    Expired {
        /// The part that expired first.
        part: &'static str,
        /// When, in RFC 3339.
        at: String,
    },
    /// A part of it was issued after the time for which is asked.
    #[error("the {part} is of {from}, after the time for which is asked")]
    NotYetValid {
        /// The part that was issued last.
        part: &'static str,
        /// When, in RFC 3339.
        from: String,
    },
    /// Its QE identity is of another quoting enclave than that of its TCB info's TEE.
    #[error("the QE identity is of {found:?} instead of {expected:?}")]
    OtherEnclave {
        /// The id of the QE identity.
        found: String,
        /// The id that it has for this TEE.
        expected: &'static str,
    },
    /// The certificate chain of a part does not hold.
    #[error("the certificate chain of the {part} does not hold: {message}")]
    Chain {
        /// The part.
        part: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The chain of a part ends at another root CA than the one that is trusted.
    #[error("the {part} is signed under another root CA than the trusted one")]
    OtherRoot {
        /// The part.
        part: &'static str,
    },
    /// The signature of a part does not match: it was changed, or is not Intel's.
    #[error("the signature of the {part} does not match")]
    Signature {
        /// The part.
        part: &'static str,
    },
}

impl Collateral {
    /// Whether it holds at this time and its signatures match up to the root CA.
    ///
    /// A verification of a quote checks the same and more, such as revocation. This one needs no quote.
    ///
    /// # Errors
    ///
    /// [`CollateralFault`], the first there is.
    pub fn check(&self, root: &TrustRoot, now: SystemTime) -> Result<(), CollateralFault> {
        if now < self.valid_from.time {
            let from = time_text(self.valid_from.time);
            return Err(CollateralFault::NotYetValid { part: self.valid_from.part, from });
        }
        if now > self.next_update.time {
            let at = time_text(self.next_update.time);
            return Err(CollateralFault::Expired { part: self.next_update.part, at });
        }
        let expected = match self.tee {
            CollateralTee::Tdx => "TD_QE",
            CollateralTee::Sgx => "QE",
        };
        if self.enclave != expected {
            return Err(CollateralFault::OtherEnclave { found: self.enclave.clone(), expected });
        }
        let inner = &self.inner;
        statement(
            "TCB info",
            &inner.tcb_info_issuer_chain,
            &inner.tcb_info,
            &inner.tcb_info_signature,
            root,
            now,
        )?;
        statement(
            "QE identity",
            &inner.qe_identity_issuer_chain,
            &inner.qe_identity,
            &inner.qe_identity_signature,
            root,
            now,
        )?;
        list("root CA CRL", &inner.root_ca_crl, None, root, now)?;
        list("PCK CRL", &inner.pck_crl, Some(&inner.pck_crl_issuer_chain), root, now)
    }
}

/// Checks a text that was signed with the key of a chain's leaf.
fn statement(
    part: &'static str,
    chain: &str,
    text: &str,
    signature: &[u8],
    root: &TrustRoot,
    now: SystemTime,
) -> Result<(), CollateralFault> {
    let chain = Chain::from_pem(chain.as_bytes()).map_err(|error| of(part, error))?;
    chain.check(root, now).map_err(|error| of(part, error))?;
    let key = chain.leaf_key().map_err(|error| of(part, error))?;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
    key.verify(text.as_bytes(), signature).map_err(|_| CollateralFault::Signature { part })
}

/// Checks a revocation list that the leaf of a chain has signed; without a chain, the root CA itself.
fn list(
    part: &'static str,
    der: &[u8],
    chain: Option<&str>,
    root: &TrustRoot,
    now: SystemTime,
) -> Result<(), CollateralFault> {
    let unreadable =
        |error: &dyn std::fmt::Display| CollateralFault::Chain { part, message: error.to_string() };
    let (_, list) = CertificateRevocationList::from_der(der).map_err(|error| unreadable(&error))?;
    let issuer = match chain {
        None => Chain::of_root(root),
        Some(chain) => {
            let chain = Chain::from_pem(chain.as_bytes()).map_err(|error| of(part, error))?;
            chain.check(root, now).map_err(|error| of(part, error))?;
            chain
        }
    };
    let leaf = issuer.leaf().map_err(|error| of(part, error))?;
    list.verify_signature(leaf.public_key()).map_err(|_| match chain {
        None => CollateralFault::OtherRoot { part },
        Some(_) => CollateralFault::Signature { part },
    })
}

fn of(part: &'static str, error: ChainError) -> CollateralFault {
    match error {
        ChainError::OtherRoot => CollateralFault::OtherRoot { part },
        other => CollateralFault::Chain { part, message: other.to_string() },
    }
}
