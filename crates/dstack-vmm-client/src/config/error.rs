//! What can be wrong with a configuration as a whole, and with a change to it.

use dstack_check::{Hint, Hinted};

use super::KeyDef;

/// Why a configuration cannot be read at all. What is wrong with single values is a finding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not TOML, or not JSON.
    #[error("{file}:{line}:{column}: {message}")]
    Syntax {
        /// Name of the file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What the parser says. It never quotes the text, which may be a token.
        message: String,
    },
}

/// Why a key was not changed. The text is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The text cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The path is not a dotted list of plain names.
    #[error("{path:?} is not a key such as cvm.port_mapping.enabled")]
    MalformedPath {
        /// The path.
        path: String,
    },
    /// No version of the VMM reads the key.
    #[error("no VMM reads the key {path}")]
    UnknownKey {
        /// The path.
        path: String,
        /// Keys that are spelled alike, best first.
        nearest: Vec<&'static str>,
    },
    /// The value does not fit the key.
    #[error("{path} takes {expected}, not {given}")]
    WrongType {
        /// The path.
        path: String,
        /// What it takes.
        expected: String,
        /// What was given, in kind; never the value.
        given: String,
    },
    /// A part of the path is a value and not a table.
    #[error("{path} is not a table")]
    NotATable {
        /// The path of the part.
        path: String,
    },
    /// The key is a table, and only single keys are changed.
    #[error("{path} is a table")]
    IsATable {
        /// The path.
        path: String,
    },
    /// The form of the file leaves no place for the change that would not touch other keys.
    #[error("{path} cannot be changed in this file without rewriting it")]
    Unplaceable {
        /// The path.
        path: String,
    },
}

impl Hinted for EditError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::UnknownKey { nearest, .. } if !nearest.is_empty() => {
                Some(Hint::from(format!("perhaps {}", nearest.join(" or "))))
            }
            Self::UnknownKey { .. } => Some(Hint::from("`dstack-vmmctl config keys` lists the keys")),
            Self::Unplaceable { .. } => {
                Some(Hint::from("change the key by hand, or write its table as a section with a header"))
            }
            _ => None,
        }
    }
}

impl EditError {
    /// The error for a key that no version reads.
    pub(crate) fn unknown(path: &str) -> Self {
        Self::UnknownKey { path: path.to_owned(), nearest: super::nearest_keys(path) }
    }

    /// The error for a value that does not fit.
    pub(crate) fn wrong_type(key: &KeyDef, given: impl Into<String>) -> Self {
        Self::WrongType { path: key.path.to_owned(), expected: key.kind.to_string(), given: given.into() }
    }
}
