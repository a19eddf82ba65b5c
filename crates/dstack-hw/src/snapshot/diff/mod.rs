//! Two snapshots side by side: every difference, and whether it matters.

mod flat;
mod rules;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use rules::{DiffRules, RULES_SCHEMA};

use super::{HostSnapshot, SnapshotSpec};
use crate::Unread;
use flat::{Flat, Side};

/// The schema of [`SnapshotDiff`] as JSON.
pub const DIFF_SCHEMA: &str = "dstack-hw/diff/v1";

/// What differs between two snapshots.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SnapshotDiff {
    /// [`DIFF_SCHEMA`].
    pub schema: &'static str,
    /// The names of the two, where they have one.
    pub labels: [Option<String>; 2],
    /// What it comes to.
    pub outcome: Outcome,
    /// Everything that is known to differ, in the order of sections and names.
    pub differences: Vec<Difference>,
    /// What could not be compared, because one side or both do not know it.
    pub unknown: Vec<Uncompared>,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing differs.
    Same,
    /// Only what may differ does.
    Equivalent,
    /// Nothing that matters is known to differ, but not everything could be compared.
    Undetermined,
    /// Something that matters differs.
    Different,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Difference {
    /// The part of the snapshot: `packages`, `files`, `secrets` (files whose content is not recorded), `settings`...
    pub section: &'static str,
    /// The name of the thing: a path, a package. For settings the path and the name of the setting.
    pub subject: String,
    /// What of it differs: `mode`, `sha256`, `version`. `presence` where one side does not have it.
    pub attribute: String,
    /// How it differs.
    pub change: Change,
    /// The value in the first snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The value in the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What it means.
    #[serde(flatten)]
    pub significance: Significance,
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The second snapshot has it, the first has not.
    Added,
    /// The first snapshot has it, the second has not.
    Removed,
    /// Both have it, and it is not the same.
    Changed,
}

/// What a difference means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "significance")]
#[non_exhaustive]
pub enum Significance {
    /// The hosts are not set up alike.
    Matters {
        /// For what.
        severity: Severity,
        /// Why, as a sentence without a full stop.
        why: String,
    },
    /// It is no sign of that.
    MayDiffer {
        /// Why not.
        reason: String,
    },
}

/// For what a difference matters, the gravest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// For whether and how the host works.
    Function,
    /// For who can do what on the host.
    Security,
}

/// Something that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Uncompared {
    /// The part of the snapshot.
    pub section: &'static str,
    /// The name of the thing; empty for the whole part.
    pub subject: String,
    /// What of it; `presence` for all of it.
    pub attribute: String,
    /// Why the first snapshot does not know it, where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Why the second does not, where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Compares two snapshots.
///
/// What one of them could not read, or did not look for, is never equal and never different: it is in
/// [`SnapshotDiff::unknown`].
///
/// ```
/// use dstack_hw::snapshot::{DiffRules, HostSnapshot, SnapshotSpec, diff};
/// use dstack_hw::source::Readings;
///
/// let host = |release: &str| {
///     let host = Readings::empty_host().file("/proc/sys/kernel/osrelease", release);
///     HostSnapshot::take(&host, &SnapshotSpec::builtin())
/// };
/// let found = diff(&host("6.8.0-1028-intel\n"), &host("6.8.0-51-generic\n"), &DiffRules::builtin());
/// assert_eq!(found.differences.len(), 1);
/// assert_eq!(found.differences[0].subject, "release");
/// assert!(found.matters().next().is_some());
/// ```
pub fn diff(before: &HostSnapshot, after: &HostSnapshot, rules: &DiffRules) -> SnapshotDiff {
    let (before_items, after_items) = (Flat::of(before), Flat::of(after));
    let mut out = Out { rules, differences: Vec::new(), unknown: Vec::new() };
    out.whole_sections(&before_items, &after_items);
    let keys: BTreeSet<&(&'static str, String)> =
        before_items.things.keys().chain(after_items.things.keys()).collect();
    for key in keys {
        let (section, subject) = (key.0, key.1.as_str());
        let sides = [before_items.side(key, &before.spec), after_items.side(key, &after.spec)];
        // A file that is there on one side only is said once, not once a setting in it.
        if section == "settings" && !(before_items.has_file_of(subject) && after_items.has_file_of(subject)) {
            continue;
        }
        out.thing(section, subject, sides);
    }
    let outcome = if out.differences.iter().any(Difference::matters) {
        Outcome::Different
    } else if !out.unknown.is_empty() {
        Outcome::Undetermined
    } else if out.differences.is_empty() {
        Outcome::Same
    } else {
        Outcome::Equivalent
    };
    SnapshotDiff {
        schema: DIFF_SCHEMA,
        labels: [before.label.clone(), after.label.clone()],
        outcome,
        differences: out.differences,
        unknown: out.unknown,
    }
}

struct Out<'a> {
    rules: &'a DiffRules,
    differences: Vec<Difference>,
    unknown: Vec<Uncompared>,
}

