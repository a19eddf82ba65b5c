//! Walking a catalogue: what is to be checked next, what is skipped, and the report at the end.

use std::collections::HashMap;

use crate::{Catalogue, CheckDef, Finding, Report, Status};

/// Which answers of a parent keep its children from being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gate {
    /// A parent must have been answered: failed, unknown and skipped parents close the way. Right where a child rests
    /// on what its parent found.
    #[default]
    Answered,
    /// Only a failure closes the way, and what was skipped because of one. Right where a child has evidence of its own
    /// that may be there when the parent's is not: a kernel log tells of a module even when nothing is known of the CPU.
    NotFailed,
}

impl Gate {
    /// Does a parent with this answer keep its children from being asked?
    pub const fn closes_after(self, status: &Status) -> bool {
        match self {
            Self::Answered => status.blocks_children(),
            Self::NotFailed => matches!(status, Status::Fail | Status::Skipped { .. }),
        }
    }
}

/// A walk through a catalogue, one check at a time.
///
/// It is the only place that decides what is skipped: a check is handed out when every parent has an answer that lets
/// it go on; a check with a failed, unknown or skipped parent is recorded as skipped, naming that parent. Where several
/// parents stand in the way, a failed one is named before an unknown one before a skipped one. A warning and
/// "not applicable" let the children run: they answer for themselves.
///
/// The caller carries the checks out, which lets it do so asynchronously and show progress. [`Report::evaluate`] is
/// the short form for a plain function.
///
/// ```
/// use dstack_check::{Catalogue, CheckDef, Evaluation, Status};
///
/// let catalogue = Catalogue::new([
///     CheckDef::new("net.dns.resolves", "the name resolves"),
///     CheckDef::new("net.tls.valid", "the certificate is valid").parents(&["net.dns.resolves"]),
/// ])?;
/// let mut evaluation = Evaluation::new(&catalogue);
/// while let Some(check) = evaluation.next_check() {
///     let finding = check.unknown("no answer from 192.0.2.53 in 5 s");
///     evaluation.record(finding);
/// }
/// let report = evaluation.finish("app.example.com");
/// assert!(matches!(report.findings()[1].status, Status::Skipped { .. }));
/// # Ok::<(), dstack_check::CatalogueError>(())
/// ```
#[derive(Debug)]
pub struct Evaluation<'a> {
    catalogue: &'a Catalogue,
    gate: Gate,
    findings: Vec<Finding>,
    /// Position of a check's finding, by id.
    answered: HashMap<&'static str, usize>,
}

impl<'a> Evaluation<'a> {
    /// The beginning of a walk.
    pub fn new(catalogue: &'a Catalogue) -> Self {
        Self {
            catalogue,
            gate: Gate::default(),
            findings: Vec::with_capacity(catalogue.len()),
            answered: HashMap::with_capacity(catalogue.len()),
        }
    }

    /// Chooses which answers of a parent keep its children from being asked.
    #[must_use]
    pub const fn gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// The check to carry out now, or `None` at the end. Asked again before [`Evaluation::record`], it is the same check.
    pub fn next_check(&mut self) -> Option<&'a CheckDef> {
        let catalogue = self.catalogue;
        loop {
            let check = catalogue.iter().nth(self.findings.len())?;
            let Some(parent) = self.obstacle(check) else { return Some(check) };
            self.push(check, check.skipped(parent));
        }
    }

    /// Takes the answer to the check handed out last and returns it as recorded, with its layer and parents.
    ///
    /// A finding that carries another check's id does not answer the question: it is recorded as unknown. At the end of
    /// the walk there is no question left and the finding is dropped (`None`).
    pub fn record(&mut self, finding: Finding) -> Option<&Finding> {
        let check = self.next_check()?;
        let finding = if finding.id == check.check_id() {
            check.about(finding)
        } else {
            check.unknown(format!("the check answered for `{}` instead", finding.id))
        };
        self.push(check, finding);
        self.findings.last()
    }

    /// The findings so far, skipped ones among them.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The report. Checks that were not carried out are unknown in it.
    pub fn finish(mut self, subject: impl Into<String>) -> Report {
        while let Some(check) = self.next_check() {
            self.push(check, check.unknown("the check was not carried out"));
        }
        Report::new(subject, self.findings)
    }

    fn obstacle(&self, check: &CheckDef) -> Option<&'static str> {
        let status = |parent: &&'static str| &self.findings[self.answered[parent]].status;
        let blocking = check.parents.iter().filter(|parent| self.gate.closes_after(status(parent)));
        // The first of the most severe: `max_by_key` keeps the last of equals, hence the reversed order.
        blocking.rev().max_by_key(|parent| status(parent).severity()).copied()
    }

    fn push(&mut self, check: &CheckDef, finding: Finding) {
        self.answered.insert(check.id, self.findings.len());
        self.findings.push(finding);
    }
}

