//! The keys of a KMS: what the real one derives from its two root keys, without attestation and without policy.
//!
//! Every key and signature is computed as the KMS computes it, so that an environment sealed to
//! [`Kms::public_key_response`] opens with [`Kms::env_secret`], and a signature chain ends at [`Kms::k256_pubkey`]. What
//! is missing is the point of a real KMS: it hands keys only to CVMs whose attestation it has checked. This one hands
//! them to the emulator's guests because the emulator made those guests.

mod authority;
mod bootstrap;
mod derive;
mod serve;

use dstack_vmm_client::api::PublicKeyResponse;
use dstack_vmm_client::env::EnvPublicKey;
use ring::rand::SecureRandom as _;
use secp256k1::SecretKey;
use serde::{Deserialize, Serialize};

pub use bootstrap::{BootstrapInfo, ServerIdentity};
pub use serve::router;

pub(crate) use authority::{Authority, EMULATED_UNIT, Extension, Leaf};
pub(crate) use derive::{derive_key, derive_p256, k256_key, p256_key_pair, sha256, sign_keccak};

/// The first part of what is signed about an env key.
const ENV_KEY_MESSAGE: &[u8] = b"dstack-env-encrypt-pubkey";
/// The first part of what is signed about an app key.
const APP_KEY_MESSAGE: &[u8] = b"dstack-kms-issued";

/// Why the KMS has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// The app id does not have 20 bytes. The words are the real KMS's.
    #[error("app_id must be 20 bytes")]
    AppIdLength,
    /// A key is none, or cannot be made.
    #[error("{0}")]
    Key(String),
    /// A certificate cannot be made.
    #[error("failed to make the certificate: {0}")]
    Certificate(String),
    /// The text of root keys is not what [`RootKeys::to_json`] writes.
    #[error("these are no root keys: {0}")]
    RootKeys(String),
}

impl KmsError {
    fn key(message: impl Into<String>) -> Self {
        Self::Key(message.into())
    }

    #[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
    fn certificate(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// The two secrets that everything else follows from. Keep them in a file of mode 0600.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootKeys {
    /// The scalar of the root CA's P-256 key, 32 bytes in hex.
    root_ca_p256_scalar: String,
    /// The secp256k1 root key, 32 bytes in hex.
    root_k256_secret: String,
}

impl RootKeys {
    /// These keys: the scalar of the root CA's P-256 key, and the secp256k1 secret.
    pub fn new(root_ca_p256_scalar: &[u8; 32], root_k256_secret: &[u8; 32]) -> Self {
        Self {
            root_ca_p256_scalar: hex::encode(root_ca_p256_scalar),
            root_k256_secret: hex::encode(root_k256_secret),
        }
    }

    /// New random keys.
    ///
    /// # Errors
    ///
    /// [`KmsError::Key`] when the system has no random bytes.
    pub fn random() -> Result<Self, KmsError> {
        // Not every 32 bytes are a key, but all but one in 2^32 are for both curves: try until both are.
        loop {
            let keys = Self::new(&random_bytes()?, &random_bytes()?);
            if keys.secrets().is_ok() {
                return Ok(keys);
            }
        }
    }

    /// Keys that follow from a seed of any length, for runs that are to be repeatable.
    ///
    /// # Errors
    ///
    /// [`KmsError::Key`] in the one case of 2^32 in which what follows is no key.
    pub fn from_seed(seed: &[u8]) -> Result<Self, KmsError> {
        let ca = derive_key(seed, &[b"emulated root ca"])?;
        let k256 = derive_key(seed, &[b"emulated root k256"])?;
        let keys = Self::new(&ca, &k256);
        keys.secrets().map(|_| keys)
    }

    /// The keys as JSON, two members in hex.
    pub fn to_json(&self) -> String {
        // Two texts: there is nothing that serde_json could refuse.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`KmsError::RootKeys`] for another text, [`KmsError::Key`] for values that are no keys.
    pub fn from_json(text: &str) -> Result<Self, KmsError> {
        let keys: Self = serde_json::from_str(text).map_err(|error| KmsError::RootKeys(error.to_string()))?;
        keys.secrets().map(|_| keys)
    }

    fn secrets(&self) -> Result<([u8; 32], SecretKey), KmsError> {
        let bytes = |name: &str, text: &str| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(text, &mut bytes)
                .map_err(|error| KmsError::RootKeys(format!("{name}: {error}")))?;
            Ok::<_, KmsError>(bytes)
        };
        let ca = bytes("root_ca_p256_scalar", &self.root_ca_p256_scalar)?;
        derive::p256_pkcs8(&ca)?;
        let k256 = k256_key(bytes("root_k256_secret", &self.root_k256_secret)?)?;
        Ok((ca, k256))
    }
}

impl std::fmt::Debug for RootKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKeys(secret)")
    }
}

