//! JSON with the places of everything in it, for editing bytes in place and for pointing at mistakes.
//!
//! Whether a text is JSON is decided by the same reader that the server uses; this one is handed what passed it, and gives
//! up quietly on anything else.

use std::ops::Range;

/// Nesting that the server's reader allows.
const MAX_DEPTH: usize = 128;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its bytes in the text.
    pub(crate) span: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number,
    String(String),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

/// One name and value of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    /// The members of an object; none for other values.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.kind {
            Kind::Object(members) => members,
            _ => &[],
        }
    }

    /// The elements of an array; none for other values.
    pub(crate) fn elements(&self) -> &[Self] {
        match &self.kind {
            Kind::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The last member with this name, which is the one that lenient readers use.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().rev().find(|member| member.key == key).map(|member| &member.value)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// What kind of value it is, as people call it.
    pub(super) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number => "a number",
            Kind::String(_) => "a string",
            Kind::Array(_) => "a list",
            Kind::Object(_) => "an object",
        }
    }
}

/// Reads a text. `None` where it is no JSON.
pub(crate) fn parse(text: &str) -> Option<Node> {
    let mut reader = Reader { text, at: 0 };
    let node = reader.value(0)?;
    reader.space();
    (reader.at == text.len()).then_some(node)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        let start = self.at;
        let kind = match self.peek()? {
            b'{' => Kind::Object(self.object(depth)?),
            b'[' => Kind::Array(self.array(depth)?),
            b'"' => Kind::String(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            _ => self.word()?,
        };
        Some(Node { span: start..self.at, kind })
    }

    fn word(&mut self) -> Option<Kind> {
        let words = [("null", Kind::Null), ("true", Kind::Bool(true)), ("false", Kind::Bool(false))];
        let rest = &self.text[self.at..];
        let (word, kind) = words.into_iter().find(|(word, _)| rest.starts_with(word))?;
        self.at += word.len();
        Some(kind)
    }

    fn number(&mut self) -> Option<Kind> {
        let rest = &self.text[self.at..];
        let len =
            rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        // The exact grammar is the other reader's business; here it only has to be a number to it.
        serde_json::from_str::<serde_json::Number>(&rest[..len]).ok()?;
        self.at += len;
        Some(Kind::Number)
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.eat(b'"')?;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return serde_json::from_str(&self.text[start..self.at]).ok();
                }
                // Whatever is escaped is one byte of ASCII at least, so a quote behind it is skipped.
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Vec<Node>> {
        self.eat(b'[')?;
        let mut elements = Vec::new();
        self.space();
        if self.eat(b']').is_some() {
            return Some(elements);
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.space();
            if self.eat(b',').is_none() {
                self.eat(b']')?;
                return Some(elements);
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Vec<Member>> {
        self.eat(b'{')?;
        let mut members = Vec::new();
        self.space();
        if self.eat(b'}').is_some() {
            return Some(members);
        }
        loop {
            self.space();
            let key_start = self.at;
            let key = self.string()?;
            let key_span = key_start..self.at;
            self.space();
            self.eat(b':')?;
            let value = self.value(depth + 1)?;
            members.push(Member { key, key_span, value });
            self.space();
            if self.eat(b',').is_none() {
                self.eat(b'}')?;
                return Some(members);
            }
        }
    }
}

/// Line and column of byte offsets, both from 1, columns in characters.
pub(super) struct Places<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, line_starts: std::iter::once(0).chain(breaks).collect() }
    }

    pub(super) fn of(&self, at: usize) -> (usize, usize) {
        let at = self.text.floor_char_boundary(at);
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts[line - 1];
        (line, self.text[start..at].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_know_where_they_stand() {
        let text = r#" {"a" : [1, "x\"}y"], "ä": {"b": null}} "#;
        let root = parse(text).unwrap();
        let slice = |node: &Node| text[node.span.clone()].to_owned();
        assert_eq!(slice(&root), text.trim());
        let list = root.get("a").unwrap();
        assert_eq!(list.elements().iter().map(slice).collect::<Vec<_>>(), ["1", r#""x\"}y""#]);
        let inner = &root.members()[1];
        assert_eq!((inner.key.as_str(), &text[inner.key_span.clone()]), ("ä", "\"ä\""));
        assert_eq!(slice(inner.value.get("b").unwrap()), "null");
        assert_eq!(Places::new(text).of(inner.value.span.start), (1, 28));
    }

    #[test]
    fn what_is_no_json_is_left_alone() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":}",
            "{\"a\" 1}",
            "nul",
            "\"",
            "\"\\",
            "\"\\u12\"",
            "1 2",
            "--1",
            "{a:1}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"[".repeat(100_000)), None);
    }

    proptest! {
        #[test]
        fn it_reads_what_the_servers_reader_reads(text in r#"[\[\]{},:"\\a1 \n.e-]{0,30}|[^x]{0,10}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            if theirs.is_ok() {
                prop_assert!(parse(&text).is_some());
            }
        }

        #[test]
        fn places_are_those_of_a_slow_count(text in "[aä\n\r]{0,30}", at in 0usize..40) {
            let at = text.floor_char_boundary(at.min(text.len()));
            let before = &text[..at];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
            prop_assert_eq!(Places::new(&text).of(at), (line, column));
        }
    }
}
