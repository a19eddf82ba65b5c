//! How an answer is shown: what it comes to first, then why.

use anstyle::{AnsiColor, Style as Look};
use cli_support::{CliError, ExitCode};
use dstack_check::render::{self, Style};
use dstack_check::text::{neutralise_line, wrap};
use dstack_check::{Report, ReportSet, Status, Verdict};

use crate::context::Context;

/// How many ids a sentence lists before it counts the others.
const NAMED: usize = 4;
/// The narrowest page that is laid out for.
const MIN_WIDTH: usize = 40;

/// How much is shown, and in which form.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct ViewArgs {
    /// Print Markdown, to be put into an issue or a page
    #[arg(long, conflicts_with = "json", help_heading = "Output")]
    md: bool,
    /// Show every finding, passes too, with what it proves and what it does not
    #[arg(long, visible_short_alias = 'v', visible_alias = "verbose", help_heading = "Output")]
    explain: bool,
}

/// What a command asks, and so how its answers are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// What does this evidence prove?
    Proof,
    /// Is this file what it is said to be?
    Match,
}

impl Question {
    const fn shout(self, verdict: Verdict) -> &'static str {
        match (self, verdict) {
            (Self::Proof, Verdict::Ok) => "PROVEN",
            (Self::Proof, Verdict::Warnings) => "PROVEN WITH RESERVE",
            (Self::Proof, Verdict::Undetermined) => "NOT PROVEN",
            (Self::Proof, Verdict::Failed) => "REFUSED",
            (Self::Match, Verdict::Ok) => "YES",
            (Self::Match, Verdict::Warnings) => "YES, WITH RESERVE",
            (Self::Match, Verdict::Undetermined) => "NOT KNOWN",
            (Self::Match, Verdict::Failed) => "NO",
        }
    }

    const fn all_well(self) -> &'static str {
        match self {
            Self::Proof => "everything that was required is shown",
            Self::Match => "everything that was asked holds",
        }
    }
}

/// The answer in words that are seen from afar, and a sentence.
struct Headline {
    shout: String,
    sentence: String,
    verdict: Verdict,
    emulated: bool,
}

impl Headline {
    fn of(reports: &[Report], question: Question) -> Self {
        let verdict = reports.iter().map(Report::verdict).max().unwrap_or(Verdict::Undetermined);
        let emulated = reports
            .iter()
            .any(|report| report.meta().get("evidence").is_some_and(|value| value == "EMULATED"));
        let sentence = match verdict {
            Verdict::Ok => question.all_well().to_owned(),
            Verdict::Warnings => {
                let warned = ids(reports, |status| matches!(status, Status::Warn));
                let (count, verb) = counted(&warned, "point wants", "points want");
                format!("{}, and {count} {verb} attention: {}", question.all_well(), named(&warned))
            }
            Verdict::Undetermined => {
                let unknown = ids(reports, |status| matches!(status, Status::Unknown { .. }));
                let (count, has) = counted(&unknown, "question has", "questions have");
                format!("nothing speaks against it, but {count} {has} no answer: {}", named(&unknown))
            }
            Verdict::Failed => {
                let failed = ids(reports, |status| matches!(status, Status::Fail));
                let (count, checks) = counted(&failed, "check", "checks");
                format!("{count} {checks} failed: {}", named(&failed))
            }
        };
        let shout = question.shout(verdict);
        if !emulated {
            return Self { shout: shout.to_owned(), sentence, verdict, emulated };
        }
        let sentence = match verdict {
            Verdict::Ok | Verdict::Warnings => format!(
                "the evidence fits together and proves nothing about any machine, since no TEE stands behind it. Apart from \
                 that {sentence}"
            ),
            Verdict::Undetermined | Verdict::Failed => {
                format!("no TEE stands behind the evidence; {sentence}")
            }
        };
        // Whatever the verdict, nobody shall read that something is proven.
        let shout = match verdict {
            Verdict::Ok | Verdict::Warnings => "EMULATED, NOTHING PROVEN".to_owned(),
            Verdict::Undetermined | Verdict::Failed => format!("EMULATED, {shout}"),
        };
        Self { shout, sentence, verdict, emulated }
    }

    const fn look(&self) -> Look {
        let colour = match self.verdict {
            // Nothing emulated is green.
            Verdict::Ok if !self.emulated => AnsiColor::Green,
            Verdict::Ok | Verdict::Warnings => AnsiColor::Yellow,
            Verdict::Undetermined => AnsiColor::Magenta,
            Verdict::Failed => AnsiColor::Red,
        };
        colour.on_default().bold()
    }

    fn text(&self, style: &Style) -> String {
        let width = style.width.map(|width| width.max(MIN_WIDTH));
        let mut out = String::new();
        for (at, line) in wrap(&format!("{}: {}", self.shout, self.sentence), width).into_iter().enumerate() {
            // The shout is shorter than the narrowest page, so it stands on the first line whole.
            match line.strip_prefix(&self.shout).filter(|_| at == 0 && style.colour) {
                Some(rest) => {
                    let look = self.look();
                    out.push_str(&format!("{look}{}{look:#}{rest}\n", self.shout));
                }
                None => out.push_str(&format!("{line}\n")),
            }
        }
        out.push('\n');
        out
    }

