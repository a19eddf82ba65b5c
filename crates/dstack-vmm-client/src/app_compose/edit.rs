//! Changing a document without touching what is not changed.
//!
//! Updates of somebody else's document should show in a diff as what they are, and keep fields this crate knows nothing of.
//! So a change replaces the bytes of one value. Where that is not possible the error says so, and
//! [`AppComposeDocument::rewritten`] is the explicit other way.

use dstack_check::{Hint, Hinted};
use serde_json::Value;

use super::document::{AppComposeDocument, ComposeError};
use super::duplicates::duplicates;
use super::json::{Items, Json, Layout, Style};
use super::syntax::{Member, Node, Places};

/// Why a document was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The name is there twice, so it is not clear which value counts.
    #[error("{field} is there twice, in line {first_line} and in line {second_line}")]
    Duplicate {
        /// The name, or its path.
        field: String,
        /// Line of the first, from 1.
        first_line: usize,
        /// Line of the second, from 1.
        second_line: usize,
    },
    /// The changed document is one that dstack refuses.
    #[error(transparent)]
    Rejected(#[from] ComposeError),
}

impl Hinted for EditError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Duplicate { .. } => {
                Some(Hint::from("keep one of the two; readers disagree on which one counts"))
            }
            Self::Rejected(error) => error.hint(),
        }
    }
}

impl AppComposeDocument {
    /// The document with another value for a field at the top, or with the field added at the end.
    ///
    /// Every other byte stays. A new value is laid out like the rest of the document.
    ///
    /// ```
    /// use dstack_vmm_client::app_compose::AppComposeDocument;
    ///
    /// let old = AppComposeDocument::from_bytes(
    ///     br#"{ "manifest_version": 2, "name":"demo", "runner": "docker-compose", "allowed_envs": ["A"] }"#,
    /// )?;
    /// let new = old.set("allowed_envs", &serde_json::json!(["A", "B"]))?.set("public_logs", &true.into())?;
    /// assert_eq!(
    ///     new.text(),
    ///     r#"{ "manifest_version": 2, "name":"demo", "runner": "docker-compose", "allowed_envs": ["A", "B"], "public_logs": true }"#,
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the field is there twice, or if dstack refuses the result.
    pub fn set(&self, field: &str, value: &Value) -> Result<Self, EditError> {
        self.set_json(field, &Json::of_value(value))
    }

