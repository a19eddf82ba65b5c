//! Reports of several hosts side by side.

use std::collections::HashMap;

use crate::{CheckId, Counts, Report, Status, Verdict};

/// Why reports cannot stand side by side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Two reports are about the same subject. Choosing one would hide what the other says, and joining them would
    /// make one host out of two moments or two hosts with one name; the caller knows which it is.
    #[error("there are two reports about `{subject}`")]
    DuplicateSubject {
        /// The subject.
        subject: String,
    },
}

/// Reports of several hosts, kept apart and in the order in which they were added.
///
/// ```
/// use dstack_check::{Finding, Report, ReportSet, Verdict};
///
/// let a = Report::new("host-a", [Finding::pass("host.kvm.device", "/dev/kvm is there")]);
/// let b = Report::new("host-b", [Finding::fail("host.kvm.device", "/dev/kvm is there")]);
/// let set = ReportSet::merge([a, b])?;
/// assert_eq!(set.verdict(), Verdict::Failed);
/// let summary = set.summary();
/// assert_eq!(summary[0].hosts[1].subject, "host-b");
/// # Ok::<(), dstack_check::MergeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportSet {
    reports: Vec<Report>,
}

/// How one check ended on every host that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckSummary<'a> {
    /// The check.
    pub id: &'a CheckId,
    /// Its title, as the first report has it.
    pub title: &'a str,
    /// The hosts, in the order of the set.
    pub hosts: Vec<HostStatus<'a>>,
}

/// How a check ended on one host. Where a host has several findings of a check, the most severe is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStatus<'a> {
    /// The host's name: the report's subject.
    pub subject: &'a str,
    /// How the check ended there.
    pub status: &'a Status,
}

impl CheckSummary<'_> {
    /// The most severe status over the hosts.
    pub fn worst(&self) -> &Status {
        // A summary is made from a finding, so it has at least one host.
        self.hosts
            .iter()
            .map(|host| host.status)
            .max_by_key(|status| status.severity())
            .unwrap_or(&Status::Pass)
    }
}

impl ReportSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The reports as a set.
    ///
    /// # Errors
    /// [`MergeError::DuplicateSubject`] where two are about the same subject.
    pub fn merge(reports: impl IntoIterator<Item = Report>) -> Result<Self, MergeError> {
        let mut set = Self::new();
        for report in reports {
            set.insert(report)?;
        }
        Ok(set)
    }

    /// Adds a report at the end.
    ///
    /// # Errors
    /// [`MergeError::DuplicateSubject`]; the set is then as it was.
    pub fn insert(&mut self, report: Report) -> Result<(), MergeError> {
        if self.get(report.subject()).is_some() {
            return Err(MergeError::DuplicateSubject { subject: report.subject });
        }
        self.reports.push(report);
        Ok(())
    }

    /// The reports of both sets, those of `self` first.
    ///
    /// # Errors
    /// [`MergeError::DuplicateSubject`] where both have a report about the same subject.
    pub fn union(mut self, other: Self) -> Result<Self, MergeError> {
        for report in other.reports {
            self.insert(report)?;
        }
        Ok(self)
    }

    /// The reports, in order.
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// The report about this subject.
    pub fn get(&self, subject: &str) -> Option<&Report> {
        self.reports.iter().find(|report| report.subject() == subject)
    }

    /// The verdict over all hosts: the heaviest of theirs. An empty set is [`Verdict::Ok`], as an empty report is.
    pub fn verdict(&self) -> Verdict {
        self.reports.iter().map(Report::verdict).max().unwrap_or(Verdict::Ok)
    }

    /// How many findings of all hosts ended how.
    pub fn counts(&self) -> Counts {
        self.reports.iter().map(Report::counts).fold(Counts::default(), Counts::plus)
    }

    /// Check by check, how it ended on each host; in the order in which the checks first appear.
    pub fn summary(&self) -> Vec<CheckSummary<'_>> {
        let mut rows: Vec<CheckSummary<'_>> = Vec::new();
        let mut row_of: HashMap<&CheckId, usize> = HashMap::new();
        for report in &self.reports {
            for finding in report.findings() {
                let row = *row_of.entry(&finding.id).or_insert_with(|| {
                    rows.push(CheckSummary { id: &finding.id, title: &finding.title, hosts: Vec::new() });
                    rows.len() - 1
                });
                let hosts = &mut rows[row].hosts;
                match hosts.last_mut() {
                    Some(last) if last.subject == report.subject() => {
                        if finding.status.severity() > last.status.severity() {
                            last.status = &finding.status;
                        }
                    }
                    _ => hosts.push(HostStatus { subject: report.subject(), status: &finding.status }),
                }
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Finding;

    #[test]
    fn the_same_host_twice_is_an_error_and_changes_nothing() {
        let mut set = ReportSet::merge([Report::new("a", [])]).unwrap();
        let before = set.clone();
        let error = set.insert(Report::new("a", [Finding::fail("t.x", "x")])).unwrap_err();
        assert_eq!(error.to_string(), "there are two reports about `a`");
        assert_eq!(set, before);
    }

    #[test]
    fn the_summary_keeps_the_order_and_the_worst_of_a_host() {
        let a = Report::new(
            "a",
            [Finding::pass("t.x", "x"), Finding::warn("t.x", "x"), Finding::pass("t.y", "y")],
        );
        let b = Report::new("b", [Finding::fail("t.z", "z"), Finding::not_applicable("t.x", "x")]);
        let set = ReportSet::merge([a, b]).unwrap();
        let lines: Vec<String> = set
            .summary()
            .iter()
            .map(|row| {
                let hosts: Vec<String> =
                    row.hosts.iter().map(|h| format!("{} {}", h.subject, h.status.word())).collect();
                format!("{} worst {}: {}", row.id, row.worst().word(), hosts.join(", "))
            })
            .collect();
        assert_eq!(
            lines,
            ["t.x worst warn: a warn, b not-applicable", "t.y worst pass: a pass", "t.z worst fail: b fail"]
        );
    }

    fn any_set(prefix: &'static str) -> impl Strategy<Value = ReportSet> {
        let finding = (0u8..6).prop_map(|kind| match kind {
            0 => Finding::pass("t.a", "a"),
            1 => Finding::warn("t.b", "b"),
            2 => Finding::fail("t.a", "a"),
            3 => Finding::unknown("t.b", "b", "?"),
            4 => Finding::skipped("t.c", "c", "t.b"),
            _ => Finding::not_applicable("t.c", "c"),
        });
        let report = prop::collection::vec(finding, 0..4);
        prop::collection::vec(report, 0..3).prop_map(move |reports| {
            let reports = reports.into_iter().enumerate();
            ReportSet::merge(reports.map(|(at, findings)| Report::new(format!("{prefix}{at}"), findings)))
                .unwrap()
        })
    }

    proptest! {
        #[test]
        fn union_is_associative_and_its_verdict_is_the_heaviest(
            a in any_set("a"), b in any_set("b"), c in any_set("c")
        ) {
            let left = a.clone().union(b.clone()).unwrap().union(c.clone()).unwrap();
            let right = a.clone().union(b.clone().union(c.clone()).unwrap()).unwrap();
            prop_assert_eq!(&left, &right);
            prop_assert_eq!(left.summary(), right.summary());
            prop_assert_eq!(left.verdict(), a.verdict().max(b.verdict()).max(c.verdict()));
            prop_assert_eq!(left.counts().verdict(), left.verdict());
        }
    }
}
