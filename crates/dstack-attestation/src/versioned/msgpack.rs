//! MessagePack, read in place and within bounds, and written in the shortest form.
//!
//! The reader keeps no values: a list of a million numbers is a stretch of bytes until somebody asks for them, and what
//! nobody asks for is stepped over without recursion.

use rmp::Marker;

use super::AttestationError;

/// Whether a MessagePack map begins with this byte.
pub(super) fn begins_map(first: u8) -> bool {
    matches!(Marker::from_u8(first), Marker::FixMap(_) | Marker::Map16 | Marker::Map32)
}

/// The beginning of a value.
#[derive(Debug)]
enum Token<'a> {
    Unsigned(u64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    List(usize),
    Map(usize),
    /// Anything else: nothing, booleans, negative and floating-point numbers, extensions.
    Other,
}

impl Token<'_> {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Unsigned(_) => "a number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Other => "a value of another type",
        }
    }
}

/// Reads MessagePack from front to back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// The length of the whole attestation, for error messages.
    length: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    const fn truncated(&self, field: &'static str) -> AttestationError {
        AttestationError::Truncated { field, length: self.length }
    }

    fn take(&mut self, bytes: usize, field: &'static str) -> Result<&'a [u8], AttestationError> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(self.truncated(field))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A big-endian number of this many bytes, at most eight.
    fn number(&mut self, bytes: usize, field: &'static str) -> Result<u64, AttestationError> {
        let digits = self.take(bytes, field)?;
        Ok(digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
    }

    fn length(&mut self, bytes: usize, field: &'static str) -> Result<usize, AttestationError> {
        Ok(usize::try_from(self.number(bytes, field)?).unwrap_or(usize::MAX))
    }

    fn token(&mut self, field: &'static str) -> Result<Token<'a>, AttestationError> {
        let marker = Marker::from_u8(self.number(1, field)? as u8);
        let (bytes, lists): (Option<usize>, Option<usize>) = match marker {
            Marker::FixStr(length) => (Some(usize::from(length)), None),
            Marker::Str8 | Marker::Bin8 => (Some(self.length(1, field)?), None),
            Marker::Str16 | Marker::Bin16 => (Some(self.length(2, field)?), None),
            Marker::Str32 | Marker::Bin32 => (Some(self.length(4, field)?), None),
            Marker::FixArray(count) | Marker::FixMap(count) => (None, Some(usize::from(count))),
            Marker::Array16 | Marker::Map16 => (None, Some(self.length(2, field)?)),
            Marker::Array32 | Marker::Map32 => (None, Some(self.length(4, field)?)),
            _ => (None, None),
        };
        if let Some(length) = bytes {
            let content = self.take(length, field)?;
            let is_bytes = matches!(marker, Marker::Bin8 | Marker::Bin16 | Marker::Bin32);
            return Ok(if is_bytes { Token::Bytes(content) } else { Token::Text(content) });
        }
        if let Some(count) = lists {
            // Every value has at least one byte.
            if count > self.rest.len() {
                return Err(self.truncated(field));
            }
            let is_map = matches!(marker, Marker::FixMap(_) | Marker::Map16 | Marker::Map32);
            return Ok(if is_map { Token::Map(count) } else { Token::List(count) });
        }
        let unread = match marker {
            Marker::FixPos(value) => return Ok(Token::Unsigned(u64::from(value))),
            Marker::U8 => return self.number(1, field).map(Token::Unsigned),
            Marker::U16 => return self.number(2, field).map(Token::Unsigned),
            Marker::U32 => return self.number(4, field).map(Token::Unsigned),
            Marker::U64 => return self.number(8, field).map(Token::Unsigned),
            Marker::I8 => 1,
            Marker::I16 => 2,
            Marker::I32 | Marker::F32 => 4,
            Marker::I64 | Marker::F64 => 8,
            // The type of an extension stands before its content.
            Marker::FixExt1 => 2,
            Marker::FixExt2 => 3,
            Marker::FixExt4 => 5,
            Marker::FixExt8 => 9,
            Marker::FixExt16 => 17,
            Marker::Ext8 => self.length(1, field)?.saturating_add(1),
            Marker::Ext16 => self.length(2, field)?.saturating_add(1),
            Marker::Ext32 => self.length(4, field)?.saturating_add(1),
            _ => 0,
        };
        self.take(unread, field)?;
        Ok(Token::Other)
    }

    /// Steps over one value, whatever is in it.
    fn skip(&mut self, field: &'static str) -> Result<(), AttestationError> {
        let mut pending: u64 = 1;
        while pending > 0 {
            pending -= 1;
            pending += match self.token(field)? {
                Token::List(count) => count as u64,
                Token::Map(count) => 2 * count as u64,
                _ => 0,
            };
            if pending > self.rest.len() as u64 {
                return Err(self.truncated(field));
            }
        }
        Ok(())
    }

    /// The members of a map by these names, in the order of the names. Other members are stepped over; a second member
    /// of a name is an error, since it would be a second answer.
    pub(super) fn members<const N: usize>(
        &mut self,
        field: &'static str,
        names: [&'static str; N],
    ) -> Result<[Option<Self>; N], AttestationError> {
        let mut found = [None; N];
        let count = match self.token(field)? {
            Token::Map(count) => count,
            other => return Err(unexpected(field, &other, "a map")),
        };
        for _ in 0..count {
            let key = match self.token(field)? {
                Token::Text(key) => key,
                other => return Err(unexpected(field, &other, "a text as key")),
            };
            let before = *self;
            self.skip(field)?;
            let value = before.rest.get(..before.rest.len() - self.rest.len()).unwrap_or_default();
            let wanted = names.iter().position(|name| name.as_bytes() == key);
            if let Some((name, slot)) = wanted.and_then(|at| Some((names.get(at)?, found.get_mut(at)?))) {
                if slot.is_some() {
                    return Err(AttestationError::Field {
                        field,
                        problem: format!("{name:?} is there twice"),
                    });
                }
                *slot = Some(Self { rest: value, length: self.length });
            }
        }
        Ok(found)
    }

    pub(super) fn unsigned(mut self, field: &'static str) -> Result<u64, AttestationError> {
        match self.token(field)? {
            Token::Unsigned(value) => Ok(value),
            other => Err(unexpected(field, &other, "a number that is not negative")),
        }
    }

    pub(super) fn text(mut self, field: &'static str) -> Result<&'a str, AttestationError> {
        match self.token(field)? {
            Token::Text(bytes) => std::str::from_utf8(bytes)
                .map_err(|error| AttestationError::Field { field, problem: format!("not UTF-8: {error}") }),
            other => Err(unexpected(field, &other, "a text")),
        }
    }

    /// Bytes, as such or as a list of numbers, which is how upstream's encoder writes some of them.
    pub(super) fn bytes(mut self, field: &'static str) -> Result<Vec<u8>, AttestationError> {
        match self.token(field)? {
            Token::Bytes(bytes) => Ok(bytes.to_vec()),
            Token::List(count) => {
                let mut bytes = Vec::with_capacity(count);
                for _ in 0..count {
                    bytes.push(match self.token(field)? {
                        Token::Unsigned(byte @ 0..=0xff) => byte as u8,
                        Token::Unsigned(large) => {
                            return Err(AttestationError::Field {
                                field,
                                problem: format!("{large} is not a byte"),
                            });
                        }
                        other => return Err(unexpected(field, &other, "a byte")),
                    });
                }
                Ok(bytes)
            }
            other => Err(unexpected(field, &other, "bytes")),
        }
    }

    /// The elements of a list, one after the other.
    pub(super) fn list(mut self, field: &'static str) -> Result<(usize, Self), AttestationError> {
        match self.token(field)? {
            Token::List(count) => Ok((count, self)),
            other => Err(unexpected(field, &other, "a list")),
        }
    }

    pub(super) const fn end(&self) -> Result<(), AttestationError> {
        if self.rest.is_empty() { Ok(()) } else { Err(AttestationError::Trailing { extra: self.rest.len() }) }
    }
}

fn unexpected(field: &'static str, found: &Token<'_>, expected: &str) -> AttestationError {
    AttestationError::Field { field, problem: format!("{} where {expected} is expected", found.kind()) }
}

/// Writes MessagePack, each value in its shortest form. Lengths beyond 32 bits cannot be written; nothing here has them.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// A marker with the length in as few bytes as there are markers for.
    fn sized(&mut self, length: usize, short: Option<u8>, markers: [Option<u8>; 3]) {
        let [one, two, four] = markers;
        if let (Some(marker), true) = (short, length < 16 || (short == Some(0xa0) && length < 32)) {
            self.0.push(marker | length as u8);
        } else if let (Some(marker), Ok(length)) = (one, u8::try_from(length)) {
            self.0.extend([marker, length]);
        } else if let (Some(marker), Ok(length)) = (two, u16::try_from(length)) {
            self.0.push(marker);
            self.0.extend(length.to_be_bytes());
        } else if let Some(marker) = four {
            self.0.push(marker);
            self.0.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }

    /// A map; as many keys and values follow as it has members.
    pub(super) fn map(&mut self, members: usize) {
        self.sized(members, Some(0x80), [None, Some(0xde), Some(0xdf)]);
    }

    /// A list; as many values follow as it has elements.
    pub(super) fn list(&mut self, elements: usize) {
        self.sized(elements, Some(0x90), [None, Some(0xdc), Some(0xdd)]);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.sized(text.len(), Some(0xa0), [Some(0xd9), Some(0xda), Some(0xdb)]);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.sized(bytes.len(), None, [Some(0xc4), Some(0xc5), Some(0xc6)]);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn unsigned(&mut self, value: u32) {
        match (u8::try_from(value), u16::try_from(value)) {
            (Ok(value @ 0..0x80), _) => self.0.push(value),
            (Ok(value), _) => self.0.extend([0xcc, value]),
            (_, Ok(value)) => {
                self.0.push(0xcd);
                self.0.extend(value.to_be_bytes());
            }
            _ => {
                self.0.push(0xce);
                self.0.extend(value.to_be_bytes());
            }
        }
    }

    /// Bytes as a list of numbers.
    pub(super) fn numbers(&mut self, bytes: &[u8]) {
        self.list(bytes.len());
        for byte in bytes {
            self.unsigned(u32::from(*byte));
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}
