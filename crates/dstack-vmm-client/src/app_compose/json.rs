//! JSON that is written the same way every time: members in a given order, numbers as they were.

use serde::Serialize;

use super::syntax::{self, Kind, Node};

/// How a new document is laid out. The layout is part of the bytes, and so of the compose hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// No white space, members in the order in which the builder writes them.
    Compact,
    /// One member a line, indented by this many spaces a level, a space after each colon, no line break at the end. Four
    /// spaces is what upstream's Python command line writes.
    Indented(u8),
    /// No white space, members sorted by name at every level, UTF-8 unescaped: the form that upstream's SDKs call normalised
    /// (upstream `docs/normalized-app-compose.md`). Names are compared by UTF-16 code units, as they do.
    Normalized,
}

/// A value whose members keep their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// The number's own text.
    Number(String),
    String(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    pub(super) fn number(number: impl Into<u64>) -> Self {
        Self::Number(number.into().to_string())
    }

    pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> Self {
        Self::Array(texts.into_iter().map(Self::text).collect())
    }

    /// What a type of ours serialises to, members in the order of its fields. `None` if it cannot be serialised.
    pub(super) fn of(value: &impl Serialize) -> Option<Self> {
        let text = serde_json::to_string(value).ok()?;
        Some(Self::of_node(&text, &syntax::parse(&text)?))
    }

    /// A value of somebody else. Its members are sorted, because the order in which a map gives them depends on how
    /// `serde_json` was built.
    pub(super) fn of_value(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::text(text),
            Value::Array(elements) => Self::Array(elements.iter().map(Self::of_value).collect()),
            Value::Object(map) => {
                let mut members: Vec<_> =
                    map.iter().map(|(name, value)| (name.clone(), Self::of_value(value))).collect();
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                Self::Object(members)
            }
        }
    }

    /// What stands in a text.
    pub(super) fn of_node(text: &str, node: &Node) -> Self {
        match &node.kind {
            Kind::Null => Self::Null,
            Kind::Bool(truth) => Self::Bool(*truth),
            Kind::Number => Self::Number(text[node.span.clone()].to_owned()),
            Kind::String(content) => Self::text(content),
            Kind::Array(elements) => {
                Self::Array(elements.iter().map(|one| Self::of_node(text, one)).collect())
            }
            Kind::Object(members) => Self::Object(
                members.iter().map(|one| (one.key.clone(), Self::of_node(text, &one.value))).collect(),
            ),
        }
    }

    fn sort(&mut self) {
        match self {
            Self::Array(elements) => elements.iter_mut().for_each(Self::sort),
            Self::Object(members) => {
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                members.iter_mut().for_each(|(_, value)| value.sort());
            }
            _ => {}
        }
    }

    /// The text in a layout.
    pub(super) fn into_text(mut self, layout: Layout) -> String {
        let style = match layout {
            Layout::Compact => Style::compact(),
            Layout::Indented(spaces) => {
                Style { after_colon: " ".into(), ..Style::lines("\n", " ".repeat(usize::from(spaces))) }
            }
            Layout::Normalized => {
                self.sort();
                Style::compact()
            }
        };
        let mut text = String::new();
        style.write(&self, 0, &mut text);
        text
    }
}

/// How a text is spaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) before_colon: String,
    pub(super) after_colon: String,
    pub(super) items: Items,
}

/// What stands between the items of a list or object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Items {
    /// All on one line, with this behind each comma.
    Inline { after_comma: String },
    /// Each on its own line.
    Lines { line_break: &'static str, indent: String },
}

impl Style {
    pub(super) fn compact() -> Self {
        Self {
            before_colon: String::new(),
            after_colon: String::new(),
            items: Items::Inline { after_comma: String::new() },
        }
    }

    pub(super) fn lines(line_break: &'static str, indent: String) -> Self {
        Self { items: Items::Lines { line_break, indent }, ..Self::compact() }
    }

    pub(super) fn write_member(&self, name: &str, value: &Json, depth: usize, text: &mut String) {
        push_string(text, name);
        text.push_str(&self.before_colon);
        text.push(':');
        text.push_str(&self.after_colon);
        self.write(value, depth, text);
    }

    pub(super) fn write(&self, value: &Json, depth: usize, text: &mut String) {
        match value {
            Json::Null => text.push_str("null"),
            Json::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
            Json::Number(number) => text.push_str(number),
            Json::String(content) => push_string(text, content),
            Json::Array(elements) if elements.is_empty() => text.push_str("[]"),
            Json::Object(members) if members.is_empty() => text.push_str("{}"),
            Json::Array(elements) => {
                text.push('[');
                for (n, element) in elements.iter().enumerate() {
                    self.before_item(n, depth + 1, text);
                    self.write(element, depth + 1, text);
                }
                self.before_end(depth, text);
                text.push(']');
            }
            Json::Object(members) => {
                text.push('{');
                for (n, (name, member)) in members.iter().enumerate() {
                    self.before_item(n, depth + 1, text);
                    self.write_member(name, member, depth + 1, text);
                }
                self.before_end(depth, text);
                text.push('}');
            }
        }
    }

    /// The comma and the white space before item `n`.
    pub(super) fn before_item(&self, n: usize, depth: usize, text: &mut String) {
        if n > 0 {
            text.push(',');
        }
        match &self.items {
            Items::Inline { after_comma } if n > 0 => text.push_str(after_comma),
            Items::Inline { .. } => {}
            Items::Lines { .. } => self.before_end(depth, text),
        }
    }

    fn before_end(&self, depth: usize, text: &mut String) {
        if let Items::Lines { line_break, indent } = &self.items {
            text.push_str(line_break);
            (0..depth).for_each(|_| text.push_str(indent));
        }
    }
}

/// Writes a string as `serde_json` does: UTF-8 as it is, and escapes only where JSON wants them.
fn push_string(text: &mut String, content: &str) {
    // A string always serialises.
    text.push_str(&serde_json::to_string(content).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Json {
        let text = r#"{"b":[1.50,{"z":"ä\n","a":{}}],"\ud83d\ude00":[],"ﬀ":null,"a":true}"#;
        Json::of_node(text, &syntax::parse(text).unwrap())
    }

    #[test]
    fn layouts() {
        assert_eq!(
            sample().into_text(Layout::Compact),
            r#"{"b":[1.50,{"z":"ä\n","a":{}}],"😀":[],"ﬀ":null,"a":true}"#
        );
        // The emoji's first code unit, 0xd83d, comes before 0xfb00, although its code point comes behind.
        assert_eq!(
            sample().into_text(Layout::Normalized),
            r#"{"a":true,"b":[1.50,{"a":{},"z":"ä\n"}],"😀":[],"ﬀ":null}"#
        );
        insta::assert_snapshot!(sample().into_text(Layout::Indented(4)));
    }

    #[test]
    fn values_from_elsewhere_have_one_order() {
        let value: serde_json::Value = serde_json::from_str(r#"{"b":1,"a":{"d":null,"c":-2.5}}"#).unwrap();
        assert_eq!(Json::of_value(&value).into_text(Layout::Compact), r#"{"a":{"c":-2.5,"d":null},"b":1}"#);
    }
}
