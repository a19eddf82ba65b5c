//! No byte of what is signed can be changed.

use dstack_attestation::Policy;
use proptest::prelude::*;

use super::{Bench, samples, status};
use crate::authority::{Body, Contents};

/// What a quote's check of the signature must not answer once the quote was changed.
fn believed(word: &str) -> bool {
    matches!(word, "pass" | "warn" | "not-applicable")
}

#[test]
fn every_byte_up_to_the_quoting_enclaves_data_counts() {
    let bench = Bench::new();
    let verifier = bench.verifier(Policy::new(), [bench.collateral()]);
    let contents = Contents { body: Body::Version5Td15, ..Contents::default() };
    let quote = bench.platform.quote(&contents);
    assert_eq!(status(&verifier.quote("honest", &quote), "quote.signature"), "warn");
    // Header, body type, report; then signature, key, and past type and length the quoting enclave's report with its
    // signature and authentication data.
    let signed = contents.signed_part().len();
    let signatures = signed + 4;
    let enclave = signatures + 128 + 6;
    let covered = (0..signed).chain(signatures..signatures + 128).chain(enclave..enclave + 384 + 64 + 2 + 32);
    for at in covered.step_by(7) {
        let mut forged = quote.clone();
        forged[at] ^= 0x10;
        let report = verifier.quote("forged", &forged);
        assert!(!believed(status(&report, "quote.signature")), "byte {at}");
    }
}

/// What comes before the certificates in a quote of version 4: header and report, lengths, signature, key, the quoting
/// enclave's report, its signature and authentication data.
const GENUINE_COVERED: usize = 632 + 4 + 128 + 6 + 384 + 64 + 2 + 32 + 6;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bit_of_a_genuine_quote_can_be_flipped(at in 0..GENUINE_COVERED, bit in 0..8u8) {
        let sample = samples::genuine();
        let mut forged = sample.quote.clone();
        forged[at] ^= 1 << bit;
        let report = sample.verifier(Policy::new()).quote("forged", &forged);
        prop_assert!(!believed(status(&report, "quote.signature")), "byte {}", at);
    }

    #[test]
    fn arbitrary_bytes_are_never_believed(bytes in prop::collection::vec(any::<u8>(), 0..2000), dress in any::<bool>()) {
        let mut bytes = bytes;
        if dress && bytes.len() > 48 {
            bytes[..12].copy_from_slice(&[4, 0, 2, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
        }
        let bench = Bench::new();
        let report = bench.verifier(Policy::new(), [bench.collateral()]).quote("garbage", &bytes);
        prop_assert!(!believed(status(&report, "quote.signature")));
        prop_assert!(!report.verdict().to_string().contains("ok"));
    }
}
