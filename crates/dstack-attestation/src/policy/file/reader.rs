//! Reading the tables of a policy file: typed values with their places, unknown keys refused.

use std::cell::RefCell;
use std::ops::Range;

use toml_edit::{Item, TableLike, Value};

use super::problem::{PolicyProblem, ValueError, nearest, problem};

/// The most problems that are listed.
const MAX_PROBLEMS: usize = 50;

/// The most values in a list.
const MAX_VALUES: usize = 10_000;

type Span = Option<Range<usize>>;

/// A text being read, and what was found wrong with it so far.
pub(super) struct Reader<'t> {
    text: &'t str,
    problems: RefCell<Vec<PolicyProblem>>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, problems: RefCell::default() }
    }

    pub(super) fn report(&self, key: &str, span: Span, error: ValueError) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MAX_PROBLEMS {
            problems.push(problem(self.text, span, key, error));
        }
    }

    /// What was found wrong, in the order of the text.
    pub(super) fn into_problems(self) -> Vec<PolicyProblem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }

    /// The place of a span, both from 1.
    pub(super) fn place(&self, span: Span) -> (usize, usize) {
        let placed = problem(self.text, span, "", ValueError::new(""));
        (placed.line, placed.column)
    }

    /// A table in which only the `known` keys may be.
    pub(super) fn section<'r>(
        &'r self,
        path: &str,
        table: &'r dyn TableLike,
        known: &'static [&'static str],
    ) -> Section<'r, 't> {
        for (name, _) in table.iter() {
            if known.contains(&name) {
                continue;
            }
            let key = join(path, name);
            let span = table.get_key_value(name).and_then(|(key, _)| key.span());
            self.report(&key, span, unknown_key(path, name, known));
        }
        Section { reader: self, path: path.to_owned(), table }
    }
}

fn unknown_key(path: &str, name: &str, known: &[&str]) -> ValueError {
    if name.contains("danger") || name.contains("emulated") {
        return ValueError::new("a policy file cannot let emulated evidence through")
            .hint("a file is copied and forgotten; give `--danger-accept-emulated` where you mean it");
    }
    let error = ValueError::new(format!("there is no such key; known here: {}", known.join(", ")));
    match nearest(name, known) {
        Some(meant) => error.hint(format!("did you mean `{}`?", join(path, meant))),
        None => error,
    }
}

/// One table.
pub(super) struct Section<'r, 't> {
    pub(super) reader: &'r Reader<'t>,
    path: String,
    table: &'r dyn TableLike,
}

impl<'r, 't> Section<'r, 't> {
    pub(super) fn key(&self, name: &str) -> String {
        join(&self.path, name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Where the value or its key stands.
    pub(super) fn span(&self, name: &str) -> Span {
        let (key, item) = self.table.get_key_value(name)?;
        item.span().or_else(|| key.span())
    }

    pub(super) fn report(&self, name: &str, span: Span, error: ValueError) {
        self.reader.report(&self.key(name), span.or_else(|| self.span(name)), error);
    }

    fn wrong_type(&self, name: &str, expected: &str) {
        let found = self.table.get(name).map_or("nothing", Item::type_name);
        self.report(name, None, ValueError::new(format!("expected {expected}, found {found}")));
    }

    /// The table below this one.
    pub(super) fn table(&self, name: &str, known: &'static [&'static str]) -> Option<Self> {
        let item = self.table.get(name)?;
        match item.as_table_like() {
            Some(table) => Some(self.reader.section(&self.key(name), table, known)),
            None => {
                self.wrong_type(name, "a table");
                None
            }
        }
    }

    /// The tables of a list of tables, written `[[so]]` or as a list of inline tables.
    pub(super) fn tables(&self, name: &str, known: &'static [&'static str]) -> Vec<Self> {
        let Some(item) = self.table.get(name) else { return Vec::new() };
        let key = self.key(name);
        let expected = format!("a list of tables, each written [[{key}]]");
        if let Some(tables) = item.as_array_of_tables() {
            let tables = tables.iter().take(MAX_VALUES);
            return tables.map(|table| self.reader.section(&key, table, known)).collect();
        }
        let Some(list) = item.as_array() else {
            self.wrong_type(name, &expected);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for value in list.iter().take(MAX_VALUES) {
            match value.as_inline_table() {
                Some(table) => sections.push(self.reader.section(&key, table, known)),
                None => self.wrong_type(name, &expected),
            }
        }
        sections
    }

    /// A string that `read` takes.
    pub(super) fn string<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        let item = self.table.get(name)?;
        match item.as_str() {
            Some(text) => read(text).map_err(|error| self.report(name, item.span(), error)).ok(),
            None => {
                self.wrong_type(name, "a string");
                None
            }
        }
    }

    /// The strings of a list that `read` takes, with their places. `None` when there is no such key.
    pub(super) fn strings<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<Vec<(T, Span)>> {
        let item = self.table.get(name)?;
        let Some(list) = item.as_array() else {
            self.wrong_type(name, "a list of strings, such as [\"...\"]");
            return Some(Vec::new());
        };
        if list.len() > MAX_VALUES {
            let message = format!("{} values, more than the {MAX_VALUES} that are read", list.len());
            self.report(name, None, ValueError::new(message));
            return Some(Vec::new());
        }
        let mut values = Vec::new();
        for value in list {
            let span = value.span();
            match value.as_str().map(&read) {
                Some(Ok(read)) => values.push((read, span)),
                Some(Err(error)) => self.report(name, span, error),
                None => self.report(name, span, not_a_string(value)),
            }
        }
        Some(values)
    }

    /// As [`strings`](Self::strings), for a list that allows something: an empty one is refused, since it would read
    /// as "nothing" and mean "everything".
    pub(super) fn some_strings<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Vec<(T, Span)> {
        let list = self.table.get(name).and_then(Item::as_array);
        if list.is_some_and(toml_edit::Array::is_empty) {
            let error = ValueError::new("the list is empty, which would require nothing");
            self.report(name, None, error.hint("leave the key out, or name what is allowed"));
        }
        self.strings(name, read).unwrap_or_default()
    }

    /// An integer.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        let integer = self.table.get(name)?.as_integer();
        if integer.is_none() {
            self.wrong_type(name, "an integer");
        }
        integer
    }
}

fn not_a_string(value: &Value) -> ValueError {
    ValueError::new(format!("expected a string, found {}", value.type_name()))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
