//! Whether the key that an environment is sealed to comes from the KMS one trusts (upstream
//! `docs/encrypted-env-spec.md`, `kms/src/main_service.rs`).
//!
//! The VMM passes the key on, so whoever controls the VMM could put in their own and read every secret. What stops them
//! is the signature of the KMS's root key, which has to be pinned here: 33 bytes, secp256k1, as `k256_pubkey` of the
//! KMS's `GetMeta`.
//!
//! There are two signatures. v1 covers the time, so an old key cannot be played back; the legacy one does not, and is
//! accepted only by a policy that says so.

use std::time::Duration;

use dstack_check::{Hint, Hinted};
use ring::hmac;
use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use tiny_keccak::{Hasher, Keccak};

use super::seal::EnvPublicKey;
use super::signer::SignerKey;
use crate::api::PublicKeyResponse;
use crate::ids::AppId;

/// How old a v1 signature may be unless said otherwise.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

/// How far ahead of this machine's clock the KMS's may be.
pub const MAX_CLOCK_AHEAD: Duration = Duration::from_secs(60);

const DOMAIN: &[u8] = b"dstack-env-encrypt-pubkey:";
const SIGNATURE_BYTES: usize = 65;

/// What the legacy signature signs: Keccak-256 over the domain, the app id and the key.
pub fn legacy_digest(app_id: &AppId, key: &EnvPublicKey) -> [u8; 32] {
    keccak256(&[DOMAIN, app_id.as_bytes(), key.as_bytes()])
}

/// What the v1 signature signs: Keccak-256 over the domain, the app id, the time and the key.
///
/// `timestamp` is in seconds since the Unix epoch.
pub fn v1_digest(app_id: &AppId, timestamp: u64, key: &EnvPublicKey) -> [u8; 32] {
    keccak256(&[DOMAIN, app_id.as_bytes(), &timestamp.to_be_bytes(), key.as_bytes()])
}

fn keccak256(parts: &[&[u8]]) -> [u8; 32] {
    let mut keccak = Keccak::v256();
    parts.iter().for_each(|part| keccak.update(part));
    let mut hash = [0; 32];
    keccak.finalize(&mut hash);
    hash
}

/// Whose signature is accepted, and how strictly.
#[derive(Clone, Debug)]
pub struct SignaturePolicy {
    signers: Vec<SignerKey>,
    any_signer: bool,
    legacy: bool,
    max_age: Duration,
}

impl SignaturePolicy {
    /// The signers of these KMSs alone, v1 signatures alone, at most [`DEFAULT_MAX_AGE`] old.
    ///
    /// Without any signer nothing is accepted; the error then names the one that was found.
    pub fn pinned(signers: impl IntoIterator<Item = SignerKey>) -> Self {
        Self {
            signers: signers.into_iter().collect(),
            any_signer: false,
            legacy: false,
            max_age: DEFAULT_MAX_AGE,
        }
    }

    /// Whoever signed: the secrets can then be read by whoever controls the VMM or the way to it. For tests.
    pub fn danger_accept_any_signer() -> Self {
        Self { any_signer: true, ..Self::pinned([]) }
    }

    /// How old a v1 signature may be.
    #[must_use]
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Accepts the legacy signature from a KMS that makes no other. It does not cover the time: whoever kept an old answer
    /// can play it back, which matters where the KMS's keys were ever replaced.
    #[must_use]
    pub const fn allow_legacy_without_freshness(mut self) -> Self {
        self.legacy = true;
        self
    }

    /// Whether the signer is among the pinned ones, in a time that does not depend on which, or how much of it fits.
    fn trusts(&self, signer: &SignerKey) -> bool {
        // Tags under one key are equal if and only if the messages are, and `verify` compares them in constant time.
        let key = hmac::Key::new(hmac::HMAC_SHA256, DOMAIN);
        self.signers.iter().fold(false, |trusted, pinned| {
            let tag = hmac::sign(&key, pinned.as_bytes());
            trusted | hmac::verify(&key, signer.as_bytes(), tag.as_ref()).is_ok()
        })
    }
}

/// Which of the two signatures was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureForm {
    /// v1, which covers the time.
    V1 {
        /// When it was signed, in seconds since the Unix epoch.
        timestamp: u64,
    },
    /// The legacy one, which says nothing about time.
    Legacy,
}

