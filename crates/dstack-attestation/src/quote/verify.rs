//! Is a quote genuine? From a quote, collateral and a time to what the hardware vouches for.
//!
//! [`verify`] does all of it and needs collateral. [`check_signatures`] needs none and only ever tells that a quote is
//! *not* genuine: that its own signatures and certificates contradict each other.
//!
//! The work is done by the crate `dcap-qvl`, with cryptography in pure Rust. Its refusals are told apart by their words;
//! what is not known of them stays a refusal.
//!
//! ```no_run
//! use dstack_attestation::quote::Collateral;
//! use dstack_attestation::quote::verify::{TrustRoot, verify};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let quote = std::fs::read("quote.bin")?;
//! let collateral = Collateral::from_json(&std::fs::read_to_string("collateral.json")?, "collateral.json")?;
//! let verified = verify(&quote, &collateral, std::time::SystemTime::now(), &TrustRoot::intel())?;
//! println!("{} {:?}", verified.tcb_status, verified.advisories);
//! # Ok(())
//! # }
//! ```

use std::time::{Duration, SystemTime};

use dcap_qvl::configs::RustCryptoConfig;
use dcap_qvl::policy::{PckCertFlag, QuoteClaims, QuotePolicy};
use dcap_qvl::quote::Report;
use dcap_qvl::verify::QuoteVerifier;
use dstack_check::{Hint, Hinted};
use parity_scale_codec::Encode;

use crate::policy::TcbStatus;
use crate::quote::{Collateral, TdxQuote, refusal, signatures};
use crate::{Digest32, FixedBytes, hash};

/// Intel's SGX root CA, "Intel SGX Root CA", as published at
/// `https://certificates.trustedservices.intel.com/Intel_SGX_Provisioning_Certification_RootCA.cer`. SHA-256
/// 44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3.
const INTEL_ROOT_CA: &[u8] = include_bytes!("intel-sgx-root-ca.der");

/// Whose signature makes a quote genuine: the certificate authority at the root of all chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRoot {
    der: Option<Vec<u8>>,
}

impl TrustRoot {
    /// Intel's SGX root CA, under which every TDX platform in production stands.
    pub const fn intel() -> Self {
        Self { der: None }
    }

    /// Another root CA, a certificate in DER. Whoever has its key can make quotes that say anything: this is for
    /// pre-production platforms and for tests.
    pub fn danger_other(der: impl Into<Vec<u8>>) -> Self {
        Self { der: Some(der.into()) }
    }

    /// Whether this is Intel's.
    pub const fn is_intel(&self) -> bool {
        self.der.is_none()
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        self.der.as_deref().unwrap_or(INTEL_ROOT_CA)
    }
}

/// Why a quote is not genuine, or cannot be told to be. Each variant has the words of what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteVerifyError {
    /// The quote is damaged.
    #[error("the quote cannot be read: {0}")]
    Unreadable(String),
    /// The quote is of a kind that cannot be verified here.
    #[error("a quote of this kind cannot be verified: {0}")]
    Unsupported(String),
    /// A signature in the quote does not match: of the TD report, of the quoting enclave's report, or the latter is of
    /// another attestation key.
    #[error("a signature in the quote does not match: {0}")]
    Signature(String),
    /// A certificate chain does not hold, or a certificate is not valid at the time.
    #[error("a certificate chain does not hold: {0}")]
    Chain(String),
    /// The quote's certificates lead to another root CA.
    #[error("the quote is signed under another root CA than the trusted one: {0}")]
    OtherRoot(String),
    /// A certificate has been revoked: the platform's, its CA's or that of the collateral's signer.
    #[error("a certificate is revoked: {0}")]
    CertificateRevoked(String),
    /// The quoting enclave is not the one that the collateral names.
    #[error("the quoting enclave is not Intel's: {0}")]
    QuotingEnclave(String),
    /// The TDX module is not one that the collateral names.
    #[error("the TDX module is not Intel's: {0}")]
    Module(String),
    /// The platform's TCB has been revoked.
    #[error("the platform's TCB is revoked: {0}")]
    TcbRevoked(String),
    /// No TCB level of the collateral applies to the platform: it is below all of them.
    #[error("the collateral knows no TCB level for the platform: {0}")]
    NoTcbLevel(String),
    /// The TD has attributes with which the verification library accepts no quote, whoever signed it.
    #[error("the TD has attributes that rule its quote out: {0}")]
    Attributes(String),
    /// The collateral is damaged or not signed by the root CA.
    #[error("the collateral does not hold: {0}")]
    Collateral(String),
    /// The collateral is for another platform type or another TEE.
    #[error("the collateral is for another platform: {0}")]
    OtherPlatform(String),
    /// The collateral has expired.
    #[error("the collateral has expired: {0}")]
    Expired(String),
    /// The collateral was issued after the time for which is asked.
    #[error("the collateral is not valid yet: {0}")]
    NotYetValid(String),
    /// Anything else that the verification library refuses.
    #[error("the quote was refused: {0}")]
    Refused(String),
}

