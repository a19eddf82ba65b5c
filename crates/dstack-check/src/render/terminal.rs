//! Reports for terminals.
//!
//! What the findings come to first, where a report has conclusions. Then one line a finding with a symbol, a word, the
//! title and the id; below it, for everything that did not pass, what was seen and expected, what it rests on and what
//! to do. The text is safe to print whatever the hosts wrote into
//! their logs: see [`text`](crate::text).

use std::cmp::Reverse;

use super::sgr::{Look, paint};
use super::{Remarks, Style, by_layer, by_word, proves_label, reason, shown, shown_command, shown_line};
use crate::text::{bounded, columns, wrap};
use crate::{CheckId, Conclusion, Evidence, Finding, Fix, Report, ReportSet, Status, Verdict};

/// Columns before a title and before the details: margin, symbol, status word.
const INDENT: usize = 13;
/// The narrowest width that is laid out for; a terminal that says less is not believed.
const MIN_WIDTH: usize = 40;
/// The longest question of a conclusion that is shown, in columns. Questions are a word or two.
const MAX_QUESTION: usize = 12;

/// The report as text, ending in a newline.
///
/// ```
/// use dstack_check::{Finding, Report, render};
///
/// let report = Report::new("host-1", [Finding::pass("host.kvm.device", "/dev/kvm is there")]);
/// let text = render::terminal::report(&report, &render::Style::new());
/// assert_eq!(text, "host-1\n\n  ✓ pass     /dev/kvm is there  host.kvm.device\n\nok: 1 pass\n");
/// ```
pub fn report(report: &Report, style: &Style) -> String {
    let mut page = Page::new(style);
    page.report(report);
    page.out
}

/// The reports one after the other, then check by check the hosts on which not all is well, then the verdict over all.
pub fn set(set: &ReportSet, style: &Style) -> String {
    let mut page = Page::new(style);
    for report in set.reports() {
        page.report(report);
        page.line("");
    }
    page.set_summary(set);
    page.out
}

/// One finding as text, with its details, ending in a newline: for programs that show findings as they come.
pub fn finding(finding: &Finding, style: &Style) -> String {
    let mut page = Page::new(style);
    page.finding(finding, None);
    page.out
}

struct Page<'a> {
    style: &'a Style,
    width: Option<usize>,
    out: String,
}

impl<'a> Page<'a> {
    fn new(style: &'a Style) -> Self {
        Self { style, width: style.width.map(|width| width.max(MIN_WIDTH)), out: String::new() }
    }

