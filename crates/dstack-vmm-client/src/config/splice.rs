//! Where in a TOML text a key is put, replaced or taken out.
//!
//! The text itself is cut, instead of being written anew from a parsed document: that keeps line ends, a byte order mark
//! and every space. toml_edit tells where things stand.

use std::ops::Range;

use toml_edit::{ArrayOfTables, Document, InlineTable, Item, Table, TableLike, Value};

use super::array;
use super::lines::{indent, line_end, line_start, newline, past_comments, replace};
use super::port_range::PortRange;
use super::tree::{Node, Table as Tree};
use super::{ConfigError, ConfigValue, EditError};

/// What a key belongs to, and where a new one would go.
enum Parent<'a> {
    /// A section with a header, or the top of the file (`None`). Keys are relative to this many segments.
    Section { table: &'a Table, depth: usize },
    /// Keys such as `a.b = 1` inside a section.
    Dotted { table: &'a Table, depth: usize },
    /// `{ ... }`.
    Inline { table: &'a InlineTable, whole: Range<usize>, depth: usize },
    /// A section of this path has to be made, after the end of this one.
    NewSection { after: &'a Table },
}

/// A text with its document.
struct Place<'a> {
    text: &'a str,
    root: &'a Table,
    segments: &'a [&'a str],
}

pub(super) fn set(
    text: &str,
    tree: &Tree,
    segments: &[&str],
    value: &ConfigValue,
) -> Result<String, EditError> {
    let document = parse(text)?;
    let place = Place { text, root: document.as_table(), segments };
    let (parent, item) = place.find()?;
    match item {
        None => place.insert(&parent, value),
        Some(Item::ArrayOfTables(sections)) => match value {
            ConfigValue::Ranges(ranges) if !ranges.is_empty() => place.set_sections(sections, ranges),
            _ => {
                let without = place.remove_sections(sections)?;
                set(&without, tree, segments, value)
            }
        },
        Some(item) => {
            let span = item.span().ok_or_else(|| place.unplaceable())?;
            let old = tree.at(&segments.join(".")).map(|entry| &entry.node);
            let new = match (item.as_array(), old) {
                (Some(array), Some(Node::List(nodes))) => {
                    array::rewrite(text, &span, array, nodes, value).unwrap_or_else(|| place.render(value))
                }
                _ => place.render(value),
            };
            Ok(replace(text, span, &new))
        }
    }
}

pub(super) fn unset(text: &str, segments: &[&str]) -> Result<String, EditError> {
    let document = parse(text)?;
    let place = Place { text, root: document.as_table(), segments };
    let (parent, item) = place.find()?;
    let Some(item) = item else { return Ok(text.to_owned()) };
    if let Item::ArrayOfTables(sections) = item {
        return place.remove_sections(sections);
    }
    match parent {
        Parent::Inline { whole, depth, .. } => place.remove_inline(whole, depth),
        Parent::Section { table, .. } | Parent::Dotted { table, .. } => {
            let leaf = place.leaf();
            let key = table.key(leaf).and_then(toml_edit::Key::span).ok_or_else(|| place.unplaceable())?;
            let value = item.span().ok_or_else(|| place.unplaceable())?;
            Ok(replace(text, line_start(text, key.start)..line_end(text, value.end), ""))
        }
        Parent::NewSection { .. } => Ok(text.to_owned()),
    }
}

fn parse(text: &str) -> Result<Document<&str>, EditError> {
    Document::parse(text).map_err(|error| {
        let (line, column) = super::tree::position(text, error.span().map_or(0, |span| span.start));
        let message = error.message().to_owned();
        EditError::Config(ConfigError::Syntax { file: "vmm.toml".to_owned(), line, column, message })
    })
}

impl<'a> Place<'a> {
    fn leaf(&self) -> &'a str {
        self.segments.last().copied().unwrap_or_default()
    }

    fn unplaceable(&self) -> EditError {
        EditError::Unplaceable { path: self.segments.join(".") }
    }

    fn not_a_table(&self, depth: usize) -> EditError {
        EditError::NotATable { path: self.segments[..depth].join(".") }
    }

    /// What the key belongs to, and the key's value where it is there.
    fn find(&self) -> Result<(Parent<'a>, Option<&'a Item>), EditError> {
        let mut table = self.root;
        // How many segments lead to the section that dotted keys are relative to.
        let mut section = 0;
        let (leaf, parents) = match self.segments.split_last() {
            Some((leaf, parents)) => (*leaf, parents),
            None => return Err(self.unplaceable()),
        };
        for (at, name) in parents.iter().enumerate() {
            match table.get(name) {
                None if table.is_dotted() => return Ok((Parent::Dotted { table, depth: section }, None)),
                None => return Ok((Parent::NewSection { after: table }, None)),
                Some(Item::Table(inner)) => {
                    table = inner;
                    if !inner.is_dotted() {
                        section = at + 1;
                    }
                }
                Some(item @ Item::Value(Value::InlineTable(inner))) => {
                    let whole = item.span().ok_or_else(|| self.unplaceable())?;
                    return self.find_inline(inner, whole, at + 1);
                }
                Some(_) => return Err(self.not_a_table(at + 1)),
            }
        }
        let item = table.get(leaf).filter(|item| !item.is_none());
        let parent = if table.is_dotted() {
            Parent::Dotted { table, depth: section }
        } else if table.is_implicit() && !parents.is_empty() && item.is_none() {
            Parent::NewSection { after: table }
        } else {
            Parent::Section { table, depth: section }
        };
        Ok((parent, item))
    }

    fn find_inline(
        &self,
        outer: &'a InlineTable,
        whole: Range<usize>,
        depth: usize,
    ) -> Result<(Parent<'a>, Option<&'a Item>), EditError> {
        let (mut table, mut whole, mut depth) = (outer, whole, depth);
        // The table that was reached last, dotted ones included; `table` is the last one with braces.
        let mut reached: &InlineTable = outer;
        let parents = self.segments.len() - 1;
        for (at, name) in self.segments.iter().enumerate().take(parents).skip(depth) {
            match TableLike::get(reached, name) {
                None => return Ok((Parent::Inline { table, whole, depth }, None)),
                Some(item @ Item::Value(Value::InlineTable(inner))) => {
                    reached = inner;
                    if !inner.is_dotted() {
                        table = inner;
                        depth = at + 1;
                        whole = item.span().ok_or_else(|| self.unplaceable())?;
                    }
                }
                Some(_) => return Err(self.not_a_table(at + 1)),
            }
        }
        Ok((Parent::Inline { table, whole, depth }, TableLike::get(reached, self.leaf())))
    }

    /// The value as this file would have it: several ranges one a line.
    fn render(&self, value: &ConfigValue) -> String {
        let newline = newline(self.text);
        match value {
            ConfigValue::Ranges(ranges) if ranges.len() > 1 => {
                let lines: Vec<String> =
                    ranges.iter().map(|range| format!("    {},{newline}", range.to_toml())).collect();
                format!("[{newline}{}]", lines.concat())
            }
            value => value.to_string(),
        }
    }

    fn insert(&self, parent: &Parent<'_>, value: &ConfigValue) -> Result<String, EditError> {
        let newline = newline(self.text);
        let line = |depth: usize| format!("{} = {}", self.segments[depth..].join("."), self.render(value));
        match parent {
            Parent::Section { table, depth } | Parent::Dotted { table, depth } => {
                let line = line(*depth);
                let after =
                    body_end(*table).or_else(|| table.span().map(|span| span.end).filter(|_| *depth > 0));
                match after {
                    Some(after) => {
                        let indent = indent(self.text, last_key(*table).unwrap_or(after));
                        Ok(self.insert_line(after, &format!("{indent}{line}")))
                    }
                    None => Ok(self.insert_at_top(&line)),
                }
            }
            Parent::Inline { table, whole, depth } => {
                let single = format!("{} = {value}", self.segments[*depth..].join("."));
                Ok(match body_end(*table) {
                    Some(after) => replace(self.text, after..after, &format!(", {single}")),
                    None => replace(self.text, whole.clone(), &format!("{{ {single} }}")),
                })
            }
            Parent::NewSection { after } => {
                let (_, parents) = self.segments.split_last().ok_or_else(|| self.unplaceable())?;
                let section = format!(
                    "[{}]{newline}{} = {}{newline}",
                    parents.join("."),
                    self.leaf(),
                    self.render(value)
                );
                let end =
                    if std::ptr::eq(*after, self.root) { Some(self.text.len()) } else { subtree_end(after) };
                Ok(self.insert_section(end.unwrap_or(self.text.len()), &section))
            }
        }
    }

    /// The text with a line after the one that holds the offset.
    fn insert_line(&self, offset: usize, line: &str) -> String {
        let newline = newline(self.text);
        let at = past_comments(self.text, line_end(self.text, offset));
        if self.text[..at].ends_with('\n') {
            replace(self.text, at..at, &format!("{line}{newline}"))
        } else {
            replace(self.text, at..at, &format!("{newline}{line}{newline}"))
        }
    }

    /// The text with a line before the first section: after the comment at the top, where a blank line ends it.
    fn insert_at_top(&self, line: &str) -> String {
        let newline = newline(self.text);
        let mut at = if self.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let start = at;
        while self.text[at..].starts_with('#') {
            at = line_end(self.text, at);
        }
        let blank = self.text[at..].starts_with(['\n', '\r']);
        match (at > start, blank) {
            (true, true) => at = line_end(self.text, at),
            (true, false) if at < self.text.len() => at = start,
            _ => {}
        }
        let lead = if at > 0 && !self.text[..at].ends_with(['\n', '\u{feff}']) { newline } else { "" };
        let rest = &self.text[at..];
        let gap = if rest.is_empty() || rest.starts_with(['\n', '\r']) { "" } else { newline };
        replace(self.text, at..at, &format!("{lead}{line}{newline}{gap}"))
    }

    /// The text with a section after the line that holds the offset, set off by blank lines.
    fn insert_section(&self, offset: usize, section: &str) -> String {
        let newline = newline(self.text);
        let at = past_comments(self.text, line_end(self.text, offset));
        let (before, rest) = self.text.split_at(at);
        let lead = match before.trim_start_matches('\u{feff}') {
            "" => String::new(),
            text if text.ends_with("\n\n") || text.ends_with("\n\r\n") => String::new(),
            text if text.ends_with('\n') => newline.to_owned(),
            _ => format!("{newline}{newline}"),
        };
        let gap = if rest.is_empty() || rest.starts_with(['\n', '\r']) { "" } else { newline };
        replace(self.text, at..at, &format!("{lead}{section}{gap}"))
    }

    /// The text with other ranges in sections `[[...]]`.
    fn set_sections(&self, sections: &ArrayOfTables, ranges: &[PortRange]) -> Result<String, EditError> {
        let newline = newline(self.text);
        let mut cuts: Vec<(Range<usize>, String)> = Vec::new();
        for (at, section) in sections.iter().enumerate() {
            let Some(range) = ranges.get(at) else {
                cuts.push((self.section_range(section)?, String::new()));
                continue;
            };
            let wanted = [
                ("protocol", ConfigValue::Text(range.protocol.to_string())),
                ("from", range.from.into()),
                ("to", range.to.into()),
            ];
            let header = section.span().ok_or_else(|| self.unplaceable())?.end;
            for (key, value) in wanted {
                match section.get(key) {
                    Some(item) => {
                        let span = item.span().ok_or_else(|| self.unplaceable())?;
                        if self.text[span.clone()] != value.to_string() {
                            cuts.push((span, value.to_string()));
                        }
                    }
                    None => {
                        let at = line_end(self.text, header);
                        cuts.push((at..at, format!("{key} = {value}{newline}")));
                    }
                }
            }
        }
        cuts.sort_by_key(|(range, _)| range.start);
        let mut text = self.text.to_owned();
        for (range, with) in cuts.into_iter().rev() {
            text.replace_range(range, &with);
        }
        let more: String = ranges
            .iter()
            .skip(sections.len())
            .map(|range| {
                format!(
                    "{newline}[[{}]]{newline}protocol = \"{}\"{newline}from = {}{newline}to = {}{newline}",
                    self.segments.join("."),
                    range.protocol,
                    range.from,
                    range.to
                )
            })
            .collect();
        if more.is_empty() {
            return Ok(text);
        }
        // The offsets moved, so the end of the last section is looked up in the new text.
        let document = parse(&text)?;
        let place = Place { text: &text, root: document.as_table(), segments: self.segments };
        let (_, item) = place.find()?;
        let end = item
            .and_then(Item::as_array_of_tables)
            .and_then(|sections| sections.iter().filter_map(subtree_end).max())
            .ok_or_else(|| self.unplaceable())?;
        Ok(place.insert_section(end, more.trim_start_matches(['\r', '\n'])))
    }

    fn remove_sections(&self, sections: &ArrayOfTables) -> Result<String, EditError> {
        let mut ranges: Vec<Range<usize>> =
            sections.iter().map(|section| self.section_range(section)).collect::<Result<_, _>>()?;
        ranges.sort_by_key(|range| range.start);
        let mut text = self.text.to_owned();
        for range in ranges.into_iter().rev() {
            text.replace_range(range, "");
        }
        Ok(text)
    }

    /// A section from its header's line to the line of its last value, with a blank line after it.
    fn section_range(&self, section: &Table) -> Result<Range<usize>, EditError> {
        let header = section.span().ok_or_else(|| self.unplaceable())?;
        let end = line_end(self.text, subtree_end(section).unwrap_or(header.end));
        let blank = self.text[end..].starts_with('\n') || self.text[end..].starts_with("\r\n");
        let end = if blank { line_end(self.text, end) } else { end };
        Ok(line_start(self.text, header.start)..end)
    }

    /// The text with an inline table that lacks the key. The table is written anew, as it has no comments of its own
    /// unless it stands on several lines.
    fn remove_inline(&self, whole: Range<usize>, depth: usize) -> Result<String, EditError> {
        let mut value: Value = self.text[whole.clone()].parse().map_err(|_| self.unplaceable())?;
        let mut table: &mut dyn TableLike = value.as_inline_table_mut().ok_or_else(|| self.unplaceable())?;
        let (leaf, parents) = self.segments[depth..].split_last().ok_or_else(|| self.unplaceable())?;
        for name in parents {
            table =
                table.get_mut(name).and_then(Item::as_table_like_mut).ok_or_else(|| self.unplaceable())?;
        }
        table.remove(leaf);
        value.decor_mut().clear();
        let old = &self.text[whole.clone()];
        let mut new = value.to_string().trim().to_owned();
        // The space before the brace went with the last key.
        if old.ends_with(" }") && !new.ends_with(" }") && new != "{}" {
            new.insert(new.len() - 1, ' ');
        }
        Ok(replace(self.text, whole, &new))
    }
}

