//! The signatures that tie a key from the guest agent to a KMS.
//!
//! `GetKey` and `Sign` answer with a chain: the app's key signs what the derived key is for, and the KMS's root key
//! signs the app's key. Signatures are recoverable ECDSA over secp256k1 (`r`, `s` and a recovery id of 0 or 1, 65 bytes)
//! over keccak-256 digests, so that they can be checked on a chain as well. Source: upstream `guest-agent` and
//! `kms/src/crypto.rs`.

use dstack_check::{Hint, Hinted};
use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

use crate::{FixedBytes, Id20, hash};

/// A compressed secp256k1 public key (SEC 1): 33 bytes.
pub type CompressedKey = FixedBytes<33>;

/// What a KMS's root key signs before the app id and the app's key.
const KMS_PREFIX: &[u8] = b"dstack-kms-issued:";

/// What a KMS's root key signs before the app id and the key that environments are sealed to.
const ENV_KEY_PREFIX: &[u8] = b"dstack-env-encrypt-pubkey:";

/// A derived key with the two signatures that vouch for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyChain<'a> {
    /// What the key is for: the `purpose` of `GetKey`; for `Sign` always `signing`.
    pub purpose: &'a str,
    /// The derived public key: 33 bytes for secp256k1 (compressed), 32 for Ed25519.
    pub public_key: &'a [u8],
    /// The app id.
    pub app_id: &'a Id20,
    /// The app key's signature over purpose and public key: element 0 of `GetKey`'s chain, element 1 of `Sign`'s.
    pub by_app: &'a [u8],
    /// The KMS root key's signature over app id and app key: the last element of the chain.
    pub by_kms: &'a [u8],
}

/// The keys that made the signatures of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signers {
    /// The app's key.
    pub app: CompressedKey,
    /// The KMS's root key.
    pub kms: CompressedKey,
}

/// A link of a key chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// The app key's signature.
    App,
    /// The KMS root key's signature.
    Kms,
    /// The KMS root key's signature over an env key.
    EnvKey,
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::App => "the app key's signature",
            Self::Kms => "the KMS root key's signature",
            Self::EnvKey => "the signature of the env key",
        })
    }
}

/// Why a key chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyChainError {
    /// A signature does not have 65 bytes. It is empty where no KMS gave the keys.
    #[error("{link} has {found} bytes instead of 65")]
    Length {
        /// Which signature.
        link: Link,
        /// Its length in bytes.
        found: usize,
    },
    /// No key can have made the signature.
    #[error("{link} is not a signature over this key")]
    Signature {
        /// Which signature.
        link: Link,
    },
    /// The chain ends at another key than that of the KMS.
    #[error("the chain leads to the key {found}, not to the KMS root key {expected}")]
    Foreign {
        /// The KMS's root key.
        expected: CompressedKey,
        /// The key at the end of the chain.
        found: CompressedKey,
    },
}

impl Hinted for KeyChainError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Length { link: Link::Kms, found: 0 } => {
                Some(Hint::from("no KMS gave this app its keys, so that none vouches for them"))
            }
            Self::Length { .. } | Self::Signature { .. } | Self::Foreign { .. } => None,
        }
    }
}

impl KeyChain<'_> {
    /// Checks that the chain leads to this KMS root key (`k256_pubkey` in the KMS's `GetMeta`, or in its contract), and
    /// returns the app's key.
    ///
    /// # Errors
    ///
    /// [`KeyChainError`]. Any change to purpose, public key, app id or a signature leads to another key, that is to
    /// [`KeyChainError::Foreign`] or [`KeyChainError::Signature`].
    pub fn verify(&self, kms_root: &CompressedKey) -> Result<CompressedKey, KeyChainError> {
        let Signers { app, kms } = self.recover()?;
        if kms == *kms_root {
            Ok(app)
        } else {
            Err(KeyChainError::Foreign { expected: *kms_root, found: kms })
        }
    }

    /// The keys that made the signatures. That there are such keys proves nothing: a key always comes out of a
    /// well-formed signature. Compare the KMS's with one from elsewhere, or use [`KeyChain::verify`].
    ///
    /// # Errors
    ///
    /// [`KeyChainError::Length`] and [`KeyChainError::Signature`].
    pub fn recover(&self) -> Result<Signers, KeyChainError> {
        let public_key = hex::encode(self.public_key);
        let digest = hash::keccak256(&[self.purpose.as_bytes(), b":", public_key.as_bytes()]);
        let app = recover(Link::App, self.by_app, digest.as_bytes())?;
        let digest = hash::keccak256(&[KMS_PREFIX, self.app_id.as_ref(), app.as_ref()]);
        let kms = recover(Link::Kms, self.by_kms, digest.as_bytes())?;
        Ok(Signers { app, kms })
    }
}

/// The key that signed an answer of `GetAppEnvEncryptPubKey`, which is the KMS's root key if the answer is genuine.
///
/// `timestamp`, in seconds since the Unix epoch, belongs to `signature_v1`; the older `signature` has none. A key always
/// comes out of a well-formed signature: compare it with the KMS's from elsewhere. Source: upstream
/// `kms/src/main_service.rs`.
///
/// # Errors
///
/// [`KeyChainError::Length`] and [`KeyChainError::Signature`].
pub fn env_key_signer(
    app_id: &Id20,
    public_key: &[u8],
    timestamp: Option<u64>,
    signature: &[u8],
) -> Result<CompressedKey, KeyChainError> {
    let time = timestamp.map(u64::to_be_bytes);
    let time: &[u8] = time.as_ref().map_or(&[], |bytes| bytes);
    let digest = hash::keccak256(&[ENV_KEY_PREFIX, app_id.as_ref(), time, public_key]);
    recover(Link::EnvKey, signature, digest.as_bytes())
}

fn recover(link: Link, signature: &[u8], digest: &[u8; 32]) -> Result<CompressedKey, KeyChainError> {
    let [compact @ .., recovery_id] = signature else { return Err(KeyChainError::Length { link, found: 0 }) };
    if compact.len() != 64 {
        return Err(KeyChainError::Length { link, found: signature.len() });
    }
    let unsigned = |_| KeyChainError::Signature { link };
    let recovery_id = RecoveryId::try_from(i32::from(*recovery_id)).map_err(unsigned)?;
    let signature = RecoverableSignature::from_compact(compact, recovery_id).map_err(unsigned)?;
    let key = signature.recover(Message::from_digest(*digest)).map_err(unsigned)?;
    Ok(CompressedKey::new(key.serialize()))
}
