//! A list whose items change while its comments and line breaks stay.

use std::ops::Range;

use toml_edit::Array;

use super::ConfigValue;
use super::model::PortRange;
use super::splice::newline;
use super::tree::{Node, Place};
use super::value::quoted;

/// An item as it stands in the text.
#[derive(Clone)]
struct Piece {
    /// From the line break before the item, or from the separator on the same line.
    lead: String,
    /// The item.
    text: String,
    /// Between the item and its comma.
    post: String,
    /// After the comma, on the same line: the item's comment.
    comment: String,
}

/// The text of the list at `span` with the items of `value`, or `None` when it has none to keep or the value is no list.
pub(super) fn rewrite(
    text: &str,
    span: &Range<usize>,
    array: &Array,
    nodes: &[(Place, Node)],
    value: &ConfigValue,
) -> Option<String> {
    let wanted = items(value)?;
    if array.is_empty() || array.len() != nodes.len() {
        return None;
    }
    let (head, mut pieces, tail, trailing_comma) = pieces(text, span, array)?;
    let same = |piece: usize, item: usize| same_item(&nodes[piece].1, value, item);
    let (old, new) = (pieces.len(), wanted.len());
    let front = (0..old.min(new)).take_while(|&at| same(at, at)).count();
    let back = (0..old.min(new) - front).take_while(|&at| same(old - 1 - at, new - 1 - at)).count();
    let removed: Vec<Piece> = pieces.splice(front..old - back, []).collect();
    let middle = &wanted[front..new - back];
    for (at, item) in middle.iter().enumerate() {
        // An item in the place of another takes its place in the lines too, comment included.
        let piece = match removed.get(at) {
            Some(old) => Piece { text: item.clone(), ..old.clone() },
            None => Piece {
                lead: lead_like(pieces.get(front + at), pieces[..front + at].last(), removed.last(), front + at),
                text: item.clone(),
                post: String::new(),
                comment: String::new(),
            },
        };
        pieces.insert(front + at, piece);
    }
    let mut out = format!("[{head}");
    let last = pieces.len().checked_sub(1);
    for (at, piece) in pieces.iter().enumerate() {
        out.push_str(&piece.lead);
        out.push_str(&piece.text);
        out.push_str(&piece.post);
        if Some(at) != last || trailing_comma {
            out.push(',');
        }
        out.push_str(&piece.comment);
    }
    out.push_str(&tail);
    out.push(']');
    Some(out)
}

/// The line break and indentation of a neighbour, or a space.
fn lead_like(next: Option<&Piece>, previous: Option<&Piece>, removed: Option<&Piece>, at: usize) -> String {
    let model = previous.filter(|piece| piece.lead.contains('\n')).or(next).or(removed);
    match model.and_then(|piece| piece.lead.rfind('\n').map(|at| (piece, at))) {
        Some((piece, at)) => {
            let indent = &piece.lead[at + 1..];
            format!("{}{indent}", newline(&piece.lead))
        }
        None if at == 0 => String::new(),
        None => " ".to_owned(),
    }
}

/// What follows the bracket on its line, the items, what stands before the closing bracket, and whether a comma does.
fn pieces(text: &str, span: &Range<usize>, array: &Array) -> Option<(String, Vec<Piece>, String, bool)> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(array.len());
    let mut head = String::new();
    let mut from = span.start + 1;
    for value in array {
        let item = value.span()?;
        let between = text.get(from..item.start)?;
        let lead = match pieces.last_mut() {
            None => {
                let (same_line, lead) = split_line(between);
                head.push_str(same_line);
                lead
            }
            Some(previous) => {
                let (post, after) = split_comma(between)?;
                let (comment, lead) = split_line(after);
                previous.post = post.to_owned();
                previous.comment = comment.to_owned();
                lead
            }
        };
        pieces.push(Piece {
            lead: lead.to_owned(),
            text: text.get(item.clone())?.to_owned(),
            post: String::new(),
            comment: String::new(),
        });
        from = item.end;
    }
    let rest = text.get(from..span.end.checked_sub(1)?)?;
    let last = pieces.last_mut()?;
    let (after, comma) = match split_comma(rest) {
        Some((post, after)) => {
            last.post = post.to_owned();
            (after, true)
        }
        None => (rest, false),
    };
    let (comment, tail) = split_line(after);
    last.comment = comment.to_owned();
    Some((head, pieces, tail.to_owned(), comma))
}

/// The text up to the first line break, and from it on. Without a line break everything is the second part.
fn split_line(text: &str) -> (&str, &str) {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => text.split_at(at - 1),
        Some(at) => text.split_at(at),
        None => ("", text),
    }
}

/// The text before and after its comma. A comma in a comment is none.
fn split_comma(text: &str) -> Option<(&str, &str)> {
    let mut in_comment = false;
    for (at, c) in text.char_indices() {
        match c {
            '\n' => in_comment = false,
            '#' => in_comment = true,
            ',' if !in_comment => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// The items of a list as TOML.
fn items(value: &ConfigValue) -> Option<Vec<String>> {
    Some(match value {
        ConfigValue::Texts(texts) => texts.iter().map(|text| quoted(text)).collect(),
        ConfigValue::Ints(numbers) => numbers.iter().map(u32::to_string).collect(),
        ConfigValue::Ranges(ranges) => ranges.iter().map(|range| range.to_toml()).collect(),
        ConfigValue::Bool(_) | ConfigValue::Int(_) | ConfigValue::Text(_) => return None,
    })
}

fn same_item(node: &Node, value: &ConfigValue, at: usize) -> bool {
    match (value, node) {
        (ConfigValue::Texts(texts), Node::Text(text)) => texts.get(at) == Some(text),
        (ConfigValue::Ints(numbers), Node::Int(number)) => {
            numbers.get(at).is_some_and(|wanted| i64::from(*wanted) == *number)
        }
        (ConfigValue::Ranges(ranges), node) => {
            PortRange::from_node(node).is_ok_and(|range| ranges.get(at) == Some(&range))
        }
        _ => false,
    }
}
