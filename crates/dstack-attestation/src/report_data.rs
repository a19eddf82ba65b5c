//! The 64 bytes of a quote that the caller of the guest agent chooses.
//!
//! A quote proves that the TD with these measurements asked for exactly these 64 bytes to be signed. What they mean is
//! a convention: most often a hash over a tag and some content, so that a quote made for one purpose cannot be passed
//! off for another.

mod app_key;
mod explain;

use std::fmt;
use std::str::FromStr;

pub use app_key::{AppKey, AppKeyAlgorithm};
pub use explain::{Content, Meaning, Scheme, explain};

use crate::{Digest32, FixedBytes, hash};

/// The report data of a quote: 64 bytes.
pub type ReportData = FixedBytes<64>;

/// The tag of report data that binds a TLS certificate; the content is its SubjectPublicKeyInfo in DER.
pub const TAG_RATLS_CERT: &str = "ratls-cert";
/// The tag of report data that binds a KMS root CA.
pub const TAG_KMS_ROOT_CA: &str = "kms-root-ca";
/// The tag of an app's own content, and the default of the legacy agent's `TdxQuote`.
pub const TAG_APP_DATA: &str = "app-data";
/// The tag with which the gateway binds the certificate of a ZT domain.
pub const TAG_ZT_CERT: &str = "zt-cert";
/// The tag with which the gateway binds its ACME account.
pub const TAG_ACME_ACCOUNT: &str = "acme-account";

/// The hash that turns tag and content into report data, by the name the guest agent knows it by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// `sha256`
    Sha256,
    /// `sha384`
    Sha384,
    /// `sha512`, the default
    #[default]
    Sha512,
    /// `sha3-256`
    Sha3_256,
    /// `sha3-384`
    Sha3_384,
    /// `sha3-512`
    Sha3_512,
    /// `keccak256`
    Keccak256,
    /// `keccak384`
    Keccak384,
    /// `keccak512`
    Keccak512,
    /// `raw`: no hash and no tag; the content is the report data.
    Raw,
}

/// Why there is no report data for some content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportDataError {
    /// Raw content must fill the report data.
    #[error("raw report data has 64 bytes, not {found}")]
    RawLength {
        /// The length of the content in bytes.
        found: usize,
    },
    /// The content is longer than the report data.
    #[error("report data has at most 64 bytes, not {found}")]
    TooLong {
        /// The length of the content in bytes.
        found: usize,
    },
    /// No hash algorithm has this name.
    #[error(
        "{0:?} is not a report data hash: expected sha256, sha384, sha512, sha3-256, sha3-384, sha3-512, keccak256, keccak384, keccak512 or raw"
    )]
    UnknownAlgorithm(String),
}

impl HashAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
        Self::Keccak256,
        Self::Keccak384,
        Self::Keccak512,
        Self::Raw,
    ];

    /// The name that the guest agent knows it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Sha3_256 => "sha3-256",
            Self::Sha3_384 => "sha3-384",
            Self::Sha3_512 => "sha3-512",
            Self::Keccak256 => "keccak256",
            Self::Keccak384 => "keccak384",
            Self::Keccak512 => "keccak512",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HashAlgorithm {
    type Err = ReportDataError;

    fn from_str(name: &str) -> Result<Self, ReportDataError> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name);
        found.ok_or_else(|| ReportDataError::UnknownAlgorithm(name.to_owned()))
    }
}