/// A key whose signature was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedKey {
    /// The key to seal to.
    pub key: EnvPublicKey,
    /// Who signed it.
    pub signer: SignerKey,
    /// Whether the signer is one that was pinned; otherwise any was accepted.
    pub pinned: bool,
    /// What was signed.
    pub form: SignatureForm,
}

/// Why a key is not trusted. Nothing may be sealed to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The key is no X25519 key.
    #[error("the env public key has {found} bytes instead of 32")]
    KeyLength {
        /// Its length.
        found: usize,
    },
    /// The signature is none.
    #[error("the {which} signature of the env public key has {found} bytes instead of {SIGNATURE_BYTES}")]
    SignatureLength {
        /// `v1` or `legacy`.
        which: &'static str,
        /// Its length.
        found: usize,
    },
    /// No key can have made the signature.
    #[error("the {which} signature of the env public key is not valid")]
    Invalid {
        /// `v1` or `legacy`.
        which: &'static str,
    },
    /// The KMS made a legacy signature only.
    #[error("the KMS signed the env public key without a time, so an old answer could have been played back")]
    NoFreshness,
    /// Neither signature is there.
    #[error("the env public key is not signed")]
    Unsigned,
    /// Signed too long ago.
    #[error("the env public key was signed {age} s ago, {} s are allowed", .max_age.as_secs())]
    Stale {
        /// Seconds since then.
        age: u64,
        /// The limit.
        max_age: Duration,
    },
    /// Signed in the future.
    #[error("the env public key was signed {ahead} s in the future, {} s are allowed", MAX_CLOCK_AHEAD.as_secs())]
    FromTheFuture {
        /// Seconds until then.
        ahead: u64,
    },
    /// Nobody is trusted yet.
    #[error("no KMS key is pinned; the env public key is signed by {found}")]
    NoTrustedSigner {
        /// Who signed it.
        found: SignerKey,
    },
    /// Signed by somebody else. A key that was changed on the way, or made for another app, looks like this as well.
    #[error("the env public key is signed by {found}, which is not pinned")]
    UntrustedSigner {
        /// Who signed it, or would have to have signed it.
        found: SignerKey,
    },
}

impl Hinted for SignatureError {
    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::KeyLength { .. } | Self::SignatureLength { .. } | Self::Invalid { .. } | Self::Unsigned => {
                "what answered is no dstack KMS: check the KMS URL"
            }
            Self::NoFreshness => {
                "update the KMS, or accept the legacy signature explicitly if its keys were never replaced"
            }
            Self::Stale { .. } | Self::FromTheFuture { .. } => {
                "compare the clocks of this machine and of the KMS; a repeated answer may also come from somebody in between"
            }
            Self::NoTrustedSigner { found } => {
                return Some(Hint::from(format!(
                    "compare it with k256_pubkey of the KMS's GetMeta, over a way you trust, and pin {found} if they are equal"
                )));
            }
            Self::UntrustedSigner { .. } => {
                "do not send the secrets: this is another KMS, or the key was changed on the way; compare with k256_pubkey of \
                 the KMS's GetMeta before pinning anything"
            }
        };
        Some(Hint::from(text))
    }
}

/// Checks that the answer of `GetAppEnvEncryptPubKey` for an app is signed as the policy wants it.
///
/// `now` is the time of this machine, in seconds since the Unix epoch. If there is a v1 signature, it decides; the legacy
/// one is looked at only where there is none.
///
/// # Errors
///
/// Why the key is not trusted.
pub fn verify_env_key(
    answer: &PublicKeyResponse,
    app_id: &AppId,
    now: u64,
    policy: &SignaturePolicy,
) -> Result<VerifiedKey, SignatureError> {
    let key: [u8; 32] = answer
        .public_key
        .as_slice()
        .try_into()
        .map_err(|_| SignatureError::KeyLength { found: answer.public_key.len() })?;
    let key = EnvPublicKey::from_bytes(key);
    let (form, signer) = if !answer.signature_v1.is_empty() {
        let timestamp = answer.timestamp;
        check_freshness(timestamp, now, policy.max_age)?;
        let signer = recover("v1", v1_digest(app_id, timestamp, &key), &answer.signature_v1)?;
        (SignatureForm::V1 { timestamp }, signer)
    } else if answer.signature.is_empty() {
        return Err(SignatureError::Unsigned);
    } else if policy.legacy {
        let signer = recover("legacy", legacy_digest(app_id, &key), &answer.signature)?;
        (SignatureForm::Legacy, signer)
    } else {
        return Err(SignatureError::NoFreshness);
    };
    let pinned = policy.trusts(&signer);
    if !pinned && !policy.any_signer {
        return Err(if policy.signers.is_empty() {
            SignatureError::NoTrustedSigner { found: signer }
        } else {
            SignatureError::UntrustedSigner { found: signer }
        });
    }
    Ok(VerifiedKey { key, signer, pinned, form })
}

