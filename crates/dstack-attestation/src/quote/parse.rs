//! Taking fields off a byte string without ever reading past its end.

use dstack_check::{Hint, Hinted};

use crate::FixedBytes;
use crate::quote::kind::EvidenceKind;

/// Why bytes are not a TDX quote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteError {
    /// The quote ends in the middle of a field.
    #[error("the quote ends at byte {length}, in the middle of {field}")]
    Truncated {
        /// The field that was being read.
        field: &'static str,
        /// The length of the quote in bytes.
        length: usize,
    },
    /// The quote format version is not known.
    #[error("quote version {0} is neither 4 nor 5")]
    Version(u16),
    /// The quote is of another kind of TEE.
    #[error("the quote's TEE type is {0:#x}, not that of TDX (0x81)")]
    TeeType(u32),
    /// The bytes are evidence or text of another kind.
    #[error("this is {0}, not a TDX quote")]
    Other(EvidenceKind),
    /// The body of a version 5 quote is not a TD report.
    #[error("quote body type {0} is not a TD report (2 to 4)")]
    BodyType(u16),
    /// The body's stated size does not fit its type.
    #[error("a quote body of type {kind} has {expected} bytes, this one says {stated}")]
    BodySize {
        /// The body type.
        kind: u16,
        /// The size that type has, in bytes.
        expected: usize,
        /// The size the quote states, in bytes.
        stated: u32,
    },
    /// The quote's text form is not hex.
    #[error("the quote is not hex: {0}")]
    Hex(#[from] crate::HexError),
}

impl Hinted for QuoteError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Other(kind) => kind.hint(),
            Self::TeeType(0) => {
                Some(Hint::from("this is an SGX quote; a CVM's comes from the guest agent's `GetQuote`"))
            }
            Self::Version(0) => Some(Hint::from(
                "this may be an attestation from `Attest`; a quote comes from the guest agent's `GetQuote`",
            )),
            _ => None,
        }
    }
}

pub(super) struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    pub(super) fn take(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], QuoteError> {
        let truncated = QuoteError::Truncated { field, length: self.all.len() };
        let end = self.at.checked_add(length).ok_or_else(|| truncated.clone())?;
        let bytes = self.all.get(self.at..end).ok_or(truncated)?;
        self.at = end;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], QuoteError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(field, N)?);
        Ok(array)
    }

    pub(super) fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<FixedBytes<N>, QuoteError> {
        self.array(field).map(FixedBytes::new)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, QuoteError> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, QuoteError> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, QuoteError> {
        self.array(field).map(u64::from_le_bytes)
    }

    pub(super) const fn rest(&self) -> usize {
        self.all.len() - self.at
    }
}
