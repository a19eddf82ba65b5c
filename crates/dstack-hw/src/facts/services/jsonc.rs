//! JSON as it stands in configuration files: with comments, and with commas where none belong.
//!
//! The reader blanks out what JSON does not have, in place, and leaves the rest to `serde_json`: lines and columns stay
//! those of the file, strict JSON is read as `serde_json` reads it, and its bound on nesting holds.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// A text that is no JSON even with comments and superfluous commas taken away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
#[non_exhaustive]
pub struct JsoncError {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1; 0 where the line ended too early.
    pub column: usize,
    /// What is wrong, in the words of the parser.
    pub message: String,
}

/// What was read, and what in it is not JSON.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Jsonc {
    /// The value.
    pub value: Value,
    /// Superfluous commas, in the order of the text; 64 at most. Programs differ in whether they accept them. Comments are
    /// not listed.
    pub commas: Vec<SuperfluousComma>,
}

/// A comma that JSON does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SuperfluousComma {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// Where it stands.
    pub place: CommaPlace,
}

/// Where a superfluous comma stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommaPlace {
    /// Before the first member, or after another comma.
    Leading,
    /// After the last member.
    Trailing,
}

impl fmt::Display for CommaPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leading => "before the first member",
            Self::Trailing => "after the last member",
        })
    }
}

/// Reads JSON with `//` and `/* */` comments, a byte-order mark, and commas before the first and after the last member.
///
/// ```
/// let text = "{\n  // where certificates come from\n  \"pccs_url\": \"https://localhost:8081/sgx/certification/v4/\"\n  , \"use_secure_cert\": false,\n}";
/// let read = dstack_hw::facts::services::jsonc::parse(text).unwrap();
/// assert_eq!(read.value["use_secure_cert"], false);
/// assert_eq!(read.commas.len(), 1);
/// ```
///
/// # Errors
///
/// [`JsoncError`] with the place in the text.
pub fn parse(text: &str) -> Result<Jsonc, JsoncError> {
    let mut bytes = text.as_bytes().to_vec();
    if let Some(mark) = bytes.get_mut(..3).filter(|mark| **mark == *b"\xef\xbb\xbf") {
        mark.fill(b' ');
    }
    blank_comments(&mut bytes)?;
    let commas = blank_commas(&mut bytes);
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Jsonc { value, commas }),
        Err(error) => {
            let words = error.to_string();
            let message = words.split(" at line ").next().unwrap_or(&words).to_owned();
            Err(JsoncError { line: error.line(), column: error.column(), message })
        }
    }
}

/// The state of the scan: only outside of strings do comments and commas mean something.
#[derive(Clone, Copy, PartialEq)]
enum Scan {
    Outside,
    String,
    Escape,
    LineComment,
    BlockComment { from: usize },
}

fn blank_comments(bytes: &mut [u8]) -> Result<(), JsoncError> {
    let mut scan = Scan::Outside;
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        let next = bytes.get(index + 1).copied();
        let mut step = 1;
        match scan {
            Scan::Outside => match (byte, next) {
                (b'"', _) => scan = Scan::String,
                (b'/', Some(b'/')) => {
                    scan = Scan::LineComment;
                    step = 0;
                }
                (b'/', Some(b'*')) => {
                    scan = Scan::BlockComment { from: index };
                    blank(bytes, index, 2);
                    step = 2;
                }
                _ => {}
            },
            Scan::String if byte == b'\\' => scan = Scan::Escape,
            Scan::String if byte == b'"' => scan = Scan::Outside,
            Scan::String => {}
            Scan::Escape => scan = Scan::String,
            Scan::LineComment if byte == b'\n' => scan = Scan::Outside,
            Scan::BlockComment { .. } if byte == b'*' && next == Some(b'/') => {
                blank(bytes, index, 2);
                scan = Scan::Outside;
                step = 2;
            }
            Scan::LineComment | Scan::BlockComment { .. } => blank(bytes, index, 1),
        }
        index += step;
    }
    if let Scan::BlockComment { from } = scan {
        let (line, column) = place(bytes, from);
        return Err(JsoncError { line, column, message: "a comment that does not end".to_owned() });
    }
    Ok(())
}

