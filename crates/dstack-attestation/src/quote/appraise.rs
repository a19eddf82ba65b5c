//! A quote with the collateral that fits it, appraised once for all checks that ask.

use std::time::SystemTime;

use super::verify::{QuoteVerifyError, TrustRoot, VerifiedQuote, check_signatures, stated_fmspc, verify};
use super::{Collateral, CollateralFault, CollateralTee};
use crate::FixedBytes;

/// What is known about a quote's genuineness.
pub(crate) struct Appraisal<'a> {
    /// The platform type that the quote's own certificate states.
    pub(crate) fmspc: Result<FixedBytes<6>, QuoteVerifyError>,
    /// Whether the quote's own signatures and certificates hold together, which needs no collateral.
    pub(crate) own: Result<(), QuoteVerifyError>,
    pub(crate) collateral: Choice<'a>,
    /// The verification with collateral; only where the quote's own signatures hold and so does the collateral.
    pub(crate) verified: Option<Result<VerifiedQuote, QuoteVerifyError>>,
}

/// The collateral for a quote.
pub(crate) enum Choice<'a> {
    /// There is none at all.
    NoneGiven,
    /// None is for the quote's platform.
    NoneFits(Vec<&'a Collateral>),
    /// This one is, and it holds or does not.
    Fits(&'a Collateral, Result<(), CollateralFault>),
}

impl<'a> Appraisal<'a> {
    pub(crate) fn new(quote: &[u8], given: &'a [Collateral], now: SystemTime, root: &TrustRoot) -> Self {
        let fmspc = stated_fmspc(quote);
        let own = check_signatures(quote, now, root);
        let collateral = choose(&fmspc, given, now, root);
        let verified = match (&own, &collateral) {
            (Ok(()), Choice::Fits(collateral, Ok(()))) => Some(verify(quote, collateral, now, root)),
            (Ok(()) | Err(_), _) => None,
        };
        Self { fmspc, own, collateral, verified }
    }

    /// What the signatures vouch for, where everything about them holds.
    pub(crate) fn verified(&self) -> Option<&VerifiedQuote> {
        self.verified.as_ref().and_then(|verified| verified.as_ref().ok())
    }
}

/// The collateral for the platform; of several, one that holds, and then the one that was issued last.
fn choose<'a>(
    fmspc: &Result<FixedBytes<6>, QuoteVerifyError>,
    given: &'a [Collateral],
    now: SystemTime,
    root: &TrustRoot,
) -> Choice<'a> {
    if given.is_empty() {
        return Choice::NoneGiven;
    }
    let fits = |collateral: &&Collateral| {
        let platform = match fmspc {
            Ok(fmspc) => collateral.fmspc() == *fmspc,
            // The quote names its platform in another way; only collateral with the platform's chain can tell.
            Err(QuoteVerifyError::Unsupported(_)) => collateral.inner.pck_certificate_chain.is_some(),
            Err(_) => false,
        };
        platform && collateral.tee() == CollateralTee::Tdx
    };
    let checked = given.iter().filter(fits).map(|collateral| (collateral, collateral.check(root, now)));
    let best = checked.max_by_key(|(collateral, check)| (check.is_ok(), collateral.issued()));
    best.map_or_else(
        || Choice::NoneFits(given.iter().collect()),
        |(collateral, check)| Choice::Fits(collateral, check),
    )
}
