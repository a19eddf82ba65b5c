//! Sealing an environment so that one app's CVM alone can open it (upstream `docs/encrypted-env-spec.md`).
//!
//! The blob is the sender's ephemeral X25519 key (32 bytes), a nonce (12), and AES-256-GCM ciphertext with its tag (16).
//! The AES key is the shared secret itself, there are no additional data. Inside is
//! `{"env":[{"key":"A","value":"b"}]}`.

use std::fmt;
use std::str::FromStr;

use dstack_check::{Hint, Hinted};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use super::limits::{EnvLimitError, check_limits};
use super::vars::{EnvNameError, EnvVar, Environment};
use super::x25519;
use crate::ids::{ParseIdError, read_hex};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// The size of a blob around nothing.
pub const MIN_BLOB_BYTES: usize = KEY_BYTES + NONCE_BYTES + TAG_BYTES;

/// The key that an app's environment is sealed to: X25519, 32 bytes.
///
/// The KMS derives it from the app id and signs it; [`verify_env_key`](super::verify_env_key) checks that.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnvPublicKey([u8; KEY_BYTES]);

impl EnvPublicKey {
    /// A key from elsewhere. It is not looked at; a key without any strength is found out by [`seal`].
    pub const fn from_bytes(key: [u8; KEY_BYTES]) -> Self {
        Self(key)
    }

    /// The key that belongs to a secret.
    pub fn of_secret(secret: &[u8; KEY_BYTES]) -> Self {
        Self(x25519::public_key(secret))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Display for EnvPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EnvPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvPublicKey({self})")
    }
}

impl FromStr for EnvPublicKey {
    type Err = ParseIdError;

    /// Reads 64 hex digits, with or without `0x`.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        read_hex(text, "env public key").map(Self)
    }
}

/// Why an environment was not sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The guest would refuse it.
    #[error(transparent)]
    Limit(#[from] EnvLimitError),
    /// The key leads to a shared secret that everyone knows: it is no key of a KMS.
    #[error("the env public key {key} is not one that anything can be sealed to")]
    WeakKey {
        /// The key.
        key: EnvPublicKey,
    },
    /// The system gave no random numbers.
    #[error("the system gave no random numbers")]
    Random,
    /// The cipher failed, which it does not do for environments within the limits.
    #[error("the environment could not be encrypted")]
    Cipher,
}

impl Hinted for SealError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Limit(limit) => limit.hint(),
            Self::WeakKey { .. } => {
                Some(Hint::from("ask the KMS for the key again, and check its signature"))
            }
            Self::Random | Self::Cipher => None,
        }
    }
}

