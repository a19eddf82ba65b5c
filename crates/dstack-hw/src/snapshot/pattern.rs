//! Patterns over paths and names: `*` and `?` inside a part, `**` for any number of parts.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most parts between slashes that a pattern or a path has.
const MAX_PARTS: usize = 32;
/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 512;

/// A pattern over paths (`/etc/default/grub.d/*.cfg`) or names (`linux-image-*`).
///
/// Parts are separated by `/`. Inside a part `*` stands for any characters and `?` for one; a part `**` stands for any
/// number of parts, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

/// One part between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Exactly this.
    Literal(String),
    /// With `*` or `?` in it.
    Wild(String),
    /// `**`.
    AnyDepth,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// In words, for a pattern that is empty, too long, has too many parts, or a part `..`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a pattern is empty".to_owned());
        }
        if text.len() > MAX_PATTERN {
            return Err(format!("a pattern is longer than {MAX_PATTERN} bytes"));
        }
        let parts: Vec<Part> = text
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| match part {
                "**" => Part::AnyDepth,
                part if part.contains(['*', '?']) => Part::Wild(part.to_owned()),
                part => Part::Literal(part.to_owned()),
            })
            .collect();
        if parts.len() > MAX_PARTS {
            return Err(format!("pattern `{text}` has more than {MAX_PARTS} parts"));
        }
        if parts.iter().any(|part| matches!(part, Part::Literal(name) if name == "." || name == "..")) {
            return Err(format!("pattern `{text}` has a part `.` or `..`"));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Does the whole path or name match?
    pub fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if names.len() > 4 * MAX_PARTS {
            return false;
        }
        // reach[n]: the parts so far can match the first n names.
        let mut reach = vec![false; names.len() + 1];
        if let Some(first) = reach.first_mut() {
            *first = true;
        }
        for part in &self.parts {
            let mut next = vec![false; names.len() + 1];
            match part {
                Part::AnyDepth => {
                    let mut reached = false;
                    for (before, after) in reach.iter().zip(next.iter_mut()) {
                        reached |= *before;
                        *after = reached;
                    }
                }
                part => {
                    for ((before, after), name) in reach.iter().zip(next.iter_mut().skip(1)).zip(&names) {
                        *after = *before && part.matches(name);
                    }
                }
            }
            reach = next;
        }
        reach.last().copied().unwrap_or(false)
    }
}

impl Part {
    /// Does one name match?
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Wild(wild) => wild_matches(wild.as_bytes(), name.as_bytes()),
            Self::AnyDepth => true,
        }
    }
}

/// `*` and `?` over bytes. Goes back to the last `*` only, so it takes at most the product of the lengths.
fn wild_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(path)
    }

    #[test]
    fn parts_and_depth() {
        assert!(matches("/etc/default/grub", "/etc/default/grub"));
        assert!(!matches("/etc/default/grub", "/etc/default/grub.d"));
        assert!(matches("/etc/default/grub.d/*.cfg", "/etc/default/grub.d/99-tdx-kernel.cfg"));
        assert!(!matches("/etc/*", "/etc/a/b"));
        assert!(matches("/etc/**", "/etc/a/b") && matches("/etc/**", "/etc"));
        assert!(matches("**/*.key", "/a/b/c.key") && matches("**/*.key", "c.key"));
        assert!(matches("/a/**/z", "/a/z") && matches("/a/**/z", "/a/b/c/z") && !matches("/a/**/z", "/a/b"));
        assert!(matches("tcp/34?3/*", "tcp/3443/loopback"));
        assert!(matches("a*b*c", "axxbyybzc") && !matches("a*b*c", "axxbyyb"));
    }

    #[test]
    fn what_is_no_pattern() {
        assert!(Pattern::parse("").is_err());
        assert!(Pattern::parse("/etc/../root").is_err());
        assert!(Pattern::parse(&"/a".repeat(64)).is_err());
        assert!(Pattern::parse(&"a".repeat(1000)).is_err());
    }

    proptest! {
        #[test]
        fn a_path_matches_itself_and_everything_below_its_parents(
            parts in proptest::collection::vec("[a-z.]{1,5}x", 1..6),
        ) {
            let path = format!("/{}", parts.join("/"));
            prop_assert!(matches(&path, &path));
            prop_assert!(matches("**", &path));
            let last = parts.last().unwrap();
            let last_pattern = format!("**/*{last}");
            prop_assert!(matches(&last_pattern, &path));
        }

        #[test]
        fn any_pattern_and_any_path_come_to_an_end(pattern in "[a*?/]{1,60}", path in "[a/]{0,200}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                let _ = pattern.matches(&path);
            }
        }
    }
}