impl Report {
    /// Carries out every check of a catalogue with `check` and reports what was found, parents before children.
    ///
    /// `check` is not called for a check that is skipped; see [`Evaluation`] for when that is.
    ///
    /// ```
    /// use dstack_check::{Catalogue, CheckDef, Report, Verdict};
    ///
    /// let catalogue = Catalogue::new([CheckDef::new("host.memory.size", "there is enough memory")])?;
    /// let memory_gib = 512;
    /// let report = Report::evaluate("host-1", &catalogue, |check| match check.id {
    ///     "host.memory.size" if memory_gib >= 64 => check.pass().observed(format!("{memory_gib} GiB")),
    ///     "host.memory.size" => check.fail().observed(format!("{memory_gib} GiB")).expected("64 GiB"),
    ///     _ => check.unknown("not implemented on this system"),
    /// });
    /// assert_eq!(report.verdict(), Verdict::Ok);
    /// # Ok::<(), dstack_check::CatalogueError>(())
    /// ```
    pub fn evaluate(
        subject: impl Into<String>,
        catalogue: &Catalogue,
        mut check: impl FnMut(&CheckDef) -> Finding,
    ) -> Self {
        let mut evaluation = Evaluation::new(catalogue);
        while let Some(definition) = evaluation.next_check() {
            evaluation.record(check(definition));
        }
        evaluation.finish(subject)
    }

