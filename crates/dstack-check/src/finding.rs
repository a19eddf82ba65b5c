//! What one check found.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Fix;
use crate::text::bounded;

/// The longest excerpt a finding carries, in bytes. [`Finding::evidence`] cuts what is longer and says so in the text.
pub const MAX_EXCERPT: usize = 4096;

/// The stable dotted name of a check, such as `vmm.config.api-auth`.
///
/// Segments are lower-case ASCII letters, digits and hyphens; there are at least two. The name is public API: pages,
/// waivers and dashboards refer to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct CheckId(Cow<'static, str>);

impl CheckId {
    /// The id with the given text. [`CheckId::is_well_formed`] tells whether the text follows the grammar.
    pub const fn from_static(id: &'static str) -> Self {
        Self(Cow::Borrowed(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text is two or more dot-separated segments of lower-case letters, digits and hyphens.
    pub fn is_well_formed(&self) -> bool {
        let mut segments = 0;
        for segment in self.0.split('.') {
            segments += 1;
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if segment.is_empty() || !segment.bytes().all(plain) {
                return false;
            }
        }
        segments >= 2
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&'static str> for CheckId {
    fn from(id: &'static str) -> Self {
        Self::from_static(id)
    }
}

impl From<String> for CheckId {
    fn from(id: String) -> Self {
        Self(Cow::Owned(id))
    }
}

/// How a check ended. Unreadable is [`Status::Unknown`], never a pass and never a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "status")]
pub enum Status {
    /// What was expected was seen.
    Pass,
    /// It works, but something about it should change.
    Warn,
    /// What was expected was not there.
    Fail,
    /// It could not be told.
    Unknown {
        /// Why it could not be told, such as `permission denied reading /dev/cpu/0/msr`.
        why: String,
    },
    /// It was not tried, because something it stands on did not pass.
    Skipped {
        /// What stood in the way; for a failed parent, the parent's id.
        because: String,
    },
    /// The question does not arise here.
    NotApplicable,
}

impl Status {
    /// The status as one lower-case word: `pass`, `warn`, `fail`, `unknown`, `skipped` or `not-applicable`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown { .. } => "unknown",
            Self::Skipped { .. } => "skipped",
            Self::NotApplicable => "not-applicable",
        }
    }

    /// Whether a check that stands on one with this status is skipped: after a failure, and where nothing is known.
    pub const fn blocks_children(&self) -> bool {
        matches!(self, Self::Fail | Self::Unknown { .. } | Self::Skipped { .. })
    }

    /// How much attention the status wants, from 5 down to 0: fail, unknown, skipped, warn, pass, not-applicable.
    pub const fn severity(&self) -> u8 {
        match self {
            Self::Fail => 5,
            Self::Unknown { .. } => 4,
            Self::Skipped { .. } => 3,
            Self::Warn => 2,
            Self::Pass => 1,
            Self::NotApplicable => 0,
        }
    }
}

/// Something that was looked at to reach a finding: where it came from and the part that matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Evidence {
    /// Where it was read: a file with line and column, an RPC method, a register.
    pub source: String,
    /// The part of it that matters. Never a secret.
    pub excerpt: String,
}

/// What one check found: the answer, what it rests on, and what to do.
///
/// ```
/// use dstack_check::{Finding, Fix, Status};
///
/// let finding = Finding::fail("vmm.config.api-auth", "the VMM's API asks for a token")
///     .expected("[auth] enabled = true, because the address is reachable from other machines")
///     .observed("address = \"tcp:0.0.0.0:9080\", enabled = false")
///     .evidence("vmm.toml:4:1", "address = \"tcp:0.0.0.0:9080\"")
///     .fix(Fix::new("switch authentication on and set a token"));
/// assert_eq!(finding.status, Status::Fail);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "What one check found: the answer, what it rests on, and what to do.")
)]
#[non_exhaustive]
pub struct Finding {
    /// Which check this is.
    pub id: CheckId,
    /// What is true when the check passes, as a short statement: `the VMM answers`.
    pub title: Cow<'static, str>,
    /// The part of the system the check is about, such as `firmware` or `dns`; reports group by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Cow<'static, str>>,
    /// The checks this one stands on. A report built from a catalogue fills them in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<CheckId>,
    /// How it ended.
    #[serde(flatten)]
    pub status: Status,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// What should have been seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What the answer rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// What to do, where something should be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// What a pass of this check proves, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proves: Option<Cow<'static, str>>,
    /// What a pass of this check does not prove although a reader might think so, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_open: Option<Cow<'static, str>>,
    /// What the answer takes on trust: where a value came from that nothing proves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusting: Vec<String>,
}

