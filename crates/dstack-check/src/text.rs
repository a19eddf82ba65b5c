//! Making text of unknown origin safe and fitting for people: neutralising, bounding, measuring, wrapping.
//!
//! Kernel logs, container logs and server answers are written by whoever runs there. Shown raw in a terminal they can
//! move the cursor, rewrite earlier lines or reorder letters; everything this crate renders goes through here first.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether a character can change how the text around it is displayed: control characters (C0, DEL, C1), characters
/// of the bidirectional algorithm, and those without any width.
///
/// Newline and tab count too; callers that allow them ask for them first.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text with every deceptive character written out, such as `\x1b` or `\u{202e}`. Newlines and tabs stay;
/// a carriage return before a newline is dropped.
///
/// ```
/// use dstack_check::text::neutralise;
///
/// assert_eq!(neutralise("plain"), "plain");
/// assert_eq!(neutralise("\u{1b}[2Jgone"), r"\x1b[2Jgone");
/// assert_eq!(neutralise("a\r\nb"), "a\nb");
/// ```
pub fn neutralise(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n' || c == '\t')
}

/// [`neutralise`] for text that must stay on one line: newlines and tabs are written out as well.
///
/// ```
/// assert_eq!(dstack_check::text::neutralise_line("a\nb"), r"a\nb");
/// ```
pub fn neutralise_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

fn escape(text: &str, allowed: fn(char) -> bool) -> Cow<'_, str> {
    let harmless = |c: char| allowed(c) || !is_deceptive(c);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            _ if harmless(c) => out.push(c),
            '\r' if allowed('\n') && chars.peek() == Some(&'\n') => {}
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a String cannot fail.
            _ => {
                let code = u32::from(c);
                let _ =
                    if code < 0x100 { write!(out, "\\x{code:02x}") } else { write!(out, "\\u{{{code:x}}}") };
            }
        }
    }
    Cow::Owned(out)
}

/// JSON text with the deceptive characters inside its strings written as `\\u` escapes, which mean the same.
///
/// JSON writers escape what is below U+0020 only; this adds DEL, C1 and the characters that reorder text, so that a
/// document can be shown in a terminal.
///
/// ```
/// assert_eq!(dstack_check::text::escape_json("\"a\u{202e}b\""), r#""a\u202eb""#);
/// ```
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // The structure of JSON is plain ASCII, so any other character stands inside a string. Line breaks and tabs can
    // only be layout, since inside strings the writer has escaped them.
    let layout = |c: char| matches!(c, '\n' | '\r' | '\t');
    if json.chars().all(|c| layout(c) || !is_deceptive(c)) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if layout(c) || !is_deceptive(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    Cow::Owned(out)
}

/// The text, or its beginning with a mark that gives the full length, so that the result has at most `max` bytes.
///
/// Where `max` is too small for the mark, the mark is left out. Bounding twice changes nothing the second time.
///
/// ```
/// let cut = dstack_check::text::bounded("x".repeat(5000), 4096);
/// assert!(cut.len() <= 4096 && cut.ends_with("[cut: 5000 bytes in all]"));
/// ```
pub fn bounded(text: impl Into<String>, max: usize) -> String {
    let mut text = text.into();
    if text.len() <= max {
        return text;
    }
    let mark = format!(" [cut: {} bytes in all]", text.len());
    let (keep, mark) = if mark.len() <= max { (max - mark.len(), mark.as_str()) } else { (max, "") };
    text.truncate(text.floor_char_boundary(keep));
    text.push_str(mark);
    text
}

/// How many terminal columns a text without line breaks takes. Wide East Asian characters take two, combining ones none.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// The text as lines of at most `width` columns: broken at line breaks, else after the last space that fits, else
/// inside the word. Spaces inside a line stay as they are, tabs become four spaces. There is always at least one line.
///
/// `None` as the width breaks at line breaks alone. A width of 0 counts as 1.
pub fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let text = text.replace('\t', "    ");
    let width = width.map_or(usize::MAX, |w| w.max(1));
    let mut lines = Vec::new();
    for line in text.split('\n') {
        wrap_line(line, width, &mut lines);
    }
    lines
}