    fn markdown(&self) -> String {
        format!("**{}**: {}\n\n", self.shout, self.sentence)
    }
}

/// The check that sums up the others, which is named only where no other is.
const SUM: &str = "policy.required";

/// The ids of findings with such a status, each once.
fn ids(reports: &[Report], wanted: impl Fn(&Status) -> bool) -> Vec<&str> {
    let mut ids = Vec::new();
    for finding in reports.iter().flat_map(Report::findings).filter(|finding| wanted(&finding.status)) {
        if !ids.contains(&finding.id.as_str()) {
            ids.push(finding.id.as_str());
        }
    }
    if ids.len() > 1 {
        ids.retain(|id| *id != SUM);
    }
    ids
}

fn counted<'a>(ids: &[&str], one: &'a str, many: &'a str) -> (usize, &'a str) {
    (ids.len(), if ids.len() == 1 { one } else { many })
}

fn named(ids: &[&str]) -> String {
    let some: Vec<String> = ids.iter().take(NAMED).map(|id| neutralise_line(id).into_owned()).collect();
    match ids.len().saturating_sub(NAMED) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

impl ViewArgs {
    fn style(self, context: &Context) -> Style {
        context
            .out
            .style()
            .with_folded_passes(!self.explain)
            .with_details_of_passes(self.explain)
            .with_meanings(self.explain)
    }

    /// Shows a report and gives the exit code of its verdict.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(crate) fn show(
        self,
        context: &mut Context,
        report: &Report,
        question: Question,
    ) -> Result<ExitCode, CliError> {
        if context.out.is_json() {
            return context.out.report(report);
        }
        let headline = Headline::of(std::slice::from_ref(report), question);
        let style = self.style(context);
        let text = if self.md {
            headline.markdown() + &render::markdown::report(report)
        } else {
            headline.text(&style)
                + &render::terminal::report(report, &style)
                + self.more(report.counts().pass)
        };
        context.out.text(&text)?;
        Ok(report.verdict().into())
    }

    /// Shows several reports and gives the exit code of their verdict.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(crate) fn show_set(
        self,
        context: &mut Context,
        set: &ReportSet,
        question: Question,
    ) -> Result<ExitCode, CliError> {
        if context.out.is_json() {
            return context.out.report_set(set);
        }
        let headline = Headline::of(set.reports(), question);
        let style = self.style(context);
        let text = if self.md {
            headline.markdown() + &render::markdown::set(set)
        } else {
            headline.text(&style) + &render::terminal::set(set, &style) + self.more(set.counts().pass)
        };
        context.out.text(&text)?;
        Ok(set.verdict().into())
    }

    const fn more(self, passed: usize) -> &'static str {
        if self.explain || passed == 0 {
            ""
        } else {
            "`--explain` shows what passed, too, and what each finding proves and what not\n"
        }
    }
}

#[cfg(test)]
mod tests {
    use dstack_check::Finding;

    use super::*;

    fn headline(findings: Vec<Finding>, emulated: bool, question: Question) -> String {
        let mut report = Report::new("demo", findings);
        if emulated {
            report = report.with_meta("evidence", "EMULATED");
        }
        Headline::of(&[report], question).text(&Style::new())
    }

    #[test]
    fn every_verdict_has_its_words() {
        let pass = Finding::pass("t.a", "a");
        let warn = Finding::warn("t.b", "b");
        let fail = Finding::fail("t.c", "c");
        let unknown = Finding::unknown("t.d", "d", "not given");
        let lines = [
            headline(vec![pass.clone()], false, Question::Proof),
            headline(vec![pass.clone(), warn.clone()], false, Question::Proof),
            headline(vec![pass.clone(), unknown.clone()], false, Question::Match),
            headline(vec![fail.clone(), unknown], false, Question::Match),
            headline(vec![fail, Finding::fail(SUM, "sum")], false, Question::Proof),
            headline(vec![Finding::fail(SUM, "sum")], false, Question::Proof),
            headline(vec![pass, warn], true, Question::Proof),
        ];
        insta::assert_snapshot!(lines.join(""));
    }

    #[test]
    fn nothing_at_all_is_no_yes() {
        assert!(Headline::of(&[], Question::Proof).text(&Style::new()).starts_with("NOT PROVEN"));
    }

    #[test]
    fn colour_is_on_the_shout_alone_and_emulated_is_never_green() {
        let style = Style::new().with_colour(true).with_width(Some(40));
        let report = Report::new("demo", [Finding::pass("t.a", "a")]);
        let text = Headline::of(std::slice::from_ref(&report), Question::Proof).text(&style);
        assert!(text.starts_with("\u{1b}[1m\u{1b}[32mPROVEN\u{1b}[0m: everything"), "{text:?}");
        let emulated = report.with_meta("evidence", "EMULATED");
        let text = Headline::of(&[emulated], Question::Proof).text(&style);
        assert!(text.starts_with("\u{1b}[1m\u{1b}[33mEMULATED, NOTHING PROVEN\u{1b}[0m: "), "{text:?}");
    }
}
