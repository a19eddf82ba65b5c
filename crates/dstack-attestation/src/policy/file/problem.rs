//! What is wrong with a policy file, and where.

use std::fmt;
use std::ops::Range;

use dstack_check::{Hint, Hinted};

/// One thing that is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyProblem {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The key it is about, dotted, such as `hardware.tcb_statuses`; empty where it is about no key.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// A policy file that cannot be used. All problems are listed, not only the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
#[non_exhaustive]
pub struct PolicyFileError {
    /// What is wrong, in the order of the text; never empty.
    pub problems: Vec<PolicyProblem>,
}

impl Hinted for PolicyFileError {
    fn hint(&self) -> Option<Hint> {
        self.hints().into_iter().next()
    }

    fn hints(&self) -> Vec<Hint> {
        self.problems.iter().filter_map(|problem| problem.hint.clone()).map(Hint::from).collect()
    }
}

impl From<PolicyProblem> for PolicyFileError {
    fn from(problem: PolicyProblem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// Why a value is not allowed.
#[derive(Clone, Debug)]
pub(super) struct ValueError {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl ValueError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A problem at a place of a text; without a place at its beginning.
pub(super) fn problem(text: &str, span: Option<Range<usize>>, key: &str, error: ValueError) -> PolicyProblem {
    let (line, column) = span.map_or((1, 1), |span| line_and_column(text, span.start));
    PolicyProblem { line, column, key: key.to_owned(), message: error.message, hint: error.hint }
}

/// The place of a byte, both from 1; columns count characters.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before.get(start..).unwrap_or_default().chars().count() + 1)
}

/// The word that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // A word of no sensible length is nobody's typing error, and comparing takes the product of the lengths.
    if word.len() > 64 {
        return None;
    }
    let fold = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let alike = |known: &&str| strsim::normalized_damerau_levenshtein(&fold(word), &fold(known));
    let best = known.iter().copied().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(&best) >= 0.6).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_and_column("añb\nc", 3), (1, 3));
        assert_eq!(line_and_column("añb\nc", 5), (2, 1));
        assert_eq!(line_and_column("", 9), (1, 1));
    }

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["compose_hashes", "compose_files", "app_ids"];
        assert_eq!(nearest("compose_hash", &known), Some("compose_hashes"));
        assert_eq!(nearest("app-ids", &known), Some("app_ids"));
        assert_eq!(nearest("kernel", &known), None);
        assert_eq!(nearest(&"a".repeat(65), &known), None);
    }
}