/// Why a blob was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Too short to be a blob.
    #[error("an encrypted environment has at least {MIN_BLOB_BYTES} bytes, this one has {found}")]
    TooShort {
        /// Its length.
        found: usize,
    },
    /// The sender's key leads to a shared secret that everyone knows: nobody sealed this to anyone.
    #[error("the sender's key in the encrypted environment is not one to agree on a secret with")]
    WeakKey,
    /// Sealed to another key, or changed on the way.
    #[error("the encrypted environment was sealed to another key, or changed since")]
    NotForThisKey,
    /// What is inside is not an environment. The server's reader says why.
    #[error("what was sealed is no environment")]
    Content(#[source] serde_json::Error),
    /// What is inside has a variable that the guest refuses.
    #[error(transparent)]
    Name(#[from] EnvNameError),
}

/// Seals an environment to a key.
///
/// # Errors
///
/// [`SealError::Limit`] before anything is encrypted, if the guest would refuse it; see [`SealError`] for the rest.
pub fn seal(environment: &Environment, key: &EnvPublicKey) -> Result<Vec<u8>, SealError> {
    let random = SystemRandom::new();
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    let mut nonce = [0; NONCE_BYTES];
    random.fill(&mut secret[..]).map_err(|_| SealError::Random)?;
    random.fill(&mut nonce).map_err(|_| SealError::Random)?;
    seal_with(environment, key, &secret, nonce)
}

/// [`seal`] with the random numbers given, for tests alone: the same numbers twice give the contents away.
///
/// # Errors
///
/// As [`seal`].
#[doc(hidden)]
pub fn seal_with(
    environment: &Environment,
    key: &EnvPublicKey,
    ephemeral_secret: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
) -> Result<Vec<u8>, SealError> {
    check_limits(environment)?;
    let shared = x25519::shared_secret(ephemeral_secret, &key.0).ok_or(SealError::WeakKey { key: *key })?;
    let mut text = plaintext(environment);
    let cipher = cipher(&shared).ok_or(SealError::Cipher)?;
    // In place: the plaintext is gone when this returns, whatever it returns.
    let nonce_of = Nonce::assume_unique_for_key(nonce);
    let tag = cipher
        .seal_in_place_separate_tag(nonce_of, Aad::empty(), &mut text)
        .map_err(|_| SealError::Cipher)?;
    let mut blob = Vec::with_capacity(MIN_BLOB_BYTES + text.len());
    blob.extend_from_slice(&x25519::public_key(ephemeral_secret));
    blob.extend_from_slice(&nonce);
    blob.extend_from_slice(&text);
    blob.extend_from_slice(tag.as_ref());
    Ok(blob)
}

/// Opens a blob and reads the environment in it, as a guest does.
///
/// # Errors
///
/// See [`OpenError`].
pub fn open(secret: &[u8; KEY_BYTES], blob: &[u8]) -> Result<Environment, OpenError> {
    #[derive(Deserialize)]
    struct Sealed {
        env: Vec<Pair>,
    }
    #[derive(Deserialize)]
    struct Pair {
        key: String,
        value: String,
    }
    let text = open_bytes(secret, blob)?;
    let sealed: Sealed = serde_json::from_slice(&text).map_err(OpenError::Content)?;
    let vars = sealed.env.into_iter().map(|pair| EnvVar::new(pair.key, pair.value));
    Ok(vars.collect::<Result<Environment, _>>()?)
}

/// Opens a blob without looking at what is inside.
///
/// # Errors
///
/// See [`OpenError`].
pub fn open_bytes(secret: &[u8; KEY_BYTES], blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let parts = blob.split_first_chunk::<KEY_BYTES>().and_then(|(sender, rest)| {
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        (sealed.len() >= TAG_BYTES).then_some((sender, nonce, sealed))
    });
    let Some((sender, nonce, sealed)) = parts else {
        return Err(OpenError::TooShort { found: blob.len() });
    };
    let shared = x25519::shared_secret(secret, sender).ok_or(OpenError::WeakKey)?;
    let cipher = cipher(&shared).ok_or(OpenError::NotForThisKey)?;
    let mut text = Zeroizing::new(sealed.to_vec());
    let opened = cipher
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut text)
        .map_err(|_| OpenError::NotForThisKey)?
        .len();
    // What is cut off is the tag; shortening keeps the buffer, which is wiped as a whole.
    text[opened..].zeroize();
    text.truncate(opened);
    Ok(text)
}

