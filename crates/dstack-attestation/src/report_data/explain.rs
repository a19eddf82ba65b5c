//! What might these 64 bytes stand for?

use std::fmt;

use super::{
    AppKey, HashAlgorithm, ReportData, TAG_APP_DATA, acme_account, digest, kms_bootstrap, kms_root_ca,
    padded, ratls_cert, tagged, widen, zt_cert,
};
use crate::hash;

/// A convention by which content becomes report data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// [`ratls_cert`]: the key of an RA-TLS certificate.
    RatlsCert,
    /// [`kms_root_ca`]: the root CA of a KMS.
    KmsRootCa,
    /// [`zt_cert`]: the key of a gateway's certificate.
    ZtCert,
    /// [`acme_account`]: a gateway's ACME account.
    AcmeAccount,
    /// [`kms_bootstrap`]: the two root keys of a KMS.
    KmsBootstrap,
    /// [`tagged`] with [`TAG_APP_DATA`] and this hash: an app's own content.
    AppData(HashAlgorithm),
    /// The hash of the content without a tag, padded with zeros.
    Digest(HashAlgorithm),
    /// [`padded`]: the content itself.
    Padded,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatlsCert => f.write_str("the key of an RA-TLS certificate (ratls-cert)"),
            Self::KmsRootCa => f.write_str("the root CA of a KMS (kms-root-ca)"),
            Self::ZtCert => f.write_str("the key of a gateway's certificate (zt-cert)"),
            Self::AcmeAccount => f.write_str("the ACME account of a gateway (acme-account)"),
            Self::KmsBootstrap => f.write_str("the root keys of a KMS (its bootstrap)"),
            Self::AppData(algorithm) => write!(f, "an app's own content (app-data, {algorithm})"),
            Self::Digest(algorithm) => write!(f, "the {algorithm} of the content"),
            Self::Padded => f.write_str("the content itself, padded with zeros"),
        }
    }
}

/// Something that report data may have been made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content<'a> {
    /// A public key: SubjectPublicKeyInfo in DER.
    PublicKey(&'a [u8]),
    /// The URI of an ACME account.
    AccountUri(&'a str),
    /// The root keys of a KMS.
    KmsKeys {
        /// The root CA's SubjectPublicKeyInfo in DER.
        ca_pubkey: &'a [u8],
        /// The compressed secp256k1 key.
        k256_pubkey: &'a [u8],
    },
    /// Bytes that an app chose: a nonce, a statement, a certificate in DER, an ingress's `sha256sum.txt`.
    Bytes(&'a [u8]),
}

impl Content<'_> {
    /// The scheme by which this becomes the data.
    fn scheme(&self, data: &ReportData) -> Option<Scheme> {
        match *self {
            Self::PublicKey(key) => [
                (Scheme::RatlsCert, ratls_cert(key)),
                (Scheme::ZtCert, zt_cert(key)),
                (Scheme::KmsRootCa, kms_root_ca(key)),
            ]
            .into_iter()
            .find_map(|(scheme, made)| (made == *data).then_some(scheme)),
            Self::AccountUri(uri) => (acme_account(uri) == *data).then_some(Scheme::AcmeAccount),
            Self::KmsKeys { ca_pubkey, k256_pubkey } => {
                (kms_bootstrap(ca_pubkey, k256_pubkey) == *data).then_some(Scheme::KmsBootstrap)
            }
            Self::Bytes(bytes) => scheme_of_bytes(bytes, data),
        }
    }
}

fn scheme_of_bytes(bytes: &[u8], data: &ReportData) -> Option<Scheme> {
    if padded(bytes).is_ok_and(|made| made == *data) {
        return Some(Scheme::Padded);
    }
    HashAlgorithm::ALL.into_iter().filter(|algorithm| *algorithm != HashAlgorithm::Raw).find_map(
        |algorithm| {
            if tagged(algorithm, TAG_APP_DATA, bytes).is_ok_and(|made| made == *data) {
                return Some(Scheme::AppData(algorithm));
            }
            (untagged(algorithm, bytes)? == *data).then_some(Scheme::Digest(algorithm))
        },
    )
}

fn untagged(algorithm: HashAlgorithm, bytes: &[u8]) -> Option<ReportData> {
    Some(match algorithm {
        HashAlgorithm::Sha256 => digest(hash::sha256(&[bytes])),
        HashAlgorithm::Sha384 => widen(hash::sha384(&[bytes]).as_ref()),
        HashAlgorithm::Sha512 => widen(&hash::sha512(&[bytes])),
        HashAlgorithm::Sha3_256 => widen(&hash::sha3_256(&[bytes])),
        HashAlgorithm::Sha3_384 => widen(&hash::sha3_384(&[bytes])),
        HashAlgorithm::Sha3_512 => widen(&hash::sha3_512(&[bytes])),
        HashAlgorithm::Keccak256 => digest(hash::keccak256(&[bytes])),
        HashAlgorithm::Keccak384 => widen(&hash::keccak384(&[bytes])),
        HashAlgorithm::Keccak512 => widen(&hash::keccak512(&[bytes])),
        HashAlgorithm::Raw => return None,
    })
}

/// What report data stands for, as far as that can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning {
    /// It was made from a content that was given.
    Made {
        /// The content's place among those given, from 0.
        content: usize,
        /// How it was made.
        scheme: Scheme,
    },
    /// It names an app's signing key.
    AppKey(AppKey),
    /// All bytes are zero: nothing was asked for.
    Zero,
    /// It is a text, padded with zeros.
    Text(String),
    /// It ends in zeros; nothing given fits. 32 bytes or less before them are most often a digest or a nonce.
    Short {
        /// How many bytes stand before the zeros.
        length: usize,
    },
    /// It fills all 64 bytes; nothing given fits. Most often it is a tagged SHA-512.
    Opaque,
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made { scheme, .. } => scheme.fmt(f),
            Self::AppKey(key) => write!(f, "an app's signing key ({key})"),
            Self::Zero => f.write_str("nothing: all bytes are zero"),
            Self::Text(text) => write!(f, "the text {text:?}"),
            Self::Short { length } => {
                write!(f, "{length} bytes that nothing given explains, padded with zeros")
            }
            Self::Opaque => f.write_str("64 bytes that nothing given explains"),
        }
    }
}

