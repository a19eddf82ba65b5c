//! What the findings of a report come to, said about one question that a reader has.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::CheckId;

/// The answer to one question of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// The findings show it.
    Shown,
    /// The findings show it, and something about it wants attention.
    WithReserve,
    /// The findings do not tell.
    NotShown,
    /// The findings speak against it.
    Refuted,
}

impl Answer {
    /// The answer in lower-case words: `shown`, `with reserve`, `not shown` or `refuted`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::WithReserve => "with reserve",
            Self::NotShown => "not shown",
            Self::Refuted => "refuted",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What a report's findings come to on one question, such as which code runs.
///
/// A conclusion says nothing that the findings do not say: it names those it rests on, what was taken on trust on the
/// way, and what is missing for a better answer. It has no part in the verdict.
///
/// ```
/// use dstack_check::{Answer, Conclusion};
///
/// let code = Conclusion::new("code", Answer::Shown, "the app runs the app-compose that was expected")
///     .rests_on(["quote.signature", "app.compose.deployed"])
///     .trusting("the expected compose hash, which the caller gave");
/// assert_eq!(code.rests_on.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "What a report's findings come to on one question, such as which code runs.")
)]
#[non_exhaustive]
pub struct Conclusion {
    /// What is asked, in a word or two: `hardware`, `code`, `freshness`.
    pub question: Cow<'static, str>,
    /// The answer.
    pub answer: Answer,
    /// The answer in one sentence, without a full stop.
    pub statement: String,
    /// The checks the answer rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<CheckId>,
    /// What was taken on trust: where a value came from that nothing in the report proves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusting: Vec<String>,
    /// What is missing for a better answer, and how it is got.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

impl Conclusion {
    /// A conclusion that rests on nothing yet.
    pub fn new(question: impl Into<Cow<'static, str>>, answer: Answer, statement: impl Into<String>) -> Self {
        Self {
            question: question.into(),
            answer,
            statement: statement.into(),
            rests_on: Vec::new(),
            trusting: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Names checks the answer rests on.
    #[must_use]
    pub fn rests_on<I: Into<CheckId>>(mut self, checks: impl IntoIterator<Item = I>) -> Self {
        self.rests_on.extend(checks.into_iter().map(Into::into));
        self
    }

    /// Names something that was taken on trust.
    #[must_use]
    pub fn trusting(mut self, what: impl Into<String>) -> Self {
        self.trusting.push(what.into());
        self
    }

    /// Names something that is missing for a better answer.
    #[must_use]
    pub fn missing(mut self, what: impl Into<String>) -> Self {
        self.missing.push(what.into());
        self
    }
}
