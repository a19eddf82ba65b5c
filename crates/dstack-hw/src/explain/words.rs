//! Search by words, for what is neither a code nor a name nor a known message.

use std::collections::BTreeSet;

use super::query::Query;
use super::{Explanation, Matched, of_check, of_entry};
use crate::checks;
use crate::knowledge::error_codes;

/// Words that say nothing about what is meant.
const COMMON: &[&str] = &[
    "the", "and", "for", "not", "was", "has", "have", "with", "this", "that", "from", "are", "does", "did",
    "what", "why", "how", "when", "can", "cannot", "error", "failed", "fail", "host", "kernel", "intel",
    "code", "system",
];

/// The most words of a query that are looked at.
const MOST_WORDS: usize = 32;

/// Entries and checks that have most of the query's words.
pub(super) fn search(query: &Query) -> Vec<Explanation> {
    let wanted = words(&query.lower);
    if wanted.is_empty() {
        return Vec::new();
    }
    let entries = error_codes::entries().filter_map(|entry| {
        let strong = [&[entry.name], entry.fragments].concat().join(" ");
        let weak = [entry.meaning, entry.cause, entry.fix].join(" ");
        scored(&wanted, &strong, &weak, || of_entry(entry, Matched::Words))
    });
    let checks = checks::all().filter_map(|check| {
        let strong = [check.def.id, check.def.title].join(" ");
        scored(&wanted, &strong, check.def.why, || of_check(check, Matched::Words))
    });
    entries.chain(checks).collect()
}

/// The explanation with a rank by how many words it has. `None` for fewer than two thirds.
fn scored(
    wanted: &BTreeSet<String>,
    strong: &str,
    weak: &str,
    explanation: impl FnOnce() -> Explanation,
) -> Option<Explanation> {
    let (strong, weak) = (words(strong), words(weak));
    let mut hits = 0;
    let mut points = 0;
    for word in wanted {
        if strong.iter().any(|other| same(word, other)) {
            hits += 1;
            points += 3;
        } else if weak.iter().any(|other| same(word, other)) {
            hits += 1;
            points += 2;
        }
    }
    if hits * 3 < wanted.len() * 2 {
        return None;
    }
    let mut explanation = explanation();
    // Of two that have the same words the shorter one is more about them.
    let length = (strong.len() + weak.len()).min(99) as u32;
    explanation.rank += points * 100 / (wanted.len() as u32) * 10 + (99 - length);
    Some(explanation)
}

/// Are the words the same but for an ending?
fn same(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    short == long || (short.len() >= 4 && long.len() - short.len() <= 3 && long.starts_with(short))
}

/// The words of a text in lower case that say something.
fn words(text: &str) -> BTreeSet<String> {
    text.to_lowercase()
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| word.len() >= 3 && !COMMON.contains(word))
        .take(MOST_WORDS)
        .map(str::to_owned)
        .collect()
}

/// Names that are the nearest to the query, five at most.
pub(super) fn similar(query: &Query) -> Vec<&'static str> {
    const MOST: usize = 5;
    if query.lower.is_empty() || query.lower.len() > 128 {
        return Vec::new();
    }
    let names = error_codes::entries().map(|entry| entry.name).chain(checks::all().map(|check| check.def.id));
    let mut near: Vec<(usize, &'static str)> = names
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let part = query.lower.len() >= 4 && lower.contains(&query.lower);
            let distance = if part { 0 } else { distance(&query.lower, &lower) };
            (distance <= 2 + query.lower.len() / 5).then_some((distance, name))
        })
        .collect();
    near.sort_unstable();
    near.dedup_by_key(|(_, name)| *name);
    near.truncate(MOST);
    near.into_iter().map(|(_, name)| name).collect()
}

/// How many characters have to be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        // The row has one place more than `b`, so there is always a first one.
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in b.iter().enumerate() {
            // The row has one place more than `b`.
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn endings_do_not_matter() {
        assert!(same("register", "registered"));
        assert!(!same("reg", "register"));
        assert!(!same("epc", "epcx"));
    }
}