/// Spaces instead of bytes; line ends stay.
fn blank(bytes: &mut [u8], from: usize, count: usize) {
    for byte in bytes.iter_mut().skip(from).take(count) {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

fn blank_commas(bytes: &mut [u8]) -> Vec<SuperfluousComma> {
    const MOST: usize = 64;
    let mut found = Vec::new();
    let mut scan = Scan::Outside;
    // The last token that is no space, and the comma that may turn out to be the last.
    let mut before = None;
    let mut comma = None;
    for index in 0..bytes.len() {
        let Some(&byte) = bytes.get(index) else { break };
        match scan {
            Scan::String if byte == b'\\' => scan = Scan::Escape,
            Scan::String if byte == b'"' => scan = Scan::Outside,
            Scan::Escape => scan = Scan::String,
            Scan::Outside if byte.is_ascii_whitespace() => continue,
            Scan::Outside => {
                match byte {
                    b'"' => scan = Scan::String,
                    b',' if matches!(before, Some(b'{' | b'[' | b',')) => {
                        found.push((index, CommaPlace::Leading));
                        blank(bytes, index, 1);
                        continue;
                    }
                    b'}' | b']' if before == Some(b',') => {
                        if let Some(comma) = comma {
                            found.push((comma, CommaPlace::Trailing));
                            blank(bytes, comma, 1);
                        }
                    }
                    _ => {}
                }
                comma = (byte == b',').then_some(index);
            }
            _ => {}
        }
        before = Some(byte);
    }
    found.sort_unstable_by_key(|(index, _)| *index);
    found.truncate(MOST);
    found
        .into_iter()
        .map(|(index, kind)| {
            let (line, column) = place(bytes, index);
            SuperfluousComma { line, column, place: kind }
        })
        .collect()
}

/// Line and column of a byte, both from 1.
fn place(bytes: &[u8], index: usize) -> (usize, usize) {
    let before = bytes.get(..index).unwrap_or(bytes);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_form_that_the_packages_ship() {
        let text = "{\n  // *** comment with a \" in it ***\n  \"pccs_url\": \"https://localhost:8081/sgx/certification/v4/\" // PCCS\n\
                    \n  /* several\n     lines */\n  ,\"use_secure_cert\": true\n\n  //,\"collateral_service\": \"https://api.example.com/\"\n\
                    \n  ,\"retry_times\": 6\n}\n";
        let read = parse(text).unwrap();
        assert_eq!(
            read.value,
            json!({"pccs_url": "https://localhost:8081/sgx/certification/v4/", "use_secure_cert": true, "retry_times": 6})
        );
        assert_eq!(read.commas, []);
    }

    #[test]
    fn commas_that_do_not_belong_are_named() {
        let read = parse("{\n  //\"pccs_url\": \"x\"\n  ,\"a\": [1, 2,],\n}").unwrap();
        assert_eq!(read.value, json!({"a": [1, 2]}));
        let places: Vec<_> =
            read.commas.iter().map(|comma| (comma.line, comma.column, comma.place)).collect();
        assert_eq!(
            places,
            [(3, 3, CommaPlace::Leading), (3, 14, CommaPlace::Trailing), (3, 16, CommaPlace::Trailing)]
        );
    }

    #[test]
    fn errors_point_into_the_file() {
        let error = parse("{\n  // one\n  \"a\": 1\n  \"b\": 2\n}").unwrap_err();
        assert_eq!((error.line, error.column), (4, 3));
        assert_eq!(error.to_string(), "line 4, column 3: expected `,` or `}`");
        let error = parse("{} /* never closed").unwrap_err();
        assert_eq!((error.line, error.column), (1, 4));
    }

    #[test]
    fn strings_keep_what_looks_like_a_comment() {
        let read = parse(r#"{"url": "https://[::1]:8081//x", "text": "a /* b */ ,] \" // c"}"#).unwrap();
        assert_eq!(read.value["url"], "https://[::1]:8081//x");
        assert_eq!(read.value["text"], "a /* b */ ,] \" // c");
    }

    #[test]
    fn a_byte_order_mark_and_deep_nesting() {
        assert_eq!(parse("\u{feff}{}").unwrap().value, json!({}));
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse("").is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9f64).prop_map(Value::from),
            "(?s).{0,12}".prop_map(Value::from),
            r#"[/*\\",\[\]{}:]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(r#"[a-z/",]{0,6}"#, inner, 0..6).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn strict_json_is_read_as_it_is(value in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            let read = parse(&text).unwrap();
            prop_assert_eq!(read.value, serde_json::from_str::<Value>(&text).unwrap());
            prop_assert!(read.commas.is_empty());
        }

        #[test]
        fn what_serde_reads_is_read_the_same(text in r#"[\[\]{}",:/*0-9a\\ \n]{0,40}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(parse(&text).unwrap().value, value);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
            if let Err(error) = parse(&text) {
                prop_assert!(error.line >= 1 && error.line <= text.lines().count() + 1);
            }
        }
    }
}
