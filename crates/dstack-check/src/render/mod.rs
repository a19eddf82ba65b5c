//! A report as text: for terminals, as Markdown, and as versioned JSON.
//!
//! Rendering is a pure function from a report to a `String`; nothing is printed. The two forms for people neutralise
//! control characters and bound what they show, the JSON form keeps the text as it was observed.

pub mod json;
pub mod markdown;
mod sgr;
mod style;
pub mod terminal;

pub use style::{Style, Symbols};

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::text::bounded;
use crate::{CheckSummary, Conclusion, Finding, HostStatus, MAX_EXCERPT, Status};

/// The longest observed, expected or reason text the forms for people show, in bytes.
const MAX_TEXT: usize = MAX_EXCERPT;

/// Text of a finding for people: bounded, with nothing that could change how the page around it is shown.
fn shown(text: &str) -> String {
    let text = bounded(text, MAX_TEXT);
    crate::text::neutralise(text.trim_end_matches(['\n', '\r'])).into_owned()
}

/// A command for people. One that is too long is left out as a whole: the beginning of a command is another command.
fn shown_command(command: &str) -> String {
    if command.len() > MAX_TEXT {
        return format!(
            "# a command of {} bytes, to be found in the JSON form of this report",
            command.len()
        );
    }
    shown(command)
}

/// What a skipped finding says: the parent and how it ended, and the beginning of the chain where that is another one.
fn reason(because: &str, root: Option<&Finding>) -> String {
    match root {
        None => because.to_owned(),
        Some(root) if root.id.as_str() == because => format!("{because} ({})", root.status.word()),
        Some(root) => format!("{because} (skipped), first of all {} ({})", root.id, root.status.word()),
    }
}

/// What stands before that which a check proves: only a pass has proved it.
const fn proves_label(status: &Status) -> &'static str {
    match status {
        Status::Pass => "proves",
        _ => "would prove",
    }
}

/// Remarks of the conclusions, told apart by how many they are about, so that each is read once.
struct Remarks<'a> {
    /// What most of the conclusions say, in the order in which it first comes.
    common: Vec<(&'static str, &'a str)>,
    /// What is one's own, conclusion by conclusion.
    own: Vec<Vec<(&'static str, &'a str)>>,
}

impl<'a> Remarks<'a> {
    fn of(conclusions: &'a [Conclusion]) -> Self {
        let all: Vec<Vec<(&'static str, &'a str)>> = conclusions
            .iter()
            .map(|conclusion| {
                let trusting = conclusion.trusting.iter().map(|text| ("on trust", text.as_str()));
                trusting.chain(conclusion.missing.iter().map(|text| ("missing", text.as_str()))).collect()
            })
            .collect();
        let mut uses: HashMap<(&str, &str), usize> = HashMap::new();
        for remark in all.iter().flatten() {
            *uses.entry(*remark).or_default() += 1;
        }
        let is_common = |remark: &(&'static str, &'a str)| {
            uses.get(remark).is_some_and(|count| *count > 1 && 2 * count > conclusions.len())
        };
        let mut common: Vec<(&'static str, &'a str)> = Vec::new();
        for remark in all.iter().flatten().filter(|remark| is_common(remark)) {
            if !common.contains(remark) {
                common.push(*remark);
            }
        }
        let own = all.iter().map(|own| own.iter().filter(|one| !is_common(one)).copied().collect()).collect();
        Self { common, own }
    }
}

/// The findings by layer, layers in the order of their first finding, findings in their own order.
fn by_layer(findings: &[Finding]) -> Vec<(&str, Vec<&Finding>)> {
    let mut layers: Vec<(&str, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        let layer = finding.layer.as_deref().unwrap_or("");
        match layers.iter_mut().find(|(name, _)| *name == layer) {
            Some((_, members)) => members.push(finding),
            None => layers.push((layer, vec![finding])),
        }
    }
    layers
}

/// The hosts of a check by the word of their status, the most severe word first, hosts in the order of the set.
fn by_word<'a>(row: &CheckSummary<'a>) -> Vec<(&'static str, Vec<&'a str>)> {
    let mut hosts: Vec<HostStatus<'a>> = row.hosts.clone();
    hosts.sort_by_key(|host| Reverse(host.status.severity()));
    let mut words: Vec<(&'static str, Vec<&str>)> = Vec::new();
    for host in hosts {
        match words.last_mut() {
            Some((word, subjects)) if *word == host.status.word() => subjects.push(host.subject),
            _ => words.push((host.status.word(), vec![host.subject])),
        }
    }
    words
}

/// As [`shown`], for one line.
fn shown_line(text: &str) -> String {
    crate::text::neutralise_line(bounded(text, MAX_TEXT).trim()).into_owned()
}