fn check_freshness(timestamp: u64, now: u64, max_age: Duration) -> Result<(), SignatureError> {
    let ahead = timestamp.saturating_sub(now);
    if ahead > MAX_CLOCK_AHEAD.as_secs() {
        return Err(SignatureError::FromTheFuture { ahead });
    }
    let age = now.saturating_sub(timestamp);
    if age > max_age.as_secs() {
        return Err(SignatureError::Stale { age, max_age });
    }
    Ok(())
}

/// The key that made a signature: r, s, and a recovery id of 0 or 1.
fn recover(which: &'static str, digest: [u8; 32], signature: &[u8]) -> Result<SignerKey, SignatureError> {
    let found = signature.len();
    let Some((&id, compact)) = signature.split_last().filter(|_| found == SIGNATURE_BYTES) else {
        return Err(SignatureError::SignatureLength { which, found });
    };
    let id = match id {
        0 => RecoveryId::Zero,
        1 => RecoveryId::One,
        _ => return Err(SignatureError::Invalid { which }),
    };
    RecoverableSignature::from_compact(compact, id)
        .and_then(|signature| signature.recover(Message::from_digest(digest)))
        .map(|key| SignerKey::of(&key))
        .map_err(|_| SignatureError::Invalid { which })
}

#[cfg(test)]
mod tests {
    use secp256k1::{PublicKey, SecretKey};

    use super::*;

    const APP: AppId = AppId::from_bytes([0; 20]);
    const NOW: u64 = 1_795_291_199;

    fn secret(seed: u8) -> SecretKey {
        SecretKey::from_secret_bytes([seed; 32]).unwrap()
    }

    fn signer(seed: u8) -> SignerKey {
        SignerKey::of(&PublicKey::from_secret_key(&secret(seed)))
    }

