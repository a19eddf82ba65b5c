//! The allow-list file of upstream's auth-simple and dstack-auth, as a document.
//!
//! `{"apps": {"<app id>": {"composeHashes": [...], "devices": [...], "allowAnyDevice": bool}}, ...}`. Both read the file anew for
//! each question and compare hex without regard to case and to `0x`. Edits are made in the text itself: what is not asked to
//! change stays byte for byte, fields nobody here knows included.

use std::ops::Range;

use crate::app_compose::ComposeHash;
use crate::app_compose::syntax::{self, Kind, Member, Node};
use crate::ids::AppId;

/// Why a text is no allow-list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AllowlistError {
    /// The text is no JSON.
    #[error("it is no JSON")]
    Json(#[from] serde_json::Error),
    /// A value is of another kind than both servers want.
    #[error("{path} is not {expected}")]
    Shape {
        /// Where it stands.
        path: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// An allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowlist {
    text: String,
    root: Node,
    /// White space of one level; empty for a text on one line.
    unit: String,
}

impl Default for Allowlist {
    /// An allow-list that allows nothing.
    fn default() -> Self {
        let root = Node { span: 0..2, kind: Kind::Object(Vec::new()) };
        Self { text: "{}\n".to_owned(), root, unit: "  ".to_owned() }
    }
}

impl Allowlist {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it is no JSON, or `apps` is not what both servers read.
    pub fn parse(text: &str) -> Result<Self, AllowlistError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // The strict reader has the better words for what is wrong.
        serde_json::from_str::<serde::de::IgnoredAny>(text)?;
        let root = syntax::parse(text).ok_or_else(|| shape("the whole", "JSON"))?;
        if !matches!(root.kind, Kind::Object(_)) {
            return Err(shape("the whole", "an object"));
        }
        if let Some(apps) = root.get("apps") {
            check_apps(apps)?;
        }
        let indented =
            text.lines().skip(1).find(|line| !line.trim().is_empty() && line.starts_with([' ', '\t']));
        let unit = match indented {
            Some(line) => line[..line.len() - line.trim_start().len()].to_owned(),
            // Nothing shows how the owner would have it.
            None if root.members().is_empty() => "  ".to_owned(),
            None => String::new(),
        };
        Ok(Self { text: text.to_owned(), root, unit })
    }

    /// The text.
    pub fn to_text(&self) -> String {
        self.text.clone()
    }

    /// Whether the hash is in the app's list. The servers ask more: image, device, and for auth-simple the state of the TCB.
    pub fn is_allowed(&self, app_id: &AppId, hash: &ComposeHash) -> bool {
        self.apps_of(app_id).any(|app| hashes(&app.value).any(|node| is_hash(node, hash)))
    }

    /// The hashes of an app that can be read as such.
    pub fn hashes_of(&self, app_id: &AppId) -> Vec<ComposeHash> {
        let texts = self.apps_of(app_id).flat_map(|app| hashes(&app.value)).filter_map(Node::as_str);
        texts.filter_map(|text| text.parse().ok()).collect()
    }

    /// Puts the hash into the app's list. Returns whether it was not there yet. A new app may run on any device.
    pub fn allow(&mut self, app_id: &AppId, hash: &ComposeHash) -> bool {
        if self.is_allowed(app_id, hash) {
            return false;
        }
        let (at, inserted) = match self.apps_of(app_id).next() {
            Some(app) => match app.value.get("composeHashes") {
                Some(list) => {
                    let prefixed =
                        list.elements().iter().filter_map(Node::as_str).any(|text| text.starts_with("0x"));
                    let item = if prefixed { format!("\"0x{hash}\"") } else { format!("\"{hash}\"") };
                    let spans = list.elements().iter().map(|element| element.span.clone());
                    self.insertion(&list.span, spans, |_| item)
                }
                None => self.member(&app.value, "composeHashes", |unit, indent| list_of(hash, unit, indent)),
            },
            None => {
                let style = self.root.get("apps").and_then(|apps| apps.members().first());
                let prefix = if style.is_some_and(|first| first.key.starts_with("0x")) { "0x" } else { "" };
                let key = format!("{prefix}{app_id}");
                match self.root.get("apps") {
                    Some(apps) => self.member(apps, &key, |unit, indent| new_app(hash, unit, indent)),
                    None => self.member(&self.root, "apps", |unit, indent| {
                        let inner = format!("{indent}{unit}");
                        object(&[(key.as_str(), new_app(hash, unit, &inner))], unit, indent)
                    }),
                }
            }
        };
        self.replace(at, &inserted)
    }

    /// Takes the hash out of the app's list. Returns whether it was there. An app that has nothing left but what
    /// [`allow`](Self::allow) gave it is taken out, too.
    pub fn revoke(&mut self, app_id: &AppId, hash: &ComposeHash) -> bool {
        let mut removed = false;
        while let Some((list, at)) = self.find(app_id, hash) {
            let spans: Vec<Range<usize>> =
                list.elements().iter().map(|element| element.span.clone()).collect();
            let cut = removal(&list.span, &spans, at);
            if !self.replace(cut, "") {
                break;
            }
            removed = true;
        }
        if removed {
            self.drop_bare(app_id);
        }
        removed
    }

    /// Takes out entries of the app that have nothing left.
    fn drop_bare(&mut self, app_id: &AppId) {
        while let Some(apps) = self.root.get("apps") {
            let is_bare = |app: &Member| app.key.parse() == Ok(*app_id) && is_new(&app.value, &self.text);
            let Some(at) = apps.members().iter().position(is_bare) else { return };
            let spans: Vec<Range<usize>> =
                apps.members().iter().map(|member| member.key_span.start..member.value.span.end).collect();
            let cut = removal(&apps.span, &spans, at);
            if !self.replace(cut, "") {
                return;
            }
        }
    }

    /// The app's entries: the same id may be written with `0x` and without.
    fn apps_of(&self, app_id: &AppId) -> impl Iterator<Item = &Member> {
        let app_id = *app_id;
        let apps = self.root.get("apps").map(Node::members).unwrap_or_default();
        apps.iter().filter(move |member| member.key.parse() == Ok(app_id))
    }

    fn find(&self, app_id: &AppId, hash: &ComposeHash) -> Option<(&Node, usize)> {
        self.apps_of(app_id).find_map(|app| {
            let list = app.value.get("composeHashes")?;
            Some((list, list.elements().iter().position(|node| is_hash(node, hash))?))
        })
    }

    /// A new member behind those of an object. `value` is given the unit and the indentation of its line.
    fn member(
        &self,
        object: &Node,
        key: &str,
        value: impl FnOnce(&str, &str) -> String,
    ) -> (Range<usize>, String) {
        let colon = if self.unit.is_empty() { ":" } else { ": " };
        let spans = object.members().iter().map(|member| member.key_span.start..member.value.span.end);
        self.insertion(&object.span, spans, |indent| format!("\"{key}\"{colon}{}", value(&self.unit, indent)))
    }

    /// A new item behind those of a list or an object, spaced as they are. `item` is given the indentation of its line.
    fn insertion(
        &self,
        container: &Range<usize>,
        items: impl Iterator<Item = Range<usize>>,
        item: impl FnOnce(&str) -> String,
    ) -> (Range<usize>, String) {
        let items: Vec<Range<usize>> = items.collect();
        if let (Some(first), Some(last)) = (items.first(), items.last()) {
            let space = &self.text[container.start + 1..first.start];
            let indent = space.rsplit_once('\n').map_or("", |(_, indent)| indent).to_owned();
            let space = match items.get(1) {
                // On one line only the second item shows what stands behind a comma.
                Some(second) if !space.contains('\n') => {
                    let between = &self.text[first.end..second.start];
                    between.split_once(',').map_or("", |(_, after)| after)
                }
                None if !space.contains('\n') && !self.unit.is_empty() => " ",
                _ => space,
            };
            return (last.end..last.end, format!(",{space}{}", item(&indent)));
        }
        let inside = container.start + 1..container.end - 1;
        if self.unit.is_empty() {
            return (inside, item(""));
        }
        let outer = self.indent_at(container.start);
        let indent = format!("{outer}{}", self.unit);
        (inside, format!("\n{indent}{}\n{outer}", item(&indent)))
    }

    /// The white space that the line begins with in which this byte stands.
    fn indent_at(&self, at: usize) -> String {
        let line = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &self.text[line..at];
        rest[..rest.len() - rest.trim_start().len()].to_owned()
    }

    /// Changes the text, if it is an allow-list still.
    fn replace(&mut self, at: Range<usize>, with: &str) -> bool {
        let mut text = self.text.clone();
        text.replace_range(at, with);
        let Some(root) = syntax::parse(&text) else { return false };
        (self.text, self.root) = (text, root);
        true
    }
}

