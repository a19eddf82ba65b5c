//! The compose hash.

use std::fmt;
use std::str::FromStr;

use ring::digest;

use crate::ids::ParseIdError;

/// SHA-256 over the bytes of an app-compose as they were submitted. Shown as 64 lower-case hex digits.
///
/// The VMM, the guest and `MRCONFIGID` all use the bytes as they are (upstream `vmm/src/main_service.rs`).
///
/// ```
/// use dstack_vmm_client::app_compose::ComposeHash;
///
/// assert_eq!(
///     ComposeHash::of(br#"{"a":1}"#).to_string(),
///     "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
/// );
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComposeHash([u8; 32]);

impl ComposeHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(hash)
    }

    /// A hash from elsewhere.
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hex digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl fmt::Display for ComposeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ComposeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ComposeHash({self})")
    }
}

impl FromStr for ComposeHash {
    type Err = ParseIdError;

    /// Reads 64 hex digits, in either case, with or without `0x`.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        crate::ids::read_hex(text, "compose hash").map(Self)
    }
}

impl From<ComposeHash> for [u8; 32] {
    fn from(hash: ComposeHash) -> Self {
        hash.0
    }
}

impl serde::Serialize for ComposeHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ComposeHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::ids::deserialize_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        let empty = ComposeHash::of(b"{}");
        assert_eq!(empty.to_string(), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(empty.to_string().to_uppercase().parse(), Ok(empty));
        assert_eq!(empty.short(), "44136fa3");
    }

    #[test]
    fn texts_that_are_no_hash() {
        let said = |text: &str| text.parse::<ComposeHash>().unwrap_err().to_string();
        assert_eq!(said("44"), "a compose hash has 64 hex digits, this text has 2");
        assert_eq!(said(&"g".repeat(64)), "character 'g' at position 1 of the compose hash is no hex digit");
    }
}
