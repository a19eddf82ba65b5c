//! Evidence in the forms in which it is passed around, and the small documents beside it.

use dstack_attestation::image::{Checksums, ImageMetadata};
use dstack_attestation::{CvmEvidence, Policy, Verifier, VmConfig, known_good};
use dstack_check::Verdict;

use crate::quote::now;

/// Takes any bytes for a document.
pub fn run(data: &[u8]) {
    if let Ok(evidence) = CvmEvidence::from_document(data) {
        let verifier = Verifier::new(Policy::new().danger_accept_emulated(true), now());
        assert_ne!(verifier.app("fuzz", &evidence).verdict(), Verdict::Ok);
    }
    if let Ok(sums) = Checksums::parse(data) {
        assert!(sums.lines().len() * 67 <= data.len() + 1);
        for line in sums.lines() {
            assert!(!line.name.contains('/') && line.name != ".." && !line.name.is_empty());
            assert_eq!(sums.get(&line.name), Some(line.sha256));
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(metadata) = ImageMetadata::parse(text) {
        assert!(metadata.files().all(|(_, name)| name.len() <= text.len()));
    }
    if let Ok(config) = VmConfig::parse(text) {
        let _ = (config.image_hash(), config.shape());
    }
    if let Ok(known) = known_good::parse(text, "fuzz", "fuzz") {
        assert!(known.iter().all(|set| !set.is_empty()), "a set without a register says nothing");
    }
}