/// What report data stands for, given some contents that it may have been made from.
///
/// Hashes cannot be undone: without the content, a digest is [`Meaning::Short`] or [`Meaning::Opaque`]. Where several
/// contents fit, the first is named.
///
/// ```
/// use dstack_attestation::report_data::{self, Content, Meaning, Scheme};
///
/// let data = report_data::acme_account("https://acme.example/acct/1");
/// let contents = [Content::Bytes(b"a nonce"), Content::AccountUri("https://acme.example/acct/1")];
/// let meaning = report_data::explain(&data, &contents);
/// assert_eq!(meaning, Meaning::Made { content: 1, scheme: Scheme::AcmeAccount });
/// ```
pub fn explain(data: &ReportData, contents: &[Content<'_>]) -> Meaning {
    // Before the contents: an empty one would be found to fit.
    if data.is_zero() {
        return Meaning::Zero;
    }
    let made = contents.iter().enumerate().find_map(|(content, candidate)| {
        candidate.scheme(data).map(|scheme| Meaning::Made { content, scheme })
    });
    if let Some(made) = made {
        return made;
    }
    if let Some(key) = AppKey::from_report_data(data) {
        return Meaning::AppKey(key);
    }
    let bytes = data.as_bytes();
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let shown = bytes.get(..length).unwrap_or_default();
    if shown.len() > 3 && shown.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Meaning::Text(shown.iter().copied().map(char::from).collect());
    }
    if length < 64 { Meaning::Short { length } } else { Meaning::Opaque }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_scheme_is_recognised() {
        let (key, other): (&[u8], &[u8]) = (b"a public key", b"another");
        let contents = [
            Content::PublicKey(other),
            Content::PublicKey(key),
            Content::AccountUri("https://acme.example/1"),
            Content::KmsKeys { ca_pubkey: key, k256_pubkey: other },
            Content::Bytes(b"bytes"),
        ];
        let made = |content, scheme| Meaning::Made { content, scheme };
        for (data, meaning) in [
            (ratls_cert(key), made(1, Scheme::RatlsCert)),
            (zt_cert(other), made(0, Scheme::ZtCert)),
            (kms_root_ca(key), made(1, Scheme::KmsRootCa)),
            (acme_account("https://acme.example/1"), made(2, Scheme::AcmeAccount)),
            (kms_bootstrap(key, other), made(3, Scheme::KmsBootstrap)),
            (padded(b"bytes").unwrap(), made(4, Scheme::Padded)),
            (super::super::sha256_of(b"bytes"), made(4, Scheme::Digest(HashAlgorithm::Sha256))),
            (super::super::app_data(b"bytes"), made(4, Scheme::AppData(HashAlgorithm::Sha512))),
            (AppKey::ed25519([9; 32]).to_report_data(), Meaning::AppKey(AppKey::ed25519([9; 32]))),
            (ReportData::ZERO, Meaning::Zero),
            (padded(b"hello").unwrap(), Meaning::Text("hello".to_owned())),
            (kms_bootstrap(other, key), Meaning::Short { length: 32 }),
            (ratls_cert(b"unknown"), Meaning::Opaque),
        ] {
            assert_eq!(explain(&data, &contents), meaning);
        }
    }

    #[test]
    fn every_hash_of_bytes_is_recognised() {
        for algorithm in HashAlgorithm::ALL {
            let Some(data) = untagged(algorithm, b"statement") else { continue };
            let meaning = explain(&data, &[Content::Bytes(b"statement")]);
            assert_eq!(meaning, Meaning::Made { content: 0, scheme: Scheme::Digest(algorithm) });
            let data = tagged(algorithm, TAG_APP_DATA, b"statement").unwrap();
            let meaning = explain(&data, &[Content::Bytes(b"statement")]);
            assert_eq!(meaning, Meaning::Made { content: 0, scheme: Scheme::AppData(algorithm) });
        }
    }

    #[test]
    fn zeros_are_never_explained_by_an_empty_content() {
        assert_eq!(explain(&ReportData::ZERO, &[Content::Bytes(b"")]), Meaning::Zero);
    }

    proptest! {
        #[test]
        fn what_no_content_made_is_never_said_to_be_made(
            data in proptest::array::uniform32(any::<u8>()),
            content in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut bytes = [1; 64];
            bytes[..32].copy_from_slice(&data);
            let data = ReportData::new(bytes);
            prop_assume!(content != bytes);
            let contents = [Content::PublicKey(&content), Content::Bytes(&content)];
            let made = matches!(explain(&data, &contents), Meaning::Made { .. });
            prop_assert!(!made);
        }
    }
}
