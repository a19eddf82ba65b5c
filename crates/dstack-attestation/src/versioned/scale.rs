//! The subset of SCALE that attestations need: little-endian integers, and byte strings and lists that a compact length
//! precedes.

use parity_scale_codec::{Compact, CompactRef, Decode as _, Encode as _};

use super::{AttestationError, MAX_ENTRIES};

/// Reads SCALE from front to back.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    const fn truncated(&self, field: &'static str) -> AttestationError {
        AttestationError::Truncated { field, length: self.length }
    }

    pub(super) fn take(&mut self, bytes: usize, field: &'static str) -> Result<&'a [u8], AttestationError> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(self.truncated(field))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], AttestationError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(self.truncated(field))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self, field: &'static str) -> Result<u8, AttestationError> {
        let [byte] = self.array(field)?;
        Ok(byte)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, AttestationError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// A compact length. It may be more than what is left.
    fn length(&mut self, field: &'static str) -> Result<usize, AttestationError> {
        if self.rest.is_empty() {
            return Err(self.truncated(field));
        }
        let read = Compact::<u32>::decode(&mut self.rest);
        let Compact(length) = read.map_err(|error| AttestationError::Field {
            field,
            problem: format!("its length cannot be read: {error}"),
        })?;
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    pub(super) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], AttestationError> {
        let length = self.length(field)?;
        self.take(length, field)
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, AttestationError> {
        let bytes = self.bytes(field)?;
        std::str::from_utf8(bytes)
            .map_err(|error| AttestationError::Field { field, problem: format!("not UTF-8: {error}") })
    }

    /// The number of elements of a list, each of at least one byte.
    pub(super) fn count(&mut self, field: &'static str) -> Result<usize, AttestationError> {
        let count = self.length(field)?;
        if count > self.rest.len() {
            return Err(self.truncated(field));
        }
        if count > MAX_ENTRIES {
            return Err(AttestationError::TooMany(field));
        }
        Ok(count)
    }

    pub(super) const fn end(&self) -> Result<(), AttestationError> {
        if self.rest.is_empty() { Ok(()) } else { Err(AttestationError::Trailing { extra: self.rest.len() }) }
    }
}

/// Writes SCALE.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The length of what follows. SCALE has room for lengths below 2^30 in the forms used here, which is far beyond
    /// what is ever read.
    pub(super) fn length(&mut self, length: usize) {
        CompactRef(&u32::try_from(length).unwrap_or(u32::MAX)).encode_to(&mut self.0);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}
