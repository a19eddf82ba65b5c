//! Is the evidence of now?

use std::time::{Duration, SystemTime};

use dstack_check::{CheckDef, Finding, Fix};

use crate::verify::conclude::REQUIRED;
use crate::verify::cvm::subject::{Part, Subject};

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] = &[
    CheckDef::new("policy.freshness", "the evidence is recent")
        .layer("policy")
        .parents(&["quote.signature", "quote.report-data"])
        .needs("a challenge that the quote was to carry, or the time at which the evidence was collected")
        .why("a recording of evidence that was good once can be shown for ever")
        .proves("the quote was made after the challenge was")
        .leaves_open("whether the CVM still runs, and whether the challenge was new: a reused one can be answered from a recording"),
    REQUIRED,
];

/// How far the clocks of those who collect and those who verify may differ.
const CLOCKS: Duration = Duration::from_secs(300);

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    Some(match check.id {
        "policy.freshness" => freshness(check, subject),
        // What it finds is worked out at the end, from the conclusions.
        id if id == REQUIRED.id => check.unknown("it is worked out from the conclusions"),
        _ => return None,
    })
}

/// What the stated time of collection says about the evidence's age.
enum Age {
    NotAsked,
    NotStated,
    InTheFuture,
    TooOld(Duration),
    Within(Duration),
}

fn age(subject: &Subject<'_>) -> Age {
    let Some(most) = subject.policy.max_evidence_age else { return Age::NotAsked };
    let Some(stated) = subject.evidence.obtained_at else { return Age::NotStated };
    let now: SystemTime = subject.verifier.now();
    match now.duration_since(stated) {
        Ok(age) if age > most => Age::TooOld(age),
        Ok(age) => Age::Within(age),
        Err(ahead) if ahead.duration() > CLOCKS => Age::InTheFuture,
        Err(_) => Age::Within(Duration::ZERO),
    }
}

fn freshness(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    // The parent compared the report data; here the quote must be there for that to mean something.
    let challenge = subject.policy.report_data.map(|data| match &subject.quote {
        Part::Read(quote) => quote.report.report_data == data,
        Part::Absent | Part::Unreadable(_) => false,
    });
    match age(subject) {
        Age::TooOld(age) => {
            return check
                .fail()
                .observed(format!("the evidence is {} old, by its bearer's word", in_words(age)))
                .expected(format!("at most {}", limit(subject)))
                .fix(Fix::new("ask the CVM for new evidence, with a new challenge"));
        }
        Age::InTheFuture => {
            return check
                .fail()
                .observed("the evidence is said to have been collected in the future")
                .expected("a time before now")
                .fix(Fix::new(
                    "compare the clock of this machine with that of the machine that collected it",
                ));
        }
        Age::NotStated if challenge != Some(true) => {
            return check.unknown("nothing says when the evidence was collected").fix(Fix::new(
                "ask for a quote with a challenge of your own, or state when you collected it",
            ));
        }
        Age::NotAsked | Age::NotStated | Age::Within(_) => {}
    }
    match (challenge, age(subject)) {
        (Some(true), _) => check
            .pass()
            .observed("the quote carries the challenge")
            .trusting("that the challenge was made anew for this quote, which the caller vouches for"),
        (Some(false), _) => check.unknown("there is no quote that could answer the challenge"),
        (None, Age::Within(age)) => check
            .warn()
            .observed(format!("{} old, by its bearer's word, and no challenge was made", in_words(age)))
            .expected("a quote that carries a challenge of yours")
            .trusting("the time at which the evidence was collected, by its bearer's word")
            .fix(Fix::new("ask for a quote with 32 new random bytes as report data, and require them")),
        (None, _) => {
            check.not_applicable().observed("no challenge was made: the evidence may be a recording")
        }
    }
}

fn limit(subject: &Subject<'_>) -> String {
    subject.policy.max_evidence_age.map(in_words).unwrap_or_default()
}

/// A duration in its two largest units.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let [days, hours, minutes] = [seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60];
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", seconds % 60),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        let texts = [5, 65, 3700, 90_000].map(|seconds| in_words(Duration::from_secs(seconds)));
        assert_eq!(texts, ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h"]);
    }
}
