//! How every key follows from the root keys, and how the root and app keys sign.
//!
//! Sources: upstream `ra-tls/src/kdf.rs`, `kms/src/crypto.rs`, `kms/src/main_service.rs`.

use p256::pkcs8::EncodePrivateKey as _;
use ring::{digest, hkdf};
use secp256k1::SecretKey;
use secp256k1::ecdsa::RecoverableSignature;
use tiny_keccak::Hasher as _;

use super::KmsError;

/// The salt of every derivation.
const SALT: &[u8] = b"RATLS";

/// 32 bytes that follow from a secret and a context: HKDF-SHA256 whose info is the parts of the context, one after the
/// other without anything between them.
pub(crate) fn derive_key(secret: &[u8], context: &[&[u8]]) -> Result<[u8; 32], KmsError> {
    let mut key = [0; 32];
    // The algorithm as a key type asks for as many bytes as it has in its digest, which is 32.
    hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
        .extract(secret)
        .expand(context, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .map_err(|_| KmsError::key("a key cannot be derived"))?;
    Ok(key)
}

/// The PKCS#8 document in DER of the P-256 key with this scalar, with its public key in it.
pub(crate) fn p256_pkcs8(scalar: &[u8; 32]) -> Result<Vec<u8>, KmsError> {
    let key = p256::SecretKey::from_slice(scalar).map_err(|_| KmsError::key("not a P-256 scalar"))?;
    let document = key.to_pkcs8_der().map_err(|error| KmsError::key(error.to_string()))?;
    Ok(document.as_bytes().to_vec())
}

/// A P-256 key that follows from a secret and a context, ready for certificates.
pub(crate) fn derive_p256(secret: &[u8], context: &[&[u8]]) -> Result<rcgen::KeyPair, KmsError> {
    p256_key_pair(&derive_key(secret, context)?)
}

/// The P-256 key with this scalar, ready for certificates.
pub(crate) fn p256_key_pair(scalar: &[u8; 32]) -> Result<rcgen::KeyPair, KmsError> {
    let pkcs8 = p256_pkcs8(scalar)?;
    rcgen::KeyPair::try_from(pkcs8).map_err(|error| KmsError::key(error.to_string()))
}

/// 32 secret bytes for another algorithm: the SHA-256 of the PKCS#8 document of a derived P-256 key.
pub(crate) fn derive_secret(secret: &[u8], context: &[&[u8]]) -> Result<[u8; 32], KmsError> {
    let pkcs8 = p256_pkcs8(&derive_key(secret, context)?)?;
    Ok(sha256(&pkcs8))
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// A secp256k1 secret key.
pub(crate) fn k256_key(secret: [u8; 32]) -> Result<SecretKey, KmsError> {
    SecretKey::from_secret_bytes(secret).map_err(|_| KmsError::key("not a secp256k1 secret key"))
}

/// The signature over the keccak-256 of the parts, one after the other: 64 bytes `r` and `s`, then the recovery id,
/// which is 0 or 1 and not 27 or 28.
pub(crate) fn sign_keccak(key: &SecretKey, parts: &[&[u8]]) -> [u8; 65] {
    let mut keccak = tiny_keccak::Keccak::v256();
    for part in parts {
        keccak.update(part);
    }
    let mut hash = [0; 32];
    keccak.finalize(&mut hash);
    let message = secp256k1::Message::from_digest(hash);
    let (recovery, compact) = RecoverableSignature::sign_ecdsa_recoverable(message, key).serialize_compact();
    let mut signature = [0; 65];
    signature[..64].copy_from_slice(&compact);
    signature[64] = recovery.to_u8();
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_context_are_not_separated() {
        let split = derive_key(b"secret", &[b"ab", b"c"]).unwrap();
        assert_eq!(split, derive_key(b"secret", &[b"a", b"bc"]).unwrap());
        assert_ne!(split, derive_key(b"secret", &[b"abd"]).unwrap());
    }

    #[test]
    fn zero_is_no_key() {
        assert!(p256_pkcs8(&[0; 32]).is_err());
        assert!(k256_key([0; 32]).is_err());
    }
}