    /// [`set`](Self::set) for the Compose file.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn set_docker_compose_file(&self, yaml: &str) -> Result<Self, EditError> {
        self.set_json("docker_compose_file", &Json::text(yaml))
    }

    /// [`set`](Self::set) for the names that the guest takes out of the encrypted environment.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn set_allowed_envs<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Self, EditError> {
        self.set_json("allowed_envs", &Json::Array(names.into_iter().map(Json::text).collect()))
    }

    fn set_json(&self, field: &str, value: &Json) -> Result<Self, EditError> {
        let text = self.text();
        let root = self.root()?;
        let members = root.members();
        let style = style_of(text, &root);
        let mut changed = text.to_owned();
        match self.only(field, members)? {
            Some(n) => {
                let old = &members[n].value;
                if Json::of_node(text, old) == *value {
                    return Ok(self.clone());
                }
                let mut new = String::new();
                style_for(text, old, style).write(value, 1, &mut new);
                changed.replace_range(old.span.clone(), &new);
            }
            None => {
                let mut new = String::new();
                style.before_item(members.len(), 1, &mut new);
                style.write_member(field, value, 1, &mut new);
                let at = members.last().map_or(root.span.start + 1, |last| last.value.span.end);
                changed.insert_str(at, &new);
            }
        }
        self.reread(changed)
    }

    /// The document without a field at the top. A document that has none stays as it is.
    ///
    /// # Errors
    ///
    /// If the field is there twice, or if dstack refuses the result.
    pub fn remove(&self, field: &str) -> Result<Self, EditError> {
        let root = self.root()?;
        let members = root.members();
        let Some(n) = self.only(field, members)? else { return Ok(self.clone()) };
        let gone = match (members.get(n + 1), n.checked_sub(1).map(|before| &members[before])) {
            (Some(next), _) => members[n].key_span.start..next.key_span.start,
            (None, Some(before)) => before.value.span.end..members[n].value.span.end,
            (None, None) => members[n].key_span.start..members[n].value.span.end,
        };
        let mut changed = self.text().to_owned();
        changed.replace_range(gone, "");
        self.reread(changed)
    }

    /// The same content in another layout: a document with another hash. Fields keep their order, except in
    /// [`Layout::Normalized`].
    ///
    /// # Errors
    ///
    /// If a name is there twice, at any level: one of the two values would be lost to some reader.
    pub fn rewritten(&self, layout: Layout) -> Result<Self, EditError> {
        let root = self.root()?;
        if let Some(twice) = duplicates(&root).first() {
            return Err(self.duplicate(&twice.path, twice.first, twice.second));
        }
        self.reread(Json::of_node(self.text(), &root).into_text(layout))
    }

    fn reread(&self, text: String) -> Result<Self, EditError> {
        Ok(Self::from_bytes_as(text, self.read_as())?)
    }

    fn root(&self) -> Result<Node, EditError> {
        // A document is only made of text that the server's reader took, so this asks it again only if ours did not.
        match self.syntax() {
            Some(root) => Ok(root),
            None => Err(EditError::Rejected(ComposeError::Rejected {
                version: self.read_as(),
                source: serde::de::Error::custom("the text cannot be edited in place"),
            })),
        }
    }

    fn only(&self, field: &str, members: &[Member]) -> Result<Option<usize>, EditError> {
        let mut places = members.iter().enumerate().filter(|(_, member)| member.key == field);
        let (first, second) = (places.next(), places.next());
        match (first, second) {
            (Some((_, first)), Some((_, second))) => {
                Err(self.duplicate(field, first.key_span.start, second.key_span.start))
            }
            _ => Ok(first.map(|(n, _)| n)),
        }
    }

    fn duplicate(&self, field: &str, first: usize, second: usize) -> EditError {
        let places = Places::new(self.text());
        EditError::Duplicate {
            field: field.to_owned(),
            first_line: places.of(first).0,
            second_line: places.of(second).0,
        }
    }
}

/// How the document is laid out, from its first members.
fn style_of(text: &str, root: &Node) -> Style {
    let members = root.members();
    let Some(first) = members.first() else { return Style::compact() };
    let lead = &text[root.span.start + 1..first.key_span.start];
    let (before_colon, after_colon) = text[first.key_span.end..first.value.span.start]
        .split_once(':')
        .map_or(("", ""), |(before, after)| (before, after));
    let items = match lead.rsplit_once('\n') {
        Some((before, indent)) => Items::Lines {
            line_break: if before.ends_with('\r') { "\r\n" } else { "\n" },
            indent: indent.to_owned(),
        },
        None => {
            let between = members.get(1).map_or("", |second| {
                text[first.value.span.end..second.key_span.start].trim_start().trim_start_matches(',')
            });
            Items::Inline { after_comma: between.to_owned() }
        }
    };
    Style { before_colon: before_colon.to_owned(), after_colon: after_colon.to_owned(), items }
}