impl QuoteVerifyError {
    /// Whether the collateral is to blame, so that nothing is known about the quote.
    pub const fn blames_collateral(&self) -> bool {
        matches!(self, Self::Collateral(_) | Self::OtherPlatform(_) | Self::Expired(_) | Self::NotYetValid(_))
    }
}

impl Hinted for QuoteVerifyError {
    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Expired(_) | Self::NotYetValid(_) => {
                "fetch the collateral again, or judge as of the time when evidence and collateral were collected"
            }
            Self::OtherPlatform(_) => "fetch collateral for this very quote",
            Self::OtherRoot(_) => "a quote of a platform in production leads to Intel's root CA",
            _ => return None,
        };
        Some(Hint::from(text))
    }
}

/// What the signatures over a quote vouch for, besides the TD report itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedQuote {
    /// How up to date the platform is: the worst of CPU, TDX module and quoting enclave.
    pub tcb_status: TcbStatus,
    /// How up to date the CPU and the TDX module are.
    pub platform_status: TcbStatus,
    /// How up to date the quoting enclave is.
    pub qe_status: TcbStatus,
    /// The advisories that apply to the platform, sorted.
    pub advisories: Vec<String>,
    /// The number of the TCB recovery that the collateral knows of: the lower one of TCB info's and QE identity's.
    pub evaluation_number: u32,
    /// When the platform's TCB level was published.
    pub tcb_date: SystemTime,
    /// The platform type.
    pub fmspc: FixedBytes<6>,
    /// SHA-256 of the platform's PPID, which dstack calls the device id.
    pub device_id: Digest32,
    /// Whether packages can be added to the platform, as its certificate says. Some certificates do not.
    pub dynamic_platform: Option<bool>,
    /// Whether Intel's registration service keeps the platform's root keys, as its certificate says.
    pub cached_keys: Option<bool>,
    /// Whether hyper-threading is on, as the platform's certificate says.
    pub smt_enabled: Option<bool>,
    /// When the oldest part of what was relied on was issued, certificates included.
    pub collateral_oldest: SystemTime,
    /// When the first part of what was relied on expires, certificates included.
    pub collateral_expires: SystemTime,
}

/// Verifies a quote's bytes: every signature from the TD report up to the root CA, revocation, the quoting enclave, the
/// TDX module, and the platform's TCB level.
///
/// Zero bytes after the quote, with which guests pad it, are no part of it. What the TD's own attributes allow, such as
/// debugging, is not judged here unless the verification library refuses it outright.
///
/// # Errors
///
/// [`QuoteVerifyError`].
pub fn verify(
    quote: &[u8],
    collateral: &Collateral,
    now: SystemTime,
    root: &TrustRoot,
) -> Result<VerifiedQuote, QuoteVerifyError> {
    let quote = signatures::trimmed(quote)?;
    let parsed = TdxQuote::parse(quote).map_err(|error| QuoteVerifyError::Unreadable(error.to_string()))?;
    let seconds = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(|_| QuoteVerifyError::NotYetValid("the time is before 1970".to_owned()))?
        .as_secs();
    let mut parts = collateral.inner.clone();
    // This also keeps lengths that do not fit the quote from the library, which would set memory aside for them.
    if signatures::carries_pck_chain(&parsed)? {
        // The chain in collateral is that of the platform it was fetched for. Platforms of one type share the rest of
        // it, so that a quote's own chain comes first.
        parts.pck_certificate_chain = None;
    }
    let verifier = QuoteVerifier::<RustCryptoConfig>::new_with_config(root.der().to_vec())
        .allow_debug(true)
        .allow_service_td(true);
    // The library's own policy lets every verdict through: the caller's policy is judged by the checks.
    let claims = verifier
        .verify_with_policy(quote, parts, seconds, &QuotePolicy::claims_only(seconds))
        .map_err(|error| refusal::classify(&format!("{error:#}")))?;
    if !same_report(&claims.report, quote, &parsed) {
        return Err(QuoteVerifyError::Refused("the quote reads differently in two parsers".to_owned()));
    }
    Ok(VerifiedQuote::of(&claims))
}

