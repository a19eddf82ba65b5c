//! What a quote says about its own genuineness: its signatures and certificates, without collateral.
//!
//! Layout of the signature data (Intel TDX DCAP Quoting Library API, appendix A.3.8 to A.3.11): the signature over
//! header and TD report, the attestation key, and certification data of type 6, which holds the quoting enclave's
//! report, its signature, authentication data, and certification data of type 5, the PCK chain in PEM.

use std::time::SystemTime;

use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::chain::{Chain, ChainError};
use super::parse::Reader;
use super::verify::{QuoteVerifyError as Error, TrustRoot};
use super::{QuoteError, TdxQuote};
use crate::{FixedBytes, hash};

/// Certification data that holds the quoting enclave's report.
const QE_REPORT: u16 = 6;
/// Certification data that holds the PCK chain in PEM.
const PCK_CHAIN: u16 = 5;
/// The bytes of an enclave's report.
const ENCLAVE_REPORT: usize = 384;
/// Where the report data of an enclave's report starts.
const ENCLAVE_REPORT_DATA: usize = 320;
/// The attestation key type of ECDSA over P-256.
const ECDSA_P256: u16 = 2;

struct SignatureData<'a> {
    signature: &'a [u8],
    attestation_key: &'a [u8],
    qe_report: &'a [u8],
    qe_signature: &'a [u8],
    authentication_data: &'a [u8],
    certification: u16,
    certificates: &'a [u8],
}

impl<'a> SignatureData<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::try_read(bytes).map_err(|error| Error::Unreadable(format!("its signature: {error}")))?
    }

    fn try_read(bytes: &'a [u8]) -> Result<Result<Self, Error>, QuoteError> {
        let mut reader = Reader::new(bytes);
        let signature = reader.take("the signature", 64)?;
        let attestation_key = reader.take("the attestation key", 64)?;
        let (kind, data) = certification(&mut reader)?;
        if kind != QE_REPORT {
            return Ok(Err(Error::Unsupported(format!("certification data of type {kind} instead of 6"))));
        }
        let mut reader = Reader::new(data);
        let qe_report = reader.take("the quoting enclave's report", ENCLAVE_REPORT)?;
        let qe_signature = reader.take("the signature of the quoting enclave's report", 64)?;
        let length = usize::from(reader.u16("the length of the authentication data")?);
        let authentication_data = reader.take("the authentication data", length)?;
        let (certification, certificates) = certification(&mut reader)?;
        Ok(Ok(Self {
            signature,
            attestation_key,
            qe_report,
            qe_signature,
            authentication_data,
            certification,
            certificates,
        }))
    }

    /// The chain that the quote carries; `None` when it names its platform in another way.
    fn chain(&self) -> Option<Result<Chain, ChainError>> {
        (self.certification == PCK_CHAIN).then(|| Chain::from_pem(self.certificates))
    }
}

fn certification<'a>(reader: &mut Reader<'a>) -> Result<(u16, &'a [u8]), QuoteError> {
    let kind = reader.u16("the type of the certification data")?;
    let length = reader.u32("the length of the certification data")?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Ok((kind, reader.take("the certification data", length)?))
}

/// The quote without what follows its signature.
pub(super) fn trimmed(bytes: &[u8]) -> Result<&[u8], Error> {
    let quote = TdxQuote::parse(bytes).map_err(|error| Error::Unreadable(error.to_string()))?;
    let length = bytes.len().saturating_sub(quote.trailing_bytes);
    Ok(bytes.get(..length).unwrap_or(bytes))
}

/// The part of a trimmed quote that the attestation key signs: everything before the length of the signature.
pub(super) fn signed_part<'a>(quote: &'a [u8], parsed: &TdxQuote) -> Option<&'a [u8]> {
    let signed = quote.len().checked_sub(parsed.signature_data.len())?.checked_sub(4)?;
    quote.get(..signed)
}

/// Whether a quote carries the PCK chain of its platform. An error means that its lengths do not fit together.
pub(super) fn carries_pck_chain(quote: &TdxQuote) -> Result<bool, Error> {
    SignatureData::read(&quote.signature_data).map(|data| data.certification == PCK_CHAIN)
}

/// The platform type in the first certificate of the quote's chain.
pub(super) fn stated_fmspc(bytes: &[u8]) -> Result<FixedBytes<6>, Error> {
    let quote = TdxQuote::parse(bytes).map_err(|error| Error::Unreadable(error.to_string()))?;
    let data = SignatureData::read(&quote.signature_data)?;
    let kind = data.certification;
    let chain = data.chain().ok_or_else(|| {
        Error::Unsupported(format!("certification data of type {kind} instead of a PCK chain"))
    })?;
    let chain = chain.map_err(|error| of(&error))?;
    let leaf = chain.leaf_der().map_err(|error| of(&error))?;
    let read = dcap_qvl::intel::parse_pck_extension_with::<dcap_qvl::configs::RustCryptoConfig>(leaf);
    read.map(|extension| FixedBytes::new(extension.fmspc)).map_err(|error| Error::Chain(format!("{error:#}")))
}

/// Checks a trimmed quote.
pub(super) fn check(quote: &[u8], now: SystemTime, root: &TrustRoot) -> Result<(), Error> {
    let parsed = TdxQuote::parse(quote).map_err(|error| Error::Unreadable(error.to_string()))?;
    let key_type = parsed.header.attestation_key_type;
    if key_type != ECDSA_P256 {
        return Err(Error::Unsupported(format!(
            "an attestation key of type {key_type}, not ECDSA over P-256"
        )));
    }
    let signed = signed_part(quote, &parsed);
    let signed = signed.ok_or_else(|| Error::Unreadable("it is shorter than its signature".to_owned()))?;
    let data = SignatureData::read(&parsed.signature_data)?;

    let key = [&[4], data.attestation_key].concat();
    matches(&key, signed, data.signature, "that of the TD report by the attestation key")?;
    let vouched = hash::sha256(&[data.attestation_key, data.authentication_data]);
    let stated = data.qe_report.get(ENCLAVE_REPORT_DATA..).and_then(|stated| stated.get(..32));
    if stated != Some(vouched.as_ref()) {
        return Err(Error::Signature("the quoting enclave vouches for another attestation key".to_owned()));
    }
    let Some(chain) = data.chain() else {
        // Who the platform is, is told by collateral alone.
        return Ok(());
    };
    let chain = chain.map_err(|error| of(&error))?;
    let pck = chain.leaf_key().map_err(|error| of(&error))?;
    matches(&pck, data.qe_report, data.qe_signature, "that of the quoting enclave's report by the platform")?;
    chain.check(root, now).map_err(|error| of(&error))
}

fn matches(key: &[u8], bytes: &[u8], signature: &[u8], which: &str) -> Result<(), Error> {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
    key.verify(bytes, signature).map_err(|_| Error::Signature(which.to_owned()))
}

fn of(error: &ChainError) -> Error {
    let text = format!("the platform's certificate chain: {error}");
    if *error == ChainError::OtherRoot { Error::OtherRoot(text) } else { Error::Chain(text) }
}
