//! What may differ between two hosts, and what a difference means: as data.

use serde::{Deserialize, Serialize};

use super::{Change, Severity, Significance};
use crate::Error;
use crate::snapshot::{Pattern, read_toml};

/// The schema of [`DiffRules`] as TOML.
pub const RULES_SCHEMA: &str = "dstack-hw/diff-rules/v1";

const BUILTIN: &str = include_str!("builtin-rules.toml");
/// The longest rules that are read, in bytes.
const MAX_RULES: usize = 1 << 20;

/// Rules about differences. The first that fits one says what it means; where none fits, it matters.
///
/// ```
/// use dstack_hw::snapshot::DiffRules;
///
/// let mine = DiffRules::from_toml(r#"
///     schema = "dstack-hw/diff-rules/v1"
///
///     [[rule]]
///     section = "packages"
///     subject = "linux-image-*"
///     may-differ = "kernels are rolled out host by host"
/// "#)?;
/// assert!(mine.len() > 1);
/// # Ok::<(), dstack_hw::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct DiffRules {
    /// [`RULES_SCHEMA`].
    schema: String,
    /// In a user's file: leave the built-in rules out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replace: bool,
    #[serde(rename = "rule")]
    rules: Vec<Rule>,
}

/// One rule. What it does not name, it does not ask about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Rule {
    /// The part of the snapshot, such as `files`.
    section: Option<Pattern>,
    /// The name of the thing, such as a path.
    subject: Option<Pattern>,
    /// What of it differs, such as `mode`.
    attribute: Option<Pattern>,
    /// How it differs.
    change: Option<Change>,
    /// The values before and after, in any order, one of which must match.
    value: Option<Pattern>,
    /// How alike the two values are.
    alike: Option<Alike>,
    /// Why it may differ.
    may_differ: Option<String>,
    /// Why it matters, and...
    matters: Option<String>,
    /// ...for what. Without it, for whether the host works.
    severity: Option<Severity>,
}

/// How alike two versions or two modes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Alike {
    /// Versions with the same first two numbers and the same words: `6.8.0-1027-intel` and `6.8.0-1028-intel`.
    MajorMinor,
    /// Versions that differ in what a distribution added after the last hyphen or `+` only.
    Upstream,
    /// The mode after lets somebody in whom the one before did not.
    Opened,
}

impl Alike {
    fn holds(self, before: Option<&str>, after: Option<&str>) -> bool {
        match self {
            Self::Opened => {
                let bits =
                    |mode: Option<&str>| mode.map_or(Some(0), |mode| u32::from_str_radix(mode, 8).ok());
                match (bits(before), bits(after)) {
                    // What the group and the others get; the owner may open what is its own.
                    (Some(before), Some(after)) => after & !before & 0o077 != 0,
                    _ => false,
                }
            }
            Self::MajorMinor => match (before, after) {
                (Some(before), Some(after)) => {
                    let (a, b) = (numbers(before), numbers(after));
                    a.len() >= 2 && a.get(..2) == b.get(..2) && words(before) == words(after)
                }
                _ => false,
            },
            Self::Upstream => match (before, after) {
                (Some(before), Some(after)) => upstream(before) == upstream(after),
                _ => false,
            },
        }
    }
}

/// The numbers in a version, in order.
fn numbers(version: &str) -> Vec<&str> {
    version.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty()).collect()
}

/// The words in a version: `intel`, `generic`, `tdx`.
fn words(version: &str) -> Vec<&str> {
    version.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 2).collect()
}