fn cipher(key: &[u8; KEY_BYTES]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

const HEAD: &str = r#"{"env":["#;
const TAIL: &str = "]}";

fn plaintext(environment: &Environment) -> Zeroizing<Vec<u8>> {
    // One allocation: a vector that grows leaves copies behind that nobody wipes.
    let mut text = Zeroizing::new(Vec::with_capacity(plaintext_len(environment)));
    text.extend_from_slice(HEAD.as_bytes());
    for (n, var) in environment.iter().enumerate() {
        text.extend_from_slice(if n == 0 { br#"{"key":"# } else { br#",{"key":"# });
        push_json_string(&mut text, var.name());
        text.extend_from_slice(br#","value":"#);
        push_json_string(&mut text, var.value());
        text.push(b'}');
    }
    text.extend_from_slice(TAIL.as_bytes());
    text
}

/// Bytes of the plaintext of an environment, without making it.
pub(super) fn plaintext_len(environment: &Environment) -> usize {
    let vars: usize = environment
        .iter()
        .map(|var| r#"{"key":,"value":},"#.len() + json_string_len(var.name()) + json_string_len(var.value()))
        .sum();
    HEAD.len() + vars.saturating_sub(1) + TAIL.len()
}

fn push_json_string(text: &mut Vec<u8>, value: &str) {
    text.push(b'"');
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            0..0x20 => {
                let digit = |n: u8| b"0123456789abcdef"[usize::from(n)];
                text.extend_from_slice(b"\\u00");
                text.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            }
            _ => text.push(byte),
        }
    }
    text.push(b'"');
}

fn json_string_len(value: &str) -> usize {
    let byte_len = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + value.bytes().map(byte_len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment(vars: &[(&str, &str)]) -> Environment {
        vars.iter().map(|(name, value)| EnvVar::new(*name, (*value).to_owned()).unwrap()).collect()
    }

    #[test]
    fn the_recorded_blob_opens() {
        // Test vector of upstream `dstack-util/src/crypto.rs`; the inner form is an older one.
        let secret: [u8; 32] =
            read_hex("7c282bf94b35dc47801dc953bfa0896fc2bd313381d3e8eca4e42f6536d2a96f", "secret").unwrap();
        let blob = hex::decode(
            "0bd18749612f4c8b9dd583c7d6a646b90abd34e3c731a7708d0caf9039095641e1f0948e775f0b7351788db7f246d51806954626\
             dcccb6a60d64665ca3715c6bef75616cab476d27bba04080361200d6a58cec",
        )
        .unwrap();
        assert_eq!(open_bytes(&secret, &blob).unwrap().as_slice(), br#"[{"key":"","value":""}]"#);
        assert!(matches!(open(&secret, &blob), Err(OpenError::Content(_))));
    }

    #[test]
    fn the_layout_is_key_nonce_ciphertext_tag() {
        let secret = [9; 32];
        let key = EnvPublicKey::of_secret(&secret);
        let blob = seal_with(&environment(&[("A", "b")]), &key, &[5; 32], [6; 12]).unwrap();
        assert_eq!(blob[..32], *EnvPublicKey::of_secret(&[5; 32]).as_bytes());
        assert_eq!(blob[32..44], [6; 12]);
        assert_eq!(open_bytes(&secret, &blob).unwrap().as_slice(), br#"{"env":[{"key":"A","value":"b"}]}"#);
        assert_eq!(blob.len(), MIN_BLOB_BYTES + 33);
    }

    #[test]
    fn blobs_differ_each_time() {
        let key = EnvPublicKey::of_secret(&[9; 32]);
        let vars = environment(&[("A", "b")]);
        assert_ne!(seal(&vars, &key).unwrap(), seal(&vars, &key).unwrap());
    }

    #[test]
    fn weak_keys_are_refused_on_both_sides() {
        let weak = EnvPublicKey::from_bytes([0; 32]);
        assert_eq!(seal(&environment(&[("A", "b")]), &weak), Err(SealError::WeakKey { key: weak }));
        assert!(matches!(open(&[9; 32], &[0; 61]), Err(OpenError::WeakKey)));
    }

    #[test]
    fn blobs_that_do_not_open() {
        let key = EnvPublicKey::of_secret(&[9; 32]);
        let blob = seal(&environment(&[("A", "b")]), &key).unwrap();
        assert!(matches!(open(&[9; 32], &blob[..59]), Err(OpenError::TooShort { found: 59 })));
        assert!(matches!(open(&[9; 32], &blob[..60]), Err(OpenError::NotForThisKey)));
        assert!(matches!(open(&[8; 32], &blob), Err(OpenError::NotForThisKey)));
        for at in [0, 32, 44, blob.len() - 1] {
            let mut changed = blob.clone();
            changed[at] ^= 1;
            assert!(matches!(open(&[9; 32], &changed), Err(OpenError::NotForThisKey)), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn sealing_and_opening_are_inverse(
            vars in prop::collection::vec(("[A-Za-z_][A-Za-z0-9_]{0,8}", "[^\\x00]{0,40}"), 0..12),
            secret in any::<[u8; 32]>(),
        ) {
            let environment: Environment =
                vars.into_iter().map(|(name, value)| EnvVar::new(name, value).unwrap()).collect();
            let blob = seal(&environment, &EnvPublicKey::of_secret(&secret)).unwrap();
            prop_assert_eq!(blob.len(), MIN_BLOB_BYTES + plaintext_len(&environment));
            prop_assert_eq!(open(&secret, &blob).unwrap(), environment);
        }

        #[test]
        fn any_bytes_are_refused_quietly(secret in any::<[u8; 32]>(), blob in prop::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(open(&secret, &blob).is_err());
        }

        #[test]
        fn strings_are_written_as_json(text in any::<String>()) {
            let mut written = Vec::new();
            push_json_string(&mut written, &text);
            prop_assert_eq!(written.len(), json_string_len(&text));
            prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
        }
    }
}
