//! A single changed bit is noticed: something that passed before passes no longer.

use std::collections::BTreeSet;

use dstack_attestation::CvmEvidence;
use dstack_check::{Report, Status};
use proptest::prelude::*;
use serde_json::Value;

use crate::evidence::{COMPOSE, emulated, expectation, recorded, recorded_compose_hash, verify_app};

fn passed(report: &Report) -> BTreeSet<&str> {
    let passed = report.findings().iter().filter(|finding| finding.status == Status::Pass);
    passed.map(|finding| finding.id.as_str()).collect()
}

/// The checks that the first report passes and the second does not.
fn lost<'r>(honest: &'r Report, changed: &Report) -> Vec<&'r str> {
    let still = passed(changed);
    passed(honest).into_iter().filter(|id| !still.contains(id)).collect()
}

fn emulated_report(evidence: &CvmEvidence) -> Report {
    verify_app("app", evidence, &expectation().danger_accept_emulated(true))
}

fn recorded_report(evidence: &CvmEvidence) -> Report {
    verify_app("app", evidence, &dstack_attestation::Policy::new().compose_hash(recorded_compose_hash()))
}

/// Flips a bit of the bytes that a hex text stands for.
fn flip_hex(text: &str, bit: prop::sample::Index) -> Option<String> {
    let mut bytes = hex::decode(text).unwrap();
    if bytes.is_empty() {
        return None;
    }
    let bit = bit.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    Some(hex::encode(bytes))
}

proptest! {
    #[test]
    fn in_what_a_log_says(
        of_recorded in any::<bool>(),
        entry in any::<prop::sample::Index>(),
        field in prop::sample::select(vec!["imr", "digest", "event", "event_payload"]),
        bit in any::<prop::sample::Index>(),
    ) {
        let mut evidence = if of_recorded { recorded() } else { emulated() };
        // The guest's own copy of the log would give the change away in any case.
        evidence.tcb_info = None;
        evidence.app_compose = Some(COMPOSE.to_owned()).filter(|_| !of_recorded);
        let judge = if of_recorded { recorded_report } else { emulated_report };
        let honest = judge(&evidence);
        let mut log: Vec<Value> = serde_json::from_str(evidence.event_log.as_deref().unwrap()).unwrap();
        let entry = entry.index(log.len());
        let entry = &mut log[entry];
        let runtime = entry["event_type"] == 134_217_729 && entry["imr"] == 3;
        match field {
            "imr" => {
                let imr = entry["imr"].as_u64().unwrap();
                entry["imr"] = (imr ^ (1 << bit.index(2))).into();
            }
            // The firmware's names and payloads are remarks: only their digests are measured.
            "event" | "event_payload" if !runtime => return Ok(()),
            "event" => {
                let mut name = entry["event"].as_str().unwrap().to_owned().into_bytes();
                let bit = bit.index(name.len() * 7);
                name[bit / 7] ^= 1 << (bit % 7);
                entry["event"] = String::from_utf8(name).unwrap().into();
            }
            hex => match flip_hex(entry[hex].as_str().unwrap(), bit) {
                Some(flipped) => entry[hex] = flipped.into(),
                None => return Ok(()),
            },
        }
        evidence.event_log = Some(Value::from(log).to_string());
        let changed = judge(&evidence);
        prop_assert!(!lost(&honest, &changed).is_empty(), "{field}: {:?}", passed(&changed));
    }

    #[test]
    fn in_the_app_compose(bit in 0usize..COMPOSE.len() * 7) {
        let mut evidence = emulated();
        let honest = emulated_report(&evidence);
        let mut text = COMPOSE.as_bytes().to_vec();
        text[bit / 7] ^= 1 << (bit % 7);
        evidence.app_compose = Some(String::from_utf8(text.clone()).unwrap());
        prop_assert!(lost(&honest, &emulated_report(&evidence)).contains(&"app.compose.hash"));
        // The same the other way round: what was deployed differs from what was measured.
        let policy = dstack_attestation::Policy::new().compose(text).danger_accept_emulated(true);
        let report = verify_app("app", &emulated(), &policy);
        prop_assert_eq!(&report.get("app.compose.deployed").unwrap().status, &Status::Fail);
    }
}
