//! MRCONFIGID: what the VMM committed to before the CVM started.
//!
//! The VMM writes it when it creates the TD and nothing inside can change it. The guest checks at boot that it fits the
//! app-compose it was given, and refuses to go on otherwise. For a verifier it is a second path, next to RTMR3, to the
//! compose hash.
//!
//! Byte 0 is the version, bytes 1 to 32 a digest, the rest zero; 48 zero bytes mean that it is not used. Source:
//! upstream `dstack-types`, `mr_config.rs`.

use serde::Serialize;

use crate::event_log::KeyProviderKind;
use crate::{Digest32, Digest48, Id20, hash};

/// What MRCONFIGID says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MrConfigId {
    /// All zero: nothing was committed to.
    Unused,
    /// Version 1: the compose hash. The default of dstack 0.5.2 and later.
    V1 {
        /// SHA-256 of the app-compose bytes.
        compose_hash: Digest32,
    },
    /// Version 2: keccak-256 of compose hash, app id, kind of key provider and key provider id. dstack 0.5 where the
    /// app-compose pins a key provider.
    V2 {
        /// The keccak-256 digest.
        digest: Digest32,
    },
    /// Version 3: SHA-256 of a document that the VMM hands to the guest. Branch next where the app-compose pins a key
    /// provider.
    V3 {
        /// The SHA-256 digest of prefix and document.
        digest: Digest32,
    },
}

/// Why 48 bytes are not an MRCONFIGID of dstack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MrConfigIdError {
    /// The version byte is not known.
    #[error("MRCONFIGID has version {0}, which is none of 1, 2 and 3")]
    Version(u8),
    /// The bytes after the digest are not zero.
    #[error("MRCONFIGID has bytes other than zero after its digest")]
    Padding,
}

/// The prefix of the hashed bytes of version 3, including its zero byte.
const V3_PREFIX: &[u8] = b"dstack-mr-config-v3:\0";

impl MrConfigId {
    /// Reads the 48 bytes of a quote's MRCONFIGID.
    ///
    /// # Errors
    ///
    /// [`MrConfigIdError`] for bytes that no version of dstack writes.
    pub fn parse(bytes: &Digest48) -> Result<Self, MrConfigIdError> {
        if bytes.is_zero() {
            return Ok(Self::Unused);
        }
        let [version, rest @ ..] = bytes.as_bytes();
        let mut digest = [0; 32];
        digest.copy_from_slice(&rest[..32]);
        let digest = Digest32::new(digest);
        let read = match version {
            1 => Self::V1 { compose_hash: digest },
            2 => Self::V2 { digest },
            3 => Self::V3 { digest },
            other => return Err(MrConfigIdError::Version(*other)),
        };
        if rest[32..].iter().any(|byte| *byte != 0) {
            return Err(MrConfigIdError::Padding);
        }
        Ok(read)
    }

    /// Version 1: commits to the compose hash.
    pub const fn v1(compose_hash: Digest32) -> Self {
        Self::V1 { compose_hash }
    }

    /// Version 2: commits to compose hash, app id and key provider. `key_provider_id` is the bytes of the app-compose's
    /// `key_provider_id`.
    pub fn v2(compose_hash: &Digest32, app_id: &Id20, kind: KeyProviderKind, key_provider_id: &[u8]) -> Self {
        let kind = match kind {
            KeyProviderKind::None => 0,
            KeyProviderKind::Local => 1,
            KeyProviderKind::Kms => 2,
            KeyProviderKind::Tpm => 3,
        };
        let parts = [compose_hash.as_ref(), app_id.as_ref(), &[kind], key_provider_id];
        Self::V2 { digest: hash::keccak256(&parts) }
    }

    /// Version 3: commits to the bytes of a document, as they are. [`MrConfigDocument`] writes one.
    pub fn v3(document: &[u8]) -> Self {
        Self::V3 { digest: hash::sha256(&[V3_PREFIX, document]) }
    }

    /// The 48 bytes.
    pub fn to_bytes(&self) -> Digest48 {
        let (version, digest) = match self {
            Self::Unused => return Digest48::ZERO,
            Self::V1 { compose_hash } => (1, compose_hash),
            Self::V2 { digest } => (2, digest),
            Self::V3 { digest } => (3, digest),
        };
        let mut bytes = [0; 48];
        bytes[0] = version;
        bytes[1..33].copy_from_slice(digest.as_ref());
        Digest48::new(bytes)
    }

    /// The version, 1 to 3; 0 when it is not used.
    pub const fn version(&self) -> u8 {
        match self {
            Self::Unused => 0,
            Self::V1 { .. } => 1,
            Self::V2 { .. } => 2,
            Self::V3 { .. } => 3,
        }
    }
}

