//! Is a quote genuine? From a quote, collateral and a time to what the hardware vouches for.

use std::time::SystemTime;

use crate::policy::TcbStatus;
use crate::quote::Collateral;
use crate::{Digest32, FixedBytes};

/// Whose signature makes a quote genuine: the certificate authority at the root of all chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRoot {
    der: Option<Vec<u8>>,
}

impl TrustRoot {
    /// Intel's SGX root CA, under which every TDX platform in production stands.
    pub const fn intel() -> Self {
        Self { der: None }
    }

    /// Another root CA, a certificate in DER. Whoever has its key can make quotes that say anything: this is for
    /// pre-production platforms and for tests.
    pub fn danger_other(der: impl Into<Vec<u8>>) -> Self {
        Self { der: Some(der.into()) }
    }

    /// Whether this is Intel's.
    pub const fn is_intel(&self) -> bool {
        self.der.is_none()
    }
}

/// Why a quote is not genuine, or cannot be told to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteVerifyError {
    /// The quote is damaged, or of a kind that cannot be verified.
    #[error("the quote cannot be verified: {0}")]
    Unreadable(String),
    /// A signature in the quote does not match: of the TD report, or of the quoting enclave's report.
    #[error("a signature in the quote does not match: {0}")]
    Signature(String),
    /// A certificate chain does not lead to the root, or a certificate is expired or revoked.
    #[error("a certificate chain does not hold: {0}")]
    Chain(String),
    /// The collateral is damaged, not signed by Intel, or for another platform.
    #[error("the collateral does not hold: {0}")]
    Collateral(String),
    /// The collateral is expired, or not valid yet.
    #[error("the collateral is not valid at this time: {0}")]
    Stale(String),
    /// The platform's TCB has been revoked.
    #[error("the platform's TCB is revoked: {0}")]
    Revoked(String),
    /// The TD or the quoting enclave has attributes under which it is not to be trusted.
    #[error("the quote states attributes that are not to be trusted: {0}")]
    Attributes(String),
    /// Anything else that the verification library refuses.
    #[error("the quote was refused: {0}")]
    Refused(String),
}

/// What the signatures over a quote vouch for, besides the TD report itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedQuote {
    /// How up to date the platform is.
    pub tcb_status: TcbStatus,
    /// The advisories that apply to the platform.
    pub advisories: Vec<String>,
    /// The number of the TCB recovery that the collateral knows of.
    pub evaluation_number: u32,
    /// When the platform's TCB level was published.
    pub tcb_date: SystemTime,
    /// The platform type.
    pub fmspc: FixedBytes<6>,
    /// SHA-256 of the platform's PPID, which dstack calls the device id.
    pub device_id: Digest32,
    /// When the first part of the collateral expires.
    pub collateral_expires: SystemTime,
}

/// Verifies a quote's bytes.
///
/// # Errors
///
/// [`QuoteVerifyError`].
pub fn verify(
    _quote: &[u8],
    _collateral: &Collateral,
    _now: SystemTime,
    _root: &TrustRoot,
) -> Result<VerifiedQuote, QuoteVerifyError> {
    Err(QuoteVerifyError::Refused("not built yet".to_owned()))
}
