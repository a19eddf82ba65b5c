//! Quotes without a TEE, for development and tests.
//!
//! An emulator has no hardware to sign a quote. What it hands out has the shape of a TDX quote, so that clients can be
//! tried, and carries a mark where the maker of the quoting enclave would stand. It is not signed. Verification refuses
//! marked evidence unless the caller sets a flag that is named for the danger, and says EMULATED even then.
//!
//! The mark is a courtesy of honest emulators. Evidence without it is not thereby genuine: only a checked signature
//! makes it so.

use crate::quote::TdxQuote;
use crate::report_data::ReportData;
use crate::{CreatorFields, FixedBytes, Measurements};

/// The QE vendor id of emulated quotes: 16 bytes of ASCII.
pub const QE_VENDOR_ID: [u8; 16] = *b"EMULATED-NO-TEE!";

/// The attestation key type of emulated quotes, which no quoting enclave uses.
pub const ATTESTATION_KEY_TYPE: u16 = 0xffff;

/// The word that the version text of an emulated service contains.
pub const VERSION_MARK: &str = "EMULATED";

/// What stands in place of the signature.
const SIGNATURE_NOTICE: &[u8] = b"EMULATED: this quote was made without a TEE and is not signed";

/// Whether an emulator made this quote: by its QE vendor id, its attestation key type, or what stands in place of the
/// signature.
pub fn is_emulated(quote: &TdxQuote) -> bool {
    quote.header.qe_vendor_id.as_bytes() == &QE_VENDOR_ID
        || quote.header.attestation_key_type == ATTESTATION_KEY_TYPE
        || quote.signature_data == SIGNATURE_NOTICE
}

/// Whether the version text of a VMM or a guest agent says that it is emulated, in any case of letters.
pub fn is_emulated_version(version: &str) -> bool {
    version.to_ascii_uppercase().contains(VERSION_MARK)
}

/// The contents of an emulated quote of version 4.
///
/// ```
/// use dstack_attestation::quote::{TdxQuote, emulated::EmulatedQuote};
///
/// let mut quote = EmulatedQuote::default();
/// quote.report_data = [7; 64].into();
/// let read = TdxQuote::parse(&quote.to_bytes())?;
/// assert!(read.is_emulated());
/// assert_eq!(read.report.report_data, quote.report_data);
/// # Ok::<(), dstack_attestation::quote::QuoteError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmulatedQuote {
    /// MRTD and RTMR0 to RTMR3.
    pub measurements: Measurements,
    /// MRCONFIGID, MROWNER and MROWNERCONFIG.
    pub creator: CreatorFields,
    /// The 64 bytes that the app asked for.
    pub report_data: ReportData,
}

impl EmulatedQuote {
    /// The bytes of the quote: marked, and with a notice in place of the signature.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(636 + SIGNATURE_NOTICE.len());
        bytes.extend(4u16.to_le_bytes());
        bytes.extend(ATTESTATION_KEY_TYPE.to_le_bytes());
        bytes.extend(0x81u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(QE_VENDOR_ID);
        bytes.extend([0; 20]);
        // TEE_TCB_SVN, MRSEAM, MRSIGNERSEAM, SEAMATTRIBUTES, TDATTRIBUTES, XFAM.
        bytes.extend([0; 16 + 48 + 48 + 8 + 8 + 8]);
        let Measurements { mrtd, rtmr0, rtmr1, rtmr2, rtmr3 } = &self.measurements;
        let CreatorFields { mr_config_id, mr_owner, mr_owner_config } = &self.creator;
        for field in [mrtd, mr_config_id, mr_owner, mr_owner_config, rtmr0, rtmr1, rtmr2, rtmr3] {
            bytes.extend_from_slice(field.as_ref());
        }
        bytes.extend_from_slice(self.report_data.as_ref());
        bytes.extend((SIGNATURE_NOTICE.len() as u32).to_le_bytes());
        bytes.extend_from_slice(SIGNATURE_NOTICE);
        bytes
    }
}

/// The QE vendor id as the type that a parsed header has.
pub const fn qe_vendor_id() -> FixedBytes<16> {
    FixedBytes::new(QE_VENDOR_ID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest48;

    #[test]
    fn what_was_put_in_is_read_back() {
        let [a, b, c, d, e, f, g, h] = [1, 2, 3, 4, 5, 6, 7, 8].map(|n| Digest48::new([n; 48]));
        let quote = EmulatedQuote {
            measurements: Measurements { mrtd: a, rtmr0: b, rtmr1: c, rtmr2: d, rtmr3: e },
            creator: CreatorFields { mr_config_id: f, mr_owner: g, mr_owner_config: h },
            report_data: [9; 64].into(),
        };
        let read = TdxQuote::parse(&quote.to_bytes()).unwrap();
        assert_eq!(read.report.measurements, quote.measurements);
        assert_eq!(read.report.creator, quote.creator);
        assert_eq!(read.report.report_data, quote.report_data);
        assert_eq!(read.trailing_bytes, 0);
        assert_eq!(read.header.qe_vendor_id, qe_vendor_id());
    }

    #[test]
    fn each_mark_alone_is_enough() {
        let marked = TdxQuote::parse(&EmulatedQuote::default().to_bytes()).unwrap();
        let mut bare = marked.clone();
        bare.header.qe_vendor_id = FixedBytes::ZERO;
        bare.header.attestation_key_type = 2;
        bare.signature_data.clear();
        assert!(!bare.is_emulated());
        let mut vendor = bare.clone();
        vendor.header.qe_vendor_id = qe_vendor_id();
        let mut key = bare.clone();
        key.header.attestation_key_type = ATTESTATION_KEY_TYPE;
        let mut notice = bare;
        notice.signature_data = marked.signature_data;
        assert!(vendor.is_emulated() && key.is_emulated() && notice.is_emulated());
    }

    #[test]
    fn versions_say_so() {
        assert!(is_emulated_version("0.6.0 (EMULATED)"));
        assert!(is_emulated_version("0.5.11-emulated"));
        assert!(!is_emulated_version("0.6.0"));
    }
}