/// The document that MRCONFIGID version 3 commits to.
///
/// ```
/// use dstack_attestation::{MrConfigDocument, MrConfigId};
///
/// let document = MrConfigDocument::new([0x22; 32].into(), "kms").app_id([0x11; 20].into());
/// assert!(document.to_bytes().starts_with(br#"{"app_id":"1111"#));
/// assert_eq!(MrConfigId::v3(&document.to_bytes()).version(), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MrConfigDocument {
    // The members stand in the order of their names, which is that of canonical JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<Id20>,
    compose_hash: Digest32,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu_policy_hash: Option<Digest32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_script_hashes: Option<Vec<Digest32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<Id20>,
    key_provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_provider_id: Option<String>,
    version: u8,
}

impl MrConfigDocument {
    /// A document for this app-compose. `key_provider` is the word of the app-compose: `none`, `local`, `kms` or `tpm`.
    pub fn new(compose_hash: Digest32, key_provider: impl Into<String>) -> Self {
        Self {
            app_id: None,
            compose_hash,
            gpu_policy_hash: None,
            init_script_hashes: None,
            instance_id: None,
            key_provider: key_provider.into(),
            key_provider_id: None,
            version: 3,
        }
    }

    /// Adds the app id.
    #[must_use]
    pub const fn app_id(mut self, id: Id20) -> Self {
        self.app_id = Some(id);
        self
    }

    /// Adds the hash of the GPU policy.
    #[must_use]
    pub const fn gpu_policy_hash(mut self, hash: Digest32) -> Self {
        self.gpu_policy_hash = Some(hash);
        self
    }

    /// Adds the hashes of the init scripts, in order. Only with `manifest_version` 3 and above.
    #[must_use]
    pub fn init_script_hashes(mut self, hashes: Vec<Digest32>) -> Self {
        self.init_script_hashes = Some(hashes);
        self
    }

    /// Adds the instance id.
    #[must_use]
    pub const fn instance_id(mut self, id: Id20) -> Self {
        self.instance_id = Some(id);
        self
    }

    /// Adds the bytes of the key provider's id.
    #[must_use]
    pub fn key_provider_id(mut self, id: &[u8]) -> Self {
        self.key_provider_id = Some(hex::encode(id));
        self
    }

    /// The document as canonical JSON (RFC 8785).
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings and an integer in a struct: serde_json has nothing to fail on, and a vector takes every write.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_the_compose_hash() {
        let id = MrConfigId::v1(Digest32::new([0xab; 32]));
        let bytes = id.to_bytes();
        assert_eq!(bytes.to_string(), format!("01{}{}", "ab".repeat(32), "00".repeat(15)));
        assert_eq!(MrConfigId::parse(&bytes), Ok(id));
    }

    #[test]
    fn version_2_is_over_all_parts_in_order() {
        let hash = Digest32::new([0x22; 32]);
        let app = Id20::new([0x11; 20]);
        let id = MrConfigId::v2(&hash, &app, KeyProviderKind::Kms, &[0x33; 4]);
        let flat: Vec<u8> = [0x22; 32].into_iter().chain([0x11; 20]).chain([2]).chain([0x33; 4]).collect();
        assert_eq!(id, MrConfigId::V2 { digest: hash::keccak256(&[&flat]) });
        assert_eq!(MrConfigId::parse(&id.to_bytes()), Ok(id));
        assert_ne!(id, MrConfigId::v2(&hash, &app, KeyProviderKind::Local, &[0x33; 4]));
    }

    // Vector computed over the document of the tests of upstream's mr_config.rs.
    #[test]
    fn version_3_of_a_full_document() {
        let document = MrConfigDocument::new([0x22; 32].into(), "kms")
            .app_id([0x11; 20].into())
            .gpu_policy_hash([0x55; 32].into())
            .key_provider_id(&[0x33; 32])
            .instance_id([0x44; 20].into());
        let digest = "90e5cffa571b22c2ca846872d6fb7b071aa1346f1a1f87f72869c47b39d94099".parse().unwrap();
        let id = MrConfigId::v3(&document.to_bytes());
        assert_eq!(id, MrConfigId::V3 { digest });
        assert_eq!(MrConfigId::parse(&id.to_bytes()), Ok(id));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(MrConfigId::parse(&Digest48::ZERO), Ok(MrConfigId::Unused));
        assert_eq!(MrConfigId::Unused.to_bytes(), Digest48::ZERO);
        let mut bytes = [0; 48];
        bytes[0] = 4;
        assert_eq!(MrConfigId::parse(&Digest48::new(bytes)), Err(MrConfigIdError::Version(4)));
        bytes[0] = 1;
        bytes[33] = 1;
        assert_eq!(MrConfigId::parse(&Digest48::new(bytes)), Err(MrConfigIdError::Padding));
        // A digest behind version 0 is not "unused".
        bytes = [0; 48];
        bytes[5] = 1;
        assert_eq!(MrConfigId::parse(&Digest48::new(bytes)), Err(MrConfigIdError::Version(0)));
    }
}