/// The hash of the tag, `:` and the content, padded with zeros on the right; for [`HashAlgorithm::Raw`] the content
/// alone.
///
/// # Errors
///
/// [`ReportDataError::RawLength`] when raw content does not have 64 bytes.
///
/// ```
/// use dstack_attestation::report_data::{self, HashAlgorithm, TAG_APP_DATA};
///
/// let data = report_data::tagged(HashAlgorithm::Sha512, TAG_APP_DATA, b"hello")?;
/// assert!(data.to_string().starts_with("e39fd3dbee991d65"));
/// # Ok::<(), report_data::ReportDataError>(())
/// ```
pub fn tagged(algorithm: HashAlgorithm, tag: &str, content: &[u8]) -> Result<ReportData, ReportDataError> {
    let parts: [&[u8]; 3] = [tag.as_bytes(), b":", content];
    Ok(match algorithm {
        HashAlgorithm::Sha256 => widen(hash::sha256(&parts).as_ref()),
        HashAlgorithm::Sha384 => widen(hash::sha384(&parts).as_ref()),
        HashAlgorithm::Sha512 => widen(&hash::sha512(&parts)),
        HashAlgorithm::Sha3_256 => widen(&hash::sha3_256(&parts)),
        HashAlgorithm::Sha3_384 => widen(&hash::sha3_384(&parts)),
        HashAlgorithm::Sha3_512 => widen(&hash::sha3_512(&parts)),
        HashAlgorithm::Keccak256 => widen(hash::keccak256(&parts).as_ref()),
        HashAlgorithm::Keccak384 => widen(&hash::keccak384(&parts)),
        HashAlgorithm::Keccak512 => widen(&hash::keccak512(&parts)),
        HashAlgorithm::Raw if content.len() == 64 => widen(content),
        HashAlgorithm::Raw => return Err(ReportDataError::RawLength { found: content.len() }),
    })
}

/// The content itself, padded with zeros on the right, as the guest agent's `GetQuote` and `Attest` do.
///
/// # Errors
///
/// [`ReportDataError::TooLong`] for more than 64 bytes.
pub fn padded(content: &[u8]) -> Result<ReportData, ReportDataError> {
    if content.len() > 64 {
        return Err(ReportDataError::TooLong { found: content.len() });
    }
    Ok(widen(content))
}

/// The report data of a KMS's bootstrap attestation: keccak-256 over its two public keys in hex, then 32 zero bytes.
///
/// `ca_pubkey` is the root CA's SubjectPublicKeyInfo in DER, `k256_pubkey` the compressed secp256k1 key. The spelling
/// of the prefix is upstream's (`kms/src/onboard_service.rs`).
pub fn kms_bootstrap(ca_pubkey: &[u8], k256_pubkey: &[u8]) -> ReportData {
    let text =
        format!("dstack-kms-genereted-keys-v1:{};{};", hex::encode(ca_pubkey), hex::encode(k256_pubkey));
    widen(hash::keccak256(&[text.as_bytes()]).as_ref())
}

/// The report data of an RA-TLS certificate: SHA-512 over `ratls-cert:` and the SubjectPublicKeyInfo in DER.
///
/// Source: upstream `ra-tls/src/attestation.rs`.
pub fn ratls_cert(public_key: &[u8]) -> ReportData {
    tagged_sha512(TAG_RATLS_CERT, public_key)
}

/// The report data that binds a KMS's root CA: SHA-512 over `kms-root-ca:` and the content.
pub fn kms_root_ca(content: &[u8]) -> ReportData {
    tagged_sha512(TAG_KMS_ROOT_CA, content)
}

/// The report data with which a gateway binds the key of a ZT domain's certificate: SHA-512 over `zt-cert:` and the
/// SubjectPublicKeyInfo in DER.
pub fn zt_cert(public_key: &[u8]) -> ReportData {
    tagged_sha512(TAG_ZT_CERT, public_key)
}

/// The report data with which a gateway binds its ACME account: SHA-512 over `acme-account:` and the account's URI.
pub fn acme_account(uri: &str) -> ReportData {
    tagged_sha512(TAG_ACME_ACCOUNT, uri.as_bytes())
}

/// The report data of an app's own content as the legacy agent's `TdxQuote` makes it by default: SHA-512 over
/// `app-data:` and the content.
pub fn app_data(content: &[u8]) -> ReportData {
    tagged_sha512(TAG_APP_DATA, content)
}

/// A SHA-256 digest, padded with zeros on the right.
///
/// An ingress puts there the digest of its `sha256sum.txt`; apps that make their own certificate, that of the
/// certificate in DER; apps that sign statements, that of the statement.
pub fn sha256_of(content: &[u8]) -> ReportData {
    digest(hash::sha256(&[content]))
}

