//! The report data of an app's signing key, which is a text that people can read.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{ReportData, padded};
use crate::key_chain::CompressedKey;

/// What every text begins with.
const PREFIX: &str = "dip1::";

/// The signature algorithm of an app's key, by the names the guest agent uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AppKeyAlgorithm {
    /// `ed25519`
    Ed25519,
    /// `secp256k1`
    Secp256k1,
}

impl AppKeyAlgorithm {
    /// What stands before the key.
    const fn kind(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519-pk:",
            Self::Secp256k1 => "secp256k1c-pk:",
        }
    }

    /// The key's length in bytes.
    const fn length(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::Secp256k1 => 33,
        }
    }
}

/// The signing key of an app, as `GetAttestationForAppKey` has it quoted: `dip1::ed25519-pk:` or
/// `dip1::secp256k1c-pk:` and the public key in base64 for URLs without padding, as ASCII, padded with zeros.
///
/// ```
/// use dstack_attestation::report_data::AppKey;
///
/// let key = AppKey::ed25519([7; 32]);
/// assert!(key.to_string().starts_with("dip1::ed25519-pk:BwcH"));
/// assert_eq!(AppKey::from_report_data(&key.to_report_data()), Some(key));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppKey {
    algorithm: AppKeyAlgorithm,
    public_key: Vec<u8>,
}

impl AppKey {
    /// An Ed25519 key.
    pub fn ed25519(public_key: [u8; 32]) -> Self {
        Self { algorithm: AppKeyAlgorithm::Ed25519, public_key: public_key.to_vec() }
    }

    /// A compressed secp256k1 key.
    pub fn secp256k1(public_key: CompressedKey) -> Self {
        Self { algorithm: AppKeyAlgorithm::Secp256k1, public_key: public_key.as_ref().to_vec() }
    }

    /// Reads the text in report data. `None` when there is another: the text has one form only.
    pub fn from_report_data(data: &ReportData) -> Option<Self> {
        let end = data.as_bytes().iter().rposition(|byte| *byte != 0)?;
        let text = std::str::from_utf8(data.as_bytes().get(..=end)?).ok()?;
        let rest = text.strip_prefix(PREFIX)?;
        let (algorithm, key) = [AppKeyAlgorithm::Ed25519, AppKeyAlgorithm::Secp256k1]
            .into_iter()
            .find_map(|algorithm| Some((algorithm, rest.strip_prefix(algorithm.kind())?)))?;
        let public_key = URL_SAFE_NO_PAD.decode(key).ok()?;
        (public_key.len() == algorithm.length()).then_some(Self { algorithm, public_key })
    }

    /// The report data that binds the key.
    pub fn to_report_data(&self) -> ReportData {
        // At most 20 characters and 44 of base64: it always fits.
        padded(self.to_string().as_bytes()).unwrap_or_default()
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> AppKeyAlgorithm {
        self.algorithm
    }

    /// The public key: 32 bytes for Ed25519, 33 for secp256k1 (compressed).
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = URL_SAFE_NO_PAD.encode(&self.public_key);
        write!(f, "{PREFIX}{}{key}", self.algorithm.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from the external worker API of a guest agent of 0.6.0.
    const RECORDED: &str = "646970313a3a656432353531392d706b3a61593957765668396a4f504b6a624468773247366e526b4169666d4e784e6e6667415f354c74427a706c3000000000";

    #[test]
    fn the_recorded_key_is_read_and_written_back() {
        let data: ReportData = RECORDED.parse().unwrap();
        let key = AppKey::from_report_data(&data).unwrap();
        assert_eq!(key.algorithm(), AppKeyAlgorithm::Ed25519);
        assert_eq!(
            hex::encode(key.public_key()),
            "698f56bd587d8ce3ca8db0e1c361ba9d190089f98dc4d9df800ff92ed073a65d"
        );
        assert_eq!(key.to_report_data(), data);
    }

    #[test]
    fn a_secp256k1_key_fills_the_report_data() {
        let key = AppKey::secp256k1(CompressedKey::new([3; 33]));
        assert_eq!(key.to_string().len(), 64);
        assert_eq!(AppKey::from_report_data(&key.to_report_data()), Some(key));
    }

    #[test]
    fn nothing_else_is_a_key() {
        let recorded: ReportData = RECORDED.parse().unwrap();
        assert_eq!(AppKey::from_report_data(&ReportData::ZERO), None);
        // Every other byte before the padding makes another key, or none; never the same.
        for at in 0..60 {
            let mut bytes = *recorded.as_bytes();
            bytes[at] ^= 0x01;
            assert_ne!(
                AppKey::from_report_data(&ReportData::new(bytes)),
                AppKey::from_report_data(&recorded),
                "{at}"
            );
        }
        for text in
            ["dip1::ed25519-pk:AAAA", "dip1::rsa-pk:AAAA", "dip2::ed25519-pk:", "dip1::ed25519-pk:\u{e9}"]
        {
            assert_eq!(AppKey::from_report_data(&padded(text.as_bytes()).unwrap()), None, "{text}");
        }
    }
}