fn check_apps(apps: &Node) -> Result<(), AllowlistError> {
    if !matches!(apps.kind, Kind::Object(_)) {
        return Err(shape("apps", "an object"));
    }
    for app in apps.members() {
        let path = format!("apps.{}", app.key);
        if !matches!(app.value.kind, Kind::Object(_)) {
            return Err(shape(&path, "an object"));
        }
        let Some(list) = app.value.get("composeHashes") else { continue };
        let of_strings =
            matches!(list.kind, Kind::Array(_)) && list.elements().iter().all(|one| one.as_str().is_some());
        if !of_strings {
            return Err(shape(&format!("{path}.composeHashes"), "a list of strings"));
        }
    }
    Ok(())
}

/// What to cut out for one item: with the comma and the white space that belong to it.
fn removal(container: &Range<usize>, items: &[Range<usize>], at: usize) -> Range<usize> {
    match (at.checked_sub(1).and_then(|before| items.get(before)), items.get(at + 1)) {
        (_, Some(next)) => items[at].start..next.start,
        (Some(before), None) => before.end..items[at].end,
        (None, None) => container.start + 1..container.end - 1,
    }
}

fn hashes(app: &Node) -> impl Iterator<Item = &Node> {
    app.get("composeHashes").map(Node::elements).unwrap_or_default().iter()
}

