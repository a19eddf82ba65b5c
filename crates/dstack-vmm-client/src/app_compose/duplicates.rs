//! Names that an object has twice. The server refuses them where it knows the name and ignores them elsewhere; readers in
//! other languages take the last, so two tools can see two different documents.

use std::collections::HashMap;

use super::schema::join;
use super::syntax::{Kind, Node};

/// A name for the second time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Duplicate {
    /// Path of the member, such as `port_policy.ports[0].port`.
    pub(super) path: String,
    /// Where the name stands first, in bytes.
    pub(super) first: usize,
    /// Where it stands again.
    pub(super) second: usize,
}

/// Every name for the second, third ... time, in the order of the text, at every level.
pub(super) fn duplicates(node: &Node) -> Vec<Duplicate> {
    let mut found = Vec::new();
    collect(node, "", &mut found);
    found.sort_by_key(|duplicate| duplicate.second);
    found
}

fn collect(node: &Node, path: &str, found: &mut Vec<Duplicate>) {
    match &node.kind {
        Kind::Array(elements) => {
            for (n, element) in elements.iter().enumerate() {
                if matches!(element.kind, Kind::Array(_) | Kind::Object(_)) {
                    collect(element, &format!("{path}[{n}]"), found);
                }
            }
        }
        Kind::Object(members) => {
            let mut seen: HashMap<&str, usize> = HashMap::with_capacity(members.len());
            for member in members {
                let (key, at) = (member.key.as_str(), member.key_span.start);
                let here = join(path, key);
                if let Some(&first) = seen.get(key) {
                    found.push(Duplicate { path: here.clone(), first, second: at });
                } else {
                    seen.insert(key, at);
                }
                collect(&member.value, &here, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::syntax;
    use super::*;

    #[test]
    fn duplicates_at_every_level_and_under_every_spelling() {
        let text = r#"{"a": 1, "b": [{"c": 1, "d": 2, "c": 3}], "\u0061": 2, "a": {"e": 1, "e": 2}}"#;
        let root = syntax::parse(text).unwrap();
        let found: Vec<(String, usize, usize)> =
            duplicates(&root).into_iter().map(|d| (d.path, d.first, d.second)).collect();
        let at = |needle: &str| text.find(needle).unwrap();
        assert_eq!(
            found,
            [
                ("b[0].c".to_owned(), at("\"c\": 1"), at("\"c\": 3")),
                ("a".to_owned(), at("\"a\": 1"), at("\"\\u0061\"")),
                ("a".to_owned(), at("\"a\": 1"), at("\"a\": {")),
                ("a.e".to_owned(), at("\"e\": 1"), at("\"e\": 2")),
            ]
        );
        assert!(duplicates(&syntax::parse("[1, {}, {\"a\": 1}]").unwrap()).is_empty());
    }
}
