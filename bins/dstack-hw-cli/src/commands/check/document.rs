//! The JSON form: a report of checks with the readiness beside it.

use dstack_check::{Fix, Report};
use dstack_hw::{Readiness, Softened};
use serde::Serialize;

use super::screen::Page;

/// A `dstack-check/report/v1` document with one field more, which its readers leave aside.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    #[serde(flatten)]
    report: &'a Report,
    readiness: Answer<'a>,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    profile: &'a str,
    /// `state`, and what goes with it.
    #[serde(flatten)]
    readiness: &'a Readiness,
    ready: bool,
    sentence: String,
    next_step: Option<&'a Fix>,
    first_failing_layer: Option<&'static str>,
    needs_root: Vec<&'a str>,
    ignored: Vec<&'static str>,
    advised: Vec<&'static str>,
}

impl<'a> Document<'a> {
    pub(super) fn of(page: &Page<'a>) -> Self {
        let assessment = page.assessment;
        let softened = |wanted| {
            assessment.softened().filter(move |(_, why)| *why == wanted).map(|(id, _)| id).collect::<Vec<_>>()
        };
        let verdict = page.verdict();
        Self {
            report: &assessment.report,
            readiness: Answer {
                schema: "dstack-hw/readiness/v1",
                profile: &page.profile.name,
                readiness: &assessment.readiness,
                ready: assessment.readiness.is_ready(),
                sentence: format!("{}: {}", verdict.shout, verdict.sentence),
                next_step: assessment.next_step(),
                first_failing_layer: assessment.first_failing_layer(),
                needs_root: page.needs_root(),
                ignored: softened(Softened::Ignored),
                advised: softened(Softened::Advised),
            },
        }
    }
}