fn is_hash(node: &Node, hash: &ComposeHash) -> bool {
    node.as_str().is_some_and(|text| text.parse() == Ok(*hash))
}

/// Whether an app has nothing that [`Allowlist::allow`] did not give it, and no hash any more.
fn is_new(app: &Node, text: &str) -> bool {
    let is = |name: &str, value: &str| app.get(name).is_some_and(|node| &text[node.span.clone()] == value);
    app.members().len() == 3
        && is("composeHashes", "[]")
        && is("devices", "[]")
        && is("allowAnyDevice", "true")
}

fn new_app(hash: &ComposeHash, unit: &str, indent: &str) -> String {
    let inner = format!("{indent}{unit}");
    let members = [
        ("composeHashes", list_of(hash, unit, &inner)),
        ("devices", "[]".into()),
        ("allowAnyDevice", "true".into()),
    ];
    object(&members, unit, indent)
}

fn list_of(hash: &ComposeHash, unit: &str, indent: &str) -> String {
    if unit.is_empty() { format!("[\"{hash}\"]") } else { format!("[\n{indent}{unit}\"{hash}\"\n{indent}]") }
}

fn object(members: &[(&str, String)], unit: &str, indent: &str) -> String {
    if unit.is_empty() {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        return format!("{{{}}}", members.join(","));
    }
    let members: Vec<String> =
        members.iter().map(|(key, value)| format!("{indent}{unit}\"{key}\": {value}")).collect();
    format!("{{\n{}\n{indent}}}", members.join(",\n"))
}

