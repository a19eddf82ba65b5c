//! The header and the TD report of a TDX quote, versions 4 and 5.
//!
//! Layout: Intel TDX DCAP Quoting Library API, appendix A.3 (version 4) and A.4 (version 5). All integers are little
//! endian.

use crate::quote::emulated;
use crate::quote::kind::EvidenceKind;
use crate::quote::parse::{QuoteError, Reader};
use crate::report_data::ReportData;
use crate::{CreatorFields, Digest48, FixedBytes, Measurements};

/// The TEE type of TDX in a quote's header.
const TEE_TYPE_TDX: u32 = 0x81;

/// The header of a quote: 48 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuoteHeader {
    /// The version of the quote format: 4 or 5.
    pub version: u16,
    /// The kind of the attestation key: 2 is ECDSA over P-256.
    pub attestation_key_type: u16,
    /// Who made the quoting enclave. Intel's is `939a7233-f79c-4ca9-940a-0db3957f0607`.
    pub qe_vendor_id: FixedBytes<16>,
    /// 20 bytes of the quoting enclave's choice.
    pub user_data: FixedBytes<20>,
}

/// Which TD report a quote carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TdReportKind {
    /// The report of TDX 1.0: 584 bytes.
    Td10,
    /// The report of TDX 1.5, with the fields of service TDs: 648 bytes.
    Td15,
    /// The extended report of TDX 1.5, which also names the service TDs that are bound now: 885 bytes.
    Td15Ex,
}

impl TdReportKind {
    /// Its name in Intel's documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Td10 => "TDX 1.0",
            Self::Td15 => "TDX 1.5",
            Self::Td15Ex => "TDX 1.5ex",
        }
    }
}

/// The attributes of a TD: 64 bits.
///
/// Source: Intel TDX Module ABI Specification 348551, `TD_ATTRIBUTES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TdAttributes(pub u64);

impl TdAttributes {
    /// Whether the host may debug the TD, that is read and change its memory. Nothing such a TD says is worth anything.
    pub const fn debug(self) -> bool {
        self.0 & 1 != 0
    }

    /// All attributes under which a TD is not to be trusted (TUD, bits 0 to 7), of which debugging is one.
    pub const fn untrusted(self) -> bool {
        self.0 & 0xff != 0
    }

    /// The bits that are set although the specification reserves them as zero.
    pub const fn reserved(self) -> u64 {
        // Bits 1 to 3, 7 to 15, 23 to 26 and 32 to 61.
        self.0 & 0x3fff_ffff_0780_ff8e
    }

    /// Whether a service TD may move the TD, with its memory, to another host.
    pub const fn migratable(self) -> bool {
        self.0 & (1 << 29) != 0
    }

    /// Whether the report carries a digest of the service TDs that are bound.
    pub const fn service_td_extension(self) -> bool {
        self.0 & (1 << 17) != 0
    }

    /// Whether the host is kept from making the TD's own pages fault on access (SEPT_VE_DISABLE). Linux guests ask for
    /// it; without it the host can interrupt the guest's kernel at instructions of its choice.
    pub const fn sept_ve_disable(self) -> bool {
        self.0 & (1 << 28) != 0
    }

    /// The names of the attributes that are set, by the specification; of those that it leaves unnamed, the bit's
    /// number.
    pub fn names(self) -> Vec<String> {
        (0..u64::BITS).filter(|bit| self.0 & (1 << bit) != 0).map(name).collect()
    }
}

fn name(bit: u32) -> String {
    let known = match bit {
        0 => "DEBUG",
        4 => "HGS_PLUS_PROF",
        5 => "PERF_PROF",
        6 => "PMT_PROF",
        16 => "ICSSD",
        17 => "SERVTD_EXT",
        27 => "LASS",
        28 => "SEPT_VE_DISABLE",
        29 => "MIGRATABLE",
        30 => "PKS",
        31 => "KL",
        62 => "TPA",
        63 => "PERFMON",
        other => return format!("bit {other}"),
    };
    known.to_owned()
}

/// What the TDX module reports about a TD.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TdReport {
    /// Which report this is.
    pub kind: TdReportKind,
    /// The security version numbers of the TEE's parts, by which Intel tells whether they are up to date.
    pub tee_tcb_svn: FixedBytes<16>,
    /// The measurement of the TDX module.
    pub mr_seam: Digest48,
    /// Who signed the TDX module. Zero for Intel's.
    pub mr_signer_seam: Digest48,
    /// The TDX module's attributes.
    pub seam_attributes: u64,
    /// The TD's attributes.
    pub td_attributes: TdAttributes,
    /// The extended CPU features the TD may use.
    pub xfam: u64,
    /// MRTD and RTMR0 to RTMR3.
    pub measurements: Measurements,
    /// MRCONFIGID, MROWNER and MROWNERCONFIG.
    pub creator: CreatorFields,
    /// The 64 bytes that the TD asked to be signed.
    pub report_data: ReportData,
    /// The measurements of the service TDs bound to this TD. Only in the reports of TDX 1.5.
    pub mr_service_td: Option<Digest48>,
    /// The measurements of the service TDs that are bound now, where the report tells them from those at the start. Only
    /// in the extended report of TDX 1.5.
    pub current_service_td: Option<Digest48>,
}

