//! Attestations in either encoding: what is read is written and read again.

use dstack_attestation::versioned::VersionedAttestation;
use dstack_attestation::{Policy, Verifier};
use dstack_check::Verdict;

use crate::quote::now;

/// Takes any bytes for an attestation.
pub fn run(data: &[u8]) {
    let Ok(attestation) = VersionedAttestation::decode(data) else { return };
    let evidence = attestation.to_evidence();
    let verifier = Verifier::new(Policy::new().danger_accept_emulated(true), now());
    assert_ne!(verifier.app("fuzz", &evidence).verdict(), Verdict::Ok);
}
