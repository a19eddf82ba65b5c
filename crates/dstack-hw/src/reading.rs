//! One reading: a value, or why there is none. Unreadable is never the same as absent, and absent never the same as no.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a [`HostSource`](crate::HostSource) answers.
pub type Reading<T> = Result<T, Unread>;

/// Why a source has no value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Unread {
    /// It was looked for and is not there. This is an answer, and the only variant that is one.
    Absent,
    /// It may be there; reading it needs a right that the caller does not have.
    NotPermitted,
    /// The capture or the pasted text does not have it: nobody looked.
    NotRecorded,
    /// It was not asked for, see [`CollectOptions`](crate::CollectOptions).
    NotAsked,
    /// It is larger than what is read.
    TooLarge,
    /// No answer in time.
    TimedOut,
    /// Anything else, in words: the error of the system, a form that was not understood.
    Failed(String),
}

impl Unread {
    /// In words, to follow "unknown:": `needs root`, `not in the capture`.
    pub fn why(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "not there",
            Self::NotPermitted => "needs root",
            Self::NotRecorded => "not recorded",
            Self::NotAsked => "not asked for",
            Self::TooLarge => "too large to read",
            Self::TimedOut => "no answer in time",
            Self::Failed(why) => why,
        })
    }
}

/// A fact about a host: known, known to be absent, or not known and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact<T> {
    /// It was read.
    Known(T),
    /// It was looked for and is not there.
    Absent,
    /// It could not be read.
    Unread(Unread),
}

impl<T> Fact<T> {
    /// The value, where it is known.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }

    /// Was it looked for and not there?
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Why it is not known. `None` where it is known or known to be absent.
    pub const fn unread(&self) -> Option<&Unread> {
        match self {
            Self::Unread(why) => Some(why),
            _ => None,
        }
    }

    /// The same knowledge about something derived from the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(value) => Fact::Known(f(value)),
            Self::Absent => Fact::Absent,
            Self::Unread(why) => Fact::Unread(why),
        }
    }

    /// Derives something that may fail to be understood from the value.
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Fact<U>) -> Fact<U> {
        match self {
            Self::Known(value) => f(value),
            Self::Absent => Fact::Absent,
            Self::Unread(why) => Fact::Unread(why),
        }
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> Fact<&T> {
        match self {
            Self::Known(value) => Fact::Known(value),
            Self::Absent => Fact::Absent,
            Self::Unread(why) => Fact::Unread(why.clone()),
        }
    }
}

impl<T> From<Reading<T>> for Fact<T> {
    fn from(reading: Reading<T>) -> Self {
        match reading {
            Ok(value) => Self::Known(value),
            Err(Unread::Absent) => Self::Absent,
            Err(why) => Self::Unread(why),
        }
    }
}
