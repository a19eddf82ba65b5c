//! The grammar of a `.env` file, one variable at a time. [`EnvFile`](super::EnvFile) describes it.

use zeroize::Zeroizing;

use super::file::{EnvFileError, EnvFileProblem};
use super::vars::{EnvNameError, check_name};

/// One variable as it stands in the text.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    /// Where the name begins, in bytes.
    pub(super) at: usize,
    pub(super) value: Zeroizing<String>,
    /// Whether Compose would expand something in it.
    pub(super) expandable: bool,
}

pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Where counting lines has come to, and the line there: counted once over the whole text, not once a variable.
    counted: (usize, usize),
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of a text.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, counted: (0, 1) }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn eat(&mut self, expected: char) -> bool {
        let there = self.rest().starts_with(expected);
        if there {
            self.at += expected.len_utf8();
        }
        there
    }

    /// Skips spaces and tabs. True if there were any.
    fn blanks(&mut self) -> bool {
        let rest = self.rest();
        let len = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        self.at += len;
        len > 0
    }

    /// Bytes until the end of the line, without the line break.
    fn line_len(&self) -> usize {
        let rest = self.rest();
        let len = rest.find('\n').unwrap_or(rest.len());
        rest[..len].strip_suffix('\r').map_or(len, str::len)
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |len| len + 1);
    }

    /// Line of a place that is not before the one asked for last, from 1.
    pub(super) fn line(&mut self, at: usize) -> usize {
        let (from, line) = self.counted;
        let more = self.text[from..at].bytes().filter(|byte| *byte == b'\n').count();
        self.counted = (at, line + more);
        line + more
    }

    /// Line and column of a place, both from 1.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |break_at| break_at + 1);
        let column = before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1;
        (before.bytes().filter(|byte| *byte == b'\n').count() + 1, column)
    }

    pub(super) fn error(&self, at: usize, problem: EnvFileProblem) -> EnvFileError {
        let (line, column) = self.place(at);
        EnvFileError { line, column, problem }
    }

    /// The next variable, or the end of the file.
    pub(super) fn entry(&mut self) -> Result<Option<Entry<'a>>, EnvFileError> {
        loop {
            self.blanks();
            match self.peek() {
                None => return Ok(None),
                Some('#' | '\n' | '\r') => self.skip_line(),
                Some(_) => break,
            }
        }
        let keyword = self.rest().strip_prefix("export");
        if keyword.is_some_and(|rest| rest.starts_with([' ', '\t'])) {
            self.at += "export".len();
            self.blanks();
        }
        let (at, name) = self.name()?;
        self.blanks();
        let start = self.at;
        let (value, expandable) = match self.peek() {
            Some('\'') => (self.single_quoted(name)?, false),
            Some('"') => self.double_quoted(name)?,
            _ => self.unquoted(),
        };
        if let Some(nul) = self.text[start..self.at].find('\0') {
            return Err(self.error(start + nul, EnvFileProblem::Nul { name: name.to_owned() }));
        }
        Ok(Some(Entry { name, at, value, expandable }))
    }

    fn name(&mut self) -> Result<(usize, &'a str), EnvFileError> {
        let at = self.at;
        let line = &self.rest()[..self.line_len()];
        let Some(equals) = line.find('=') else {
            return Err(self.error(at, EnvFileProblem::NoEquals));
        };
        let name = line[..equals].trim_end_matches([' ', '\t']);
        match check_name(name) {
            Ok(()) => {}
            Err(EnvNameError::Character { character, position, .. }) => {
                let before = name.char_indices().nth(position - 1).map_or(0, |(offset, _)| offset);
                return Err(self.error(at + before, EnvFileProblem::Name { character, first: position == 1 }));
            }
            Err(_) => return Err(self.error(at, EnvFileProblem::NoName)),
        }
        self.at += equals + 1;
        Ok((at, name))
    }

    fn unquoted(&mut self) -> (Zeroizing<String>, bool) {
        let line = &self.rest()[..self.line_len()];
        let comment = line.char_indices().find(|(at, c)| {
            // White space before `=` was skipped, and one right behind `=` begins a comment too.
            let blank_before = self.text[..self.at + at].ends_with([' ', '\t']);
            *c == '#' && blank_before
        });
        let value = &line[..comment.map_or(line.len(), |(at, _)| at)];
        let value = value.trim_end_matches([' ', '\t', '\r']);
        self.skip_line();
        (Zeroizing::new(value.to_owned()), looks_like_expansion(value))
    }

    fn single_quoted(&mut self, name: &str) -> Result<Zeroizing<String>, EnvFileError> {
        let body = self.quoted(name, '\'', "'")?;
        let mut value = Zeroizing::new(String::with_capacity(body.len()));
        let mut chars = body.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('\\', Some('\'')) | ('\r', Some('\n')) => {}
                _ => value.push(c),
            }
        }
        Ok(value)
    }

    fn double_quoted(&mut self, name: &str) -> Result<(Zeroizing<String>, bool), EnvFileError> {
        let body = self.quoted(name, '"', DOUBLE_QUOTED_ESCAPES)?;
        let mut value = Zeroizing::new(String::with_capacity(body.len()));
        let mut expandable = false;
        let mut chars = body.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match (c, chars.peek()) {
                ('\\', Some(&(_, escaped))) if DOUBLE_QUOTED_ESCAPES.contains(escaped) => {
                    chars.next();
                    value.push(match escaped {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        itself => itself,
                    });
                }
                ('\r', Some((_, '\n'))) => {}
                _ => {
                    expandable |= c == '$' && begins_expansion(&body[at + 1..]);
                    value.push(c);
                }
            }
        }
        Ok((value, expandable))
    }

    /// The text between this quote and the one that closes it, and goes on behind the line of the latter. After a
    /// backslash, the characters in `escapes` stand for something else.
    fn quoted(&mut self, name: &str, quote: char, escapes: &str) -> Result<&'a str, EnvFileError> {
        let open = self.at;
        let body = &self.text[open + quote.len_utf8()..];
        let mut chars = body.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.at = open + at + 2 * quote.len_utf8();
                self.after_quote(name)?;
                return Ok(&body[..at]);
            }
            if c == '\\' {
                chars.next_if(|(_, escaped)| escapes.contains(*escaped));
            }
        }
        Err(self.error(open, EnvFileProblem::OpenQuote { name: name.to_owned() }))
    }

    /// What may stand behind a closing quote: nothing, or white space and a comment.
    fn after_quote(&mut self, name: &str) -> Result<(), EnvFileError> {
        let blank = self.blanks();
        match self.peek() {
            None | Some('\n') => {}
            Some('\r') if self.line_len() == 0 => {}
            Some('#') if blank => {}
            Some(_) => return Err(self.error(self.at, EnvFileProblem::AfterQuote { name: name.to_owned() })),
        }
        self.skip_line();
        Ok(())
    }
}

/// What a backslash changes between `"`.
const DOUBLE_QUOTED_ESCAPES: &str = "\"\\$nrt";

/// Whether there is a `$` that begins `$NAME` or `${`.
fn looks_like_expansion(text: &str) -> bool {
    text.match_indices('$').any(|(at, _)| begins_expansion(&text[at + 1..]))
}

/// Whether this stands behind a `$` that Compose expands.
fn begins_expansion(text: &str) -> bool {
    text.starts_with(|c: char| c == '{' || c == '_' || c.is_ascii_alphabetic())
}
