//! A list whose items change while its comments and line breaks stay.

use std::ops::Range;

use toml_edit::Array;

use super::ConfigValue;
use super::lines::newline;
use super::port_range::PortRange;

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
    let (head, pieces, tail, trailing_comma) = pieces(text, span, array)?;
    let kept = common(nodes.len(), wanted.len(), |piece, item| same_item(&nodes[piece].1, value, item));
    let mut result: Vec<Piece> = Vec::with_capacity(wanted.len());
    let mut old = 0;
    for (at, text) in wanted.into_iter().enumerate() {
        if let Some(&(piece, _)) = kept.iter().find(|(_, item)| *item == at) {
            old = piece + 1;
            result.push(pieces[piece].clone());
            continue;
        }
        // An item in the place of one that goes takes its place in the lines too, comment included.
        let goes = old < pieces.len() && !kept.iter().any(|(piece, _)| *piece == old);
        if goes {
            result.push(Piece { text, ..pieces[old].clone() });
            old += 1;
        } else {
            let lead = lead_like(pieces.get(old), result.last(), result.is_empty());
            result.push(Piece { lead, text, post: String::new(), comment: String::new() });
        }
    }
    let pieces = result;
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

/// The longest common subsequence of the old and the new items, as pairs of their positions.
fn common(old: usize, new: usize, same: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let mut length = vec![vec![0_usize; new + 1]; old + 1];
    for a in (0..old).rev() {
        for b in (0..new).rev() {
            length[a][b] =
                if same(a, b) { length[a + 1][b + 1] + 1 } else { length[a + 1][b].max(length[a][b + 1]) };
        }
    }
    let (mut a, mut b, mut pairs) = (0, 0, Vec::new());
    while a < old && b < new {
        if same(a, b) {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if length[a + 1][b] >= length[a][b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

/// The line break and indentation of a neighbour, or a space.
fn lead_like(next: Option<&Piece>, previous: Option<&Piece>, first: bool) -> String {
    let model = previous.filter(|piece| piece.lead.contains('\n')).or(next);
    match model.and_then(|piece| piece.lead.rfind('\n').map(|at| (piece, at))) {
        Some((piece, at)) => format!("{}{}", newline(&piece.lead), &piece.lead[at + 1..]),
        None if first => String::new(),
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
