//! Reading a `.env` file.
//!
//! The grammar is that of Docker Compose, without expansion:
//!
//! * One `NAME=value` a line; `export ` before it and white space around `=` are allowed. Empty lines and lines that begin
//!   with `#` are comments.
//! * Without quotes the value goes to the end of the line, or to a `#` with white space before it. White space around it
//!   does not count.
//! * Between `'` everything stands for itself, over several lines as well; `\'` is a quote.
//! * Between `"` likewise, except for `\n`, `\r`, `\t`, `\\`, `\"` and `\$`; any other backslash stands for itself.
//! * `$NAME` is never expanded: an encrypted environment must not depend on who seals it. [`EnvFile::notes`] says where a
//!   value looks as if it should have been.
//! * A BOM at the beginning and CRLF line ends are taken for what they are.
//! * A name without `=` and a name that comes twice are errors. Compose takes the first from the shell and lets the later
//!   one win; both are mistakes more often than not, and of the silent kind.

use std::collections::HashMap;

use super::reader::Reader;
use super::vars::{EnvVar, Environment};
use dstack_check::{Hint, Hinted};

/// What is wrong with a `.env` file. Nothing that may belong to a value is ever part of it, and where a name is not one, it
/// may: the line could be the middle of a key that somebody forgot to quote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvFileProblem {
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A line without `=`.
    #[error("there is no = in this line")]
    NoEquals,
    /// Nothing before `=`.
    #[error("there is no name before the =")]
    NoName,
    /// A name that the guest refuses.
    #[error("a name cannot {} {character:?}", if *.first { "begin with" } else { "contain" })]
    Name {
        /// The character that is not allowed.
        character: char,
        /// Whether it is the first one, where digits are not allowed either.
        first: bool,
    },
    /// A quote that does not end.
    #[error("the quote of {name} is never closed")]
    OpenQuote {
        /// The variable.
        name: String,
    },
    /// Text behind a closing quote.
    #[error("there is text behind the closing quote of {name}")]
    AfterQuote {
        /// The variable.
        name: String,
    },
    /// A NUL character.
    #[error("there is a NUL character in the value of {name}")]
    Nul {
        /// The variable.
        name: String,
    },
    /// A name for the second time.
    #[error("{name} was set in line {first_line} already")]
    Duplicate {
        /// The variable.
        name: String,
        /// Where it was first, from 1.
        first_line: usize,
    },
}

/// Why a `.env` file could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
#[non_exhaustive]
pub struct EnvFileError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong there.
    #[source]
    pub problem: EnvFileProblem,
}

impl Hinted for EnvFileError {
    fn hint(&self) -> Option<Hint> {
        let text = match &self.problem {
            EnvFileProblem::NotUtf8 => "save the file as UTF-8",
            EnvFileProblem::NoEquals | EnvFileProblem::NoName => {
                "write NAME=value; a name alone is not taken from the environment of this machine, and a value over several \
                 lines needs quotes"
            }
            EnvFileProblem::Name { .. } => "names are letters, digits and _, not beginning with a digit",
            EnvFileProblem::OpenQuote { .. } => {
                "close the quote, or write \\' or \\\" for one that belongs to the value"
            }
            EnvFileProblem::AfterQuote { .. } => {
                "put the whole value between the quotes, and a space before a # comment"
            }
            EnvFileProblem::Nul { .. } => "encode binary values, in base64 for instance",
            EnvFileProblem::Duplicate { .. } => "keep one of the two lines",
        };
        Some(Hint::from(text))
    }
}

/// What a value makes one think of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvNoteKind {
    /// It contains `$NAME` or `${NAME}`, which Compose would expand and this does not.
    LooksLikeExpansion,
    /// It contains a line break. The guest hands it to the app as the two characters `\n` (upstream
    /// `dstack-util/src/parse_env_file.rs`).
    LineBreak,
}

/// Something about a value that its writer may not expect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvNote {
    /// The variable.
    pub name: String,
    /// Line of the variable, from 1.
    pub line: usize,
    /// What it is.
    pub kind: EnvNoteKind,
}

impl std::fmt::Display for EnvNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, line, kind } = self;
        match kind {
            EnvNoteKind::LooksLikeExpansion => write!(f, "line {line}: the $ in {name} is not expanded"),
            EnvNoteKind::LineBreak => {
                write!(
                    f,
                    "line {line}: {name} has a line break, which reaches the app as the two characters \\n"
                )
            }
        }
    }
}

/// What a `.env` file contains.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvFile {
    /// The variables, in the order of the file.
    pub environment: Environment,
    /// What their writer may not expect.
    pub notes: Vec<EnvNote>,
}

