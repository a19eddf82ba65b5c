//! Quotes: what is read lies in the bytes, and no bytes are found genuine.

use std::time::{Duration, SystemTime};

use dstack_attestation::quote::{EvidenceKind, TdxQuote};
use dstack_attestation::{CvmEvidence, Policy, Verifier};
use dstack_check::Verdict;

/// A time at which the recorded evidence was young.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_291_199)
}

/// Takes any bytes for a quote.
pub fn run(data: &[u8]) {
    if let Ok(quote) = TdxQuote::parse(data) {
        let body = if quote.header.version == 4 { 584 } else { 6 + 584 };
        assert!(48 + body + 4 + quote.signature_data.len() + quote.trailing_bytes <= data.len());
        // Cutting off what trails changes nothing else; cutting off more is an error.
        let end = data.len() - quote.trailing_bytes;
        let cut = TdxQuote::parse(&data[..end]).expect("a quote without what trails it is a quote");
        assert_eq!((cut.trailing_bytes, &cut.report, &cut.header), (0, &quote.report, &quote.header));
        assert!(TdxQuote::parse(&data[..end - 1]).is_err());
        assert!(
            matches!(EvidenceKind::of(data), Some(EvidenceKind::TdxQuote { .. })),
            "it is known for a quote"
        );
    }
    let mut evidence = CvmEvidence::new();
    evidence.quote = Some(data.to_vec());
    let report = Verifier::new(Policy::new().danger_accept_emulated(true), now()).app("fuzz", &evidence);
    assert_ne!(report.verdict(), Verdict::Ok, "bytes without collateral are found genuine");
    let report = Verifier::new(Policy::new(), now()).quote("fuzz", data);
    assert!(matches!(report.verdict(), Verdict::Undetermined | Verdict::Failed));
}