/// 32 random bytes.
pub(crate) fn random_bytes() -> Result<[u8; 32], KmsError> {
    let mut bytes = [0; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| KmsError::key("the system has no random bytes"))?;
    Ok(bytes)
}

/// A KMS without a TEE.
///
/// ```
/// use dstack_emulator::kms::{Kms, RootKeys};
///
/// let kms = Kms::new(&RootKeys::from_seed(b"docs")?, 1_700_000_000)?;
/// let reply = kms.public_key_response(&[0x11; 20], 1_700_000_000)?;
/// assert_eq!(reply.public_key, kms.env_public_key(&[0x11; 20])?);
/// assert!(kms.public_key_response(&[0x11; 3], 1_700_000_000).is_err());
/// # Ok::<(), dstack_emulator::kms::KmsError>(())
/// ```
pub struct Kms {
    ca_scalar: [u8; 32],
    k256: SecretKey,
    root: Authority,
    temporary: Authority,
    /// What `GetMeta` shows of the bootstrap. Without one, the KMS made its keys on its own.
    bootstrap: Option<BootstrapInfo>,
}

impl std::fmt::Debug for Kms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kms").field("k256_pubkey", &hex::encode(self.k256_pubkey())).finish_non_exhaustive()
    }
}

impl Kms {
    /// A KMS with these root keys. Its CA certificates are valid for ten years from `now`, in seconds since the Unix
    /// epoch.
    ///
    /// # Errors
    ///
    /// [`KmsError`] when the keys are none, or `now` is beyond what a certificate can carry.
    pub fn new(root: &RootKeys, now: u64) -> Result<Self, KmsError> {
        let (ca_scalar, k256) = root.secrets()?;
        // The real one keeps a third key for the CA that signs the clients' first certificates. Nothing here depends
        // on it, so it follows from the root key.
        let temporary = derive_p256(&ca_scalar, &[b"emulated client temp ca"])?;
        Ok(Self {
            root: Authority::root("Dstack KMS CA", 1, &[], p256_key_pair(&ca_scalar)?, now)?,
            temporary: Authority::root("Dstack Client Temp CA", 0, &[], temporary, now)?,
            ca_scalar,
            k256,
            bootstrap: None,
        })
    }

    /// The public root key that signatures lead to: secp256k1, compressed.
    pub fn k256_pubkey(&self) -> [u8; 33] {
        self.k256.public_key().serialize()
    }

    /// The public key of the root CA, which is also the id of this key provider in the event logs of its apps:
    /// SubjectPublicKeyInfo in DER.
    pub fn ca_pubkey(&self) -> Vec<u8> {
        self.root.public_key_der()
    }

    /// The certificate of the root CA in PEM.
    pub fn ca_cert(&self) -> &str {
        self.root.pem()
    }

    /// The X25519 secret that opens the environment of an app. A real KMS gives it to none but the app's CVM.
    ///
    /// # Errors
    ///
    /// [`KmsError::AppIdLength`] unless the app id has 20 bytes.
    pub fn env_secret(&self, app_id: &[u8]) -> Result<[u8; 32], KmsError> {
        let app_id: &[u8; 20] = app_id.try_into().map_err(|_| KmsError::AppIdLength)?;
        derive::derive_secret(&self.ca_scalar, &[app_id, b"env-encrypt-key"])
    }

    /// The X25519 public key that the environment of an app is sealed to.
    ///
    /// # Errors
    ///
    /// As for [`env_secret`](Self::env_secret).
    pub fn env_public_key(&self, app_id: &[u8]) -> Result<[u8; 32], KmsError> {
        Ok(*EnvPublicKey::of_secret(&self.env_secret(app_id)?).as_bytes())
    }

    /// The answer of `GetAppEnvEncryptPubKey`, signed at `now` in seconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// As for [`env_secret`](Self::env_secret).
    pub fn public_key_response(&self, app_id: &[u8], now: u64) -> Result<PublicKeyResponse, KmsError> {
        let public_key = self.env_public_key(app_id)?;
        let time = now.to_be_bytes();
        let mut reply = PublicKeyResponse::default();
        reply.signature = sign_keccak(&self.k256, &[ENV_KEY_MESSAGE, b":", app_id, &public_key]).to_vec();
        reply.signature_v1 =
            sign_keccak(&self.k256, &[ENV_KEY_MESSAGE, b":", app_id, &time, &public_key]).to_vec();
        reply.public_key = public_key.to_vec();
        reply.timestamp = now;
        Ok(reply)
    }

