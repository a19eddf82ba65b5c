//! What the findings about a CVM come to, question by question.
//!
//! A conclusion adds nothing to the findings: it says in one sentence what they answer together. It is never better than
//! the worst finding it rests on, and everything but the hardware's own question rests on the quote being genuine.

mod grounds;
mod required;
mod words;

use dstack_check::{Answer, CheckId, Conclusion, Finding, Report, Status};

pub(in crate::verify) use required::REQUIRED;

use super::cvm::Subject;
use crate::{Aspect, Policy};
use grounds::{GROUNDS, Grounds};

/// Adds the conclusions to a report about a CVM, and the finding whether everything required is shown.
pub(super) fn conclude(report: Report, subject: &Subject<'_>) -> Report {
    let mut outcomes: Vec<Outcome<'_>> =
        GROUNDS.iter().filter_map(|grounds| Outcome::of(&report, grounds, subject)).collect();
    rest_on_the_hardware(&mut outcomes);
    rest_on_the_os(&mut outcomes);
    let conclusions: Vec<(Aspect, Conclusion)> =
        outcomes.iter().map(|outcome| (outcome.aspect, outcome.conclusion(&report, subject))).collect();
    let required = required::finding(&report, subject, &conclusions);
    let meta = report.meta().clone();
    let mut concluded = Report::new(report.subject().to_owned(), []);
    for (key, value) in meta {
        concluded = concluded.with_meta(key, value);
    }
    // The catalogue lists the check, so that it has a page; what it found is known only now.
    concluded.extend(report.into_findings().into_iter().filter(|finding| finding.id != REQUIRED.check_id()));
    concluded.push(required);
    conclusions.into_iter().fold(concluded, |report, (_, conclusion)| report.with_conclusion(conclusion))
}

/// How the findings answer one question.
struct Outcome<'a> {
    aspect: Aspect,
    answer: Answer,
    /// Whether the quote is shown to be genuine; without that nothing in it is more than a claim.
    genuine: Genuine,
    /// The findings the answer rests on, whatever they found.
    grounds: Vec<&'a Finding>,
    /// Those that decided against a better answer.
    obstacles: Vec<&'a Finding>,
    /// Whether nobody said what to compare with.
    nothing_asked: bool,
    /// Whether the OS that measured this is not shown.
    os_not_shown: bool,
}

/// What is known about the quote itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Genuine {
    Yes,
    WithReserve,
    NotShown,
}

impl<'a> Outcome<'a> {
    /// `None` where the report has none of the findings in question.
    fn of(report: &'a Report, grounds: &Grounds, subject: &Subject<'_>) -> Option<Self> {
        let found =
            |ids: &[&str]| -> Vec<&'a Finding> { ids.iter().filter_map(|id| report.get(id)).collect() };
        let (each, any) = (found(grounds.each), found(grounds.any));
        if each.is_empty() && any.is_empty() {
            return None;
        }
        let mut outcome = Self {
            aspect: grounds.aspect,
            answer: Answer::Shown,
            genuine: Genuine::Yes,
            grounds: Vec::new(),
            obstacles: Vec::new(),
            nothing_asked: false,
            os_not_shown: false,
        };
        // Much does not apply to an emulator; who takes its evidence takes that, too.
        let lenient = subject.emulated_and_accepted();
        for finding in &each {
            match finding.status {
                Status::NotApplicable if lenient => outcome.lower(Answer::WithReserve, finding),
                _ => outcome.must(finding),
            }
        }
        let bound = !each.is_empty() && grounds.aspect == Aspect::Identity;
        outcome.one_of(&any, &found(grounds.weak), bound);
        outcome.every_expectation(&found(EXPECTATIONS), grounds, subject.policy);
        for finding in found(grounds.objections) {
            match finding.status {
                Status::Fail => outcome.lower(Answer::Refuted, finding),
                Status::Warn => outcome.lower(Answer::WithReserve, finding),
                Status::Pass => outcome.ground(finding),
                _ => {}
            }
        }
        if outcome.answer == Answer::NotShown {
            for finding in found(grounds.betrayals) {
                if finding.status == Status::Fail {
                    outcome.lower(Answer::Refuted, finding);
                }
            }
        }
        if grounds.aspect != Aspect::Hardware {
            outcome.rest_on_the_quote(report);
        }
        Some(outcome)
    }

