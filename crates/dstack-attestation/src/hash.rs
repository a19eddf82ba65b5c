//! The hash functions of dstack's formats, each over the concatenation of its parts.

use ring::digest;

use crate::{Digest32, Digest48};

fn ring_digest(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> digest::Digest {
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    context.finish()
}

/// SHA-2 in the length that the array type asks for.
fn sha2<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    // Both sides have N bytes: every caller below pairs the algorithm with its output length.
    out.copy_from_slice(ring_digest(algorithm, parts).as_ref());
    out
}

pub(crate) fn sha256(parts: &[&[u8]]) -> Digest32 {
    Digest32::new(sha2(&digest::SHA256, parts))
}

pub(crate) fn sha384(parts: &[&[u8]]) -> Digest48 {
    Digest48::new(sha2(&digest::SHA384, parts))
}

pub(crate) fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    sha2(&digest::SHA512, parts)
}

fn sponge<const N: usize>(mut hasher: impl tiny_keccak::Hasher, parts: &[&[u8]]) -> [u8; N] {
    for part in parts {
        hasher.update(part);
    }
    let mut out = [0; N];
    hasher.finalize(&mut out);
    out
}

pub(crate) fn keccak256(parts: &[&[u8]]) -> Digest32 {
    Digest32::new(sponge(tiny_keccak::Keccak::v256(), parts))
}

pub(crate) fn keccak384(parts: &[&[u8]]) -> [u8; 48] {
    sponge(tiny_keccak::Keccak::v384(), parts)
}

pub(crate) fn keccak512(parts: &[&[u8]]) -> [u8; 64] {
    sponge(tiny_keccak::Keccak::v512(), parts)
}

pub(crate) fn sha3_256(parts: &[&[u8]]) -> [u8; 32] {
    sponge(tiny_keccak::Sha3::v256(), parts)
}

pub(crate) fn sha3_384(parts: &[&[u8]]) -> [u8; 48] {
    sponge(tiny_keccak::Sha3::v384(), parts)
}

pub(crate) fn sha3_512(parts: &[&[u8]]) -> [u8; 64] {
    sponge(tiny_keccak::Sha3::v512(), parts)
}