    fn sign(seed: u8, digest: [u8; 32]) -> Vec<u8> {
        let (id, compact) =
            RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &secret(seed))
                .serialize_compact();
        [&compact[..], &[id.to_u8()]].concat()
    }

    fn answer(timestamp: u64) -> PublicKeyResponse {
        let key = EnvPublicKey::from_bytes([7; 32]);
        PublicKeyResponse {
            public_key: vec![7; 32],
            signature: sign(1, legacy_digest(&APP, &key)),
            timestamp,
            signature_v1: sign(1, v1_digest(&APP, timestamp, &key)),
        }
    }

    fn strict() -> SignaturePolicy {
        SignaturePolicy::pinned([signer(2), signer(1)])
    }

    #[test]
    fn the_recorded_legacy_signature() {
        // Test vector of upstream `sdk/python/tests/test_verify_env_encrypt_public_key.py`.
        let answer = PublicKeyResponse {
            public_key: hex::decode("e33a1832c6562067ff8f844a61e51ad051f1180b66ec2551fb0251735f3ee90a").unwrap(),
            signature: hex::decode(
                "8542c49081fbf4e03f62034f13fbf70630bdf256a53032e38465a27c36fd6bed7a5e7111652004aef37f7fd92fbfc1285212c4ae6a\
                 6154203a48f5e16cad2cef00",
            )
            .unwrap(),
            ..PublicKeyResponse::default()
        };
        let signer: SignerKey =
            "0217610d74cbd39b6143842c6d8bc310d79da1d82cc9d17f8876376221eda0c38f".parse().unwrap();
        assert_eq!(
            verify_env_key(&answer, &APP, NOW, &SignaturePolicy::pinned([signer])),
            Err(SignatureError::NoFreshness)
        );
        let policy = SignaturePolicy::pinned([signer]).allow_legacy_without_freshness();
        let verified = verify_env_key(&answer, &APP, NOW, &policy).unwrap();
        assert_eq!((verified.signer, verified.pinned, verified.form), (signer, true, SignatureForm::Legacy));
        // For another app the same signature leads to somebody else.
        let other = verify_env_key(&answer, &AppId::from_bytes([1; 20]), NOW, &policy);
        assert!(matches!(other, Err(SignatureError::UntrustedSigner { .. })));
    }

    #[test]
    fn a_fresh_v1_signature_of_a_pinned_signer() {
        let verified = verify_env_key(&answer(NOW - 300), &APP, NOW, &strict()).unwrap();
        assert_eq!(verified.form, SignatureForm::V1 { timestamp: NOW - 300 });
        assert_eq!((verified.signer, verified.key.as_bytes()), (signer(1), &[7; 32]));
        assert!(verify_env_key(&answer(NOW + 60), &APP, NOW, &strict()).is_ok());
        let patient = strict().max_age(Duration::from_secs(900));
        assert!(verify_env_key(&answer(NOW - 900), &APP, NOW, &patient).is_ok());
    }

    #[test]
    fn any_signer_is_a_choice_that_shows() {
        let verified =
            verify_env_key(&answer(NOW), &APP, NOW, &SignaturePolicy::danger_accept_any_signer()).unwrap();
        assert!(!verified.pinned);
    }

    #[test]
    fn a_stale_v1_signature_is_not_saved_by_the_legacy_one() {
        let policy = strict().allow_legacy_without_freshness();
        let refused = verify_env_key(&answer(NOW - 301), &APP, NOW, &policy);
        assert_eq!(refused, Err(SignatureError::Stale { age: 301, max_age: DEFAULT_MAX_AGE }));
    }

    #[test]
    fn refusals() {
        let good = answer(NOW);
        let with = |change: fn(&mut PublicKeyResponse)| {
            let mut changed = good.clone();
            change(&mut changed);
            changed
        };
        let cases = [
            (with(|a| a.public_key.truncate(31)), strict()),
            (with(|a| a.public_key.push(0)), strict()),
            (with(|a| a.signature_v1.truncate(64)), strict()),
            (with(|a| a.signature_v1.push(0)), strict()),
            (with(|a| a.signature_v1[64] += 27), strict()),
            (with(|a| a.signature_v1[..64].fill(0)), strict()),
            (with(|a| a.signature_v1[..64].fill(0xff)), strict()),
            (with(|a| a.signature_v1.clear()), strict()),
            (with(|a| a.signature.truncate(3)), strict()),
            (
                with(|a| {
                    a.signature_v1.clear();
                    a.signature.truncate(3);
                }),
                strict().allow_legacy_without_freshness(),
            ),
            (
                with(|a| {
                    a.signature_v1.clear();
                    a.signature.clear();
                }),
                strict().allow_legacy_without_freshness(),
            ),
            (answer(NOW - 301), strict()),
            (answer(0), strict()),
            (answer(NOW + 61), strict()),
            (answer(u64::MAX), strict()),
            (good.clone(), SignaturePolicy::pinned([])),
            (good.clone(), SignaturePolicy::pinned([signer(2)])),
        ];
        let mut said = String::new();
        for (answer, policy) in cases {
            match verify_env_key(&answer, &APP, NOW, &policy) {
                Ok(_) => said.push_str("accepted\n"),
                Err(error) => said.push_str(&format!("{error}\n  hint: {}\n", error.hint().unwrap())),
            }
        }
        insta::assert_snapshot!(said);
    }

    #[test]
    fn a_changed_key_or_time_leads_to_another_signer() {
        let mut changed = answer(NOW);
        changed.public_key[0] ^= 1;
        assert!(matches!(
            verify_env_key(&changed, &APP, NOW, &strict()),
            Err(SignatureError::UntrustedSigner { .. })
        ));
        let mut changed = answer(NOW);
        changed.timestamp -= 1;
        assert!(matches!(
            verify_env_key(&changed, &APP, NOW, &strict()),
            Err(SignatureError::UntrustedSigner { .. })
        ));
    }
}
