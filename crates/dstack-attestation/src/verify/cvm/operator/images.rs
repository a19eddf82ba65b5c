//! A scan of a Compose file for the images it names.
//!
//! It looks at lines and is no YAML parser: it finds `image` and `build` keys in block and in flow style, with and without
//! quotes, and takes what follows for the value. What it cannot make out counts as not pinned.

use std::fmt;

/// What a service runs, as its line has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// The line, from 1.
    line: usize,
    key: &'static str,
    value: String,
}

impl Reference {
    /// Whether the image is named by a SHA-256 digest, with nothing to fill in.
    pub(super) fn is_pinned(&self) -> bool {
        let Some((name, digest)) = self.value.rsplit_once("@sha256:") else { return false };
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        self.key == "image"
            && !name.is_empty()
            && !name.contains('$')
            && digest.len() == 64
            && digest.bytes().all(hex)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.value.is_empty() { "(on other lines)" } else { &self.value };
        write!(f, "line {}: {}: {value}", self.line, self.key)
    }
}

/// Every `image` and `build` of a Compose file.
pub(super) fn scan(compose: &str) -> Vec<Reference> {
    let mut found = Vec::new();
    for (index, line) in compose.lines().enumerate() {
        let line = without_comment(line);
        for key in ["image", "build"] {
            let values = line.match_indices(key).filter_map(|(at, _)| value_of(line, at, key));
            found.extend(values.map(|value| Reference { line: index + 1, key, value: value.to_owned() }));
        }
    }
    found
}

/// The line up to a comment. A `#` inside a word or in front is part of the text or all of it.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    let comment = line.find(" #").or_else(|| line.find("\t#"));
    comment.and_then(|at| line.get(..at)).unwrap_or(line)
}

/// What follows the key at `at`, where it is a key there.
fn value_of<'a>(line: &'a str, at: usize, key: &str) -> Option<&'a str> {
    let (before, after) = (line.get(..at)?, line.get(at + key.len()..)?);
    let (before, after) = match before.chars().next_back() {
        Some(quote @ ('"' | '\'')) => (before.get(..before.len() - 1)?, after.strip_prefix(quote)?),
        _ => (before, after),
    };
    let starts =
        before.trim_end().chars().next_back().is_none_or(|last| matches!(last, '{' | ',' | '-' | '?'));
    let apart = before.is_empty() || before.ends_with([' ', '\t', '{', ',']);
    if !starts || !apart {
        return None;
    }
    let value = after.trim_start().strip_prefix(':')?;
    // `image:x` without a blank is one word in block style; in flow style after a quoted key it is a value.
    let value = value.trim();
    Some(match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = value.get(1..).unwrap_or_default();
            inner.split(quote).next().unwrap_or_default()
        }
        Some('>' | '|' | '&' | '*' | '!') | None => "",
        Some(_) => plain(value.split([',', ' ', '\t']).next().unwrap_or_default()),
    })
}

/// A value without quotes, without the braces that close a flow mapping around it.
fn plain(value: &str) -> &str {
    let mut value = value;
    while value.ends_with('}') && value.matches('}').count() > value.matches('{').count() {
        value = value.strip_suffix('}').unwrap_or(value);
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn found(compose: &str) -> Vec<(String, bool)> {
        scan(compose).iter().map(|one| (one.to_string(), one.is_pinned())).collect()
    }

    #[test]
    fn images_are_found_in_every_common_form() {
        let compose = format!(
            "services:\n  web:\n    image: nginx@{DIGEST}   # pinned\n  \"image\": {{}}\n  b: {{image: 'b:1', x: 1}}\n  \
             c: {{\"image\":\"c@{DIGEST}\"}}\n  d:\n    image: >-\n      d:1\n  e:\n    build: .\n  # image: not-here\n  f:\n    \
             image: ${{F}}@{DIGEST}\n"
        );
        let pinned = format!("line 3: image: nginx@{DIGEST}");
        assert_eq!(
            found(&compose),
            [
                (pinned, true),
                ("line 4: image: {}".to_owned(), false),
                ("line 5: image: b:1".to_owned(), false),
                (format!("line 6: image: c@{DIGEST}"), true),
                ("line 8: image: (on other lines)".to_owned(), false),
                ("line 11: build: .".to_owned(), false),
                (format!("line 14: image: ${{F}}@{DIGEST}"), false),
            ]
        );
    }

    #[test]
    fn other_words_are_no_images() {
        assert_eq!(
            found("x-image: a\nimages: b\nmy image: c\ncommand: echo image : d\npull: image-build\n"),
            []
        );
    }

    #[test]
    fn only_a_whole_digest_pins() {
        for (value, pinned) in [
            (format!("a@{DIGEST}"), true),
            (format!("a:1@{DIGEST}"), true),
            (format!("@{DIGEST}"), false),
            (format!("a@{DIGEST}0"), false),
            (format!("a@{}", DIGEST.to_uppercase()), false),
            ("a@sha512:00".to_owned(), false),
            ("a:latest".to_owned(), false),
        ] {
            assert_eq!(found(&format!("image: {value}"))[0].1, pinned, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_scanned(text in any::<String>()) {
            let _ = scan(&text);
        }

        #[test]
        fn a_pinned_image_is_found_in_any_indentation(indent in 0usize..8, name in "[a-z/.-]{1,20}") {
            let line = format!("{}image: {name}@{DIGEST}", " ".repeat(indent));
            let references = scan(&line);
            prop_assert_eq!(references.len(), 1);
            prop_assert!(references[0].is_pinned());
        }
    }
}
