//! What people read.

use dstack_attestation::event_log::EventLog;
use dstack_attestation::key_chain::{KeyChainError, Link};
use dstack_attestation::quote::TdxQuote;
use dstack_attestation::{CvmEvidence, Policy};
use dstack_check::{Hinted, Report, Status, Verdict};

use crate::evidence::{emulated, expectation, recorded, verify_app};

/// One finding a paragraph, in the order of the report.
fn text(report: &Report) -> String {
    let mut lines = vec![format!("{}: {} ({})", report.subject(), report.verdict(), report.counts())];
    for (key, value) in report.meta() {
        lines.push(format!("{key}: {value}"));
    }
    for finding in report.findings() {
        lines.push(format!("\n{} {}: {}", finding.status.word(), finding.id, finding.title));
        match &finding.status {
            Status::Unknown { why } => lines.push(format!("  why: {why}")),
            Status::Skipped { because } => lines.push(format!("  because: {because}")),
            _ => {}
        }
        let observed = finding.observed.iter().map(|text| ("observed", text));
        for (label, text) in observed.chain(finding.expected.iter().map(|text| ("expected", text))) {
            lines.push(format!("  {label}: {}", text.replace('\n', "\n    ")));
        }
        lines.extend(finding.fix.iter().map(|fix| format!("  fix: {}", fix.action)));
    }
    lines.join("\n")
}

#[test]
fn of_the_recorded_agent() {
    insta::assert_snapshot!(text(&verify_app("recorded", &recorded(), &Policy::new())));
}

#[test]
fn of_no_evidence() {
    let report = verify_app("nothing", &CvmEvidence::new(), &Policy::new());
    assert_eq!(report.verdict(), Verdict::Undetermined);
    insta::assert_snapshot!(text(&report));
}

#[test]
fn of_emulated_evidence() {
    let report = verify_app("demo", &emulated(), &expectation());
    assert_eq!(report.verdict(), Verdict::Failed);
    insta::assert_snapshot!(text(&report));
}

#[test]
fn of_emulated_evidence_that_the_caller_takes() {
    let report = verify_app("demo", &emulated(), &expectation().danger_accept_emulated(true));
    assert_eq!(report.verdict(), Verdict::Warnings);
    insta::assert_snapshot!(text(&report));
}

#[test]
fn of_a_log_that_was_edited() {
    let mut evidence = recorded();
    let log = evidence.event_log.take().unwrap();
    evidence.event_log = Some(log.replace(
        "\"event\":\"storage-fs\",\"event_payload\":\"7a6673\"",
        "\"event\":\"compose-hash\",\"event_payload\":\"7a6673\"",
    ));
    insta::assert_snapshot!(text(&verify_app("edited", &evidence, &Policy::new())));
}

#[test]
fn errors_name_the_entry() {
    let entry = r#"{"imr":0,"event_type":4,"digest":"","event":"","event_payload":""}"#;
    let with = |from: &str, to: &str| format!("[{}]", entry.replace(from, to));
    let good = r#"{"imr":3,"event_type":134217729,"digest":"","event":"a","event_payload":""}"#;
    let texts = [
        "{}".to_owned(),
        "[".to_owned(),
        "[1]".to_owned(),
        format!("[{good}] x"),
        format!("[{good},{entry}]"),
        with("\"imr\":0", "\"imr\":4"),
        with("\"event_type\":4", "\"event_type\":4294967296"),
        with("\"digest\":\"\"", "\"digest\":\"00\""),
        with("\"digest\":\"\",", ""),
        with("\"event_payload\":\"\"", "\"event_payload\":\"0g\"")
            .replace("\"digest\":\"\"", &format!("\"digest\":\"{}\"", "00".repeat(48))),
        good.replace("\"imr\"", "\"version\":3,\"imr\"").replace('{', "[{").replace('}', "}]"),
    ];
    let errors: Vec<String> =
        texts.iter().map(|text| EventLog::parse(text).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn hints_say_what_to_do() {
    let hint = |error: &dyn Hinted| error.hint().map(|hint| hint.to_string()).unwrap_or_default();
    let attestation = get_attestation();
    let texts = [
        hint(&EventLog::parse("{}").unwrap_err()),
        hint(&EventLog::parse("[1]").unwrap_err()),
        hint(&TdxQuote::parse(&attestation).unwrap_err()),
        hint(&TdxQuote::parse(&[3, 0, 2, 0, 0, 0, 0, 0]).unwrap_err()),
        hint(&TdxQuote::parse(&[4, 0, 2, 0, 0, 0, 0, 0]).unwrap_err()),
        hint(&KeyChainError::Length { link: Link::Kms, found: 0 }),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}

/// The first bytes of an answer of the guest agent's `Attest`, version 0 of its format.
fn get_attestation() -> Vec<u8> {
    hex::decode("0000494e0400020081000000").unwrap()
}