    fn paint(&self, look: Look, text: &str) -> String {
        paint(self.style.colour, look, text)
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end_matches(' '));
        self.out.push('\n');
    }

    fn report(&mut self, report: &Report) {
        let subject = self.paint(Look::Bold, &shown_line(report.subject()));
        self.line(&subject);
        for (key, value) in report.meta() {
            let fact = format!("  {}: {}", shown_line(key), shown_line(value));
            let fact = self.paint(Look::Dim, &fact);
            self.line(&fact);
        }
        self.line("");
        self.conclusions(report.conclusions());
        for (layer, findings) in by_layer(report.findings()) {
            if !layer.is_empty() {
                let heading = self.paint(Look::Bold, &shown_line(layer));
                self.line(&heading);
            }
            if self.style.fold_passes {
                self.folded(&findings);
            }
            for finding in findings {
                if !(self.style.fold_passes && is_quiet(finding)) {
                    self.finding(finding, report.root_cause(finding));
                }
            }
            self.line("");
        }
        let verdict = report.verdict();
        let word = self.paint(Look::of_verdict(verdict), verdict.word());
        self.line(&format!("{word}: {}", report.counts()));
    }

    /// What the findings come to: a mark, the question and the answer in words, with what it takes on trust and what
    /// is missing below.
    fn conclusions(&mut self, conclusions: &[Conclusion]) {
        if conclusions.is_empty() {
            return;
        }
        let heading = self.paint(Look::Bold, "what this shows");
        self.line(&heading);
        // Cut by bytes: a character takes no more columns than bytes.
        let question = |conclusion: &Conclusion| bounded(shown_line(&conclusion.question), MAX_QUESTION);
        let widest = conclusions.iter().map(|conclusion| columns(&question(conclusion))).max().unwrap_or(0);
        let indent = 2 + 2 + widest + 2;
        let remarks = Remarks::of(conclusions);
        let margin = " ".repeat(indent);
        for (conclusion, own) in conclusions.iter().zip(&remarks.own) {
            let question = question(conclusion);
            let mark = format!("{} {question}", self.style.symbols.of_answer(conclusion.answer));
            let gap = " ".repeat(indent.saturating_sub(2 + columns(&mark)));
            let start = format!("  {}{gap}", self.paint(Look::of_answer(conclusion.answer), &mark));
            self.labelled_after(&start, indent, conclusion.answer.words(), &conclusion.statement);
            for (label, what) in own {
                self.labelled_after(&margin, indent, label, what);
            }
        }
        for (label, what) in &remarks.common {
            self.labelled_after("  throughout, ", 14, label, what);
        }
        self.line("");
    }

    /// One line for the passed and one for the not applicable checks of a layer.
    fn folded(&mut self, findings: &[&Finding]) {
        for status in [Status::Pass, Status::NotApplicable] {
            let count = findings.iter().filter(|finding| finding.status == status).count();
            if count > 0 {
                let noun = if count == 1 { "check" } else { "checks" };
                let start = self.start(&status);
                self.line(&format!("{start}{count} {noun}"));
            }
        }
    }

    /// Margin, symbol and word of a status: [`INDENT`] columns.
    fn start(&self, status: &Status) -> String {
        let word = if matches!(status, Status::NotApplicable) { "n/a" } else { status.word() };
        let mark = format!("{} {word}", self.style.symbols.of(status));
        let gap = " ".repeat(INDENT.saturating_sub(2 + columns(&mark)));
        format!("  {}{gap}", self.paint(Look::of_status(status), &mark))
    }

    fn finding(&mut self, finding: &Finding, root: Option<&Finding>) {
        let start = self.start(&finding.status);
        let title = shown_line(&finding.title);
        let id = shown_line(finding.id.as_str());
        let painted_id = self.paint(Look::Dim, &id);
        let fits = |width| INDENT + columns(&title) + 2 + columns(&id) <= width;
        if self.width.is_none_or(fits) {
            self.line(&format!("{start}{title}  {painted_id}"));
        } else {
            let mut start = start;
            for line in wrap(&title, self.room(INDENT)) {
                self.line(&format!("{start}{line}"));
                start = " ".repeat(INDENT);
            }
            self.line(&format!("{start}{painted_id}"));
        }
        match &finding.status {
            Status::Unknown { why } => self.labelled("why", why),
            Status::Skipped { because } => self.labelled("because", &reason(because, root)),
            _ => {}
        }
        if finding.status != Status::Pass || self.style.details_of_passes {
            self.details(finding);
            self.trusting(finding);
        } else if self.style.meanings {
            self.trusting(finding);
        }
        if self.style.meanings {
            self.meaning(finding);
        }
        // A fix on a passed check is advice, and advice is shown.
        if let Some(fix) = &finding.fix {
            self.fix(fix);
        }
    }

    fn details(&mut self, finding: &Finding) {
        if let Some(expected) = &finding.expected {
            self.labelled("expected", expected);
        }
        if let Some(observed) = &finding.observed {
            self.labelled("observed", observed);
        }
        for Evidence { source, excerpt } in &finding.evidence {
            self.labelled("seen in", source);
            if excerpt.trim().is_empty() {
                continue;
            }
            let bar = self.paint(Look::Dim, "|");
            for line in wrap(&shown(excerpt), self.room(INDENT + 4)) {
                self.line(&format!("{:INDENT$}  {bar} {line}", ""));
            }
        }
    }

    fn trusting(&mut self, finding: &Finding) {
        for what in &finding.trusting {
            self.labelled("on trust", what);
        }
    }

    fn meaning(&mut self, finding: &Finding) {
        if let Some(proves) = &finding.proves {
            self.labelled(proves_label(&finding.status), proves);
        }
        if let Some(open) = &finding.leaves_open {
            self.labelled("not", open);
        }
    }

    fn fix(&mut self, fix: &Fix) {
        self.labelled(if fix.only_a_hint { "try" } else { "fix" }, &fix.action);
        for command in &fix.commands {
            for line in shown_command(command).split('\n') {
                let line = self.paint(Look::Cyan, line);
                self.line(&format!("{:INDENT$}    {line}", ""));
            }
        }
        if let Some(link) = &fix.link {
            // An address is copied like a command, so it is not wrapped either.
            self.line(&format!("{:INDENT$}more: {}", "", shown_line(link)));
        }
    }

    /// `label: text`, wrapped with the further lines under the text.
    fn labelled(&mut self, label: &str, text: &str) {
        self.labelled_after(&" ".repeat(INDENT), INDENT, label, text);
    }

    /// The same after `start`, which takes `indent` columns.
    fn labelled_after(&mut self, start: &str, indent: usize, label: &str, text: &str) {
        let hang = columns(label) + 2;
        let mut start = format!("{start}{label}: ");
        for line in wrap(&shown(text), self.room(indent + hang)) {
            self.line(&format!("{start}{line}"));
            start = " ".repeat(indent + hang);
        }
    }

    fn room(&self, used: usize) -> Option<usize> {
        self.width.map(|width| width.saturating_sub(used).max(8))
    }

    fn set_summary(&mut self, set: &ReportSet) {
        let heading = self.paint(Look::Bold, "all hosts");
        self.line(&heading);
        let mut troubled = 0;
        for row in set.summary() {
            if row
                .hosts
                .iter()
                .all(|host| is_quiet_status(host.status) || has_cause(set, row.id, host.subject))
            {
                continue;
            }
            troubled += 1;
            let start = self.start(row.worst());
            self.line(&format!("{start}{}", shown_line(row.id.as_str())));
            for (word, hosts) in by_word(&row) {
                self.labelled(word, &hosts.join(", "));
            }
        }
        if troubled == 0 {
            self.line("  nothing to report");
        }
        self.line("");
        let verdict = set.verdict();
        let word = self.paint(Look::of_verdict(verdict), verdict.word());
        let (count, all) = (set.reports().len(), set.counts());
        let noun = if count == 1 { "host" } else { "hosts" };
        let mut verdicts: Vec<Verdict> = set.reports().iter().map(Report::verdict).collect();
        verdicts.sort_by_key(|verdict| Reverse(*verdict));
        let parts: Vec<String> = verdicts
            .chunk_by(|a, b| a == b)
            .map(|equal| format!("{} {}", equal[0].word(), equal.len()))
            .collect();
        let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        self.line(&format!("{word}: {count} {noun}{parts}; {all}"));
    }
}

/// Whether a check was skipped on a host because of another one: then that other one is in the summary, which is enough.
fn has_cause(set: &ReportSet, id: &CheckId, subject: &str) -> bool {
    set.get(subject).is_some_and(|report| {
        let finding = report.get(id.as_str());
        finding.is_some_and(|finding| report.root_cause(finding).is_some())
    })
}

fn is_quiet(finding: &Finding) -> bool {
    is_quiet_status(&finding.status) && finding.fix.is_none()
}

fn is_quiet_status(status: &Status) -> bool {
    matches!(status, Status::Pass | Status::NotApplicable)
}
