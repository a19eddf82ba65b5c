//! Lines of a text and places in it.

use std::ops::Range;

/// The line end that the file uses.
pub(super) fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Where the line that holds the offset begins, after a byte order mark.
pub(super) fn line_start(text: &str, offset: usize) -> usize {
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    if text[start..].starts_with('\u{feff}') { start + '\u{feff}'.len_utf8() } else { start }
}

/// Where the line after the one that holds the offset begins, or the end of the text.
pub(super) fn line_end(text: &str, offset: usize) -> usize {
    text[offset..].find('\n').map_or(text.len(), |at| offset + at + 1)
}

/// Spaces and tabs at the beginning of the line that holds the offset.
pub(super) fn indent(text: &str, offset: usize) -> &str {
    let line = &text[line_start(text, offset)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The offset after the comment lines that follow, where a blank line or the end of the text comes after them. Comments
/// right before a key or a section belong to that.
pub(super) fn past_comments(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        let line = text[at..].trim_start_matches([' ', '\t']);
        if line.starts_with('#') {
            at = line_end(text, at);
        } else if line.is_empty() || line.starts_with(['\n', '\r']) {
            return at;
        } else {
            return from;
        }
    }
}

pub(super) fn replace(text: &str, range: Range<usize>, with: &str) -> String {
    let mut out = String::with_capacity(text.len() + with.len());
    out.push_str(&text[..range.start]);
    out.push_str(with);
    out.push_str(&text[range.end..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text = "\u{feff}a = 1\r\n  b = 2\nc";
        assert_eq!(newline(text), "\r\n");
        assert_eq!(line_start(text, 5), 3);
        assert_eq!(line_end(text, 5), 10);
        assert_eq!(indent(text, 14), "  ");
        assert_eq!(line_end(text, text.len()), text.len());
        assert_eq!(newline("a\nb\r\n"), "\n");
    }

    #[test]
    fn comments_belong_to_what_follows_at_once() {
        assert_eq!(past_comments("# a\n# b\n\n[x]", 0), 8);
        assert_eq!(past_comments("# a\n[x]", 0), 0);
        assert_eq!(past_comments("# a", 0), 3);
        assert_eq!(past_comments("", 0), 0);
    }
}
