//! What an error can tell its reader beside the message.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Fix;

/// One thing a reader of an error can try or should know, as data: a sentence without a full stop, in which commands
/// stand between backticks. Binaries print it as a `hint:` line.
///
/// ```
/// let hint = dstack_check::Hint::new("start the VMM with `systemctl start dstack-vmm`");
/// assert_eq!(hint.to_string(), "start the VMM with `systemctl start dstack-vmm`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Hint(Cow<'static, str>);

impl Hint {
    /// A hint with this text.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&'static str> for Hint {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// The action, then each command between backticks; the link is left to the page of the check.
impl From<&Fix> for Hint {
    fn from(fix: &Fix) -> Self {
        let commands: Vec<String> = fix.commands.iter().map(|command| format!("`{command}`")).collect();
        if commands.is_empty() {
            Self(fix.action.clone())
        } else {
            Self(Cow::Owned(format!("{}: {}", fix.action, commands.join(", then "))))
        }
    }
}

/// An error that may know what its reader can do next.
///
/// Domain crates implement it beside [`std::error::Error`]; the message says what happened, the hint what to do.
/// Only what is known to help belongs here: an error without a hint is better than one with a guess.
///
/// ```
/// use dstack_check::{Hint, Hinted};
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("no socket at {path}")]
/// struct NoSocket {
///     path: String,
/// }
///
/// impl Hinted for NoSocket {
///     fn hint(&self) -> Option<Hint> {
///         Some(Hint::from("is the VMM running? see `systemctl status dstack-vmm`"))
///     }
/// }
/// ```
pub trait Hinted {
    /// The hint, where there is one.
    fn hint(&self) -> Option<Hint>;

    /// All hints, most useful first. Errors with more than one override it.
    fn hints(&self) -> Vec<Hint> {
        self.hint().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_becomes_one_line() {
        let fix = Fix::new("load the module").command("modprobe msr").command("rdmsr 0x3a");
        assert_eq!(Hint::from(&fix).as_str(), "load the module: `modprobe msr`, then `rdmsr 0x3a`");
        assert_eq!(Hint::from(&Fix::new("wait")).as_str(), "wait");
    }
}