    /// For a skipped finding, the finding at the beginning of the chain: the parent that failed or could not be told.
    ///
    /// `None` for findings that were not skipped and where the reason is not the id of a check in this report.
    pub fn root_cause(&self, finding: &Finding) -> Option<&Finding> {
        let mut cause = None;
        let mut status = &finding.status;
        // A report read from a file may name a circle; no chain is longer than the report.
        for _ in 0..self.findings().len() {
            let Status::Skipped { because } = status else { break };
            let Some(next) = self.get(because) else { break };
            status = &next.status;
            cause = Some(next);
        }
        cause
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Verdict;

    fn catalogue() -> Catalogue {
        Catalogue::new([
            CheckDef::new("t.root", "root").layer("base"),
            CheckDef::new("t.mid", "mid").layer("base").parents(&["t.root"]),
            CheckDef::new("t.leaf", "leaf").layer("top").parents(&["t.mid"]),
            CheckDef::new("t.other", "other"),
            CheckDef::new("t.both", "both").parents(&["t.other", "t.root"]),
        ])
        .unwrap()
    }

    fn statuses(answer: impl Fn(&CheckDef) -> Finding) -> Vec<String> {
        let line = |finding: &Finding| match &finding.status {
            Status::Skipped { because } => format!("{} skipped: {because}", finding.id),
            Status::Unknown { why } => format!("{} unknown: {why}", finding.id),
            status => format!("{} {}", finding.id, status.word()),
        };
        Report::evaluate("host", &catalogue(), answer).findings().iter().map(line).collect()
    }

    #[test]
    fn everything_that_can_run_runs() {
        assert_eq!(
            statuses(CheckDef::pass),
            ["t.root pass", "t.mid pass", "t.leaf pass", "t.other pass", "t.both pass"]
        );
    }

    #[test]
    fn children_of_failed_unknown_and_skipped_parents_are_skipped_by_name() {
        let fails = |id| move |check: &CheckDef| if check.id == id { check.fail() } else { check.pass() };
        assert_eq!(
            statuses(fails("t.root")),
            [
                "t.root fail",
                "t.mid skipped: t.root",
                "t.leaf skipped: t.mid",
                "t.other pass",
                "t.both skipped: t.root"
            ]
        );
        assert_eq!(
            statuses(|check| if check.id == "t.mid" { check.unknown("no right") } else { check.pass() })
                [1..3],
            ["t.mid unknown: no right", "t.leaf skipped: t.mid"]
        );
    }

    #[test]
    fn the_worst_obstacle_is_named() {
        let answers = statuses(|check| match check.id {
            "t.root" => check.fail(),
            _ => check.unknown("?"),
        });
        assert_eq!(answers[4], "t.both skipped: t.root");
        let answers = statuses(|check| check.unknown("?"));
        assert_eq!(answers[4], "t.both skipped: t.other");
    }

    #[test]
    fn warnings_and_not_applicable_let_children_run() {
        assert_eq!(statuses(CheckDef::warn)[2], "t.leaf warn");
        assert_eq!(statuses(CheckDef::not_applicable)[2], "t.leaf not-applicable");
    }

    #[test]
    fn behind_the_open_gate_only_failures_block() {
        let catalogue = catalogue();
        let mut evaluation = Evaluation::new(&catalogue).gate(Gate::NotFailed);
        while let Some(check) = evaluation.next_check() {
            let finding = match check.id {
                "t.root" => check.unknown("no right"),
                "t.mid" => check.fail(),
                _ => check.pass(),
            };
            evaluation.record(finding);
        }
        let report = evaluation.finish("host");
        let words: Vec<&str> = report.findings().iter().map(|finding| finding.status.word()).collect();
        assert_eq!(words, ["unknown", "fail", "skipped", "pass", "pass"]);
    }

    #[test]
    fn an_answer_to_another_question_is_no_answer() {
        let answers = statuses(|_| Finding::pass("t.root", "root"));
        assert_eq!(answers[..2], ["t.root pass", "t.mid unknown: the check answered for `t.root` instead"]);
    }

    #[test]
    fn what_was_not_carried_out_is_unknown() {
        let catalogue = catalogue();
        let mut evaluation = Evaluation::new(&catalogue);
        let first = evaluation.next_check().unwrap();
        assert_eq!(evaluation.next_check().unwrap().id, first.id);
        let recorded = evaluation.record(first.pass()).unwrap();
        assert_eq!(recorded.layer.as_deref(), Some("base"));
        let report = evaluation.finish("host");
        assert_eq!(report.findings().len(), catalogue.len());
        assert_eq!(report.verdict(), Verdict::Undetermined);
        let mut over = Evaluation::new(&catalogue);
        while let Some(check) = over.next_check() {
            over.record(check.pass());
        }
        assert!(over.record(Finding::fail("t.root", "root")).is_none());
    }

    #[test]
    fn the_root_cause_is_at_the_end_of_the_chain() {
        let report = Report::evaluate("host", &catalogue(), CheckDef::fail);
        let leaf = report.get("t.leaf").unwrap();
        assert_eq!(report.root_cause(leaf).unwrap().id.as_str(), "t.root");
        assert!(report.root_cause(report.get("t.root").unwrap()).is_none());
        let circle =
            Report::new("host", [Finding::skipped("t.a", "a", "t.b"), Finding::skipped("t.b", "b", "t.a")]);
        assert!(circle.root_cause(&circle.findings()[0]).is_some());
        let free = Report::new("host", [Finding::skipped("t.a", "a", "not asked for")]);
        assert!(free.root_cause(&free.findings()[0]).is_none());
    }

    proptest! {
        #[test]
        fn a_child_runs_exactly_when_no_parent_blocks(answers in prop::collection::vec(0u8..5, 5)) {
            let catalogue = catalogue();
            let position = |id: &str| catalogue.iter().position(|check| check.id == id).unwrap();
            let report = Report::evaluate("host", &catalogue, |check| match answers[position(check.id)] {
                0 => check.pass(),
                1 => check.warn(),
                2 => check.fail(),
                3 => check.unknown("?"),
                _ => check.not_applicable(),
            });
            prop_assert_eq!(report.findings().len(), 5);
            for (check, finding) in catalogue.iter().zip(report.findings()) {
                let blocked =
                    check.parents.iter().any(|parent| report.get(parent).unwrap().status.blocks_children());
                let skipped = matches!(finding.status, Status::Skipped { .. });
                prop_assert_eq!(skipped, blocked, "{}", check.id);
            }
        }
    }
}
