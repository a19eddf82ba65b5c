//! What kind of evidence bytes are, told by how they begin.
//!
//! Only TDX quotes can be verified here. The others are recognised, so that a report can name what it was given instead
//! of calling it damaged.

use std::fmt;

use dstack_check::{Hint, Hinted};

/// What bytes are, as far as their beginning tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvidenceKind {
    /// A TDX quote.
    TdxQuote {
        /// The version of the quote format: 4 or 5.
        version: u16,
    },
    /// An SGX quote, of an enclave.
    SgxQuote {
        /// The version of the quote format: 3 to 5.
        version: u16,
    },
    /// An attestation report of AMD SEV-SNP.
    SevSnpReport {
        /// The version of the report.
        version: u32,
    },
    /// An attestation document of AWS Nitro Enclaves.
    NitroDocument,
    /// A quote of a TPM.
    TpmQuote,
    /// An attestation of dstack: a quote with its event log.
    DstackAttestation {
        /// The version of the encoding: 0 (SCALE) or 1 (MessagePack).
        version: u8,
    },
    /// A certificate or a key in PEM.
    Pem,
    /// A JSON text.
    Json,
    /// Bytes in hex.
    Hex,
}

impl EvidenceKind {
    /// What the bytes are; `None` when nothing is recognised.
    ///
    /// Sources: Intel TDX and SGX DCAP quote formats (version, key type, TEE type); AMD SEV-SNP firmware ABI 56860,
    /// table 23 (version, signature algorithm at 0x34, 1184 bytes); AWS Nitro's COSE_Sign1 with ES384; TCG TPM 2.0,
    /// `TPMS_ATTEST`.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        binary(bytes).or_else(|| text(bytes))
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field: [u8; 2] = bytes.get(at..)?.get(..2)?.try_into().ok()?;
    Some(u16::from_le_bytes(field))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field: [u8; 4] = bytes.get(at..)?.get(..4)?.try_into().ok()?;
    Some(u32::from_le_bytes(field))
}

fn binary(bytes: &[u8]) -> Option<EvidenceKind> {
    const SNP_REPORT: usize = 1184;
    const COSE_ES384: [u8; 6] = [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22];
    const TPM_QUOTE: [u8; 6] = [0xff, b'T', b'C', b'G', 0x80, 0x18];
    let (version, key_type, tee) = (u16_at(bytes, 0), u16_at(bytes, 2), u32_at(bytes, 4));
    match (version, key_type, tee) {
        (Some(version @ (4 | 5)), Some(_), Some(0x81)) => return Some(EvidenceKind::TdxQuote { version }),
        (Some(version @ 3..=5), Some(2 | 3), Some(0)) => return Some(EvidenceKind::SgxQuote { version }),
        _ => {}
    }
    if bytes.len() >= SNP_REPORT
        && let Some(version @ 1..=5) = u32_at(bytes, 0)
        && u32_at(bytes, 0x34) == Some(1)
    {
        return Some(EvidenceKind::SevSnpReport { version });
    }
    // With or without the tag of COSE_Sign1; with or without the size of TPM2B_ATTEST.
    let untagged = bytes.strip_prefix(&[0xd2]).unwrap_or(bytes);
    if untagged.starts_with(&COSE_ES384) {
        return Some(EvidenceKind::NitroDocument);
    }
    if bytes.starts_with(&TPM_QUOTE) || bytes.get(2..).is_some_and(|rest| rest.starts_with(&TPM_QUOTE)) {
        return Some(EvidenceKind::TpmQuote);
    }
    match bytes {
        // Version 0, then the number of the platform.
        [0, 0..=7, _, ..] => Some(EvidenceKind::DstackAttestation { version: 0 }),
        // A small MessagePack map whose first key is one of the attestation's members.
        [0x81..=0x8f, key @ ..]
            if [&b"\xa7version"[..], b"\xa8platform", b"\xa5stack"]
                .iter()
                .any(|name| key.starts_with(name)) =>
        {
            Some(EvidenceKind::DstackAttestation { version: 1 })
        }
        _ => None,
    }
}