/// A SHA-256 or keccak-256 digest, padded with zeros on the right.
pub fn digest(digest: Digest32) -> ReportData {
    widen(digest.as_ref())
}

fn tagged_sha512(tag: &str, content: &[u8]) -> ReportData {
    widen(&hash::sha512(&[tag.as_bytes(), b":", content]))
}

/// Pads with zeros on the right. Callers pass at most 64 bytes; more would be cut.
fn widen(bytes: &[u8]) -> ReportData {
    let mut data = [0; 64];
    for (slot, byte) in data.iter_mut().zip(bytes) {
        *slot = *byte;
    }
    ReportData::new(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_data_hello() {
        let data = tagged(HashAlgorithm::default(), TAG_APP_DATA, b"hello").unwrap();
        assert_eq!(
            data.to_string(),
            "e39fd3dbee991d65e65cc38c6e9d664324929816279a19b495bcd3f77a62d81949ba61282d8a732916d39bb9f6a6a16d11211c0d800b6ffc56ecf74419a7c835"
        );
    }

    // Published digests of the empty string (FIPS 180-4, FIPS 202, the Keccak team) tie each name to its function.
    #[test]
    fn each_name_is_its_function() {
        let empty: &[&[u8]] = &[];
        assert!(hash::sha256(empty).to_string().starts_with("e3b0c44298fc1c14"));
        assert!(hash::sha384(empty).to_string().starts_with("38b060a751ac9638"));
        assert!(hex::encode(hash::sha512(empty)).starts_with("cf83e1357eefb8bd"));
        assert!(hex::encode(hash::sha3_256(empty)).starts_with("a7ffc6f8bf1ed766"));
        assert!(hex::encode(hash::sha3_384(empty)).starts_with("0c63a75b845e4f7d"));
        assert!(hex::encode(hash::sha3_512(empty)).starts_with("a69f73cca23a9ac5"));
        assert!(hash::keccak256(empty).to_string().starts_with("c5d2460186f7233c"));
        assert!(hex::encode(hash::keccak384(empty)).starts_with("2c23146a63a29acf"));
        assert!(hex::encode(hash::keccak512(empty)).starts_with("0eab42de4c3ceb92"));
    }

    #[test]
    fn short_hashes_are_padded_and_names_read_back() {
        for algorithm in HashAlgorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            let data = tagged(algorithm, TAG_RATLS_CERT, &[7; 64]).unwrap();
            let zeros = data.as_bytes().iter().rev().take_while(|byte| **byte == 0).count();
            let expected = if algorithm.as_str().contains("256") {
                32
            } else if algorithm.as_str().contains("384") {
                16
            } else {
                0
            };
            assert_eq!(zeros, expected, "{algorithm}");
        }
        assert!("md5".parse::<HashAlgorithm>().is_err());
    }

    #[test]
    fn the_named_schemes_are_tagged_sha512() {
        let tag = |tag, content| tagged(HashAlgorithm::Sha512, tag, content).unwrap();
        assert_eq!(ratls_cert(b"key"), tag("ratls-cert", b"key"));
        assert_eq!(kms_root_ca(b"key"), tag("kms-root-ca", b"key"));
        assert_eq!(zt_cert(b"key"), tag("zt-cert", b"key"));
        assert_eq!(acme_account("https://ca.example/1"), tag("acme-account", b"https://ca.example/1"));
        assert_eq!(app_data(b"hello"), tag("app-data", b"hello"));
    }

    // SHA-256 of "abc" is published in FIPS 180-4's examples.
    #[test]
    fn a_digest_is_padded() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(b"abc").to_string(), format!("{expected}{}", "00".repeat(32)));
    }

    #[test]
    fn lengths_are_kept_to() {
        let raw = tagged(HashAlgorithm::Raw, "ignored", &[1; 63]);
        assert_eq!(raw, Err(ReportDataError::RawLength { found: 63 }));
        assert_eq!(padded(&[0; 65]), Err(ReportDataError::TooLong { found: 65 }));
        assert_eq!(padded(&[0x12, 0x34]).unwrap().to_string(), format!("1234{}", "00".repeat(62)));
    }
}
