//! The verdict in clear words.

use dstack_check::Status;
use dstack_hw::{Assessment, Profile, Readiness, checks};

/// How many ids a sentence lists before it counts the others.
const NAMED: usize = 6;

/// The verdict: words that are seen from afar, and a sentence.
pub(super) struct Verdict {
    /// In capitals.
    pub(super) shout: String,
    /// What it means, without a full stop.
    pub(super) sentence: String,
}

impl Verdict {
    pub(super) fn of(assessment: &Assessment, profile: &Profile) -> Self {
        let name = &profile.name;
        let (shout, sentence) = match &assessment.readiness {
            Readiness::Ready { warnings } => {
                let unknown = assessment.report.counts().unknown;
                let parts =
                    [(*warnings, "warning", "warnings"), (unknown, "open question", "open questions")];
                let parts: Vec<String> = parts
                    .into_iter()
                    .filter(|(count, ..)| *count > 0)
                    .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
                    .collect();
                let with =
                    if parts.is_empty() { String::new() } else { format!(", with {}", parts.join(" and ")) };
                ("READY", format!("this host is what {name} wants{with}"))
            }
            Readiness::NotEnabledYet { layer, check } => {
                let hardware = if unknown_hardware(assessment, profile) {
                    "; whether the hardware is right cannot be told from here"
                } else {
                    "; no hardware stands in the way"
                };
                (
                    "NOT ENABLED YET",
                    format!("the way to {name} ends in the layer {layer}, at {check}{hardware}"),
                )
            }
            Readiness::Cannot { layer, check } => (
                "STOP: CANNOT",
                format!(
                    "this hardware does not have what {name} wants ({layer}: {check}), and no setting changes that"
                ),
            ),
            Readiness::NotThisPlace { check } if check.starts_with("hw.guest.") => (
                "STOP: NOT A CVM",
                format!("{name} asks about the inside of a CVM, and this is none ({check})"),
            ),
            Readiness::NotThisPlace { check } => (
                "STOP: NOT THE HOST",
                format!("the question was asked in the wrong place ({check}); the host below was not judged"),
            ),
            Readiness::Undetermined { unknown } => (
                "NOT KNOWN",
                format!(
                    "nothing that {name} requires failed, but {} without an answer: {}",
                    are(unknown.len()),
                    named(unknown)
                ),
            ),
            other => ("NOT READY", other.word().to_owned()),
        };
        Self { shout: shout.to_owned(), sentence }
    }
}

fn are(count: usize) -> String {
    if count == 1 { "1 required check is".to_owned() } else { format!("{count} required checks are") }
}

/// Some ids and how many more.
pub(super) fn named(ids: &[&str]) -> String {
    let some = ids.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match ids.len().saturating_sub(NAMED) {
        0 => some,
        more => format!("{some} and {more} more"),
    }
}

/// Is there a required check about the hardware that could not be told?
fn unknown_hardware(assessment: &Assessment, profile: &Profile) -> bool {
    assessment.report.findings().iter().any(|finding| {
        let id = finding.id.as_str();
        matches!(finding.status, Status::Unknown { .. })
            && profile.decides(id)
            && checks::get(id).is_some_and(|check| check.barrier == checks::Barrier::Hardware)
    })
}
