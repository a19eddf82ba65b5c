//! Collateral as a text.

use dstack_attestation::quote::{
    Collateral, CollateralError, CollateralParts, CollateralTee, MAX_COLLATERAL,
};
use dstack_check::Hinted;
use proptest::prelude::*;

use super::Bench;
use crate::authority::{DAY, now};

#[test]
fn it_is_read_and_written() {
    let bench = Bench::new();
    let json = bench.authority.collateral_json(&bench.platform);
    let read = Collateral::from_json(&json, "a file").unwrap();
    assert_eq!(read.tee(), CollateralTee::Tdx);
    assert_eq!(read.fmspc().as_bytes(), &bench.platform.spec().fmspc);
    assert_eq!((read.issued(), read.valid_from()), (now() - DAY, now() - DAY));
    assert_eq!(read.next_update(), now() + 29 * DAY);
    assert_eq!((read.evaluation_number(), read.source()), (20, "a file"));
    assert!(read.holds_at(now()) && !read.holds_at(now() + 30 * DAY) && !read.holds_at(now() - 2 * DAY));
    let again = Collateral::from_json(&read.to_json(), "written").unwrap();
    assert_eq!(again.parts(), read.parts());
    // What is signed is kept byte for byte.
    let text =
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["tcb_info"].as_str().unwrap().to_owned();
    assert_eq!(read.parts().tcb_info, text);
    let hidden = CollateralParts { pck_certificate_chain: Some("x".to_owned()), ..read.parts() };
    let hidden = Collateral::from_parts(hidden, "").unwrap();
    assert!(hidden.to_json().contains("pck_certificate_chain"));
}

#[test]
fn the_first_part_to_expire_counts() {
    let bench = Bench::new();
    let early = now() + 3 * DAY;
    let collateral = bench.authority.collateral_with(&bench.platform, |s| s.crl_next_update = Some(early));
    assert_eq!(collateral.next_update(), early);
    let fault = collateral.check(&bench.authority.trust_root(), now() + 4 * DAY).unwrap_err();
    assert_eq!(fault.to_string(), "the root CA CRL expired at 2026-06-04T12:00:00Z");
}

#[test]
fn what_is_wrong_is_named() {
    let bench = Bench::new();
    let parts = bench.collateral().parts();
    let error = |change: fn(&mut CollateralParts)| {
        let mut parts = parts.clone();
        change(&mut parts);
        Collateral::from_parts(parts, "").unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        [
            error(|parts| parts.tcb_info.clear()),
            error(|parts| parts.tcb_info = parts.tcb_info.replace("\"TDX\"", "\"TDZ\"")),
            error(|parts| parts.tcb_info = parts.tcb_info.replace("2026-05-31T", "yesterday ")),
            error(|parts| parts.tcb_info_signature.truncate(63)),
            error(|parts| parts.qe_identity = "{}".to_owned()),
            error(|parts| parts.root_ca_crl.clear()),
            error(|parts| parts.pck_crl.push(0)),
        ]
        .join("\n")
    );
    let huge = " ".repeat(MAX_COLLATERAL + 1);
    assert!(matches!(Collateral::from_json(&huge, ""), Err(CollateralError::TooLarge { .. })));
    let not = Collateral::from_json("{}", "").unwrap_err();
    assert!(not.to_string().contains("missing field"), "{not}");
    assert!(not.hint().is_some());
    let hex = bench.collateral().to_json().replacen("\"root_ca_crl\": \"30", "\"root_ca_crl\": \"zz", 1);
    assert!(Collateral::from_json(&hex, "").unwrap_err().to_string().contains("root CA CRL"), "{hex:.200}");
}

proptest! {
    /// Reading and checking never panic, whatever the parts are.
    #[test]
    fn garbage_is_an_error(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Collateral::from_json(&text, "").is_err());
        let bench = Bench::new();
        let mut parts = bench.collateral().parts();
        parts.tcb_info_issuer_chain = text;
        parts.tcb_info_signature = vec![1; 64];
        let collateral = Collateral::from_parts(parts.clone(), "").unwrap();
        prop_assert!(collateral.check(&bench.authority.trust_root(), now()).is_err());
        parts.pck_crl = bytes;
        prop_assert!(Collateral::from_parts(parts, "").is_err());
    }
}
