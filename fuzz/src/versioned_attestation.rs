//! Attestations in either encoding: what is read is written and read again.

use dstack_attestation::versioned::VersionedAttestation;
use dstack_attestation::{Policy, Verifier};
use dstack_check::Verdict;

use crate::quote::now;

/// Takes any bytes for an attestation.
pub fn run(data: &[u8]) {
    let Ok(attestation) = VersionedAttestation::decode(data) else { return };
    // Of other platforms nothing but the name was read.
    if attestation.platform.is_verified_here() {
        let written =
            if attestation.version == 0 { attestation.encode_v0() } else { attestation.encode_v1() };
        let again = VersionedAttestation::decode(&written).expect("what was written can be read");
        assert_eq!(again, attestation);
        assert!(attestation.quote.len() <= data.len());
        assert!(attestation.event_log.entries().len() + attestation.runtime_events.len() <= data.len());
    }
    let evidence = attestation.to_evidence();
    let verifier = Verifier::new(Policy::new().danger_accept_emulated(true), now());
    assert_ne!(verifier.app("fuzz", &evidence).verdict(), Verdict::Ok);
}