/// A version without its epoch, and without what a distribution put behind it. A mark such as `+tdx1.1` stays: it says
/// which build it is.
fn upstream(version: &str) -> (&str, Vec<&str>) {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let (upstream, revision) = version.rsplit_once('-').unwrap_or((version, ""));
    let marks = revision
        .split(['+', '~'])
        .skip(1)
        .map(|mark| mark.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'))
        .collect();
    (upstream, marks)
}

impl DiffRules {
    /// The rules that come with the crate.
    pub fn builtin() -> Self {
        // A unit test reads it; without rules every difference matters, which is the careful answer.
        Self::read(BUILTIN).unwrap_or_default()
    }

    /// Reads rules and puts them before the built-in ones, or in their place where they say `replace = true`.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the line, [`Error::Schema`], or [`Error::TooLarge`] above 1 MiB.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let mut rules = Self::read(text)?;
        if !rules.replace {
            rules.rules.extend(Self::builtin().rules);
        }
        Ok(rules)
    }

    fn read(text: &str) -> Result<Self, Error> {
        const WHAT: &str = "the file of diff rules";
        let rules: Self = read_toml(text, WHAT, RULES_SCHEMA, MAX_RULES)?;
        for (at, rule) in rules.rules.iter().enumerate() {
            let wrong = match (&rule.may_differ, &rule.matters) {
                (None, None) => "says neither `may-differ` nor `matters`",
                (Some(_), Some(_)) => "says both `may-differ` and `matters`",
                (Some(_), None) if rule.severity.is_some() => "says `severity` of what may differ",
                _ => continue,
            };
            let line = line_of_rule(text, at);
            return Err(Error::Malformed { what: WHAT, why: format!("the rule in line {line} {wrong}") });
        }
        Ok(rules)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What a difference means.
    pub(super) fn judge(
        &self,
        section: &str,
        subject: &str,
        attribute: &str,
        change: Change,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Significance {
        let is = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
        };
        let rule = self.rules.iter().find(|rule| {
            let value = rule.value.as_ref().is_none_or(|pattern| {
                [before, after].into_iter().flatten().any(|value| pattern.matches(value))
            });
            is(&rule.section, section)
                && is(&rule.subject, subject)
                && is(&rule.attribute, attribute)
                && rule.change.is_none_or(|wanted| wanted == change)
                && value
                && rule.alike.is_none_or(|alike| alike.holds(before, after))
        });
        match rule {
            Some(Rule { may_differ: Some(reason), .. }) => Significance::MayDiffer { reason: reason.clone() },
            Some(Rule { matters: Some(why), severity, .. }) => {
                Significance::Matters { severity: severity.unwrap_or(Severity::Function), why: why.clone() }
            }
            _ => Significance::Matters {
                severity: Severity::Function,
                why: "no rule says that it may differ".to_owned(),
            },
        }
    }
}

/// The line in which the nth rule begins.
fn line_of_rule(text: &str, nth: usize) -> usize {
    let starts = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("[[rule]]"));
    starts.map(|(line, _)| line + 1).nth(nth).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_are_readable() {
        assert!(DiffRules::read(BUILTIN).unwrap().len() > 10);
    }

    #[test]
    fn rules_say_where_they_are_wrong() {
        let wrong = |text: &str| DiffRules::from_toml(text).unwrap_err().to_string();
        let head = "schema = \"dstack-hw/diff-rules/v1\"\n";
        let all = [
            wrong(&format!("{head}[[rule]]\nsubjekt = \"x\"\nmay-differ = \"y\"\n")),
            wrong(&format!(
                "{head}\n[[rule]]\nsubject = \"x\"\nmay-differ = \"y\"\n\n[[rule]]\nsubject = \"x\"\n"
            )),
            wrong(&format!("{head}[[rule]]\nmay-differ = \"y\"\nmatters = \"x\"\n")),
            wrong(&format!("{head}[[rule]]\nalike = \"somewhat\"\nmay-differ = \"x\"\n")),
            wrong("schema = \"dstack-hw/diff-rules/v9\"\n"),
            wrong("[[rule]]\n"),
        ];
        insta::assert_snapshot!(all.join("\n---\n"));
    }

    #[test]
    fn likeness() {
        let holds = |alike: Alike, before, after| alike.holds(Some(before), Some(after));
        assert!(holds(Alike::MajorMinor, "6.8.0-1027-intel", "6.8.0-1028-intel"));
        assert!(!holds(Alike::MajorMinor, "6.8.0-1028-intel", "6.8.0-51-generic"));
        assert!(!holds(Alike::MajorMinor, "6.8.0-1028-intel", "6.17.0-1028-intel"));
        assert!(holds(Alike::Upstream, "2.39-0ubuntu8.3", "2.39-0ubuntu8.4"));
        assert!(!holds(Alike::Upstream, "2.39-0ubuntu8.3", "2.40-0ubuntu1"));
        // The build with the patches for TDX is another one than the archive's.
        assert!(!holds(Alike::Upstream, "1:8.2.2+ds-0ubuntu1.4+tdx1.1", "1:8.2.2+ds-0ubuntu1.6"));
        assert!(holds(Alike::Upstream, "1:8.2.2+ds-0ubuntu1.4+tdx1.1", "1:8.2.2+ds-0ubuntu1.4+tdx1.2"));
        assert!(holds(Alike::Opened, "0600", "0644") && !holds(Alike::Opened, "0644", "0600"));
        assert!(!holds(Alike::Opened, "0600", "0700"));
    }
}
