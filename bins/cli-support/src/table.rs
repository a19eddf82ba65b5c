//! Aligned columns of text.

use anstyle::Style;
use dstack_check::text::{columns, neutralise_line, wrap};

/// The narrowest last column that is worth wrapping.
const MIN_WRAPPED: usize = 24;

/// To which side the cells of a column are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// Left, as words are.
    #[default]
    Left,
    /// Right, as numbers are.
    Right,
}

/// One cell: a line of text and its look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    look: Style,
}

impl Cell {
    /// A cell in this look. The look is left out where colour is off, so it must not be the only thing that tells.
    pub fn styled(text: impl AsRef<str>, look: impl Into<Style>) -> Self {
        Self { text: neutralise_line(text.as_ref()).into_owned(), look: look.into() }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

/// A table of aligned columns, two spaces apart, without lines and without cutting: it can be read by people and by
/// `awk`. An empty cell is shown as `-`, so that columns can be counted.
///
/// ```
/// use cli_support::{Align, Table};
///
/// let mut table = Table::new(["NAME", "CPUS"]).align(1, Align::Right);
/// table.row(["web", "4"]);
/// table.row(["database", ""]);
/// assert_eq!(table.render(false), "NAME      CPUS\nweb          4\ndatabase     -\n");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Table {
    header: Vec<Cell>,
    align: Vec<Align>,
    rows: Vec<Vec<Cell>>,
    wrapped: bool,
}

impl Table {
    /// A table with these headings. Without headings, pass an empty list; the first row then sets the columns.
    pub fn new<C: Into<Cell>>(header: impl IntoIterator<Item = C>) -> Self {
        let header = header.into_iter().map(Into::into).collect();
        Self { header, align: Vec::new(), rows: Vec::new(), wrapped: false }
    }

    /// Sets the alignment of a column, counted from 0.
    #[must_use]
    pub fn align(mut self, column: usize, align: Align) -> Self {
        if self.align.len() <= column {
            self.align.resize(column + 1, Align::Left);
        }
        self.align[column] = align;
        self
    }

    /// Wraps the last column, which is set to the left, where the page would be too narrow for it: for sentences.
    #[must_use]
    pub const fn wrap_last(mut self) -> Self {
        self.wrapped = true;
        self
    }

    /// Adds a row. Cells that are missing are empty.
    pub fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// How many rows there are, the headings not counted.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text; every line ends in a newline and none in a space.
    pub fn render(&self, colour: bool) -> String {
        self.render_within(colour, None)
    }

    /// The same for a page of so many columns, which matters with [`Table::wrap_last`] alone.
    pub fn render_within(&self, colour: bool, page: Option<usize>) -> String {
        let lines = || std::iter::once(&self.header).filter(|header| !header.is_empty()).chain(&self.rows);
        let count = lines().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![1; count];
        for line in lines() {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(columns(&cell.text));
            }
        }
        let last = count.saturating_sub(1);
        let before: usize = widths.iter().take(last).map(|width| width + 2).sum();
        let room = page
            .filter(|_| self.wrapped)
            .map(|page| page.saturating_sub(before))
            .filter(|room| *room >= MIN_WRAPPED);
        let heading = Style::new().bold();
        let mut out = String::new();
        for line in lines() {
            let is_header = std::ptr::eq(line, &raw const self.header);
            let start = out.len();
            for (column, &width) in widths.iter().enumerate() {
                let cell = line.get(column);
                let text = cell.map_or("", |cell| cell.text.as_str());
                let text = if text.is_empty() && !is_header { "-" } else { text };
                let look = match cell {
                    _ if !colour => Style::new(),
                    _ if is_header => heading,
                    Some(cell) => cell.look,
                    None => Style::new(),
                };
                let mut parts = wrap(text, room.filter(|_| column == last)).into_iter();
                let text = parts.next().unwrap_or_default();
                let gap = " ".repeat(width.saturating_sub(columns(&text)));
                if column > 0 {
                    out.push_str("  ");
                }
                let align = self.align.get(column).copied().unwrap_or_default();
                match align {
                    Align::Left => out.push_str(&format!("{look}{text}{look:#}{gap}")),
                    Align::Right => out.push_str(&format!("{gap}{look}{text}{look:#}")),
                }
                for part in parts {
                    let shown = out.trim_end_matches(' ').len();
                    out.truncate(shown);
                    out.push_str(&format!("\n{}{look}{part}{look:#}", " ".repeat(before)));
                }
            }
            let end = out[start..].trim_end_matches(' ').len() + start;
            out.truncate(end);
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_and_empty_cells_keep_the_columns() {
        let mut table = Table::new(["NAME", "STATE", "UPTIME"]).align(2, Align::Right);
        table.row(["web", "running", "3 d"]);
        table.row(["漢字", "", "10 h"]);
        table.row(["odd\nname\u{1b}[2J", "exited"]);
        insta::assert_snapshot!(table.render(false));
    }

    #[test]
    fn looks_do_not_move_columns() {
        let mut table = Table::new(["A", "B"]);
        table.row([Cell::styled("x", anstyle::AnsiColor::Green.on_default()), Cell::from("y")]);
        let colour = table.render(true);
        assert!(colour.contains("\u{1b}[32mx\u{1b}[0m  y"), "{colour:?}");
        assert_eq!(table.render(false), "A  B\nx  y\n");
    }

    #[test]
    fn a_last_column_of_sentences_is_wrapped_on_a_page() {
        let mut table = Table::new(["NAME", "WHAT IT SAYS"]).wrap_last();
        table.row(["web", "what goes on and on is shown below itself"]);
        table.row(["db", "short"]);
        assert_eq!(
            table.render_within(false, Some(32)),
            "NAME  WHAT IT SAYS\nweb   what goes on and on is\n      shown below itself\ndb    short\n"
        );
        assert_eq!(table.render_within(false, Some(20)), table.render(false), "too narrow to be of use");
    }

    #[test]
    fn a_table_without_headings_or_rows() {
        assert_eq!(Table::new([""; 0]).render(false), "");
        let mut bare = Table::new([""; 0]);
        bare.row(["key", "value"]);
        assert_eq!(bare.render(false), "key  value\n");
        assert_eq!((bare.len(), bare.is_empty()), (1, false));
        assert_eq!(Table::new(["A"]).render(false), "A\n");
    }
}
