//! A plan as lines of text, for people. Colours and boxes are the program's business.

use std::fmt::Write as _;

use dstack_check::{Finding, Hint, Status};
use serde_json::Value;

use super::change::{Change, Consequence, EnvChange};
use super::plan::{Plan, PlanKind, Step};

/// How many lines of one diff are shown.
const MAX_DIFF_LINES: usize = 200;

/// What kind of line it is, so that a terminal can colour it. No meaning is in the colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineKind {
    /// A heading.
    Head,
    /// Something new; begins with `+`.
    Added,
    /// Something that goes; begins with `-`.
    Removed,
    /// Something that changes; begins with `~`.
    Changed,
    /// Something that does not change, or an explanation.
    Plain,
    /// Something to be careful about; begins with `warning:`.
    Warning,
    /// Something that stands in the way; begins with `conflict:`.
    Conflict,
}

/// One line of a rendered plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// What kind of line it is.
    pub kind: LineKind,
    /// Its text, without control characters.
    pub text: String,
}

impl Plan {
    /// The plan as lines.
    pub fn lines(&self) -> Vec<Line> {
        let mut out = Lines::default();
        out.push(LineKind::Head, self.headline());
        for change in &self.changes {
            out.change(change);
        }
        if self.kind != PlanKind::Nothing {
            out.hash(self);
        }
        if !self.consequences.is_empty() {
            out.push(LineKind::Plain, "");
            for consequence in &self.consequences {
                out.consequence(consequence);
            }
        }
        for finding in &self.findings {
            out.finding(finding);
        }
        if !self.steps.is_empty() {
            out.push(LineKind::Plain, "");
            let steps: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
            out.push(LineKind::Plain, format!("steps: {}", steps.join(" -> ")));
        }
        out.0
    }

    /// The plan as one text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for line in self.lines() {
            text.push_str(line.text.trim_end());
            text.push('\n');
        }
        text
    }

    fn headline(&self) -> String {
        let vm = match (&self.vm_id, &self.vm_status) {
            (Some(id), Some(status)) => format!("VM {id} ({status})"),
            _ => "a new VM".to_owned(),
        };
        let (name, host) = (&self.name, &self.host);
        match self.kind {
            PlanKind::Create => format!("{name} on {host}: {vm} is made"),
            PlanKind::Update => format!("{name} on {host}: {vm} is changed"),
            PlanKind::Settle => {
                format!("{name} on {host}: {vm} is as it should be; the record of it is completed")
            }
            PlanKind::Nothing => format!("{name} on {host}: nothing to do, {vm} is as it should be"),
            PlanKind::Conflict => {
                let count = self.conflicts().count();
                let things = if count == 1 { "thing stands" } else { "things stand" };
                format!("{name} on {host}: {count} {things} in the way of {vm}")
            }
        }
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl std::fmt::Display for Step {
    /// A few words, in lower case.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Authorize { hash } => write!(f, "allow {}", hash.short()),
            Self::SealEnv { names } => write!(f, "seal {} variables", names.len()),
            Self::Stop => f.write_str("stop"),
            Self::Create => f.write_str("create"),
            Self::Update { fields } => write!(f, "update {}", fields.join(", ")),
            Self::Restart => f.write_str("restart"),
            Self::Start => f.write_str("start"),
            Self::Verify => f.write_str("read back"),
            Self::WaitUp => f.write_str("wait until it is up"),
            Self::Record => f.write_str("keep the version"),
            Self::Revoke => f.write_str("revoke what is not needed"),
        }
    }
}

impl std::fmt::Display for Consequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NewVm => f.write_str("a new VM with an empty disk is made"),
            Self::StopFirst => f.write_str("the VM is stopped for the change and started again"),
            Self::Restart => f.write_str("the VM is restarted, so that the change takes effect"),
            Self::RestartLater => f.write_str("the change takes effect when the VM is next started"),
            Self::Start => f.write_str("the VM is started"),
            Self::NewAllowListEntry { hash } => {
                write!(f, "the allow-list gets an entry for {}", hash.short())
            }
            Self::AllowListEntryNeeded { hash } => {
                write!(
                    f,
                    "the KMS's policy must allow {} before the app gets its keys; this run cannot do that",
                    hash.short()
                )
            }
            Self::SameKeys => f.write_str("the app id stays, and with it the keys of the app"),
            Self::NewKeys { because } => write!(f, "the app gets other keys: {because}"),
            Self::NewInstanceId => f.write_str("the instance gets another id"),
            Self::DataLost { because } => write!(f, "what is on the data disk is lost: {because}"),
        }
    }
}

#[derive(Default)]
struct Lines(Vec<Line>);