impl Out<'_> {
    /// Parts that one side could not read at all are said once, not once a thing in them.
    fn whole_sections(&mut self, before: &Flat, after: &Flat) {
        for section in flat::SECTIONS {
            let (a, b) = (before.unread(section), after.unread(section));
            if a.is_some() || b.is_some() {
                self.unknown.push(Uncompared {
                    section,
                    subject: String::new(),
                    attribute: "presence".to_owned(),
                    before: a,
                    after: b,
                });
            }
        }
    }

    fn thing(&mut self, section: &'static str, subject: &str, sides: [Side<'_>; 2]) {
        match sides {
            [Side::There(before), Side::There(after)] => {
                let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
                for name in names {
                    match (before.get(name), after.get(name)) {
                        (Some(Err(a)), Some(Err(b))) => {
                            self.uncompared(section, subject, name, Some(a), Some(b));
                        }
                        (Some(Err(why)), _) => self.uncompared(section, subject, name, Some(why), None),
                        (_, Some(Err(why))) => self.uncompared(section, subject, name, None, Some(why)),
                        (a, b) => {
                            let (a, b) = (text(a), text(b));
                            if a != b {
                                let change = match (a, b) {
                                    (None, _) => Change::Added,
                                    (_, None) => Change::Removed,
                                    _ => Change::Changed,
                                };
                                self.difference(section, subject, name, change, a, b);
                            }
                        }
                    }
                }
            }
            [Side::There(value), Side::Missing] => self.presence(section, subject, Change::Removed, value),
            [Side::Missing, Side::There(value)] => self.presence(section, subject, Change::Added, value),
            [Side::Missing, Side::Missing] => {}
            // Said once for the whole part.
            [Side::PartUnread, _] | [_, Side::PartUnread] => {}
            [Side::NotLookedFor, Side::Missing | Side::NotLookedFor]
            | [Side::Missing, Side::NotLookedFor] => {}
            [a, b] => {
                let not_looked_for = || Some("not looked for".to_owned());
                let (before, after) = match (a, b) {
                    (Side::NotLookedFor, Side::There(_)) => (not_looked_for(), None),
                    (Side::There(_), Side::NotLookedFor) => (None, not_looked_for()),
                    (a, b) => (a.why_unknown(), b.why_unknown()),
                };
                self.unknown.push(Uncompared {
                    section,
                    subject: subject.to_owned(),
                    attribute: "presence".to_owned(),
                    before,
                    after,
                });
            }
        }
    }

    fn presence(&mut self, section: &'static str, subject: &str, change: Change, value: &flat::Attributes) {
        // A port that the kernel chose is judged as such.
        let ephemeral = value.contains_key("ephemeral");
        let attribute = if ephemeral { "ephemeral" } else { "presence" };
        let shown = summary(value);
        let (before, after) = match change {
            Change::Added => (None, Some(shown.as_str())),
            _ => (Some(shown.as_str()), None),
        };
        self.difference(section, subject, attribute, change, before, after);
    }

    fn difference(
        &mut self,
        section: &'static str,
        subject: &str,
        attribute: &str,
        change: Change,
        before: Option<&str>,
        after: Option<&str>,
    ) {
        let significance = self.rules.judge(section, subject, attribute, change, before, after);
        self.differences.push(Difference {
            section,
            subject: subject.to_owned(),
            attribute: attribute.to_owned(),
            change,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            significance,
        });
    }

    fn uncompared(
        &mut self,
        section: &'static str,
        subject: &str,
        attribute: &str,
        a: Option<&Unread>,
        b: Option<&Unread>,
    ) {
        self.unknown.push(Uncompared {
            section,
            subject: subject.to_owned(),
            attribute: attribute.to_owned(),
            before: a.map(Unread::why),
            after: b.map(Unread::why),
        });
    }
}

