//! From an attestation to evidence about a CVM.

use serde::Deserialize;

use super::{Platform, VersionedAttestation};
use crate::CvmEvidence;

/// What an attestation says besides the quote and the log that came in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attested {
    /// The TEE that it is from.
    pub platform: Platform,
    /// Where it contradicts itself, in words.
    pub contradictions: Vec<String>,
    /// Whether the log is in the form that certificates carry, without most of the firmware's entries. Such a log does
    /// not replay to RTMR0 to RTMR2, and nothing follows from that.
    pub shortened_log: bool,
}

/// The member of the configuration that is evidence.
#[derive(Deserialize)]
struct Config {
    vm_config: Option<String>,
}

impl VersionedAttestation {
    /// The evidence in it: quote, event log and `vm_config`, and what they came in.
    pub fn to_evidence(&self) -> CvmEvidence {
        let mut evidence = CvmEvidence::new();
        if self.platform.is_verified_here() {
            evidence.quote = (!self.quote.is_empty()).then(|| self.quote.clone());
            let log = &self.event_log;
            evidence.event_log = (!log.entries().is_empty()).then(|| log.to_json());
            // What is not the JSON it should be has no vm_config; whoever needs one says that it is missing.
            let config: Option<Config> = serde_json::from_str(&self.config).ok();
            evidence.vm_config = config.and_then(|config| config.vm_config).filter(|text| !text.is_empty());
        }
        evidence.attestation = Some(Attested {
            platform: self.platform.clone(),
            contradictions: self.contradictions().iter().map(ToString::to_string).collect(),
            shortened_log: self.log_is_shortened(),
        });
        evidence
    }
}
