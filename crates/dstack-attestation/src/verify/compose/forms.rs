//! The same app-compose in other bytes: why a hash differs although nobody meant to change anything.

use serde_json::Value;

use crate::{Digest32, hash};

/// The longest app-compose whose other forms are tried, in bytes; the largest that a guest takes is 50 MiB, and files
/// beyond this size are not written by hand.
const MAX_TEXT: usize = 4 << 20;

/// What the bytes at hand would have to be changed in to have the wanted hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verify) enum Form {
    /// A newline at the end is too much, or missing.
    FinalNewline,
    /// Lines end with a carriage return and a newline where they should end with a newline, or the other way.
    LineEndings,
    /// There is a byte order mark.
    ByteOrderMark,
    /// The same JSON, written with other white space or order.
    Rewritten,
}

impl Form {
    /// What to do about it, as the action of a fix.
    pub(in crate::verify) const fn advice(self) -> &'static str {
        match self {
            Self::FinalNewline => {
                "compare the very bytes that were sent: yours differ from them by a newline at the end"
            }
            Self::LineEndings => {
                "compare the very bytes that were sent: yours have other line endings (CRLF or LF)"
            }
            Self::ByteOrderMark => {
                "compare the very bytes that were sent: yours differ from them by a byte order mark"
            }
            Self::Rewritten => {
                "compare the very bytes that were sent: yours are the same JSON written differently"
            }
        }
    }
}

/// Whether the bytes have a hash that is `wanted` in another form, and in which.
pub(in crate::verify) fn other_form(bytes: &[u8], wanted: impl Fn(&Digest32) -> bool) -> Option<Form> {
    if bytes.len() > MAX_TEXT {
        return None;
    }
    let wanted = |parts: &[&[u8]]| wanted(&hash::sha256(parts));
    let trimmed = bytes.strip_suffix(b"\n").map_or(bytes, |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    if wanted(&[trimmed]) || wanted(&[trimmed, b"\n"]) {
        return Some(Form::FinalNewline);
    }
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let marked = bytes.strip_prefix(MARK).map_or_else(|| wanted(&[MARK, bytes]), |rest| wanted(&[rest]));
    if marked {
        return Some(Form::ByteOrderMark);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let unix = text.replace("\r\n", "\n");
    let ends = [&unix, &unix.replace('\n', "\r\n")].into_iter().any(|text| {
        let trimmed = text.trim_end_matches(['\r', '\n']).as_bytes();
        [&[text.as_bytes()] as &[&[u8]], &[trimmed], &[trimmed, b"\n"]].into_iter().any(wanted)
    });
    if ends {
        return Some(Form::LineEndings);
    }
    rewritten(text).iter().any(|text| wanted(&[text])).then_some(Form::Rewritten)
}

/// The JSON as tools write it: compact and indented, as it is and with its members sorted.
fn rewritten(text: &str) -> Vec<Vec<u8>> {
    let Ok(value) = serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) else {
        return Vec::new();
    };
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    let mut forms = Vec::new();
    for value in [&value, &sorted] {
        forms.extend(serde_json::to_vec(value));
        forms.extend(indented(value, b"  "));
        forms.extend(indented(value, b"    "));
    }
    forms
}

fn indented(value: &Value, indent: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, format);
    serde::Serialize::serialize(value, &mut serializer).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(yours: &str, sent: &str) -> Option<Form> {
        let sent = hash::sha256(&[sent.as_bytes()]);
        other_form(yours.as_bytes(), |hash| *hash == sent)
    }

    #[test]
    fn each_form_is_told() {
        let compact = r#"{"a":1,"b":"x\ny"}"#;
        let pretty = "{\n  \"a\": 1,\n  \"b\": \"x\\ny\"\n}";
        assert_eq!(form(&format!("{compact}\n"), compact), Some(Form::FinalNewline));
        assert_eq!(form(compact, &format!("{compact}\n")), Some(Form::FinalNewline));
        assert_eq!(form(&pretty.replace('\n', "\r\n"), pretty), Some(Form::LineEndings));
        assert_eq!(form(pretty, &pretty.replace('\n', "\r\n")), Some(Form::LineEndings));
        assert_eq!(form(&format!("{pretty}\n").replace('\n', "\r\n"), pretty), Some(Form::LineEndings));
        assert_eq!(form(&format!("\u{feff}{compact}"), compact), Some(Form::ByteOrderMark));
        assert_eq!(form(pretty, compact), Some(Form::Rewritten));
        assert_eq!(form(compact, pretty), Some(Form::Rewritten));
        assert_eq!(form(r#"{"b":"x\ny","a":1}"#, compact), Some(Form::Rewritten));
        assert_eq!(form(r#"{"a":2,"b":"x\ny"}"#, compact), None);
        assert_eq!(form("\n\u{0}not json", compact), None);
    }
}
