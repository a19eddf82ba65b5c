//! Quotes: what the hardware says about a TD.
//!
//! [`TdxQuote::parse`] reads a quote and trusts nothing: a quote whose signature nobody checked is a claim, not
//! evidence. [`verify`](verify::verify) checks the signatures up to Intel's root CA with collateral and a time that the
//! caller gives.

pub(crate) mod appraise;
pub(crate) mod chain;
mod collateral;
pub mod emulated;
mod kind;
mod parse;
mod refusal;
mod signatures;
mod tdx;
pub mod verify;

pub use collateral::{
    Collateral, CollateralError, CollateralFault, CollateralParts, CollateralTee, MAX_COLLATERAL,
};

pub use kind::EvidenceKind;
pub use parse::QuoteError;
pub use tdx::{QuoteHeader, TdAttributes, TdReport, TdReportKind, TdxQuote};
