//! What to do about a finding.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What to do about a finding: one sentence, the commands that do it, and where to read on.
///
/// ```
/// let fix = dstack_check::Fix::new("give the token file to its owner alone")
///     .command("chmod 600 /etc/dstack/vmm-auth-token");
/// assert_eq!(fix.commands.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        description = "What to do about a finding: one sentence, the commands that do it, and where to read on."
    )
)]
#[non_exhaustive]
pub struct Fix {
    /// What to do, as one imperative sentence without a full stop.
    pub action: Cow<'static, str>,
    /// Shell commands that do it, in order. Empty where no command can.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// A page that explains more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// True when the action is a guess from similar hosts rather than something known to be right.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_a_hint: bool,
}

impl Fix {
    /// A fix that says what to do.
    pub fn new(action: impl Into<Cow<'static, str>>) -> Self {
        Self { action: action.into(), commands: Vec::new(), link: None, only_a_hint: false }
    }

    /// Adds a shell command that carries the fix out.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }

    /// Names a page that explains more.
    #[must_use]
    pub fn link(mut self, link: impl Into<String>) -> Self {
        self.link = Some(link.into());
        self
    }

    /// Marks the fix as a guess: worth trying, not known to be right.
    #[must_use]
    pub fn only_a_hint(mut self) -> Self {
        self.only_a_hint = true;
        self
    }
}
