//! What a code, a name or a message means: the error tables and the checks, searched.
//!
//! ```
//! let found = dstack_hw::explain::explain("0xe011");
//! assert_eq!(found[0].name, "SGX_QL_NO_PLATFORM_CERT_DATA");
//!
//! let line = "virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000";
//! assert_eq!(dstack_hw::explain::explain(line)[0].name, "TDX_SYS_NOT_READY");
//! ```

mod query;
mod words;

use serde::Serialize;

use crate::checks::{self, HwCheck};
use crate::knowledge::error_codes::{self, Certainty, Entry, Family};

use query::Query;

/// The longest query that is looked at, in bytes. The rest of a longer one is passed over.
pub const MAX_QUERY: usize = 4096;

/// The most explanations that are given.
pub const MAX_EXPLANATIONS: usize = 8;

/// What something means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Explanation {
    /// What kind of thing it is.
    pub kind: Kind,
    /// The symbolic name, or the id of the check.
    pub name: &'static str,
    /// The code as logs write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whose code or message it is; for a check the layer.
    pub origin: &'static str,
    /// What in the query led here.
    pub matched: Matched,
    /// What it says; for a check what it asks.
    pub meaning: &'static str,
    /// Where it usually comes from; for a check why it is asked. Empty where nothing is known.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub cause: &'static str,
    /// What to do. Empty where nothing is known to help.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub fix: &'static str,
    /// A note on the very code that was asked for, such as the operand of a status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How sure it is.
    pub certainty: Certainty,
    /// Does it follow from an error that was reported before it?
    pub follow_on: bool,
    /// The check that looks at the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<&'static str>,
    /// The page of that check, from the root of the documentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    #[serde(skip)]
    rank: u32,
}

/// What kind of thing is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A code with a number.
    Code,
    /// A message without one.
    Message,
    /// A check.
    Check,
}

/// What in a query led to an explanation, surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Matched {
    /// The query is the code.
    Code,
    /// The query is the name.
    Name,
    /// The code stands in the query.
    CodeInText,
    /// The name stands in the query.
    NameInText,
    /// The message stands in the query.
    Message,
    /// Words are the same.
    Words,
}

impl Matched {
    const fn rank(self) -> u32 {
        match self {
            Self::Code => 6000,
            Self::Name => 5500,
            Self::CodeInText => 5000,
            Self::NameInText => 4500,
            Self::Message => 4000,
            Self::Words => 1000,
        }
    }
}

/// Explains a code (hexadecimal in any case, with or without `0x`, decimal where it is written so), a symbolic name, the
/// id of a check, a line of a log, or some words of a message. Best first, [`MAX_EXPLANATIONS`] at most; the same query
/// always has the same answer. Empty where nothing fits: then [`suggestions`] may help.
pub fn explain(query: &str) -> Vec<Explanation> {
    let query = Query::of(query);
    let mut found: Vec<Explanation> = error_codes::entries()
        .filter_map(|entry| match_entry(&query, entry))
        .chain(checks::all().filter_map(|check| match_check(&query, check)))
        .collect();
    if found.is_empty() {
        found = words::search(&query);
    }
    found.sort_by(|a, b| {
        b.rank.cmp(&a.rank).then_with(|| (a.kind, a.origin, a.name).cmp(&(b.kind, b.origin, b.name)))
    });
    found.truncate(MAX_EXPLANATIONS);
    found
}

/// Names that look like the query, best first, five at most: for a query that [`explain`] has no answer to.
pub fn suggestions(query: &str) -> Vec<&'static str> {
    words::similar(&Query::of(query))
}