    /// The keys that the KMS gives to a CVM of an app.
    pub(crate) fn app_secrets(&self, app_id: &[u8; 20], now: u64) -> Result<AppSecrets, KmsError> {
        let k256 = k256_key(derive_key(self.k256.as_secret_bytes(), &[app_id, b"app-key"])?)?;
        let app_pubkey = k256.public_key().serialize();
        let signature = sign_keccak(&self.k256, &[APP_KEY_MESSAGE, b":", app_id, &app_pubkey]);
        let extensions = [Extension::app_id(app_id), Extension::usage("app:ca")];
        let key = derive_p256(&self.ca_scalar, &[app_id, b"app-ca"])?;
        let authority = self.root.subordinate("Dstack App CA", 0, &extensions, key, now)?;
        let chain = vec![authority.pem().to_owned(), self.root.pem().to_owned()];
        Ok(AppSecrets { k256, k256_signature: signature.to_vec(), authority, chain })
    }
}

/// The keys of one app: what the guest agent derives and signs everything from.
pub(crate) struct AppSecrets {
    /// The app's secp256k1 key.
    pub(crate) k256: SecretKey,
    /// The KMS's signature over that key. Empty where no KMS gave it.
    pub(crate) k256_signature: Vec<u8>,
    /// Who signs the app's certificates.
    pub(crate) authority: Authority,
    /// The certificates above a leaf, in PEM, the root last.
    pub(crate) chain: Vec<String>,
}

impl AppSecrets {
    /// The keys of an app that has no KMS, from its disk or made up at boot.
    pub(crate) fn local(seed: &[u8; 32], now: u64) -> Result<Self, KmsError> {
        let k256 = k256_key(derive_key(seed, &[b"emulated app k256"])?)?;
        let key = derive_p256(seed, &[b"emulated app root"])?;
        let authority = Authority::root("App Root Cert", 1, &[], key, now)?;
        let chain = vec![authority.pem().to_owned()];
        Ok(Self { k256, k256_signature: Vec::new(), authority, chain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Keys of the throw-away KMS instance in tests/fixtures/golden/kms-next.json.
    fn recorded() -> Kms {
        let text = r#"{
            "root_ca_p256_scalar": "ff797a0f68da4b8abe2b4c1ea75538db48f7f00fe0816b1127cad111b045f1db",
            "root_k256_secret": "d86940acf676d8a34c875a8f5e3817c1196e6028b82145b8d215cc54e853c099"
        }"#;
        Kms::new(&RootKeys::from_json(text).unwrap(), 1_700_000_000).unwrap()
    }

    #[test]
    fn the_env_secret_of_the_recorded_kms() {
        let secret = recorded().env_secret(&[0; 20]).unwrap();
        assert_eq!(hex::encode(secret), "9bcf8bc765e977a3c4e1907dbf7df2ca19f16506f2af2a1e285b91dbbf1cf289");
    }

    #[test]
    fn root_keys_survive_their_text_and_bad_ones_are_refused() {
        let keys = RootKeys::random().unwrap();
        assert_eq!(RootKeys::from_json(&keys.to_json()), Ok(keys.clone()));
        assert_eq!(format!("{keys:?}"), "RootKeys(secret)");
        let zero = RootKeys::new(&[0; 32], &[1; 32]).to_json();
        assert_eq!(RootKeys::from_json(&zero), Err(KmsError::Key("not a P-256 scalar".to_owned())));
        let short = r#"{"root_ca_p256_scalar":"ff","root_k256_secret":"ff"}"#;
        assert!(matches!(RootKeys::from_json(short), Err(KmsError::RootKeys(_))));
        assert!(matches!(RootKeys::from_json("{"), Err(KmsError::RootKeys(_))));
    }

    #[test]
    fn each_app_has_keys_of_its_own() {
        let kms = recorded();
        let one = kms.app_secrets(&[1; 20], 0).unwrap();
        let two = kms.app_secrets(&[2; 20], 0).unwrap();
        assert_ne!(one.k256, two.k256);
        assert_ne!(one.authority.public_key_der(), two.authority.public_key_der());
        assert_eq!(one.chain[1], two.chain[1]);
        assert_eq!(one.k256, recorded().app_secrets(&[1; 20], 9).unwrap().k256);
    }
}
