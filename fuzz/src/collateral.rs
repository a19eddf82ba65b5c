//! Collateral: whatever it says, a quote is not found genuine by collateral that Intel did not sign.

use std::sync::OnceLock;

use dstack_attestation::quote::Collateral;
use dstack_attestation::{CvmEvidence, Policy, Verifier};
use dstack_check::{Status, Verdict};

use crate::quote::now;

/// The recorded quote, whose certificates are genuine and whose report is not.
fn recorded() -> &'static CvmEvidence {
    static RECORDED: OnceLock<CvmEvidence> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let text = include_str!("../../crates/dstack-attestation/tests/fixtures/agent/get-quote.json");
        let exchange: serde_json::Value = serde_json::from_str(text).expect("the fixture is JSON");
        CvmEvidence::new().read_quote(&exchange["response"].to_string()).expect("the fixture is an answer")
    })
}

/// Takes any bytes for collateral in JSON.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(collateral) = Collateral::from_json(text, "fuzz") else { return };
    assert_eq!(collateral.source(), "fuzz");
    let again = Collateral::from_json(&collateral.to_json(), "fuzz").expect("what was written can be read");
    assert_eq!((again.fmspc(), again.next_update()), (collateral.fmspc(), collateral.next_update()));
    assert_eq!(again.to_json(), collateral.to_json());
    let verifier = Verifier::new(Policy::new(), now()).collateral(collateral);
    let report = verifier.app("fuzz", recorded());
    assert_ne!(report.verdict(), Verdict::Ok);
    assert_ne!(report.get("quote.signature").map(|finding| &finding.status), Some(&Status::Pass));
}
