//! What is wrong with a project file, and where.

use std::fmt;
use std::ops::Range;

use dstack_check::{Hint, Hinted};
use serde::Serialize;

/// One thing that is wrong with a project file or with a file it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Line from 1, where the problem stands in a text.
    pub line: Option<usize>,
    /// Column from 1, in characters.
    pub column: Option<usize>,
    /// The key it is about, dotted, such as `kms.urls`; empty where it is about no key.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with a key, in no known place.
    pub(crate) fn of(key: &str, message: impl Into<String>) -> Self {
        Self { line: None, column: None, key: key.to_owned(), message: message.into(), hint: None }
    }

    /// Says where in `text` it stands.
    pub(crate) fn at(mut self, text: &str, span: Option<Range<usize>>) -> Self {
        if let Some(span) = span {
            let (line, column) = line_and_column(text, span.start);
            (self.line, self.column) = (Some(line), Some(column));
        }
        self
    }

    /// Says what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    /// `line 4, column 8: ports[1]: …`, with what is not known left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// A project file that cannot be used. All problems are listed, not only the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
#[non_exhaustive]
pub struct ProjectError {
    /// What is wrong, in the order of the text.
    pub problems: Vec<Problem>,
}

impl Hinted for ProjectError {
    fn hint(&self) -> Option<Hint> {
        self.hints().into_iter().next()
    }

    fn hints(&self) -> Vec<Hint> {
        self.problems.iter().filter_map(|problem| problem.hint.clone()).map(Hint::from).collect()
    }
}

/// The place of a byte, both from 1; columns count characters.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

/// The name that was probably meant, when one is at most two letters away and not a wholly different word.
pub(crate) fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let best = names.iter().map(|name| (distance(word, name), *name)).min()?;
    (best.0 <= 2 && best.0 * 2 <= best.1.chars().count()).then_some(best.1)
}

/// Levenshtein distance in characters; `-` and `_` count as the same.
fn distance(a: &str, b: &str) -> usize {
    let fold = |c: char| if c == '-' { '_' } else { c.to_ascii_lowercase() };
    let b: Vec<char> = b.chars().map(fold).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().map(fold).enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["image", "memory", "vcpu", "public_logs"];
        assert_eq!(nearest("imgae", &names), Some("image"));
        assert_eq!(nearest("public-logs", &names), Some("public_logs"));
        assert_eq!(nearest("MEMORY", &names), Some("memory"));
        assert_eq!(nearest("kernel", &names), None);
        assert_eq!(nearest("cpu", &["no", "vcpu"]), Some("vcpu"));
        assert_eq!(nearest("x", &["no"]), None);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_and_column("añb\nc", 3), (1, 3));
        assert_eq!(line_and_column("añb\nc", 5), (2, 1));
        assert_eq!(line_and_column("", 0), (1, 1));
    }
}
