//! Does an attestation agree with itself?

use dstack_check::{CheckDef, Finding, Fix};

use crate::verify::cvm::subject::{Subject, list};

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] =
    &[CheckDef::new("eventlog.attestation", "the attestation does not contradict itself")
        .layer("event log")
        .needs("evidence that came as one attestation")
        .why("whoever reads the copy instead of the quote or the log would be told something else")
        .proves(
            "the copies of the report data and of the runtime events in the attestation are those of its quote and log",
        )
        .leaves_open("whether the quote is genuine and the log its own; and the configuration, which nothing signs")];

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    if check.id != "eventlog.attestation" {
        return None;
    }
    let Some(attested) = &subject.evidence.attestation else {
        return Some(check.not_applicable().observed("quote and log did not come in an attestation"));
    };
    if !attested.platform.is_verified_here() {
        let why = format!("an attestation of {}, which is not verified here", attested.platform);
        return Some(check.unknown(why));
    }
    if attested.contradictions.is_empty() {
        return Some(check.pass());
    }
    let finding = check.fail().observed(list(&attested.contradictions));
    Some(finding.expected("the same report data and the same runtime events in both places").fix(Fix::new(
        "do not believe the attestation: somebody changed one of the copies; ask the guest agent for a new one",
    )))
}