fn shape(path: &str, expected: &'static str) -> AllowlistError {
    AllowlistError::Shape { path: path.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = AppId::from_bytes([0xaa; 20]);

    fn hash(n: u8) -> ComposeHash {
        ComposeHash::from_bytes([n; 32])
    }

    #[test]
    fn what_is_added_and_taken_leaves_the_text_as_it_was() {
        let text = format!(
            "{{\n    \"osImages\": [],\n    \"x-unknown\": {{\n        \"kept\": 1\n    }},\n    \"apps\": {{\n        \"0x{}\": {{\n            \"composeHashes\": [\n                \"0x{}\"\n            ],\n            \"note\": \"mine\"\n        }}\n    }},\n    \"gatewayAppId\": \"\"\n}}\n",
            "BB".repeat(20),
            hash(1)
        );
        let mut list = Allowlist::parse(&text).unwrap();
        assert_eq!(list.to_text(), text);
        assert!(list.allow(&APP, &hash(2)) && !list.allow(&APP, &hash(2)));
        insta::assert_snapshot!(list.to_text());
        assert!(list.is_allowed(&APP, &hash(2)) && !list.is_allowed(&APP, &hash(1)));
        let other = AppId::from_bytes([0xbb; 20]);
        assert!(list.is_allowed(&other, &hash(1)));
        assert_eq!(list.hashes_of(&other), [hash(1)]);
        assert!(list.revoke(&APP, &hash(2)) && !list.revoke(&APP, &hash(2)));
        assert_eq!(list.to_text(), text);
        // What somebody wrote beside the hashes is not thrown away with the last of them.
        assert!(list.revoke(&other, &hash(1)));
        assert!(list.to_text().contains("mine"));
    }

    #[test]
    fn a_new_list() {
        let mut list = Allowlist::default();
        list.allow(&APP, &hash(1));
        list.allow(&APP, &hash(2));
        insta::assert_snapshot!(list.to_text());
    }

    #[test]
    fn texts_of_any_layout_come_back_as_they_were() {
        let app = APP.to_string();
        let texts = [
            "{\"apps\":{}}".to_owned(),
            "{\"osImages\": [\"a\"], \"apps\": {}}".to_owned(),
            "{}".to_owned(),
            "{\n\t\"apps\": {}\n}".to_owned(),
            "{\r\n  \"x\": 1\r\n}\r\n".to_owned(),
            format!(
                "{{\"apps\": {{\"{app}\": {{\"composeHashes\": [\"{}\",  \"{}\"], \"a\": 1}}}}}}",
                hash(7),
                hash(8)
            ),
            format!("{{\n  \"apps\": {{\n    \"{app}\": {{ \"composeHashes\": [], \"a\": 1 }}\n  }}\n}}\n"),
        ];
        let mut shown = String::new();
        for text in texts {
            let mut list = Allowlist::parse(&text).unwrap();
            assert_eq!(list.to_text(), text);
            let had_apps = text.contains("apps");
            assert!(list.allow(&APP, &hash(1)) && list.allow(&APP, &hash(2)));
            shown.push_str(&format!("{}\n---\n", list.to_text()));
            serde_json::from_str::<serde_json::Value>(&list.to_text()).unwrap();
            assert!(list.is_allowed(&APP, &hash(1)) && list.is_allowed(&APP, &hash(2)));
            assert!(list.revoke(&APP, &hash(1)) && list.revoke(&APP, &hash(2)));
            if had_apps {
                assert_eq!(list.to_text(), text);
            }
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn an_app_under_both_spellings_is_revoked_under_both() {
        let entry = |prefix: &str| format!("\"{prefix}{APP}\":{{\"composeHashes\":[\"{}\"]}}", hash(1));
        let mut list = Allowlist::parse(&format!("{{\"apps\":{{{},{}}}}}", entry(""), entry("0x"))).unwrap();
        assert!(list.revoke(&APP, &hash(1)));
        assert!(!list.is_allowed(&APP, &hash(1)));
    }

    #[test]
    fn what_is_no_list_is_named() {
        let texts = [
            "",
            "[]",
            r#"{"apps": []}"#,
            r#"{"apps": {"a": 1}}"#,
            r#"{"apps": {"a": {"composeHashes": [1]}}}"#,
        ];
        let all = texts.map(|text| Allowlist::parse(text).unwrap_err().to_string());
        insta::assert_snapshot!(all.join("\n"));
    }
}
