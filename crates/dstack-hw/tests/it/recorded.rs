//! What real hosts printed comes to what is known about those hosts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::support::{assess, failed, fixtures, recorded};

/// What a recording must come to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    profile: String,
    verdict: String,
    readiness: String,
    layer: Option<String>,
    fail: BTreeSet<String>,
    #[serde(default)]
    pass: Vec<String>,
    #[serde(default)]
    warn: Vec<String>,
    #[serde(default)]
    skipped: Vec<String>,
    #[serde(default)]
    unknown: Vec<String>,
}

fn expected() -> BTreeMap<String, Expected> {
    let text = std::fs::read_to_string(fixtures().join("recorded/expected.toml")).unwrap();
    toml_edit::de::from_str(&text).unwrap()
}

#[test]
fn the_forty_rows_are_all_there() {
    let names: BTreeSet<String> = recorded().into_keys().collect();
    assert_eq!(names, expected().into_keys().collect(), "each recording has what it must come to");
    for row in 1..=40 {
        let row = format!("F-{row:02}");
        let has = |name: &String| name.strip_prefix(&row).is_some_and(|rest| rest.len() <= 1);
        assert!(names.iter().any(has), "{row} is missing");
    }
    let readme = std::fs::read_to_string(fixtures().join("recorded/README.md")).unwrap();
    for name in names {
        assert!(readme.contains(&format!("\n| {name} | ")), "the provenance of {name}");
    }
}

#[test]
fn every_recording_gives_its_verdict_and_names_the_layer() {
    let expected = expected();
    let mut wrong = String::new();
    for (name, readings) in recorded() {
        let expected = &expected[&name];
        let assessment = assess(&readings, &expected.profile);
        let report = &assessment.report;
        let mut differ = |what: String| wrong.push_str(&format!("{name} ({}): {what}\n", expected.verdict));
        if assessment.readiness.word() != expected.readiness {
            differ(format!("expected {}, is {:?}", expected.readiness, assessment.readiness));
        }
        let layer = assessment.first_failing_layer();
        if layer != expected.layer.as_deref() {
            differ(format!("expected the layer {:?}, is {layer:?}", expected.layer));
        }
        let failed: BTreeSet<String> = failed(report).into_iter().map(str::to_owned).collect();
        if failed != expected.fail {
            differ(format!("expected to fail {:?}, failed {failed:?}", expected.fail));
        }
        let listed = [
            ("pass", &expected.pass),
            ("warn", &expected.warn),
            ("skipped", &expected.skipped),
            ("unknown", &expected.unknown),
        ];
        for (word, ids) in listed {
            for id in ids {
                match report.get(id) {
                    Some(finding) if finding.status.word() == word => {}
                    other => differ(format!("{id}: expected {word}, is {other:?}")),
                }
            }
        }
        // A pass is never guessed: what passes says what it rests on.
        if assessment.readiness.is_ready() {
            differ("a recording shows too little of a host to call it ready".to_owned());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_failing_recording_says_what_to_do() {
    for (name, expected) in expected() {
        if expected.layer.is_none() {
            continue;
        }
        let assessment = assess(&crate::support::recording(&name), &expected.profile);
        let deciding = assessment.deciding().unwrap_or_else(|| panic!("{name}: nothing decided"));
        assert!(expected.fail.contains(deciding.id.as_str()), "{name}: {} decided", deciding.id);
        assert!(assessment.next_step().is_some(), "{name}: no next step");
        assert!(!deciding.evidence.is_empty(), "{name}: {} has no evidence", deciding.id);
    }
}
