//! Quotes: what the hardware says about a TD.
//!
//! This module reads quotes. It does **not** verify them: a quote whose signature nobody checked is a claim, not
//! evidence. What reading is good for is telling what a quote *would* prove.

pub mod emulated;
mod parse;
mod tdx;

pub use parse::QuoteError;
pub use tdx::{QuoteHeader, TdAttributes, TdReport, TdReportKind, TdxQuote};
