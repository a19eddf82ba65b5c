//! Quotes that verify, and every way in which they do not.

mod checks;
mod collateral;
mod refusals;
mod reports;
mod samples;
mod tampering;

use dstack_attestation::quote::Collateral;
use dstack_attestation::{Policy, Verifier};
use dstack_check::{Report, Status};

use crate::authority::{Authority, Contents, Platform, now};

/// An authority with a platform, and the answers about the platform's quotes.
struct Bench {
    authority: Authority,
    platform: Platform,
}

impl Bench {
    fn new() -> Self {
        let authority = Authority::new(now());
        let platform = authority.platform();
        Self { authority, platform }
    }

    fn collateral(&self) -> Collateral {
        self.authority.collateral(&self.platform)
    }

    /// A verifier that trusts the authority and has these pieces of collateral.
    fn verifier(&self, policy: Policy, collateral: impl IntoIterator<Item = Collateral>) -> Verifier {
        let verifier = Verifier::new(policy, now()).danger_root(self.authority.trust_root());
        collateral.into_iter().fold(verifier, Verifier::collateral)
    }

    /// What the report says of a quote with these contents, with good collateral.
    fn report(&self, contents: &Contents) -> Report {
        self.verifier(Policy::new(), [self.collateral()]).quote("a quote", &self.platform.quote(contents))
    }
}

/// How a check ended, in a word.
fn status(report: &Report, id: &str) -> &'static str {
    report.get(id).unwrap().status.word()
}

/// The checks of the quote that ended in this way.
fn ended(report: &Report, word: &str) -> Vec<String> {
    let quote = report.findings().iter().filter(|finding| finding.id.as_str().starts_with("quote."));
    quote.filter(|finding| finding.status.word() == word).map(|finding| finding.id.to_string()).collect()
}

/// Why a check could not be told.
fn why(report: &Report, id: &str) -> String {
    match &report.get(id).unwrap().status {
        Status::Unknown { why } => why.clone(),
        other => other.word().to_owned(),
    }
}
