//! The environment of an app: reading it, sealing it, and checking the key it is sealed to.
//!
//! An app's secrets reach it as variables that only its CVM can open. The way of one value:
//!
//! 1. [`EnvFile::parse`] reads a `.env` file; values are wiped from memory when dropped and never shown.
//! 2. [`check_allowed`] holds the names against `allowed_envs`, because the guest drops others without a word.
//! 3. [`verify_env_key`] makes sure that the key comes from the KMS one trusts, and is fresh.
//! 4. [`seal`] encrypts to that key. The VMM, the host and the network see the ciphertext alone.
//!
//! ```
//! use dstack_vmm_client::env::{EnvFile, EnvPublicKey, open, seal};
//!
//! let file = EnvFile::parse(b"TOKEN='s3cret' # from the vault\n")?;
//! let secret = [7; 32]; // the KMS gives it to the guest
//! let blob = seal(&file.environment, &EnvPublicKey::of_secret(&secret))?;
//! assert_eq!(open(&secret, &blob)?, file.environment);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod file;
mod limits;
mod reader;
mod seal;
mod signature;
mod signer;
mod vars;
mod x25519;

pub use file::{EnvFile, EnvFileError, EnvFileProblem, EnvNote, EnvNoteKind};
pub use limits::{
    AllowedNames, EnvLimitError, MAX_BLOB_BYTES, MAX_ENV_BYTES, MAX_ITEMS, MAX_NAME_BYTES, MAX_VALUE_BYTES,
    NotAllowedError, check_allowed, check_limits,
};
#[doc(hidden)]
pub use seal::seal_with;
pub use seal::{EnvPublicKey, MIN_BLOB_BYTES, OpenError, SealError, open, open_bytes, seal};
pub use signature::{
    DEFAULT_MAX_AGE, MAX_CLOCK_AHEAD, SignatureError, SignatureForm, SignaturePolicy, VerifiedKey,
    legacy_digest, v1_digest, verify_env_key,
};
pub use signer::{SignerKey, SignerKeyError};
pub use vars::{EnvNameError, EnvVar, Environment, check_name};
