//! Reading tables of a project file: typed values with their places, unknown keys refused.

use std::cell::RefCell;
use std::ops::Range;

use toml_edit::{Item, Key, TableLike, Value};

use super::problem::{Problem, nearest};
use super::values::ValueError;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) span: Option<Range<usize>>,
}

/// A text being read, and what was found wrong with it so far.
pub(super) struct Reader<'a> {
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, problems: RefCell::default() }
    }

    pub(super) fn report(&self, problem: Problem, span: Option<Range<usize>>) {
        self.problems.borrow_mut().push(problem.at(self.text, span));
    }

    /// What was found wrong, in the order of the text.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }

    /// The table at `path` (empty for the root), of which only the `known` keys may be there.
    pub(super) fn section<'r>(
        &'r self,
        path: &str,
        table: &'r dyn TableLike,
        known: &'static [&'static str],
    ) -> Section<'r, 'a> {
        for (name, _) in table.iter() {
            if known.contains(&name) {
                continue;
            }
            let key = join(path, name);
            let mut problem = Problem::of(&key, "there is no such key");
            problem.hint = Some(match nearest(name, known) {
                Some(meant) => format!("did you mean `{}`?", join(path, meant)),
                None => format!("known here: {}", known.join(", ")),
            });
            self.report(problem, table.get_key_value(name).and_then(|(key, _)| key.span()));
        }
        Section { reader: self, path: path.to_owned(), table }
    }
}

/// One table.
pub(super) struct Section<'r, 'a> {
    reader: &'r Reader<'a>,
    path: String,
    table: &'r dyn TableLike,
}

impl<'r, 'a> Section<'r, 'a> {
    pub(super) fn key(&self, name: &str) -> String {
        join(&self.path, name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Where the key or its value stands, for a problem about it.
    pub(super) fn span(&self, name: &str) -> Option<Range<usize>> {
        let (key, item): (&Key, &Item) = self.table.get_key_value(name)?;
        item.span().or_else(|| key.span())
    }

    pub(super) fn report(&self, name: &str, problem: ValueError, span: Option<Range<usize>>) {
        let mut located = Problem::of(&self.key(name), problem.message);
        located.hint = problem.hint;
        self.reader.report(located, span.or_else(|| self.span(name)));
    }

    fn wrong_type(&self, name: &str, expected: &str) {
        let found = self.table.get(name).map_or("nothing", Item::type_name);
        self.report(name, ValueError::new(format!("expected {expected}, found {found}")), None);
    }

    pub(super) fn string(&self, name: &str) -> Option<Placed<String>> {
        let item = self.table.get(name)?;
        match item.as_str() {
            Some(value) => Some(Placed { value: value.to_owned(), span: item.span() }),
            None => {
                self.wrong_type(name, "a string");
                None
            }
        }
    }

    /// A string that `check` accepts.
    pub(super) fn checked<T>(&self, name: &str, check: impl Fn(&str) -> Result<T, ValueError>) -> Option<T> {
        let text = self.string(name)?;
        check(&text.value).map_err(|error| self.report(name, error, text.span)).ok()
    }

    /// One of a few words.
    pub(super) fn word(&self, name: &str, words: &[&str]) -> Option<String> {
        self.checked(name, |text| {
            if words.contains(&text) {
                return Ok(text.to_owned());
            }
            let error = ValueError::new(format!("{text:?} is not one of {}", words.join(", ")));
            Err(match nearest(text, words) {
                Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
                None => error,
            })
        })
    }

    /// A path of a file. It may not be empty.
    pub(super) fn path(&self, name: &str) -> Option<String> {
        self.checked(name, |text| match text.trim() {
            "" => Err(ValueError::new("the path is empty")),
            _ => Ok(text.to_owned()),
        })
    }

    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        let item = self.table.get(name)?;
        let value = item.as_bool();
        if value.is_none() {
            self.wrong_type(name, "true or false");
        }
        value
    }

    /// A size or count: an integer, or a text that `parse` reads; at least 1 and at most a `u32`.
    pub(super) fn quantity(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<u64, ValueError>,
    ) -> Option<u32> {
        let item = self.table.get(name)?;
        let value = match (item.as_integer(), item.as_str()) {
            (Some(number), _) => parse(&number.to_string()),
            (None, Some(text)) => parse(text),
            (None, None) => {
                self.wrong_type(name, "a number or a size");
                return None;
            }
        };
        let fits = value.and_then(|value| match u32::try_from(value) {
            Ok(0) => Err(ValueError::new("must be at least 1")),
            Ok(value) => Ok(value),
            Err(_) => Err(ValueError::new(format!("{value} is too large"))),
        });
        fits.map_err(|error| self.report(name, error, None)).ok()
    }

    /// A list of strings, each of which `check` accepts. Values that are wrong are reported and left out.
    pub(super) fn strings<T>(
        &self,
        name: &str,
        check: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<Vec<Placed<T>>> {
        let values = self.values(name, "a list of strings")?;
        let mut found = Vec::with_capacity(values.len());
        for (at, value) in values.iter().enumerate() {
            let place = format!("{name}[{at}]");
            match value.as_str().map(&check) {
                Some(Ok(value_read)) => found.push(Placed { value: value_read, span: value.span() }),
                Some(Err(error)) => self.report(&place, error, value.span()),
                None => {
                    let error = ValueError::new(format!("expected a string, found {}", value.type_name()));
                    self.report(&place, error, value.span());
                }
            }
        }
        Some(found)
    }

    /// The values of a list.
    pub(super) fn values(&self, name: &str, expected: &str) -> Option<Vec<&'r Value>> {
        let item = self.table.get(name)?;
        match item.as_array() {
            Some(array) => Some(array.iter().collect()),
            None => {
                self.wrong_type(name, expected);
                None
            }
        }
    }

    /// Whether the value is this very word, where it may also be a list.
    pub(super) fn is_word(&self, name: &str, word: &str) -> bool {
        self.table.get(name).and_then(Item::as_str) == Some(word)
    }

    /// A table inside this one.
    pub(super) fn section(&self, name: &str, known: &'static [&'static str]) -> Option<Self> {
        let item = self.table.get(name)?;
        match item.as_table_like() {
            Some(table) => Some(self.reader.section(&self.key(name), table, known)),
            None => {
                self.wrong_type(name, "a table");
                None
            }
        }
    }

    /// Every table of a list of tables, written `[[name]]` or as inline tables.
    pub(super) fn sections(&self, name: &str, known: &'static [&'static str]) -> Vec<Self> {
        let Some(item) = self.table.get(name) else { return Vec::new() };
        let place = |at: usize| format!("{}[{at}]", self.key(name));
        if let Some(tables) = item.as_array_of_tables() {
            let one = |(at, table)| self.reader.section(&place(at), table as &dyn TableLike, known);
            return tables.iter().enumerate().map(one).collect();
        }
        let mut sections = Vec::new();
        for (at, value) in self.values(name, "a list of tables").into_iter().flatten().enumerate() {
            match value.as_inline_table() {
                Some(table) => sections.push(self.reader.section(&place(at), table as &dyn TableLike, known)),
                None => {
                    let error = ValueError::new(format!("expected a table, found {}", value.type_name()));
                    self.report(&format!("{name}[{at}]"), error, value.span());
                }
            }
        }
        sections
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