fn wrap_line(mut rest: &str, width: usize, lines: &mut Vec<String>) {
    loop {
        let Some(limit) = overflow(rest, width) else {
            lines.push(rest.to_owned());
            return;
        };
        // A break after leading spaces alone would give an empty line, so a space counts only behind a word.
        let space = rest[..limit].rfind(' ').filter(|&at| !rest[..at].trim().is_empty());
        let space = if rest[limit..].starts_with(' ') { Some(limit) } else { space };
        let (line, next) = match space {
            Some(at) => (&rest[..at], rest[at..].trim_start_matches(' ')),
            None => rest.split_at(limit),
        };
        lines.push(line.trim_end().to_owned());
        if next.is_empty() {
            return;
        }
        rest = next;
    }
}

/// Where the first character starts that does not fit into `width` columns; at least one character always fits.
fn overflow(text: &str, width: usize) -> Option<usize> {
    let mut used = 0usize;
    for (at, c) in text.char_indices() {
        used = used.saturating_add(c.width().unwrap_or(0));
        if used > width && at > 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn deceptive_characters_are_written_out() {
        for (raw, shown) in [
            ("\u{1b}[31mred\u{1b}[0m", r"\x1b[31mred\x1b[0m"),
            ("over\rwrite", r"over\rwrite"),
            ("\u{9b}2J", r"\x9b2J"),
            ("abc\u{202e}fdp.exe", r"abc\u{202e}fdp.exe"),
            ("bell\u{7}", r"bell\x07"),
            ("tab\there", "tab\there"),
            ("grüße 漢字 🙂", "grüße 漢字 🙂"),
        ] {
            assert_eq!(neutralise(raw), shown);
        }
        assert_eq!(neutralise_line("a\r\nb\tc"), r"a\r\nb\tc");
    }

    #[test]
    fn bounding_respects_character_boundaries_and_small_limits() {
        assert_eq!(bounded("short", 5), "short");
        assert_eq!(bounded("äöü", 3), "ä");
        let cut = bounded("ä".repeat(100), 60);
        assert!(cut.len() <= 60, "{cut}");
        assert!(cut.ends_with("ä [cut: 200 bytes in all]"), "{cut}");
    }

    #[test]
    fn wrapping_breaks_at_spaces_and_inside_long_words() {
        let lines = |text, width| wrap(text, Some(width));
        assert_eq!(lines("one two three", 7), ["one two", "three"]);
        assert_eq!(lines("one two three", 8), ["one two", "three"]);
        assert_eq!(lines("0123456789", 4), ["0123", "4567", "89"]);
        assert_eq!(lines("  indented stays", 10), ["  indented", "stays"]);
        assert_eq!(lines("漢字漢字", 5), ["漢字", "漢字"]);
        assert_eq!(lines("a\n\nb", 5), ["a", "", "b"]);
        assert_eq!(lines("", 5), [""]);
        assert_eq!(wrap("a long line stays whole", None), ["a long line stays whole"]);
    }

    proptest! {
        #[test]
        fn neutral_text_has_nothing_deceptive_and_stays(text in any::<String>()) {
            let once = neutralise(&text).into_owned();
            prop_assert!(once.chars().all(|c| c == '\n' || c == '\t' || !is_deceptive(c)));
            prop_assert_eq!(neutralise(&once), once.as_str());
            prop_assert!(neutralise_line(&text).chars().all(|c| !is_deceptive(c)));
        }

        #[test]
        fn bounded_text_fits_and_bounding_is_idempotent(text in any::<String>(), max in 0usize..200) {
            let once = bounded(text, max);
            prop_assert!(once.len() <= max);
            prop_assert_eq!(bounded(once.clone(), max), once);
        }

        #[test]
        fn wrapped_lines_fit_and_lose_only_spaces(text in "[ -~äß漢\n]{0,200}", width in 2usize..40) {
            let lines = wrap(&text, Some(width));
            for line in &lines {
                prop_assert!(columns(line) <= width, "{line:?} is wider than {width}");
            }
            let bare = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(bare(&lines.concat()), bare(&text));
        }
    }
}