/// A TDX quote, read but not verified.
///
/// Nothing here looked at the signature: the values are what somebody wrote, until `quote.signature` or a verifier
/// of your own says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TdxQuote {
    /// The header.
    pub header: QuoteHeader,
    /// The TD report.
    pub report: TdReport,
    /// The signature and the certification data, as they are.
    pub signature_data: Vec<u8>,
    /// How many bytes follow the signature. Guests hand out quotes in a larger buffer, padded with zeros.
    pub trailing_bytes: usize,
}

impl TdxQuote {
    /// Reads a quote.
    ///
    /// # Errors
    ///
    /// [`QuoteError`] for anything but a complete TDX quote of version 4 or 5.
    pub fn parse(bytes: &[u8]) -> Result<Self, QuoteError> {
        let mut reader = Reader::new(bytes);
        let header = QuoteHeader::read(&mut reader).map_err(|error| match error {
            QuoteError::Version(_) | QuoteError::TeeType(_) => {
                EvidenceKind::of(bytes).map_or(error, QuoteError::Other)
            }
            other => other,
        })?;
        let kind = if header.version == 4 { TdReportKind::Td10 } else { body_kind(&mut reader)? };
        let report = TdReport::read(&mut reader, kind)?;
        let length = reader.u32("the length of the signature")?;
        // A length beyond usize is longer than any slice, so that taking it fails as it should.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let signature_data = reader.take("the signature", length)?.to_vec();
        Ok(Self { header, report, signature_data, trailing_bytes: reader.rest() })
    }

    /// Reads a quote from its hex text, as the guest agent returns it.
    ///
    /// # Errors
    ///
    /// As for [`TdxQuote::parse`], and [`QuoteError::Hex`].
    pub fn parse_hex(text: &str) -> Result<Self, QuoteError> {
        Self::parse(&crate::fixed_bytes::decode_hex(text.trim())?)
    }

    /// Whether an emulator made this quote, by its mark. A quote without the mark is not thereby genuine.
    pub fn is_emulated(&self) -> bool {
        emulated::is_emulated(self)
    }
}

fn body_kind(reader: &mut Reader<'_>) -> Result<TdReportKind, QuoteError> {
    let kind = reader.u16("the body type")?;
    let stated = reader.u32("the body size")?;
    let (report, expected) = match kind {
        2 => (TdReportKind::Td10, 584),
        3 => (TdReportKind::Td15, 648),
        4 => (TdReportKind::Td15Ex, 885),
        other => return Err(QuoteError::BodyType(other)),
    };
    if usize::try_from(stated) != Ok(expected) {
        return Err(QuoteError::BodySize { kind, expected, stated });
    }
    Ok(report)
}

impl QuoteHeader {
    fn read(reader: &mut Reader<'_>) -> Result<Self, QuoteError> {
        let version = reader.u16("the version")?;
        if !matches!(version, 4 | 5) {
            return Err(QuoteError::Version(version));
        }
        let attestation_key_type = reader.u16("the attestation key type")?;
        let tee_type = reader.u32("the TEE type")?;
        if tee_type != TEE_TYPE_TDX {
            return Err(QuoteError::TeeType(tee_type));
        }
        reader.take("the reserved bytes of the header", 4)?;
        Ok(Self {
            version,
            attestation_key_type,
            qe_vendor_id: reader.fixed("the QE vendor id")?,
            user_data: reader.fixed("the user data")?,
        })
    }
}

