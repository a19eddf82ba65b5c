//! A quote alone: what it says, and whether it is genuine.

use dstack_check::Report;

use super::{CvmEvidence, Verifier};

impl Verifier {
    /// Judges a quote without anything else about its CVM.
    pub fn quote(&self, name: impl Into<String>, quote: &[u8]) -> Report {
        let mut evidence = CvmEvidence::new();
        evidence.quote = Some(quote.to_vec());
        self.quote_alone(name, &evidence)
    }
}