/// The style for a value in the place of another: a list that stood on one line goes on doing so.
fn style_for(text: &str, old: &Node, style: Style) -> Style {
    let inner = &text[old.span.clone()];
    let empty = inner.len() <= 2;
    if inner.contains('\n') || empty || !inner.starts_with(['[', '{']) {
        return style;
    }
    let gap = match old.elements() {
        [first, second, ..] => text[first.span.end..second.span.start].trim_start_matches(',').to_owned(),
        _ => match &style.items {
            Items::Inline { after_comma } => after_comma.clone(),
            Items::Lines { .. } => " ".to_owned(),
        },
    };
    Style { items: Items::Inline { after_comma: gap }, ..style }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn document(text: &str) -> AppComposeDocument {
        AppComposeDocument::from_bytes(text).unwrap()
    }

    const INDENTED: &str = r#"{
    "manifest_version": 2,
    "name": "demo",
    "runner": "docker-compose",
    "docker_compose_file": "services: {}\n",
    "x-own": {"b":1,  "a":2.50},
    "allowed_envs": []
}
"#;

    #[test]
    fn edits_of_an_indented_document() {
        let old = document(INDENTED);
        let steps = [
            old.set_docker_compose_file("services:\n  ä: {}\n").unwrap(),
            old.set_allowed_envs(["A", "B"]).unwrap(),
            old.set_allowed_envs(["A"]).unwrap().set_allowed_envs([]).unwrap(),
            old.set("port_policy", &json!({"ports": [{"port": 80}]})).unwrap(),
            old.remove("docker_compose_file").unwrap(),
            old.remove("allowed_envs").unwrap(),
        ];
        let shown: Vec<&str> = steps.iter().map(AppComposeDocument::text).collect();
        insta::assert_snapshot!(shown.join("---\n"));
    }

    #[test]
    fn edits_keep_crlf_tabs_and_one_line_lists() {
        let old = document(
            "{\r\n\t\"manifest_version\" : 2,\r\n\t\"name\" : \"n\",\r\n\t\"runner\" : \"bash\",\r\n\t\"allowed_envs\" : [\"A\",\"B\"]\r\n}",
        );
        let new = old.set_allowed_envs(["A", "B", "C"]).unwrap().set("public_logs", &json!(true)).unwrap();
        assert_eq!(
            new.text(),
            "{\r\n\t\"manifest_version\" : 2,\r\n\t\"name\" : \"n\",\r\n\t\"runner\" : \"bash\",\r\n\t\"allowed_envs\" : [\"A\",\"B\",\"C\"],\r\n\t\"public_logs\" : true\r\n}"
        );
    }

    #[test]
    fn a_value_that_is_there_already_changes_nothing() {
        let old = document(INDENTED);
        assert_eq!(old.set("name", &json!("demo")).unwrap().hash(), old.hash());
        assert_eq!(old.remove("kms_enabled").unwrap().hash(), old.hash());
    }

    #[test]
    fn refusals() {
        let old = document(INDENTED);
        let error = old.set("name", &json!(5)).unwrap_err();
        assert_eq!(error.to_string(), "dstack next does not accept the app-compose");
        assert!(old.remove("runner").is_err());
        let twice = document(
            "{\"manifest_version\": 2, \"name\": \"n\", \"runner\": \"bash\",\n\"x\": {\"y\": 1,\n\"y\": 2}, \"z\": 1,\n\"z\": 2}",
        );
        let said = |refused: Result<AppComposeDocument, EditError>| refused.unwrap_err().to_string();
        assert_eq!(said(twice.set("z", &json!(3))), "z is there twice, in line 3 and in line 4");
        assert_eq!(said(twice.rewritten(Layout::Compact)), "x.y is there twice, in line 2 and in line 3");
        assert!(twice.set("name", &json!("m")).is_ok());
    }

    #[test]
    fn rewriting_is_explicit() {
        let old = document(INDENTED);
        assert_eq!(
            old.rewritten(Layout::Normalized).unwrap().text(),
            r#"{"allowed_envs":[],"docker_compose_file":"services: {}\n","manifest_version":2,"name":"demo","runner":"docker-compose","x-own":{"a":2.50,"b":1}}"#
        );
        assert_eq!(
            old.rewritten(Layout::Compact).unwrap().text(),
            r#"{"manifest_version":2,"name":"demo","runner":"docker-compose","docker_compose_file":"services: {}\n","x-own":{"b":1,"a":2.50},"allowed_envs":[]}"#
        );
    }

    proptest! {
        #[test]
        fn every_other_byte_stays(yaml in any::<String>(), again in any::<String>()) {
            let old = document(INDENTED);
            let new = old.set_docker_compose_file(&yaml).unwrap();
            prop_assert_eq!(new.fields().docker_compose_file.as_deref(), Some(yaml.as_str()));
            let (head, tail) = INDENTED.split_once("\"services: {}\\n\"").unwrap();
            prop_assert!(new.text().starts_with(head) && new.text().ends_with(tail));
            let back = new.set_docker_compose_file(&again).unwrap().set_docker_compose_file("services: {}\n").unwrap();
            prop_assert_eq!(back.text(), INDENTED);
        }

        #[test]
        fn adding_and_removing_are_inverse(name in "x-[a-z]{1,8}", value in any::<i64>()) {
            let old = document(INDENTED);
            let new = old.set(&name, &json!({"v": [value, null]})).unwrap();
            prop_assert_ne!(new.hash(), old.hash());
            if name != "x-own" {
                let back = new.remove(&name).unwrap();
                prop_assert_eq!(back.text(), INDENTED);
            }
        }
    }
}
