//! What was found about one subject, and the verdict over it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Conclusion, Finding, Status};

/// The answer over all findings. Verdicts are ordered by weight, so that the verdict of several reports is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = "The answer over all findings."))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything asked was answered with a pass, or does not arise here. Also the verdict over no finding at all:
    /// nothing speaks against the subject. Who must have certain answers looks for them with [`Report::get`].
    #[cfg_attr(feature = "schema", schemars(description = "Everything asked passed or does not arise here."))]
    Ok,
    /// As [`Verdict::Ok`], with at least one warning.
    #[cfg_attr(feature = "schema", schemars(description = "As `ok`, with at least one warning."))]
    Warnings,
    /// Nothing failed, but at least one question has no answer: a finding is unknown or skipped.
    Undetermined,
    /// At least one check failed.
    Failed,
}

impl Verdict {
    /// The exit code a program ends with: 0 for [`Verdict::Ok`] and [`Verdict::Warnings`], else 1.
    ///
    /// [`Verdict::Undetermined`] is 1 as well: a script that goes on after 0 relies on a yes, and a question without an
    /// answer is not a yes. The two are told apart by the verdict in the JSON form.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Ok | Self::Warnings => 0,
            Self::Undetermined | Self::Failed => 1,
        }
    }

    /// The verdict as one lower-case word: `ok`, `warnings`, `undetermined` or `failed`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warnings => "warnings",
            Self::Undetermined => "undetermined",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How many findings ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Counts {
    /// Findings that passed.
    pub pass: usize,
    /// Findings with a warning.
    pub warn: usize,
    /// Findings that failed.
    pub fail: usize,
    /// Findings that could not be told.
    pub unknown: usize,
    /// Findings that were not tried.
    pub skipped: usize,
    /// Findings that do not arise.
    pub not_applicable: usize,
}

impl Counts {
    /// Counts the findings.
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            let field = match finding.status {
                Status::Pass => &mut counts.pass,
                Status::Warn => &mut counts.warn,
                Status::Fail => &mut counts.fail,
                Status::Unknown { .. } => &mut counts.unknown,
                Status::Skipped { .. } => &mut counts.skipped,
                Status::NotApplicable => &mut counts.not_applicable,
            };
            *field += 1;
        }
        counts
    }

    /// All findings.
    pub const fn total(&self) -> usize {
        self.pass + self.warn + self.fail + self.unknown + self.skipped + self.not_applicable
    }

    /// The verdict these counts give.
    pub const fn verdict(&self) -> Verdict {
        if self.fail > 0 {
            Verdict::Failed
        } else if self.unknown > 0 || self.skipped > 0 {
            Verdict::Undetermined
        } else if self.warn > 0 {
            Verdict::Warnings
        } else {
            Verdict::Ok
        }
    }

    /// Both counts together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            pass: self.pass + other.pass,
            warn: self.warn + other.warn,
            fail: self.fail + other.fail,
            unknown: self.unknown + other.unknown,
            skipped: self.skipped + other.skipped,
            not_applicable: self.not_applicable + other.not_applicable,
        }
    }
}

/// In words, leaving out what is zero: `3 pass, 1 fail`. `no checks` where there is nothing.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.fail, "fail"),
            (self.unknown, "unknown"),
            (self.skipped, "skipped"),
            (self.warn, "warn"),
            (self.pass, "pass"),
            (self.not_applicable, "not applicable"),
        ];
        let mut first = true;
        for (count, word) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{}{count} {word}", if first { "" } else { ", " })?;
            first = false;
        }
        if first { f.write_str("no checks") } else { Ok(()) }
    }
}

/// What was found about one subject: a host, an app, a configuration file. The findings keep their order.
///
/// A report is made from a catalogue with [`Report::evaluate`], which skips what cannot be asked, or from findings
/// that exist already with [`Report::new`]. With serde it is the versioned JSON document of
/// [`render::json`](crate::render::json).
///
/// ```
/// use dstack_check::{Finding, Report, Verdict};
///
/// let report = Report::new(
///     "vmm.toml",
///     [Finding::pass("vmm.config.parses", "the file is TOML"), Finding::warn("vmm.config.kms-url", "a KMS is set")],
/// )
/// .with_meta("tool", "0.1.0");
/// assert_eq!(report.verdict(), Verdict::Warnings);
/// assert_eq!(report.verdict().exit_code(), 0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub(crate) subject: String,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) conclusions: Vec<Conclusion>,
}

