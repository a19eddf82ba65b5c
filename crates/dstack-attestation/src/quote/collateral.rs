//! Collateral: what Intel says about platforms, by which a quote is judged.

use std::time::SystemTime;

use crate::FixedBytes;

/// Why a text is not collateral.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollateralError {
    /// The text is not the JSON it should be.
    #[error("the collateral is not the JSON it should be: {0}")]
    Json(#[from] serde_json::Error),
    /// A part of the collateral cannot be read.
    #[error("the collateral's {part} cannot be read: {message}")]
    Part {
        /// The part.
        part: &'static str,
        /// What is wrong.
        message: String,
    },
}

/// The collateral for one platform type (FMSPC): TCB info, QE identity, revocation lists and their certificate chains.
///
/// All of it is signed by Intel; the signatures are checked when a quote is verified with it, not before.
#[derive(Clone, Debug)]
pub struct Collateral {
    pub(crate) inner: dcap_qvl::QuoteCollateralV3,
    fmspc: FixedBytes<6>,
    issued: SystemTime,
    next_update: SystemTime,
    source: String,
}

impl Collateral {
    /// Reads collateral from the JSON that `dcap-qvl`, dstack's verifier and `dstack-verify collateral` write.
    ///
    /// `source` says where it comes from, for reports.
    ///
    /// # Errors
    ///
    /// [`CollateralError`].
    pub fn from_json(text: &str, source: impl Into<String>) -> Result<Self, CollateralError> {
        let inner: dcap_qvl::QuoteCollateralV3 = serde_json::from_str(text)?;
        Ok(Self {
            inner,
            fmspc: FixedBytes::ZERO,
            issued: SystemTime::UNIX_EPOCH,
            next_update: SystemTime::UNIX_EPOCH,
            source: source.into(),
        })
    }

    /// The platform type it is for.
    pub const fn fmspc(&self) -> FixedBytes<6> {
        self.fmspc
    }

    /// When Intel issued its TCB info.
    pub const fn issued(&self) -> SystemTime {
        self.issued
    }

    /// When the first part of it expires.
    pub const fn next_update(&self) -> SystemTime {
        self.next_update
    }

    /// Where it comes from, as the caller said.
    pub fn source(&self) -> &str {
        &self.source
    }
}
