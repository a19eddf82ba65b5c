//! Byte strings of a known length that people read and write as hex.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `N` bytes, written as `2 * N` lower-case hex digits without `0x`.
///
/// Reading accepts both cases of hex digit. `Display`, `Debug` and serde all give the hex text.
///
/// ```
/// use dstack_attestation::Id20;
///
/// let id: Id20 = "5BB4ff9a3837357f19dc176407a5709c62eb6c56".parse()?;
/// assert_eq!(id.to_string(), "5bb4ff9a3837357f19dc176407a5709c62eb6c56");
/// assert!("5bb4".parse::<Id20>().is_err());
/// # Ok::<(), dstack_attestation::HexError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FixedBytes<const N: usize>([u8; N]);

/// A SHA-384 digest or a TDX measurement register: 48 bytes.
pub type Digest48 = FixedBytes<48>;
/// A SHA-256 or keccak-256 digest: a compose hash, an OS image hash, a device id. 32 bytes.
pub type Digest32 = FixedBytes<32>;
/// An app id or an instance id: 20 bytes.
pub type Id20 = FixedBytes<20>;

/// Why a text is not the hex of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HexError {
    /// The text holds something that is not a hex digit.
    #[error("{character:?} at position {position} is not a hex digit")]
    Character {
        /// The offending character.
        character: char,
        /// Its byte offset in the text.
        position: usize,
    },
    /// The text has an odd number of digits.
    #[error("an odd number of hex digits")]
    OddLength,
    /// The text is hex of another length.
    #[error("{found} bytes where {expected} are expected")]
    Length {
        /// The length in bytes that the field has.
        expected: usize,
        /// The length in bytes that the text stands for.
        found: usize,
    },
}

/// Hex of any length, as used for payloads and ids whose length is not fixed.
pub(crate) fn decode_hex(text: &str) -> Result<Vec<u8>, HexError> {
    hex::decode(text).map_err(|error| match error {
        // The hex crate reports the offending byte cast to a char; look again to name the real character.
        hex::FromHexError::InvalidHexCharacter { c, index } => HexError::Character {
            character: text.get(index..).and_then(|rest| rest.chars().next()).unwrap_or(c),
            position: index,
        },
        hex::FromHexError::OddLength | hex::FromHexError::InvalidStringLength => HexError::OddLength,
    })
}

/// A value as people write it: hex in either case, with or without `0x` in front.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<FixedBytes<N>, HexError> {
    text.strip_prefix("0x").unwrap_or(text).parse()
}

/// As [`parse_hex`], of any length.
pub(crate) fn parse_any_hex(text: &str) -> Result<Vec<u8>, HexError> {
    decode_hex(text.strip_prefix("0x").unwrap_or(text))
}

impl<const N: usize> FixedBytes<N> {
    /// All bytes zero: the state of a register that was never extended.
    pub const ZERO: Self = Self([0; N]);

    /// These bytes.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// These bytes, when there are exactly `N` of them.
    ///
    /// # Errors
    ///
    /// [`HexError::Length`] for any other length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, HexError> {
        let array = bytes.try_into().map_err(|_| HexError::Length { expected: N, found: bytes.len() })?;
        Ok(Self(array))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// Whether every byte is zero.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

impl<const N: usize> Default for FixedBytes<N> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<const N: usize> AsRef<[u8]> for FixedBytes<N> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> From<[u8; N]> for FixedBytes<N> {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
}

impl<const N: usize> FromStr for FixedBytes<N> {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        Self::from_slice(&decode_hex(text)?)
    }
}

impl<const N: usize> fmt::Display for FixedBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for FixedBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> Serialize for FixedBytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for FixedBytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_lengths_and_characters_are_named() {
        let odd = "abc".parse::<Id20>().unwrap_err();
        assert_eq!(odd, HexError::OddLength);
        let short = "abcd".parse::<Id20>().unwrap_err();
        assert_eq!(short.to_string(), "2 bytes where 20 are expected");
        let digit = "zz".parse::<Id20>().unwrap_err();
        assert_eq!(digit.to_string(), "'z' at position 0 is not a hex digit");
        let wide = "0é0".parse::<Id20>().unwrap_err();
        assert_eq!(wide, HexError::Character { character: 'é', position: 1 });
    }

    #[test]
    fn json_is_the_hex_text() {
        let id = Id20::new([0xab; 20]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{}\"", "ab".repeat(20)));
        assert_eq!(serde_json::from_str::<Id20>(&json).unwrap(), id);
        assert!(serde_json::from_str::<Id20>("\"ab\"").is_err());
    }
}