/// Checks what a quote says about its own genuineness, without collateral: the signature of the TD report, that the
/// quoting enclave vouches for the attestation key, the signature of its report, and that the certificates lead to the
/// root CA and are valid at this time.
///
/// **`Ok` does not mean that the quote is genuine**: nothing here knows about revoked keys, retired TDX modules or
/// other enclaves of Intel's. An error does mean that it is not, or that it cannot be told.
///
/// # Errors
///
/// [`QuoteVerifyError::Unreadable`], [`Unsupported`](QuoteVerifyError::Unsupported),
/// [`Signature`](QuoteVerifyError::Signature), [`Chain`](QuoteVerifyError::Chain) or
/// [`OtherRoot`](QuoteVerifyError::OtherRoot).
pub fn check_signatures(quote: &[u8], now: SystemTime, root: &TrustRoot) -> Result<(), QuoteVerifyError> {
    signatures::check(signatures::trimmed(quote)?, now, root)
}

/// The platform type that a quote's PCK certificate names; nobody checked the certificate.
///
/// # Errors
///
/// [`QuoteVerifyError`] when the quote cannot be read or carries no PCK certificate.
pub fn stated_fmspc(quote: &[u8]) -> Result<FixedBytes<6>, QuoteVerifyError> {
    signatures::stated_fmspc(quote)
}

/// Whether the library read the TD report where we did.
fn same_report(report: &Report, quote: &[u8], parsed: &TdxQuote) -> bool {
    let read = match report {
        Report::TD10(report) => report.encode(),
        Report::TD15(report) => report.encode(),
        Report::TD15Ex(report) => report.encode(),
        Report::SgxEnclave(_) => return false,
    };
    let signed = signatures::signed_part(quote, parsed);
    signed.is_some_and(|signed| signed.ends_with(&read)) && !read.is_empty()
}

impl VerifiedQuote {
    fn of(claims: &QuoteClaims) -> Self {
        let time = |seconds: u64| {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)
        };
        let flag = |flag: PckCertFlag| match flag {
            PckCertFlag::True => Some(true),
            PckCertFlag::False => Some(false),
            PckCertFlag::Undefined => None,
        };
        let pck = &claims.platform.pck;
        let mut advisories = claims.tcb.advisory_ids.clone();
        advisories.sort();
        advisories.dedup();
        Self {
            tcb_status: status(claims.tcb.status),
            platform_status: status(claims.platform.tcb_level.tcb_status),
            qe_status: status(claims.qe.tcb_level.tcb_status),
            advisories,
            evaluation_number: claims.tcb.eval_data_number,
            tcb_date: time(claims.platform.tcb_date_tag),
            fmspc: FixedBytes::new(pck.fmspc),
            device_id: hash::sha256(&[&pck.ppid]),
            dynamic_platform: flag(pck.dynamic_platform),
            cached_keys: flag(pck.cached_keys),
            smt_enabled: flag(pck.smt_enabled),
            collateral_oldest: time(claims.earliest_issue_date),
            collateral_expires: time(claims.earliest_expiration_date),
        }
    }
}

const fn status(status: dcap_qvl::TcbStatus) -> TcbStatus {
    use dcap_qvl::TcbStatus as Of;
    match status {
        Of::UpToDate => TcbStatus::UpToDate,
        Of::SWHardeningNeeded => TcbStatus::SwHardeningNeeded,
        Of::ConfigurationNeeded => TcbStatus::ConfigurationNeeded,
        Of::ConfigurationAndSWHardeningNeeded => TcbStatus::ConfigurationAndSwHardeningNeeded,
        Of::OutOfDate => TcbStatus::OutOfDate,
        Of::OutOfDateConfigurationNeeded => TcbStatus::OutOfDateConfigurationNeeded,
        Of::TDRelaunchAdvised => TcbStatus::TdRelaunchAdvised,
        Of::TDRelaunchAdvisedConfigurationNeeded => TcbStatus::TdRelaunchAdvisedConfigurationNeeded,
        Of::Revoked => TcbStatus::Revoked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intels_root_is_the_one_that_is_published() {
        let fingerprint = hash::sha256(&[TrustRoot::intel().der()]);
        assert_eq!(
            fingerprint.to_string(),
            "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
        );
        assert!(TrustRoot::intel().is_intel());
        // The same bytes from the caller are still the caller's choice.
        assert!(!TrustRoot::danger_other(INTEL_ROOT_CA).is_intel());
    }
}