fn text(value: Option<&Result<String, Unread>>) -> Option<&str> {
    value.and_then(|value| value.as_ref().ok()).map(String::as_str)
}

/// A thing in a few words: its one value, or what it is and its mode.
fn summary(value: &flat::Attributes) -> String {
    let mut words = Vec::new();
    for name in ["value", "version", "kind", "mode", "owner", "group", "active", "uid", "gid", "file-system"]
    {
        if let Some(Ok(text)) = value.get(name) {
            words.push(text.clone());
        }
    }
    if words.is_empty() { "there".to_owned() } else { words.join(" ") }
}

impl Difference {
    /// Does it matter?
    pub const fn matters(&self) -> bool {
        matches!(self.significance, Significance::Matters { .. })
    }

    /// For what it matters, where it does.
    pub const fn severity(&self) -> Option<Severity> {
        match self.significance {
            Significance::Matters { severity, .. } => Some(severity),
            Significance::MayDiffer { .. } => None,
        }
    }

    /// Why it matters, or why it may differ.
    pub fn why(&self) -> &str {
        match &self.significance {
            Significance::Matters { why, .. } => why,
            Significance::MayDiffer { reason } => reason,
        }
    }
}

impl SnapshotDiff {
    /// Is nothing known to differ? What could not be compared is not counted, see [`SnapshotDiff::outcome`].
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty()
    }

    /// The differences that matter.
    pub fn matters(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| difference.matters())
    }

    /// The differences that may be.
    pub fn may_differ(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| !difference.matters())
    }

    /// As JSON: indented, in a stable order, with a line end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// One line: `files /etc/default/grub.d/99-tdx.cfg mode: 0644 -> 0600`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, subject, attribute, .. } = self;
        let (before, after) = (self.before.as_deref().unwrap_or("-"), self.after.as_deref().unwrap_or("-"));
        match (self.change, attribute.as_str()) {
            (Change::Added | Change::Removed, "presence" | "ephemeral") => {
                let (which, what) =
                    if self.change == Change::Added { ("second", after) } else { ("first", before) };
                write!(f, "{section} {subject}: only in the {which}")?;
                if what == "there" { Ok(()) } else { write!(f, " ({what})") }
            }
            (_, "value") => write!(f, "{section} {subject}: {before} -> {after}"),
            (_, "sha256") => {
                write!(f, "{section} {subject} content: {} -> {}", digest(before), digest(after))
            }
            _ => write!(f, "{section} {subject} {attribute}: {before} -> {after}"),
        }
    }
}

/// The beginning of a digest: enough to tell two apart.
fn digest(text: &str) -> &str {
    text.get(..12).unwrap_or(text)
}

/// One line: `files /etc/letsencrypt/live: needs root (first), needs root (second)`.
impl fmt::Display for Uncompared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.section)?;
        if !self.subject.is_empty() {
            write!(f, " {}", self.subject)?;
        }
        if self.attribute != "presence" {
            write!(f, " {}", self.attribute)?;
        }
        let mut mark = ": ";
        for (why, which) in [(&self.before, "first"), (&self.after, "second")] {
            if let Some(why) = why {
                write!(f, "{mark}{why} ({which})")?;
                mark = ", ";
            }
        }
        Ok(())
    }
}

impl Severity {
    /// As one lower-case word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Function => "function",
            Self::Security => "security",
        }
    }
}

/// Does a snapshot with this spec look for this thing?
fn looked_for(spec: &SnapshotSpec, section: &str, subject: &str) -> bool {
    let matches =
        |patterns: &[super::Pattern], name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    match section {
        "files" | "secrets" => spec.looks_at(subject),
        // `PATH NAME`: a path has no blank in the rules that read settings.
        "settings" => subject.split_once(' ').is_some_and(|(path, _)| spec.looks_at(path)),
        "units" => matches(&spec.units, subject),
        "programs" => spec.programs.iter().any(|path| path == subject),
        "modules" => spec.modules.iter().any(|name| name == subject),
        "values" => matches(&spec.values, subject),
        "mounts" => matches(&spec.mounts, subject),
        "listening" => subject.strip_prefix("unix/").is_none_or(|path| matches(&spec.sockets, path)),
        // Everything of the system is looked at; people by their groups, which both sides list alike.
        _ => true,
    }
}

#[cfg(test)]
mod tests;
