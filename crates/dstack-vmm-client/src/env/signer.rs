//! The key by which one KMS is told from another.

use std::fmt;
use std::str::FromStr;

use secp256k1::PublicKey;

/// The root key of a KMS: a compressed secp256k1 public key, 33 bytes, shown as 66 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignerKey([u8; 33]);

/// A text or byte string that is no public key on secp256k1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a KMS key is a secp256k1 public key of 33 bytes, 66 hex digits that begin with 02 or 03; {found}")]
#[non_exhaustive]
pub struct SignerKeyError {
    /// What is there instead.
    pub found: String,
}

impl SignerKey {
    /// The bytes, compressed.
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    pub(super) fn of(key: &PublicKey) -> Self {
        Self(key.serialize())
    }
}

impl TryFrom<&[u8]> for SignerKey {
    type Error = SignerKeyError;

    /// Takes the compressed form (33 bytes) and the uncompressed one (65 bytes).
    fn try_from(bytes: &[u8]) -> Result<Self, SignerKeyError> {
        let found = || match bytes.len() {
            33 | 65 => "these bytes are no point of the curve".to_owned(),
            len => format!("these are {len} bytes"),
        };
        PublicKey::from_slice(bytes).map(|key| Self::of(&key)).map_err(|_| SignerKeyError { found: found() })
    }
}

impl FromStr for SignerKey {
    type Err = SignerKeyError;

    /// Reads hex digits, in either case, with or without `0x`.
    fn from_str(text: &str) -> Result<Self, SignerKeyError> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = hex::decode(digits).map_err(|error| SignerKeyError {
            found: match error {
                hex::FromHexError::InvalidHexCharacter { c, index } => {
                    format!("{c:?} at position {} is no hex digit", index + 1)
                }
                _ => format!("this text has {} digits", digits.len()),
            },
        })?;
        Self::try_from(bytes.as_slice())
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use secp256k1::SecretKey;

    use super::*;

    fn public() -> PublicKey {
        PublicKey::from_secret_key(&SecretKey::from_secret_bytes([1; 32]).unwrap())
    }

    #[test]
    fn signer_keys_as_text() {
        let key = SignerKey::of(&public());
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(format!("0x{}", key.to_string().to_uppercase()).parse(), Ok(key));
        let long = public().serialize_uncompressed();
        assert_eq!(SignerKey::try_from(&long[..]), Ok(key));
        let said = |text: &str| text.parse::<SignerKey>().unwrap_err().found;
        assert_eq!(said("zz"), "'z' at position 1 is no hex digit");
        assert_eq!(said("abc"), "this text has 3 digits");
        assert_eq!(said("abcd"), "these are 2 bytes");
        assert_eq!(said(&"ff".repeat(33)), "these bytes are no point of the curve");
    }
}
