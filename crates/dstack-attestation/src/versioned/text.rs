//! Attestations as text.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{AttestationError, MAX_ATTESTATION};
use crate::fixed_bytes::decode_hex;

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

pub(super) fn decode(text: &str) -> Result<Vec<u8>, AttestationError> {
    // Hex takes two characters a byte; a few more for line ends.
    if text.len() > 3 * MAX_ATTESTATION {
        return Err(AttestationError::TooLong { length: text.len() });
    }
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    // The Base64 of an attestation begins with A (version 0) or g (version 1 with three members), so that a text of hex
    // digits alone could only be both for version 0, where hex begins with 00 and Base64 with AA.
    match decode_hex(digits) {
        Ok(bytes) if !digits.starts_with("AA") => Ok(bytes),
        Ok(bytes) => STANDARD.decode(&text).or(Ok(bytes)),
        Err(error) => STANDARD
            .decode(&text)
            .or_else(|_| URL_SAFE.decode(&text))
            .map_err(|_| AttestationError::Text(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_base64_are_told_apart() {
        assert_eq!(decode(" 0x0001\n fe ").unwrap(), [0, 1, 0xfe]);
        assert_eq!(decode("AAH+").unwrap(), [0, 1, 0xfe]);
        assert_eq!(decode("AAH-").unwrap(), [0, 1, 0xfe]);
        assert_eq!(decode("AAEC").unwrap(), [0, 1, 2]);
        assert_eq!(decode("g6d2").unwrap(), [0x83, 0xa7, 0x76]);
        assert!(decode("not one!").unwrap_err().to_string().contains("neither"));
    }
}
