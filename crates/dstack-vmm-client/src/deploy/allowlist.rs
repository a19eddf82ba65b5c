//! The allow-list file of upstream's auth-simple and dstack-auth, as a document.
//!
//! `{"apps": {"<app id>": {"composeHashes": [...], "devices": [...], "allowAnyDevice": bool}}, ...}`. Both read the file anew for each
//! question and compare hex without regard to case and to `0x`. Everything that is not asked to change stays: fields
//! nobody here knows, the order, the indentation.

use serde_json::{Map, Value, json};

use crate::app_compose::ComposeHash;
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
#[derive(Clone, Debug, PartialEq)]
pub struct Allowlist {
    root: Map<String, Value>,
    indent: String,
    ends_with_newline: bool,
}

impl Default for Allowlist {
    /// An allow-list that allows nothing.
    fn default() -> Self {
        Self { root: Map::new(), indent: "  ".to_owned(), ends_with_newline: true }
    }
}

impl Allowlist {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it is no JSON, or `apps` is not what both servers read.
    pub fn parse(text: &str) -> Result<Self, AllowlistError> {
        let root: Value = serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text))?;
        let Value::Object(root) = root else { return Err(shape("the whole", "an object")) };
        if let Some(apps) = root.get("apps") {
            let apps = apps.as_object().ok_or_else(|| shape("apps", "an object"))?;
            for (id, app) in apps {
                let path = format!("apps.{id}");
                let app = app.as_object().ok_or_else(|| shape(&path, "an object"))?;
                if let Some(hashes) = app.get("composeHashes") {
                    let path = format!("{path}.composeHashes");
                    let hashes = hashes.as_array().ok_or_else(|| shape(&path, "a list"))?;
                    if !hashes.iter().all(Value::is_string) {
                        return Err(shape(&path, "a list of strings"));
                    }
                }
            }
        }
        let indented = text.lines().skip(1).find(|line| !line.trim().is_empty());
        let indent = indented.map_or("", |line| &line[..line.len() - line.trim_start().len()]).to_owned();
        Ok(Self { root, indent, ends_with_newline: text.ends_with('\n') })
    }

    /// The text, indented as the one that was read.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::new();
        // A map of JSON values always has a JSON form, and a Vec takes every byte.
        if self.indent.is_empty() {
            bytes = serde_json::to_vec(&self.root).unwrap_or_default();
        } else {
            let layout = serde_json::ser::PrettyFormatter::with_indent(self.indent.as_bytes());
            let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, layout);
            let _ = serde::Serialize::serialize(&self.root, &mut serializer);
        }
        let mut text = String::from_utf8(bytes).unwrap_or_default();
        if self.ends_with_newline {
            text.push('\n');
        }
        text
    }

    /// Whether the hash is in the app's list. The servers ask more: image, device, and for auth-simple the state of the TCB.
    pub fn is_allowed(&self, app_id: &AppId, hash: &ComposeHash) -> bool {
        self.app_key(app_id).is_some_and(|key| self.hashes(&key).iter().any(|text| is_hash(text, hash)))
    }

    /// The hashes of an app that can be read as such.
    pub fn hashes_of(&self, app_id: &AppId) -> Vec<ComposeHash> {
        let Some(key) = self.app_key(app_id) else { return Vec::new() };
        self.hashes(&key).iter().filter_map(|text| text.parse().ok()).collect()
    }

    /// Puts the hash into the app's list. Returns whether it was not there yet. A new app may run on any device.
    pub fn allow(&mut self, app_id: &AppId, hash: &ComposeHash) -> bool {
        if self.is_allowed(app_id, hash) {
            return false;
        }
        let key = self.app_key(app_id).unwrap_or_else(|| match self.apps().keys().next() {
            Some(style) if style.starts_with("0x") => format!("0x{app_id}"),
            _ => app_id.to_string(),
        });
        let apps = self.root.entry("apps").or_insert_with(|| json!({}));
        let Some(apps) = apps.as_object_mut() else { return false };
        let app = apps.entry(key).or_insert_with(new_app);
        let Some(app) = app.as_object_mut() else { return false };
        let hashes = app.entry("composeHashes").or_insert_with(|| json!([]));
        let Some(hashes) = hashes.as_array_mut() else { return false };
        let prefixed = hashes.iter().filter_map(Value::as_str).any(|text| text.starts_with("0x"));
        hashes.push(Value::from(if prefixed { format!("0x{hash}") } else { hash.to_string() }));
        true
    }

    /// Takes the hash out of the app's list. Returns whether it was there. An app that has nothing left but what
    /// [`allow`](Self::allow) gave it is taken out, too.
    pub fn revoke(&mut self, app_id: &AppId, hash: &ComposeHash) -> bool {
        let Some(key) = self.app_key(app_id) else { return false };
        let Some(apps) = self.root.get_mut("apps").and_then(Value::as_object_mut) else { return false };
        let Some(hashes) =
            apps.get_mut(&key).and_then(|app| app.get_mut("composeHashes")).and_then(Value::as_array_mut)
        else {
            return false;
        };
        let before = hashes.len();
        hashes.retain(|text| !text.as_str().is_some_and(|text| is_hash(text, hash)));
        let removed = hashes.len() < before;
        if removed && apps.get(&key) == Some(&new_app()) {
            // In order: what follows must not move up into its place.
            *apps = std::mem::take(apps).into_iter().filter(|(id, _)| *id != key).collect();
        }
        removed
    }

    fn apps(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.root.get("apps").and_then(Value::as_object).unwrap_or(&NONE)
    }

    /// The key of the app as it is written in the file.
    fn app_key(&self, app_id: &AppId) -> Option<String> {
        self.apps().keys().find(|key| key.parse() == Ok(*app_id)).cloned()
    }

    fn hashes(&self, key: &str) -> Vec<&str> {
        let hashes = self.apps().get(key).and_then(|app| app.get("composeHashes")).and_then(Value::as_array);
        hashes.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

fn new_app() -> Value {
    json!({ "composeHashes": [], "devices": [], "allowAnyDevice": true })
}

fn is_hash(text: &str, hash: &ComposeHash) -> bool {
    text.parse() == Ok(*hash)
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
        let compact = Allowlist::parse("{\"apps\":{}}").unwrap();
        assert_eq!(compact.to_text(), "{\"apps\":{}}");
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