    /// A finding that must have passed.
    fn must(&mut self, finding: &'a Finding) {
        match finding.status {
            Status::Pass => self.ground(finding),
            Status::Warn => self.lower(Answer::WithReserve, finding),
            Status::Fail => self.lower(Answer::Refuted, finding),
            _ => self.lower(Answer::NotShown, finding),
        }
    }

    /// Findings of which one must have passed. `bound` where something else answers the question already.
    fn one_of(&mut self, any: &[&'a Finding], weak: &[&'a Finding], bound: bool) {
        for finding in any.iter().copied().filter(|finding| finding.status == Status::Fail) {
            self.lower(Answer::Refuted, finding);
        }
        let with = |findings: &[&'a Finding], status: &Status| -> Vec<&'a Finding> {
            findings.iter().copied().filter(|finding| finding.status == *status).collect()
        };
        let passed = with(any, &Status::Pass);
        if !passed.is_empty() {
            passed.into_iter().for_each(|finding| self.ground(finding));
            return;
        }
        if any.is_empty() {
            return;
        }
        let stand_ins: Vec<&'a Finding> =
            [with(any, &Status::Warn), with(weak, &Status::Pass), with(weak, &Status::Warn)].concat();
        if !stand_ins.is_empty() {
            stand_ins.into_iter().for_each(|finding| self.lower(Answer::WithReserve, finding));
            return;
        }
        for finding in weak.iter().copied().filter(|finding| finding.status == Status::Fail) {
            self.lower(Answer::Refuted, finding);
        }
        let untold: Vec<&'a Finding> = any
            .iter()
            .copied()
            .filter(|finding| matches!(finding.status, Status::Unknown { .. } | Status::Skipped { .. }))
            .collect();
        self.nothing_asked = untold.is_empty() && !bound;
        if self.nothing_asked {
            self.answer = self.answer.max(Answer::NotShown);
        }
        untold.into_iter().for_each(|finding| self.lower(Answer::NotShown, finding));
    }

    /// One answer is enough where several would do; but what the policy names a value for and nothing was compared with
    /// is a question left open. And what nobody named a value for is the evidence's own word.
    fn every_expectation(&mut self, asked: &[&'a Finding], grounds: &Grounds, policy: &Policy) {
        let concerns =
            |finding: &Finding| grounds.any.iter().chain(grounds.weak).any(|id| finding.id.as_str() == *id);
        let mut named = false;
        for finding in asked.iter().copied().filter(|finding| concerns(finding)) {
            if !expects(policy, finding.id.as_str()) {
                continue;
            }
            named = true;
            if matches!(finding.status, Status::Unknown { .. } | Status::Skipped { .. }) {
                let answer =
                    if self.aspect == Aspect::Identity { Answer::NotShown } else { Answer::WithReserve };
                self.lower(answer, finding);
            }
        }
        let bound = self.grounds.iter().any(|finding| grounds.each.contains(&finding.id.as_str()));
        if self.aspect == Aspect::Identity && !named && !bound {
            self.answer = self.answer.max(Answer::WithReserve);
        }
    }

    /// What a quote says is shown only as far as the quote is genuine. A forged quote refutes nothing but itself.
    fn rest_on_the_quote(&mut self, report: &'a Report) {
        let Some(finding) = report.get("quote.signature") else { return };
        match finding.status {
            Status::Pass => self.ground(finding),
            Status::Warn => {
                self.genuine = Genuine::WithReserve;
                self.lower(Answer::WithReserve, finding);
            }
            _ => {
                self.genuine = Genuine::NotShown;
                self.lower(Answer::NotShown, finding);
            }
        }
    }

    fn ground(&mut self, finding: &'a Finding) {
        if !self.grounds.iter().any(|known| known.id == finding.id) {
            self.grounds.push(finding);
        }
    }

    fn lower(&mut self, answer: Answer, finding: &'a Finding) {
        self.ground(finding);
        if !self.obstacles.iter().any(|known| known.id == finding.id) {
            self.obstacles.push(finding);
        }
        // Answers are ordered from the best to the worst.
        self.answer = self.answer.max(answer);
    }

    fn conclusion(&self, report: &Report, subject: &Subject<'_>) -> Conclusion {
        // There is no hardware behind emulated evidence, whatever the caller lets through.
        let emulated = subject.emulated().is_some();
        let answer = if emulated && self.aspect == Aspect::Hardware {
            self.answer.max(Answer::NotShown)
        } else {
            self.answer
        };
        let mut statement = words::statement(self, answer, subject);
        if emulated {
            statement = format!("EMULATED: {statement}");
        }
        let ids: Vec<CheckId> = self.grounds.iter().map(|finding| finding.id.clone()).collect();
        let mut conclusion = Conclusion::new(self.aspect.as_str(), answer, statement).rests_on(ids);
        for what in self.trusted() {
            conclusion = conclusion.trusting(what);
        }
        for what in words::missing(self, answer, report) {
            conclusion = conclusion.missing(what);
        }
        conclusion
    }

    /// What the findings that speak for the answer take on trust, each once.
    fn trusted(&self) -> Vec<String> {
        let counted = |finding: &&&Finding| matches!(finding.status, Status::Pass | Status::Warn);
        let mut texts: Vec<String> = Vec::new();
        for what in self.grounds.iter().filter(counted).flat_map(|finding| &finding.trusting) {
            if !texts.contains(what) {
                texts.push(what.clone());
            }
        }
        if self.os_not_shown {
            texts.push(words::TRUSTED_OS.to_owned());
        }
        texts
    }
}

/// The checks that compare with values which a policy names, of those that answer a question among others.
const EXPECTATIONS: &[&str] = &[
    "os.measurements",
    "os.mr-system",
    "os.mr-aggregated",
    "os.image-hash",
    "app.compose.deployed",
    "app.id.app-id",
    "app.id.instance-id",
    "app.id.device-id",
    "app.key-provider",
];

/// Whether the policy names a value for the check.
fn expects(policy: &Policy, id: &str) -> bool {
    match id {
        "os.measurements" => !policy.known_good.is_empty(),
        "os.mr-system" => !policy.mr_system.is_empty(),
        "os.mr-aggregated" => !policy.mr_aggregated.is_empty(),
        "os.image-hash" => !policy.os_images.is_empty(),
        "app.compose.deployed" => !policy.compose_hashes.is_empty(),
        "app.id.app-id" => !policy.app_ids.is_empty(),
        "app.id.instance-id" => !policy.instance_ids.is_empty(),
        "app.id.device-id" => !policy.device_ids.is_empty(),
        "app.key-provider" => !policy.key_providers.is_empty(),
        _ => false,
    }
}

/// A signature is worth as much as the platform that made it: one that can be looked into, or whose keys may be in other
/// hands, can sign or show anything. So a platform that the policy does not accept shows nothing else either.
fn rest_on_the_hardware(outcomes: &mut [Outcome<'_>]) {
    let Some(hardware) = outcomes.iter().find(|outcome| outcome.aspect == Aspect::Hardware) else { return };
    let (answer, against) = (hardware.answer, hardware.obstacles.clone());
    let others = outcomes.iter_mut().filter(|outcome| outcome.aspect != Aspect::Hardware);
    // Without a genuine quote that is said already.
    for outcome in others.filter(|outcome| outcome.genuine != Genuine::NotShown) {
        for finding in against.iter().copied() {
            match (&finding.status, answer) {
                (Status::Fail, Answer::Refuted) => outcome.lower(Answer::NotShown, finding),
                (Status::Unknown { .. } | Status::Skipped { .. }, Answer::NotShown) => {
                    outcome.lower(Answer::NotShown, finding);
                }
                (Status::Warn, _) if finding.id.as_str() != "quote.signature" => {
                    outcome.lower(Answer::WithReserve, finding);
                }
                _ => {}
            }
        }
    }
}

/// Whatever RTMR3 says was measured by the guest's OS: another OS can measure there what it likes. So these questions
/// are answered with reserve at best while the OS is not shown.
fn rest_on_the_os(outcomes: &mut [Outcome<'_>]) {
    let Some(os) = outcomes.iter().find(|outcome| outcome.aspect == Aspect::Os) else { return };
    let (answer, against) = (os.answer, os.obstacles.clone());
    for outcome in outcomes.iter_mut() {
        if !matches!(outcome.aspect, Aspect::Code | Aspect::Identity | Aspect::Operator) {
            continue;
        }
        match answer {
            Answer::NotShown => {
                outcome.os_not_shown = outcome.answer <= Answer::WithReserve;
                outcome.answer = outcome.answer.max(Answer::WithReserve);
            }
            Answer::Refuted => {
                for finding in against.iter().copied().filter(|finding| finding.status == Status::Fail) {
                    outcome.lower(Answer::NotShown, finding);
                }
            }
            _ => {}
        }
    }
}
