//! What people read about a quote.

use std::time::Duration;

use dstack_attestation::Policy;
use dstack_check::{Report, Status};

use super::{Bench, samples};
use crate::authority::{Contents, Statement, now};

/// The findings about the quote, one a paragraph.
fn text(report: &Report) -> String {
    let mut lines = Vec::new();
    for finding in report.findings().iter().filter(|finding| finding.id.as_str().starts_with("quote.")) {
        lines.push(format!("{} {}: {}", finding.status.word(), finding.id, finding.title));
        match &finding.status {
            Status::Unknown { why } => lines.push(format!("  why: {why}")),
            Status::Skipped { because } => lines.push(format!("  because: {because}")),
            _ => {}
        }
        // The length varies with that of the signatures in the authority's certificates.
        let stable = finding.id.as_str() != "quote.present";
        let observed = finding.observed.iter().filter(|_| stable).map(|text| ("observed", text));
        let expected = finding.expected.iter().map(|text| ("expected", text));
        let trusting = finding.trusting.iter().map(|text| ("trusting", text));
        for (label, text) in observed.chain(expected).chain(trusting) {
            lines.push(format!("  {label}: {}", text.replace('\n', "\n    ")));
        }
        lines.extend(finding.fix.iter().map(|fix| format!("  fix: {}", fix.action)));
    }
    lines.join("\n")
}

fn with(change: impl FnOnce(&mut Statement)) -> String {
    let bench = Bench::new();
    let collateral = bench.authority.collateral_with(&bench.platform, change);
    text(
        &bench
            .verifier(Policy::new(), [collateral])
            .quote("a quote", &bench.platform.quote(&Contents::default())),
    )
}

#[test]
fn of_a_genuine_quote() {
    let sample = samples::genuine();
    insta::assert_snapshot!(text(&sample.verifier(Policy::new()).quote("genuine", &sample.quote)));
}

#[test]
fn of_a_quote_under_another_root() {
    insta::assert_snapshot!(with(|_| ()));
}

#[test]
fn of_a_quote_without_collateral() {
    let sample = samples::genuine();
    let verifier = dstack_attestation::Verifier::new(Policy::new(), sample.now);
    insta::assert_snapshot!(text(&verifier.quote("genuine", &sample.quote)));
}

#[test]
fn of_expired_collateral() {
    insta::assert_snapshot!(with(|s| s.next_update = now() - Duration::from_secs(3600)));
}

#[test]
fn of_a_revoked_tcb() {
    insta::assert_snapshot!(with(|s| s.tcb_status = "Revoked".to_owned()));
}

#[test]
fn of_an_outdated_platform() {
    insta::assert_snapshot!(with(|s| {
        s.tcb_status = "OutOfDate".to_owned();
        s.advisories = vec!["INTEL-SA-00837".to_owned()];
    }));
}

#[test]
fn of_a_debugged_td() {
    let bench = Bench::new();
    insta::assert_snapshot!(text(
        &bench.report(&Contents { td_attributes: 0x1000_0001, ..Contents::default() })
    ));
}
