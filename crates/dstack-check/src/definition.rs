//! One check as data: what it asks, what it stands on, what it needs.

use crate::{CheckId, Finding};

/// What a check is, before anything was looked at. Meant for `const` tables.
///
/// ```
/// use dstack_check::CheckDef;
///
/// const CHECKS: &[CheckDef] = &[
///     CheckDef::new("vmm.reach.socket", "the VMM's socket exists").layer("reach"),
///     CheckDef::new("vmm.reach.version", "the VMM says its version")
///         .layer("reach")
///         .parents(&["vmm.reach.socket"])
///         .needs("the right to open the socket")
///         .why("which calls and settings exist depends on the version"),
/// ];
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckDef {
    /// The stable dotted name, see [`CheckId`].
    pub id: &'static str,
    /// What is true when the check passes, as a short statement.
    pub title: &'static str,
    /// The part of the system the check is about. Empty for none.
    pub layer: &'static str,
    /// The ids of the checks this one stands on. It is skipped when one of them fails or cannot be told.
    pub parents: &'static [&'static str],
    /// What carrying the check out needs: a permission, a kernel module, a network. Empty for nothing.
    pub needs: &'static str,
    /// Why the answer matters, as one sentence without a full stop. Empty where the title says it.
    pub why: &'static str,
    /// What a pass proves, as one sentence without a full stop. Empty where the title says it.
    pub proves: &'static str,
    /// What a pass does not prove although a reader might think so, as one sentence without a full stop. Empty for
    /// nothing.
    pub leaves_open: &'static str,
}

impl CheckDef {
    /// A check with this id and title, in no layer, with no parents.
    pub const fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title, layer: "", parents: &[], needs: "", why: "", proves: "", leaves_open: "" }
    }

    /// Names the part of the system the check is about.
    #[must_use]
    pub const fn layer(mut self, layer: &'static str) -> Self {
        self.layer = layer;
        self
    }

    /// Names the checks this one stands on, replacing those named before.
    #[must_use]
    pub const fn parents(mut self, parents: &'static [&'static str]) -> Self {
        self.parents = parents;
        self
    }

    /// Says what carrying the check out needs.
    #[must_use]
    pub const fn needs(mut self, needs: &'static str) -> Self {
        self.needs = needs;
        self
    }

    /// Says why the answer matters.
    #[must_use]
    pub const fn why(mut self, why: &'static str) -> Self {
        self.why = why;
        self
    }

    /// Says what a pass proves.
    #[must_use]
    pub const fn proves(mut self, proves: &'static str) -> Self {
        self.proves = proves;
        self
    }

    /// Says what a pass does not prove although a reader might think so.
    #[must_use]
    pub const fn leaves_open(mut self, leaves_open: &'static str) -> Self {
        self.leaves_open = leaves_open;
        self
    }

    /// The id as the type findings carry.
    pub const fn check_id(&self) -> CheckId {
        CheckId::from_static(self.id)
    }

    /// A finding of this check that passed.
    pub fn pass(&self) -> Finding {
        self.about(Finding::pass(self.id, self.title))
    }

    /// A finding of this check with a warning.
    pub fn warn(&self) -> Finding {
        self.about(Finding::warn(self.id, self.title))
    }

    /// A finding of this check that failed.
    pub fn fail(&self) -> Finding {
        self.about(Finding::fail(self.id, self.title))
    }

    /// A finding of this check that could not be told, and why.
    pub fn unknown(&self, why: impl Into<String>) -> Finding {
        self.about(Finding::unknown(self.id, self.title, why))
    }

    /// A finding of this check that was not tried, and what stood in the way.
    pub fn skipped(&self, because: impl Into<String>) -> Finding {
        self.about(Finding::skipped(self.id, self.title, because))
    }

    /// A finding of this check that does not arise here.
    pub fn not_applicable(&self) -> Finding {
        self.about(Finding::not_applicable(self.id, self.title))
    }

    /// The finding with this check's layer, parents and meaning, where it has none of its own.
    pub(crate) fn about(&self, mut finding: Finding) -> Finding {
        if finding.layer.is_none() && !self.layer.is_empty() {
            finding.layer = Some(self.layer.into());
        }
        if finding.parents.is_empty() {
            finding.parents = self.parents.iter().copied().map(CheckId::from_static).collect();
        }
        let text = |text: &'static str| (!text.is_empty()).then_some(text.into());
        finding.proves = finding.proves.or_else(|| text(self.proves));
        finding.leaves_open = finding.leaves_open.or_else(|| text(self.leaves_open));
        finding
    }
}