impl Finding {
    /// A finding with the given status.
    pub fn new(id: impl Into<CheckId>, title: impl Into<Cow<'static, str>>, status: Status) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            layer: None,
            parents: Vec::new(),
            status,
            observed: None,
            expected: None,
            evidence: Vec::new(),
            fix: None,
            proves: None,
            leaves_open: None,
            trusting: Vec::new(),
        }
    }

    /// What was expected was seen.
    pub fn pass(id: impl Into<CheckId>, title: impl Into<Cow<'static, str>>) -> Self {
        Self::new(id, title, Status::Pass)
    }

    /// It works, but something about it should change.
    pub fn warn(id: impl Into<CheckId>, title: impl Into<Cow<'static, str>>) -> Self {
        Self::new(id, title, Status::Warn)
    }

    /// What was expected was not there.
    pub fn fail(id: impl Into<CheckId>, title: impl Into<Cow<'static, str>>) -> Self {
        Self::new(id, title, Status::Fail)
    }

    /// It could not be told, and why.
    pub fn unknown(
        id: impl Into<CheckId>,
        title: impl Into<Cow<'static, str>>,
        why: impl Into<String>,
    ) -> Self {
        Self::new(id, title, Status::Unknown { why: why.into() })
    }

    /// It was not tried, and what stood in the way.
    pub fn skipped(
        id: impl Into<CheckId>,
        title: impl Into<Cow<'static, str>>,
        because: impl Into<String>,
    ) -> Self {
        Self::new(id, title, Status::Skipped { because: because.into() })
    }

    /// The question does not arise here.
    pub fn not_applicable(id: impl Into<CheckId>, title: impl Into<Cow<'static, str>>) -> Self {
        Self::new(id, title, Status::NotApplicable)
    }

    /// Says what was seen.
    #[must_use]
    pub fn observed(mut self, observed: impl Into<String>) -> Self {
        self.observed = Some(observed.into());
        self
    }

    /// Says what should have been seen.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Adds something the answer rests on. Never pass a secret.
    ///
    /// An excerpt longer than [`MAX_EXCERPT`] bytes is cut at a character boundary and ends with a mark that gives its
    /// full length. Control characters are kept as they are here; the renderers for people neutralise them.
    #[must_use]
    pub fn evidence(mut self, source: impl Into<String>, excerpt: impl Into<String>) -> Self {
        let excerpt = bounded(excerpt.into(), MAX_EXCERPT);
        self.evidence.push(Evidence { source: source.into(), excerpt });
        self
    }

    /// Names the part of the system the check is about.
    #[must_use]
    pub fn layer(mut self, layer: impl Into<Cow<'static, str>>) -> Self {
        self.layer = Some(layer.into());
        self
    }

    /// Adds a check this one stands on.
    #[must_use]
    pub fn parent(mut self, parent: impl Into<CheckId>) -> Self {
        self.parents.push(parent.into());
        self
    }

    /// Names something that the answer takes on trust, such as who gave an expected value.
    #[must_use]
    pub fn trusting(mut self, what: impl Into<String>) -> Self {
        self.trusting.push(what.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }
}