impl EnvFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with line and column.
    ///
    /// ```
    /// use dstack_vmm_client::env::EnvFile;
    ///
    /// let file = EnvFile::parse(b"export HOST=db.example.com # the main one\nKEY=\"two\\nlines\"\n")?;
    /// assert_eq!(file.environment.get("HOST").unwrap().value(), "db.example.com");
    /// assert_eq!(file.environment.get("KEY").unwrap().value(), "two\nlines");
    ///
    /// let error = EnvFile::parse(b"A=1\nB-C=2\n").unwrap_err();
    /// assert_eq!(error.to_string(), "line 2, column 2: a name cannot contain '-'");
    /// # Ok::<(), dstack_vmm_client::env::EnvFileError>(())
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvFileError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            // Up to there it is text, whose lines can be counted.
            let (fine, _) = bytes.split_at(error.valid_up_to());
            let fine = std::str::from_utf8(fine).unwrap_or_default();
            Reader::new(fine).error(fine.len(), EnvFileProblem::NotUtf8)
        })?;
        let mut reader = Reader::new(text);
        reader.eat('\u{feff}');
        let mut file = Self { environment: Environment::new(), notes: Vec::new() };
        let mut lines: HashMap<&str, usize> = HashMap::new();
        while let Some(entry) = reader.entry()? {
            let line = reader.line(entry.at);
            if let Some(&first_line) = lines.get(entry.name) {
                let name = entry.name.to_owned();
                return Err(reader.error(entry.at, EnvFileProblem::Duplicate { name, first_line }));
            }
            lines.insert(entry.name, line);
            let mut note = |kind| file.notes.push(EnvNote { name: entry.name.to_owned(), line, kind });
            if entry.expandable {
                note(EnvNoteKind::LooksLikeExpansion);
            }
            if entry.value.contains('\n') {
                note(EnvNoteKind::LineBreak);
            }
            file.environment.push_new(EnvVar::checked(entry.name, entry.value));
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        match EnvFile::parse(text.as_bytes()) {
            Ok(file) => {
                let vars: Vec<String> =
                    file.environment.iter().map(|var| format!("{}={:?}", var.name(), var.value())).collect();
                let notes: Vec<String> = file.notes.iter().map(|note| format!("  note: {note}")).collect();
                [vars, notes].concat().join("\n")
            }
            Err(error) => format!("{error}\n  hint: {}", error.hint().unwrap()),
        }
    }

    #[test]
    fn files_that_are_read() {
        let cases = [
            "",
            "\n # only a comment\n\n",
            "A=1",
            "A=1\nB=2\n",
            "export A=1\n\texport  B = 2  \nexport=3\nexport_me=4\n",
            "A=\nB= \nC= # nothing\nD=#not a comment\nE=a#b\nF=a # b\nG=a\t# b\n",
            "A='single $X \\n' # c\nB='it\\'s'\nC='a\nb'\nD=''\n",
            "A=\"double \\\"q\\\" \\\\ \\n \\t \\$X \\d\" # c\nB=\"a\nb\"\nC=\"\"\n",
            "A=$X\nB=\"${X}\"\nC=100$\nD='$X'\nE=\"\\$X $5\"\n",
            "\u{feff}A=1\r\nB='x\r\ny'\r\nC=\"z\" \r\n\r\n# c\r\nD=4",
            "A=b\"c\"d\nB=x='y'\nURL=https://example.com/?a=b#c\n",
            "A=grüße 漢字\n",
        ];
        let all: Vec<String> = cases.iter().map(|text| format!("{text:?}\n{}\n", shown(text))).collect();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn files_that_are_refused() {
        let cases = [
            "A=1\n  B\n",
            "A=1\nexport B\n",
            "-----BEGIN PRIVATE KEY-----\n",
            "=1\n",
            "A=1\n\n  2B=2\n",
            "A-B=1",
            "Ä=1",
            "A B=1",
            "A='x\ny\n",
            "A=1\nBB=\"x\\\"\n",
            "A='x'y\n",
            "A=\"x\"# c\n",
            "A=1\nB='2' \r x\n",
            "A=1\nB=2\nA=3\n",
            "A=x\0y\n",
            "A=1\nB='\0'\n",
            "\u{feff}1=2\n",
        ];
        let mut all: Vec<String> = cases.iter().map(|text| format!("{text:?}\n{}\n", shown(text))).collect();
        let error = EnvFile::parse(b"A=1\nB=\xc3\xa4\xff\n").unwrap_err();
        all.push(format!("{error}\n  hint: {}", error.hint().unwrap()));
        insta::assert_snapshot!(all.join("\n"));
    }

    proptest! {
        #[test]
        fn writing_and_reading_are_inverse(
            vars in prop::collection::vec(("[A-Za-z_][A-Za-z0-9_]{0,8}", "[^\\x00]{0,30}"), 0..10),
            awkward in prop::collection::vec("[a'\"\\\\$\\n\\r\\t# =]{0,12}", 0..6),
        ) {
                        let awkward = awkward.into_iter().enumerate().map(|(n, value)| (format!("awkward_{n}"), value));
            let environment: Environment =
                vars.into_iter().chain(awkward).map(|(name, value)| EnvVar::new(name, value).unwrap()).collect();
            let text = environment.to_env_file();
            prop_assert_eq!(EnvFile::parse(text.as_bytes()).unwrap().environment, environment);
        }

        #[test]
        fn any_bytes_are_read_or_refused_with_a_place(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Err(error) = EnvFile::parse(&bytes) {
                prop_assert!(error.line >= 1 && error.column >= 1);
            }
        }

        #[test]
        fn any_text_of_the_grammars_characters(text in "[AB_='\"\\\\ \\t\\r\\n#$export\0]{0,60}") {
            if let Ok(file) = EnvFile::parse(text.as_bytes()) {
                let again = EnvFile::parse(file.environment.to_env_file().as_bytes()).unwrap();
                prop_assert_eq!(again.environment, file.environment);
            }
        }
    }
}
