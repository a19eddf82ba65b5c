//! Configuration files as one tree of values that know where they stand.

use std::fmt;

use toml_edit::{Item, TableLike, Value};

use super::ConfigError;

/// The deepest nesting that is read. A configuration has four levels.
const MAX_DEPTH: usize = 32;

/// The form of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// TOML.
    Toml,
    /// JSON. Positions inside it are not known.
    Json,
}

/// One configuration file: its name, as findings give it, and its text.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layer<'a> {
    /// The name, such as `/etc/dstack/vmm.toml`.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
    /// Its form.
    pub format: Format,
}

impl<'a> Layer<'a> {
    /// A TOML file.
    pub fn toml(name: &'a str, text: &'a str) -> Self {
        Self { name, text, format: Format::Toml }
    }

    /// A JSON file.
    pub fn json(name: &'a str, text: &'a str) -> Self {
        Self { name, text, format: Format::Json }
    }

    /// A file in the form the VMM reads it in: TOML when the name ends in `.toml`, else JSON.
    pub fn by_name(name: &'a str, text: &'a str) -> Self {
        let format = if name.ends_with(".toml") { Format::Toml } else { Format::Json };
        Self { name, text, format }
    }
}

/// Without the text, which holds tokens.
impl fmt::Debug for Layer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("name", &self.name)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Name of the file.
    pub(crate) file: std::sync::Arc<str>,
    /// Line and column from 1, the column in characters.
    pub(crate) position: Option<(usize, usize)>,
}

/// `FILE:LINE:COLUMN`, or the file where no more is known.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// A value. There is no `Debug`: it may be a secret.
#[derive(Clone, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// A date or time of TOML, or null of JSON: no key takes one.
    Other(&'static str),
    List(Vec<(Place, Self)>),
    Table(Table),
}

/// A table in the order of its keys in the file.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Table {
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::Bool(_) => "a boolean",
            Self::Other(name) => name,
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Table {
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The entry at a dotted path.
    pub(crate) fn at(&self, path: &str) -> Option<&Entry> {
        match path.split_once('.') {
            None => self.entry(path),
            Some((table, rest)) => match &self.entry(table)?.node {
                Node::Table(table) => table.at(rest),
                _ => None,
            },
        }
    }

    /// Reads a file.
    pub(crate) fn parse(layer: &Layer<'_>) -> Result<Self, ConfigError> {
        let file = std::sync::Arc::from(layer.name);
        match layer.format {
            Format::Toml => {
                let document = toml_edit::Document::parse(layer.text).map_err(|error| {
                    let (line, column) = position(layer.text, error.span().map_or(0, |span| span.start));
                    ConfigError::Syntax {
                        file: layer.name.to_owned(),
                        line,
                        column,
                        message: error.message().to_owned(),
                    }
                })?;
                let reader = Toml { file, lines: Lines::new(layer.text) };
                Ok(reader.table(document.as_table(), 0))
            }
            Format::Json => {
                let value: serde_json::Value = serde_json::from_str(layer.text).map_err(|error| {
                    // The message ends in the position, which is given apart.
                    let message = error.to_string();
                    let message = message.split(" at line ").next().unwrap_or_default();
                    ConfigError::Syntax {
                        file: layer.name.to_owned(),
                        line: error.line(),
                        column: error.column(),
                        message: message.to_owned(),
                    }
                })?;
                match json_node(&file, value) {
                    Node::Table(table) => Ok(table),
                    other => Err(ConfigError::Syntax {
                        file: layer.name.to_owned(),
                        line: 1,
                        column: 1,
                        message: format!("expected an object, got {}", other.type_name()),
                    }),
                }
            }
        }
    }

    /// Lays another file over this one: tables merge, everything else is replaced.
    pub(crate) fn merge(&mut self, over: Self) {
        for entry in over.entries {
            match self.entries.iter_mut().find(|mine| mine.key == entry.key) {
                None => self.entries.push(entry),
                Some(mine) => match (&mut mine.node, entry.node) {
                    (Node::Table(mine), Node::Table(over)) => mine.merge(over),
                    (_, node) => {
                        mine.node = node;
                        mine.place = entry.place;
                    }
                },
            }
        }
    }
}

/// Line and column of a byte offset, from 1, the column in characters.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    Lines::new(text).position(text.floor_char_boundary(offset))
}

/// Where the lines begin, so that many positions in one text are cheap.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|&start| start <= offset).saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        (line + 1, before.trim_start_matches('\u{feff}').chars().count() + 1)
    }
}

struct Toml<'a> {
    file: std::sync::Arc<str>,
    lines: Lines<'a>,
}

impl Toml<'_> {
    fn place(&self, span: Option<std::ops::Range<usize>>) -> Place {
        Place { file: self.file.clone(), position: span.map(|span| self.lines.position(span.start)) }
    }

    fn table(&self, table: &dyn TableLike, depth: usize) -> Table {
        let mut entries = Vec::with_capacity(table.len());
        for (key, item) in table.iter() {
            // The parser limits the depth too; this keeps the recursion here bounded by itself.
            if depth >= MAX_DEPTH {
                break;
            }
            // A section stands where its header begins, not where the name in it does.
            let header = item.as_table().filter(|table| !table.is_dotted() && !table.is_implicit());
            let span = header
                .and_then(toml_edit::Table::span)
                .or_else(|| table.key(key).and_then(toml_edit::Key::span));
            let place = self.place(span);
            entries.push(Entry { key: key.to_owned(), place, node: self.item(item, depth + 1) });
        }
        Table { entries }
    }

    fn item(&self, item: &Item, depth: usize) -> Node {
        match item {
            Item::None => Node::Other("nothing"),
            Item::Value(value) => self.value(value, depth),
            Item::Table(table) => Node::Table(self.table(table, depth)),
            Item::ArrayOfTables(tables) => Node::List(
                tables
                    .iter()
                    .map(|t| (self.place(t.span()), Node::Table(self.table(t, depth + 1))))
                    .collect(),
            ),
        }
    }

    fn value(&self, value: &Value, depth: usize) -> Node {
        match value {
            Value::String(text) => Node::Text(text.value().clone()),
            Value::Integer(number) => Node::Int(*number.value()),
            Value::Float(number) => Node::Float(*number.value()),
            Value::Boolean(flag) => Node::Bool(*flag.value()),
            Value::Datetime(_) => Node::Other("a date or time"),
            Value::Array(_) if depth >= MAX_DEPTH => Node::Other("a list nested too deep"),
            Value::Array(values) => {
                Node::List(values.iter().map(|v| (self.place(v.span()), self.value(v, depth + 1))).collect())
            }
            Value::InlineTable(table) => Node::Table(self.table(table, depth)),
        }
    }
}

fn json_node(file: &std::sync::Arc<str>, value: serde_json::Value) -> Node {
    use serde_json::Value as Json;
    let place = || Place { file: file.clone(), position: None };
    match value {
        Json::Null => Node::Other("null"),
        Json::Bool(flag) => Node::Bool(flag),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Node::Float(number.as_f64().unwrap_or(f64::NAN)), Node::Int)
        }
        Json::String(text) => Node::Text(text),
        Json::Array(values) => {
            Node::List(values.into_iter().map(|value| (place(), json_node(file, value))).collect())
        }
        Json::Object(members) => {
            let entries = members
                .into_iter()
                .map(|(key, value)| Entry { key, place: place(), node: json_node(file, value) })
                .collect();
            Node::Table(Table { entries })
        }
    }
}
