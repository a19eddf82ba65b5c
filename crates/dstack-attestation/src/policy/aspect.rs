//! The questions that evidence about a CVM answers, and does not answer.

use std::fmt;
use std::str::FromStr;

/// A question that a reader of a report has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Aspect {
    /// Does genuine, up-to-date TEE hardware stand behind the evidence?
    Hardware,
    /// Which operating system image runs?
    Os,
    /// Which app-compose runs?
    Code,
    /// Who is it: which app, instance, key provider, key?
    Identity,
    /// Is the evidence of now, or a recording?
    Freshness,
    /// What can the operator still do?
    Operator,
}

impl Aspect {
    /// Every aspect, in the order in which reports have them.
    pub const ALL: [Self; 6] =
        [Self::Hardware, Self::Os, Self::Code, Self::Identity, Self::Freshness, Self::Operator];

    /// The name in policy files and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Os => "os",
            Self::Code => "code",
            Self::Identity => "identity",
            Self::Freshness => "freshness",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Aspect {
    type Err = String;

    /// The error is the text that names no aspect.
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|aspect| aspect.as_str() == name).ok_or_else(|| name.to_owned())
    }
}