impl Report {
    /// A report of these findings. One check may have several findings, such as one a file.
    pub fn new(subject: impl Into<String>, findings: impl IntoIterator<Item = Finding>) -> Self {
        Self {
            subject: subject.into(),
            meta: BTreeMap::new(),
            findings: findings.into_iter().collect(),
            conclusions: Vec::new(),
        }
    }

    /// Adds a fact about how the report came to be, such as the version of the tool. Facts are kept in the order of
    /// their keys; the library adds none of its own, in particular no time.
    #[must_use]
    pub fn with_meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.meta.insert(key.into(), value.into());
        self
    }

    /// Adds what the findings come to on one question. Conclusions keep their order and have no part in the verdict.
    #[must_use]
    pub fn with_conclusion(mut self, conclusion: Conclusion) -> Self {
        self.conclusions.push(conclusion);
        self
    }

    /// What the findings come to.
    pub fn conclusions(&self) -> &[Conclusion] {
        &self.conclusions
    }

    /// Adds a finding at the end.
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// What the report is about. Within a [`ReportSet`](crate::ReportSet) it is unique.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The facts about how the report came to be.
    pub fn meta(&self) -> &BTreeMap<String, String> {
        &self.meta
    }

    /// The findings, in order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The findings, taken out.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// The first finding of the check with this id.
    pub fn get(&self, id: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.id.as_str() == id)
    }

    /// How many findings ended how.
    pub fn counts(&self) -> Counts {
        Counts::of(&self.findings)
    }

    /// The answer over all findings.
    pub fn verdict(&self) -> Verdict {
        self.counts().verdict()
    }
}

impl Extend<Finding> for Report {
    fn extend<I: IntoIterator<Item = Finding>>(&mut self, findings: I) {
        self.findings.extend(findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(findings: &[Finding]) -> (Verdict, u8) {
        let verdict = Report::new("s", findings.iter().cloned()).verdict();
        (verdict, verdict.exit_code())
    }

    #[test]
    fn the_heaviest_finding_decides() {
        let pass = Finding::pass("t.a", "a");
        let warn = Finding::warn("t.b", "b");
        let fail = Finding::fail("t.c", "c");
        let unknown = Finding::unknown("t.d", "d", "permission denied");
        let skipped = Finding::skipped("t.e", "e", "t.d");
        let moot = Finding::not_applicable("t.f", "f");
        assert_eq!(verdict(&[]), (Verdict::Ok, 0));
        assert_eq!(verdict(&[pass.clone(), moot]), (Verdict::Ok, 0));
        assert_eq!(verdict(&[pass.clone(), warn.clone()]), (Verdict::Warnings, 0));
        assert_eq!(verdict(&[warn.clone(), unknown.clone()]), (Verdict::Undetermined, 1));
        assert_eq!(verdict(&[pass, skipped.clone()]), (Verdict::Undetermined, 1));
        assert_eq!(verdict(&[unknown, skipped, fail, warn]), (Verdict::Failed, 1));
    }

    #[test]
    fn counts_in_words() {
        assert_eq!(Counts::default().to_string(), "no checks");
        let report = Report::new("s", [Finding::pass("t.a", "a"), Finding::fail("t.b", "b")]);
        assert_eq!(report.counts().to_string(), "1 fail, 1 pass");
        assert_eq!(report.counts().plus(report.counts()).total(), 4);
    }

    #[test]
    fn several_findings_of_one_check_are_kept() {
        let mut report = Report::new("s", [Finding::pass("t.a", "a").observed("first")]);
        report.push(Finding::fail("t.a", "a").observed("second"));
        assert_eq!(report.get("t.a").unwrap().observed.as_deref(), Some("first"));
        assert_eq!(report.counts().total(), 2);
        assert_eq!(report.into_findings().len(), 2);
    }
}