fn text(bytes: &[u8]) -> Option<EvidenceKind> {
    let text = bytes.trim_ascii();
    match text.first()? {
        b'{' | b'[' => return Some(EvidenceKind::Json),
        b'-' if text.starts_with(b"-----BEGIN ") => return Some(EvidenceKind::Pem),
        _ => {}
    }
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    let hex = digits.len() >= 16
        && digits.iter().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace());
    hex.then_some(EvidenceKind::Hex)
}

impl fmt::Display for EvidenceKind {
    /// With its article: `an SGX quote of version 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TdxQuote { version } => write!(f, "a TDX quote of version {version}"),
            Self::SgxQuote { version } => write!(f, "an SGX quote of version {version}"),
            Self::SevSnpReport { version } => write!(f, "an AMD SEV-SNP report of version {version}"),
            Self::NitroDocument => f.write_str("an AWS Nitro attestation document"),
            Self::TpmQuote => f.write_str("a TPM quote"),
            Self::DstackAttestation { version } => write!(f, "a dstack attestation of version {version}"),
            Self::Pem => f.write_str("a PEM text"),
            Self::Json => f.write_str("a JSON text"),
            Self::Hex => f.write_str("a hex text"),
        }
    }
}

impl Hinted for EvidenceKind {
    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::TdxQuote { .. } => return None,
            Self::SgxQuote { .. } => {
                "an SGX quote is of an enclave; a CVM's quote comes from the guest agent's `GetQuote`"
            }
            Self::SevSnpReport { .. } | Self::NitroDocument | Self::TpmQuote => {
                "evidence of this kind is recognised, but only TDX quotes can be verified here"
            }
            Self::DstackAttestation { .. } => {
                "read it as an attestation, which holds the quote and its event log"
            }
            Self::Pem => "a certificate is judged as a certificate; the quote is in one of its extensions",
            Self::Json => "the quote is the member `quote` of the guest agent's answer, in hex",
            Self::Hex => "decode the hex first",
        };
        Some(Hint::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quote::emulated::EmulatedQuote;

    #[test]
    fn evidence_is_recognised() {
        let kind = |bytes: &[u8]| EvidenceKind::of(bytes);
        assert_eq!(kind(&EmulatedQuote::default().to_bytes()), Some(EvidenceKind::TdxQuote { version: 4 }));
        assert_eq!(kind(&[3, 0, 2, 0, 0, 0, 0, 0]), Some(EvidenceKind::SgxQuote { version: 3 }));
        let mut snp = vec![0; 1184];
        snp[0] = 2;
        snp[0x34] = 1;
        assert_eq!(kind(&snp), Some(EvidenceKind::SevSnpReport { version: 2 }));
        assert_eq!(kind(&snp[..1183]), None);
        let nitro = [0xd2, 0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0];
        assert_eq!(kind(&nitro), Some(EvidenceKind::NitroDocument));
        assert_eq!(kind(&nitro[1..]), Some(EvidenceKind::NitroDocument));
        assert_eq!(kind(b"\xffTCG\x80\x18\x00"), Some(EvidenceKind::TpmQuote));
        assert_eq!(kind(b"\x00\x81\xffTCG\x80\x18\x00"), Some(EvidenceKind::TpmQuote));
        assert_eq!(kind(&[0, 0, 4, 1]), Some(EvidenceKind::DstackAttestation { version: 0 }));
        assert_eq!(kind(b"\x83\xa7version\x01"), Some(EvidenceKind::DstackAttestation { version: 1 }));
        assert_eq!(kind(b"  {}"), Some(EvidenceKind::Json));
        assert_eq!(kind(b"-----BEGIN CERTIFICATE-----"), Some(EvidenceKind::Pem));
        assert_eq!(kind(b"0x0400020081000000\n"), Some(EvidenceKind::Hex));
        assert_eq!(kind(b""), None);
        assert_eq!(kind(b"hello"), None);
    }
}