impl TdReport {
    fn read(reader: &mut Reader<'_>, kind: TdReportKind) -> Result<Self, QuoteError> {
        let tee_tcb_svn = reader.fixed("TEE_TCB_SVN")?;
        let mr_seam = reader.fixed("MRSEAM")?;
        let mr_signer_seam = reader.fixed("MRSIGNERSEAM")?;
        let seam_attributes = reader.u64("SEAMATTRIBUTES")?;
        let td_attributes = TdAttributes(reader.u64("TDATTRIBUTES")?);
        let xfam = reader.u64("XFAM")?;
        let mrtd = reader.fixed("MRTD")?;
        let creator = CreatorFields {
            mr_config_id: reader.fixed("MRCONFIGID")?,
            mr_owner: reader.fixed("MROWNER")?,
            mr_owner_config: reader.fixed("MROWNERCONFIG")?,
        };
        let measurements = Measurements {
            mrtd,
            rtmr0: reader.fixed("RTMR0")?,
            rtmr1: reader.fixed("RTMR1")?,
            rtmr2: reader.fixed("RTMR2")?,
            rtmr3: reader.fixed("RTMR3")?,
        };
        let report_data = reader.fixed("REPORTDATA")?;
        let mr_service_td = match kind {
            TdReportKind::Td10 => None,
            TdReportKind::Td15 | TdReportKind::Td15Ex => {
                reader.take("TEE_TCB_SVN_2", 16)?;
                Some(reader.fixed("MRSERVICETD")?)
            }
        };
        let current_service_td = match kind {
            TdReportKind::Td10 | TdReportKind::Td15 => None,
            TdReportKind::Td15Ex => {
                // VM index, TD id, device information, then the service TDs at the start: digest and attributes, and
                // the platform at the start: CPUSVN, TEE_TCB_SVN, model.
                reader.take("the extension of TDX 1.5", 1 + 32 + 48 + 48 + 8 + 16 + 16 + 12)?;
                let now = reader.fixed("the digest of the service TDs")?;
                reader.take("the attributes of the service TDs", 8)?;
                Some(now)
            }
        };
        Ok(Self {
            kind,
            tee_tcb_svn,
            mr_seam,
            mr_signer_seam,
            seam_attributes,
            td_attributes,
            xfam,
            measurements,
            creator,
            report_data,
            mr_service_td,
            current_service_td,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quote::emulated::EmulatedQuote;

    fn version_5(kind: u16, size: u32, body: usize) -> Vec<u8> {
        let mut bytes = EmulatedQuote::default().to_bytes();
        bytes[0] = 5;
        let mut quote = bytes[..48].to_vec();
        quote.extend(kind.to_le_bytes());
        quote.extend(size.to_le_bytes());
        quote.extend((0..body).map(|n| (n % 251) as u8));
        quote.extend(2u32.to_le_bytes());
        quote.extend([0xaa, 0xbb, 0, 0, 0]);
        quote
    }

    #[test]
    fn version_5_with_either_report() {
        let quote = TdxQuote::parse(&version_5(2, 584, 584)).unwrap();
        assert_eq!((quote.report.kind, quote.report.mr_service_td), (TdReportKind::Td10, None));
        let quote = TdxQuote::parse(&version_5(3, 648, 648)).unwrap();
        assert_eq!(quote.report.kind, TdReportKind::Td15);
        let expected: Vec<u8> = (600..648).map(|n| (n % 251) as u8).collect();
        assert_eq!(quote.report.mr_service_td.unwrap().as_ref(), expected);
        assert_eq!(quote.signature_data, [0xaa, 0xbb]);
        assert_eq!(quote.trailing_bytes, 3);
    }

    #[test]
    fn other_quotes_are_told_apart() {
        assert_eq!(TdxQuote::parse(&version_5(1, 384, 384)), Err(QuoteError::BodyType(1)));
        let extended = TdxQuote::parse(&version_5(4, 885, 885)).unwrap().report;
        assert_eq!(extended.kind, TdReportKind::Td15Ex);
        let expected: Vec<u8> = (829..877).map(|n| (n % 251) as u8).collect();
        assert_eq!(extended.current_service_td.unwrap().as_ref(), expected);
        let size = TdxQuote::parse(&version_5(3, 584, 584)).unwrap_err();
        assert_eq!(size.to_string(), "a quote body of type 3 has 648 bytes, this one says 584");
        let mut bytes = EmulatedQuote::default().to_bytes();
        bytes[0] = 3;
        assert_eq!(TdxQuote::parse(&bytes), Err(QuoteError::Version(3)));
        bytes[0] = 4;
        bytes[4] = 0;
        assert_eq!(TdxQuote::parse(&bytes), Err(QuoteError::TeeType(0)));
        assert!(matches!(TdxQuote::parse_hex("xy"), Err(QuoteError::Hex(_))));
    }

    #[test]
    fn every_truncation_is_an_error_and_so_is_a_huge_length() {
        let bytes = EmulatedQuote::default().to_bytes();
        for length in 0..bytes.len() {
            assert!(TdxQuote::parse(&bytes[..length]).is_err(), "{length} bytes");
        }
        let mut huge = bytes;
        huge[632..636].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = TdxQuote::parse(&huge).unwrap_err();
        assert_eq!(error, QuoteError::Truncated { field: "the signature", length: huge.len() });
    }

    #[test]
    fn the_debug_attribute_is_the_lowest_bit() {
        assert!(TdAttributes(1).debug());
        assert!(!TdAttributes(0x1000_0000).untrusted());
        assert!(TdAttributes(2).untrusted() && !TdAttributes(2).debug());
    }

    #[test]
    fn attributes_are_named_or_reserved() {
        let named = |bit: u32| !TdAttributes(1 << bit).names().concat().starts_with("bit ");
        for bit in 0..64 {
            let attributes = TdAttributes(1 << bit);
            assert_eq!(attributes.names().len(), 1);
            assert!(!(named(bit) && attributes.reserved() != 0), "bit {bit} is both");
        }
        let unnamed: Vec<u32> =
            (0..64).filter(|bit| !named(*bit) && TdAttributes(1 << bit).reserved() == 0).collect();
        assert_eq!(unnamed, [18, 19, 20, 21, 22]);
        assert_eq!(TdAttributes(0x8000_0000_1000_0000).names(), ["SEPT_VE_DISABLE", "PERFMON"]);
    }
}
