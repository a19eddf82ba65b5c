//! X25519 (RFC 7748 section 5).
//!
//! The curve is curve25519-dalek's. Its sister crate with the finished function would bring two more crates for these few lines.

use curve25519_dalek::montgomery::MontgomeryPoint;
use zeroize::Zeroizing;

/// The public key of a secret.
pub(super) fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    MontgomeryPoint::mul_base_clamped(*secret).to_bytes()
}

/// What the owners of two keys share. `None` where the public key has no strength: the secret is then the same for everybody
/// (section 6.1).
pub(super) fn shared_secret(secret: &[u8; 32], public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let shared = Zeroizing::new(MontgomeryPoint(*public).mul_clamped(*secret).to_bytes());
    // No early end: how long it takes tells nothing about the secret.
    let any = shared.iter().fold(0, |any, byte| any | byte);
    (any != 0).then_some(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// RFC 7748 section 5.2, first vector, and section 6.1, the keys of Bob.
    #[test]
    fn the_vectors_of_the_rfc() {
        let scalar = read("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
        let point = read("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
        assert_eq!(
            hex::encode(*shared_secret(&scalar, &point).unwrap()),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
        );
        let bob = read("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        assert_eq!(
            hex::encode(public_key(&bob)),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
        );
    }

    #[test]
    fn both_sides_share_the_same() {
        let (alice, bob) = ([3; 32], [4; 32]);
        assert_eq!(shared_secret(&alice, &public_key(&bob)), shared_secret(&bob, &public_key(&alice)));
    }

    #[test]
    fn a_key_without_strength_is_refused() {
        assert_eq!(shared_secret(&[7; 32], &[0; 32]), None);
        let mut one = [0; 32];
        one[0] = 1;
        assert_eq!(shared_secret(&[7; 32], &one), None);
    }
}