fn match_entry(query: &Query, entry: &'static Entry) -> Option<Explanation> {
    let (matched, code) = match_code(query, entry)
        .or_else(|| query.is(entry.name).then_some((Matched::Name, None)))
        .or_else(|| query.names(entry.name).then_some((Matched::NameInText, None)))
        .or_else(|| entry.is_in_lower(&query.lower).then_some((Matched::Message, None)))?;
    let mut explanation = of_entry(entry, matched);
    // Of several messages in a line the longer one says more.
    if matched == Matched::Message {
        explanation.rank += entry.fragments.iter().map(|fragment| fragment.len() as u32).sum::<u32>();
    }
    explanation.note = code.and_then(|code| note(entry, code));
    Some(explanation)
}

/// Is the entry's code the query, or does it stand in the query where it can only be meant as that code?
fn match_code(query: &Query, entry: &Entry) -> Option<(Matched, Option<u64>)> {
    entry.code?;
    let same = |value: u64| entry.has_code(value);
    if let Some(alone) = &query.alone {
        let values: &[u64] = if entry.family.is_decimal() { &alone.decimal } else { &alone.any };
        let negative = alone.negative == (entry.family == Family::KernelErrno);
        return values
            .iter()
            .copied()
            .find(|value| negative && same(*value))
            .map(|value| (Matched::Code, Some(value)));
    }
    let context = entry.family.context();
    if !context.is_empty() && !context.iter().any(|word| query.lower.contains(word)) {
        return None;
    }
    let values = if entry.family.is_decimal() { &query.decimal } else { &query.hex };
    let negative_only = entry.family == Family::KernelErrno;
    let found = values
        .iter()
        .find(|number| same(number.value) && (number.negative == negative_only))
        .map(|number| number.value)?;
    Some((Matched::CodeInText, Some(found)))
}

/// What the lower half of a status says.
fn note(entry: &Entry, code: u64) -> Option<String> {
    let operand = code & 0xffff_ffff;
    if entry.family != Family::Seamcall || operand == 0 {
        return None;
    }
    let name = match operand {
        0x00 => "RAX",
        0x01 => "RCX",
        0x02 => "RDX",
        0x08 => "R8",
        0x09 => "R9",
        0x92 => "the secure page table",
        _ => "",
    };
    Some(if name.is_empty() || entry.name == "TDX_SEAMCALL_VMFAILINVALID" {
        format!("the lower half {operand:#x} has details")
    } else {
        format!("the lower half {operand:#x} names the operand: {name}")
    })
}

fn of_entry(entry: &'static Entry, matched: Matched) -> Explanation {
    let check = (!entry.check.is_empty()).then_some(entry.check);
    // Names of functions and of what only follows are the least of what somebody wants to know.
    let less = u32::from(entry.follow_on) * 300 + u32::from(entry.family == Family::SeamcallLeaf) * 200;
    Explanation {
        kind: if entry.code.is_some() { Kind::Code } else { Kind::Message },
        name: entry.name,
        code: entry.written(),
        origin: entry.family.title(),
        matched,
        meaning: entry.meaning,
        cause: entry.cause,
        fix: entry.fix,
        note: None,
        certainty: entry.certainty,
        follow_on: entry.follow_on,
        check,
        page: check.map(page),
        rank: matched.rank() - less,
    }
}

fn match_check(query: &Query, check: &'static HwCheck) -> Option<Explanation> {
    let matched = if query.is(check.def.id) {
        Matched::Name
    } else if query.names(check.def.id) {
        Matched::NameInText
    } else {
        return None;
    };
    Some(of_check(check, matched))
}

fn of_check(check: &'static HwCheck, matched: Matched) -> Explanation {
    Explanation {
        kind: Kind::Check,
        name: check.def.id,
        code: None,
        origin: check.def.layer,
        matched,
        meaning: check.def.title,
        cause: check.def.why,
        fix: "",
        note: (!check.def.needs.is_empty()).then(|| format!("needs {}", check.def.needs)),
        certainty: Certainty::Certain,
        follow_on: false,
        check: Some(check.def.id),
        page: Some(page(check.def.id)),
        rank: matched.rank(),
    }
}

fn page(id: &str) -> String {
    format!("docs/checks/{id}.md")
}

#[cfg(test)]
mod tests;
