//! `sha256sum.txt`: names and SHA-256 in the format of the program `sha256sum`.

use crate::fixed_bytes::decode_hex;
use crate::{Digest32, HexError};

/// The longest list that is read, in bytes.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// The most files in a list.
const MAX_LINES: usize = 1024;

/// The longest name, in bytes; what file systems allow.
const MAX_NAME: usize = 255;

/// One line: a file and its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChecksumLine {
    /// The file's name in the image directory.
    pub name: String,
    /// The SHA-256 that it should have.
    pub sha256: Digest32,
}

/// The list of an image's files, in the order of its lines; each name is there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    lines: Vec<ChecksumLine>,
}

/// Why a text is not a list of checksums.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChecksumsError {
    /// The text is too long.
    #[error("it has {length} bytes, more than the {MAX_TEXT} that are read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// There are too many lines.
    #[error("it has more than {MAX_LINES} lines")]
    TooManyLines,
    /// The text is not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// There is no line.
    #[error("it lists no file")]
    Empty,
    /// A line is not a checksum, two spaces or a space and an asterisk, and a name.
    #[error("line {line} is not a SHA-256, two spaces and a file name")]
    Form {
        /// The line, from 1.
        line: usize,
    },
    /// The checksum of a line is not one.
    #[error("line {line}: {source}")]
    Checksum {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        source: HexError,
    },
    /// The name of a line is not that of a file in the directory.
    #[error("line {line} names {name:?}, which is not a plain file name")]
    Name {
        /// The line, from 1.
        line: usize,
        /// The name, cut where it is long.
        name: String,
    },
    /// A file is listed twice.
    #[error("line {line} lists {name:?} a second time")]
    Repeated {
        /// The line, from 1.
        line: usize,
        /// The name.
        name: String,
    },
}

impl Checksums {
    /// Reads the bytes of a `sha256sum.txt`: lines of 64 hex digits, two spaces (or a space and an asterisk, the mark of
    /// binary mode) and a name. Names are those of files in the directory itself: no `/` except for a leading `./`, not
    /// `.` or `..`, no control characters.
    ///
    /// # Errors
    ///
    /// [`ChecksumsError`], with the line. A list that can be read in two ways is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChecksumsError> {
        if bytes.len() > MAX_TEXT {
            return Err(ChecksumsError::TooLong { length: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ChecksumsError::NotText)?;
        let mut names = std::collections::HashSet::new();
        let mut lines = Vec::new();
        for (index, line) in text.split('\n').enumerate() {
            let number = index + 1;
            // Only the end of the text may be without a line; a carriage return would become part of a name.
            if line.is_empty() {
                continue;
            }
            if lines.len() == MAX_LINES {
                return Err(ChecksumsError::TooManyLines);
            }
            let line = read_line(line, number)?;
            if !names.insert(line.name.clone()) {
                return Err(ChecksumsError::Repeated { line: number, name: line.name });
            }
            lines.push(line);
        }
        if lines.is_empty() { Err(ChecksumsError::Empty) } else { Ok(Self { lines }) }
    }

    /// The lines.
    pub fn lines(&self) -> &[ChecksumLine] {
        &self.lines
    }

    /// The checksum of a file; `None` when it is not listed.
    pub fn get(&self, name: &str) -> Option<Digest32> {
        self.lines.iter().find(|line| line.name == name).map(|line| line.sha256)
    }
}

fn read_line(line: &str, number: usize) -> Result<ChecksumLine, ChecksumsError> {
    let form = || ChecksumsError::Form { line: number };
    let (digits, rest) = line.split_once(' ').ok_or_else(form)?;
    let name = rest.strip_prefix(' ').or_else(|| rest.strip_prefix('*')).ok_or_else(form)?;
    let bytes = decode_hex(digits).map_err(|source| ChecksumsError::Checksum { line: number, source })?;
    let sha256 =
        Digest32::from_slice(&bytes).map_err(|source| ChecksumsError::Checksum { line: number, source })?;
    let plain = name.strip_prefix("./").unwrap_or(name);
    if !is_plain_name(plain) {
        return Err(ChecksumsError::Name { line: number, name: name.chars().take(80).collect() });
    }
    Ok(ChecksumLine { name: plain.to_owned(), sha256 })
}

/// Whether a text names a file in the directory itself.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name != "."
        && name != ".."
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(name: &str) -> String {
        format!("{}  {name}\n", "ab".repeat(32))
    }

    #[test]
    fn both_modes_and_a_missing_last_newline() {
        let text = format!("{}{} *rootfs.img.verity", line("bzImage"), "CD".repeat(32));
        let read = Checksums::parse(text.as_bytes()).unwrap();
        assert_eq!(read.lines().len(), 2);
        assert_eq!(read.get("bzImage"), Some(Digest32::new([0xab; 32])));
        assert_eq!(read.get("rootfs.img.verity"), Some(Digest32::new([0xcd; 32])));
        assert_eq!(read.get("ovmf.fd"), None);
        assert_eq!(Checksums::parse(line("./ovmf.fd").as_bytes()).unwrap().lines()[0].name, "ovmf.fd");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in
            ["../x", "/etc/passwd", "a/b", "..", ".", "./..", "", "a\\b", "a\r", "a\tb", &"x".repeat(256)]
        {
            let read = Checksums::parse(line(name).as_bytes());
            assert!(matches!(read, Err(ChecksumsError::Name { line: 1, .. })), "{name:?} {read:?}");
        }
    }

    #[test]
    fn lines_of_another_form_are_refused() {
        let hash = "ab".repeat(32);
        let refused = [
            (hash.clone(), ChecksumsError::Form { line: 1 }),
            (format!("{hash} name"), ChecksumsError::Form { line: 1 }),
            (format!("{hash}\tname"), ChecksumsError::Form { line: 1 }),
            (
                format!("{}  name", &hash[2..]),
                ChecksumsError::Checksum { line: 1, source: HexError::Length { expected: 32, found: 31 } },
            ),
            (line("a") + &line("b") + &line("a"), ChecksumsError::Repeated { line: 3, name: "a".into() }),
            (line("a") + &line("./a"), ChecksumsError::Repeated { line: 2, name: "a".into() }),
            ("\n\n".to_owned(), ChecksumsError::Empty),
            ((0..=MAX_LINES).map(|n| line(&n.to_string())).collect(), ChecksumsError::TooManyLines),
        ];
        for (text, error) in refused {
            assert_eq!(Checksums::parse(text.as_bytes()), Err(error));
        }
        // The mark of escaped names makes the digits odd.
        assert!(Checksums::parse(format!("\\{}", line("a\\nb")).as_bytes()).is_err());
        assert_eq!(Checksums::parse(&[0xff]), Err(ChecksumsError::NotText));
        let long = vec![b'\n'; MAX_TEXT + 1];
        assert_eq!(Checksums::parse(&long), Err(ChecksumsError::TooLong { length: MAX_TEXT + 1 }));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Checksums::parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read(names in proptest::collection::btree_map("[a-z0-9._-]{3,20}", any::<[u8; 32]>(), 1..20)) {
            let text: String =
                names.iter().map(|(name, hash)| format!("{}  {name}\n", Digest32::new(*hash))).collect();
            let read = Checksums::parse(text.as_bytes()).unwrap();
            let again: std::collections::BTreeMap<_, _> =
                read.lines().iter().map(|line| (line.name.clone(), *line.sha256.as_bytes())).collect();
            prop_assert_eq!(again, names);
        }
    }
}