/// Where the last value of a table's own body ends; values of dotted keys belong to it, sections do not.
fn body_end(table: &dyn TableLike) -> Option<usize> {
    table
        .iter()
        .filter_map(|(_, item)| match item {
            Item::Value(Value::InlineTable(inner)) if inner.is_dotted() => body_end(inner),
            Item::Value(value) => value.span().map(|span| span.end),
            Item::Table(inner) if inner.is_dotted() => body_end(inner),
            _ => None,
        })
        .max()
}

/// Where the last key of a table's own body begins.
fn last_key(table: &dyn TableLike) -> Option<usize> {
    table
        .iter()
        .filter_map(|(name, item)| match item {
            Item::Table(inner) if inner.is_dotted() => last_key(inner),
            Item::Value(_) => table.key(name).and_then(toml_edit::Key::span).map(|span| span.start),
            _ => None,
        })
        .max()
}

/// Where a section with everything below it ends.
fn subtree_end(table: &Table) -> Option<usize> {
    let own = table.span().map(|span| span.end).filter(|_| !table.is_implicit());
    let below = table.iter().filter_map(|(_, item)| match item {
        Item::Value(value) => value.span().map(|span| span.end),
        Item::Table(inner) => subtree_end(inner),
        Item::ArrayOfTables(sections) => sections.iter().filter_map(subtree_end).max(),
        Item::None => None,
    });
    below.chain(own).max()
}