impl Lines {
    fn push(&mut self, kind: LineKind, text: impl AsRef<str>) {
        // A Compose file is not ours: nothing in it may move the cursor.
        let text =
            text.as_ref().chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
        self.0.push(Line { kind, text });
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::ComposeText { path, diff } => {
                let path = if path.is_empty() { "the app-compose" } else { path };
                self.push(LineKind::Changed, format!("  ~ {path} (+{} -{})", diff.added(), diff.removed()));
                let mut shown = 0;
                for hunk in diff.hunks(3) {
                    self.push(
                        LineKind::Plain,
                        format!(
                            "      @@ -{},{} +{},{} @@",
                            hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines
                        ),
                    );
                    for line in &hunk.lines {
                        if shown == MAX_DIFF_LINES {
                            return self.push(LineKind::Plain, "      ... and more; the JSON has all of it");
                        }
                        shown += 1;
                        let kind = match line.change.mark() {
                            '+' => LineKind::Added,
                            '-' => LineKind::Removed,
                            _ => LineKind::Plain,
                        };
                        let (text, end) = match line.text.strip_suffix('\n') {
                            Some(text) => (text, ""),
                            None => (line.text.as_str(), " (no line end)"),
                        };
                        let (text, cr) = match text.strip_suffix('\r') {
                            Some(text) => (text, " (CRLF)"),
                            None => (text, ""),
                        };
                        self.push(kind, format!("      {} {text}{cr}{end}", line.change.mark()));
                    }
                }
            }
            Change::ComposeField { path, old, new } => {
                let text = format!("{path}: {} -> {}", value(old.as_ref()), value(new.as_ref()));
                self.push(LineKind::Changed, format!("  ~ {text}"));
            }
            Change::AllowedEnvs { added, removed } => {
                self.push(LineKind::Changed, "  ~ allowed_envs");
                self.names(added, removed);
            }
            Change::ComposeLayout => {
                self.push(LineKind::Changed, "  ~ the app-compose says the same in other bytes");
            }
            Change::Env(change) => self.env(change),
            Change::Setting { name, old, new } => {
                self.push(LineKind::Changed, format!("  ~ {name}: {old} -> {new}"));
            }
            Change::Ports { added, removed } => {
                self.push(LineKind::Changed, "  ~ ports");
                self.names(added, removed);
            }
            Change::UserConfig { old_bytes, new_bytes } => {
                self.push(
                    LineKind::Changed,
                    format!("  ~ user_config: {old_bytes} bytes -> {new_bytes} bytes"),
                );
            }
        }
    }

    fn names(&mut self, added: &[String], removed: &[String]) {
        for name in removed {
            self.push(LineKind::Removed, format!("      - {name}"));
        }
        for name in added {
            self.push(LineKind::Added, format!("      + {name}"));
        }
    }

    fn env(&mut self, change: &EnvChange) {
        let why = if change.unknown { " (what the VM has was sealed elsewhere)" } else { "" };
        self.push(LineKind::Changed, format!("  ~ environment{why}"));
        self.names(&change.added, &change.removed);
        for name in &change.changed {
            let what = if change.unknown { "sealed again" } else { "another value" };
            self.push(LineKind::Changed, format!("      ~ {name} ({what})"));
        }
        if !change.unchanged.is_empty() {
            self.push(LineKind::Plain, format!("        unchanged: {}", change.unchanged.join(", ")));
        }
    }

    fn hash(&mut self, plan: &Plan) {
        let (old, new) = (plan.hash.old, plan.hash.new);
        match old {
            Some(old) if old == new => self.push(LineKind::Plain, format!("    compose hash  {new} (stays)")),
            Some(old) => {
                self.push(LineKind::Removed, format!("  - compose hash  {old}"));
                self.push(LineKind::Added, format!("  + compose hash  {new}"));
            }
            None => self.push(LineKind::Added, format!("  + compose hash  {new}")),
        }
        let (mark, kind) = if plan.vm_id.is_some() { (' ', LineKind::Plain) } else { ('+', LineKind::Added) };
        self.push(kind, format!("  {mark} app id        {}", plan.app_id));
    }

    fn consequence(&mut self, consequence: &Consequence) {
        let kind = match consequence {
            Consequence::DataLost { .. }
            | Consequence::NewKeys { .. }
            | Consequence::AllowListEntryNeeded { .. } => LineKind::Warning,
            _ => LineKind::Plain,
        };
        let prefix = if kind == LineKind::Warning { "warning: " } else { "" };
        self.push(kind, format!("  {prefix}{consequence}"));
    }

    fn finding(&mut self, finding: &Finding) {
        let (kind, word) = match finding.status {
            Status::Fail => (LineKind::Conflict, "conflict"),
            Status::Warn => (LineKind::Warning, "warning"),
            _ => (LineKind::Plain, finding.status.word()),
        };
        let mut text = format!("  {word}: {}", finding.observed.as_deref().unwrap_or(&finding.title));
        for evidence in &finding.evidence {
            let _ = write!(text, " ({})", evidence.source);
        }
        if let Some(expected) = &finding.expected {
            let _ = write!(text, "; expected: {expected}");
        }
        let _ = write!(text, " [{}]", finding.id);
        self.push(kind, text);
        if let Some(fix) = &finding.fix {
            self.push(LineKind::Plain, format!("    fix: {}", Hint::from(fix)));
        }
    }
}

/// A value of JSON, cut when it is long.
fn value(value: Option<&Value>) -> String {
    const MAX: usize = 120;
    let Some(value) = value else { return "not there".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(MAX) {
        Some((at, _)) => format!("{}... ({} bytes)", &text[..at], text.len()),
        None => text,
    }
}
