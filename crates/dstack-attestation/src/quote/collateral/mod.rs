//! Collateral: what Intel says about platforms, by which a quote is judged.

mod check;
mod json;

use std::time::SystemTime;

use dstack_check::{Hint, Hinted};
use serde::Deserialize;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::FixedBytes;

pub use check::CollateralFault;

/// The most that collateral takes as JSON, in bytes. Intel's has some 25 kB; revocation lists grow with time.
pub const MAX_COLLATERAL: usize = 4 << 20;

/// Why a text is not collateral.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollateralError {
    /// The text is longer than any collateral.
    #[error("{length} bytes are more than the {MAX_COLLATERAL} that collateral may have")]
    TooLarge {
        /// The length in bytes.
        length: usize,
    },
    /// The text is not the JSON it should be.
    #[error("the collateral is not the JSON it should be: {0}")]
    Json(#[from] serde_json::Error),
    /// A part of the collateral cannot be read.
    #[error("the collateral's {part} cannot be read: {message}")]
    Part {
        /// The part.
        part: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl Hinted for CollateralError {
    fn hint(&self) -> Option<Hint> {
        matches!(self, Self::Json(_)).then(|| {
            Hint::from(
                "collateral is one JSON object with tcb_info, qe_identity, their signatures and both CRLs",
            )
        })
    }
}

/// Which TEE collateral is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CollateralTee {
    /// TDX: for quotes of CVMs.
    Tdx,
    /// SGX: for quotes of enclaves, such as that of a local key provider.
    Sgx,
}

/// The parts of collateral, as a PCCS or Intel's PCS hands them out.
///
/// Source: Intel's `sgx_ql_qve_collateral_t` version 3, which `dcap-qvl` calls `QuoteCollateralV3`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollateralParts {
    /// The certificate chain of the PCK CRL's issuer, in PEM, leaf first.
    pub pck_crl_issuer_chain: String,
    /// The root CA's revocation list, in DER.
    pub root_ca_crl: Vec<u8>,
    /// The revocation list of the CA that issued the platform's PCK certificate, in DER.
    pub pck_crl: Vec<u8>,
    /// The certificate chain of TCB info's signer, in PEM, leaf first.
    pub tcb_info_issuer_chain: String,
    /// TCB info: the JSON text of the `tcbInfo` member, byte for byte, since it is signed.
    pub tcb_info: String,
    /// The signature over TCB info: ECDSA over P-256, r and s, 64 bytes.
    pub tcb_info_signature: Vec<u8>,
    /// The certificate chain of QE identity's signer, in PEM, leaf first.
    pub qe_identity_issuer_chain: String,
    /// QE identity: the JSON text of the `enclaveIdentity` member, byte for byte.
    pub qe_identity: String,
    /// The signature over QE identity: r and s, 64 bytes.
    pub qe_identity_signature: Vec<u8>,
    /// The platform's PCK certificate chain, in PEM, for quotes that do not carry it themselves.
    pub pck_certificate_chain: Option<String>,
}

/// The collateral for one platform type (FMSPC): TCB info, QE identity, revocation lists and their certificate chains.
///
/// All of it is signed by Intel. Reading it looks at its form only; [`check`](Self::check) looks at signatures and
/// dates, and so does every verification of a quote.
#[derive(Clone, Debug)]
pub struct Collateral {
    pub(crate) inner: dcap_qvl::QuoteCollateralV3,
    source: String,
    tee: CollateralTee,
    fmspc: FixedBytes<6>,
    tcb_info: Dated,
    evaluation_number: u32,
    /// The id of QE identity.
    enclave: String,
    valid_from: Bound,
    next_update: Bound,
}

/// From when to when a part of the collateral holds.
#[derive(Clone, Copy, Debug)]
struct Dated {
    part: &'static str,
    issued: SystemTime,
    next_update: SystemTime,
}

/// The part of the collateral that sets a bound, and the bound.
#[derive(Clone, Copy, Debug)]
struct Bound {
    part: &'static str,
    time: SystemTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TcbInfoHead {
    id: String,
    issue_date: String,
    next_update: String,
    fmspc: FixedBytes<6>,
    tcb_evaluation_data_number: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QeIdentityHead {
    id: String,
    issue_date: String,
    next_update: String,
    tcb_evaluation_data_number: u32,
}

impl Collateral {
    /// Reads collateral from the JSON that `dcap-qvl`, dstack's verifier and `dstack-verify collateral` write: one
    /// object with the members of [`CollateralParts`], bytes as hex.
    ///
    /// `source` says where it comes from, for reports.
    ///
    /// # Errors
    ///
    /// [`CollateralError`].
    pub fn from_json(text: &str, source: impl Into<String>) -> Result<Self, CollateralError> {
        Self::from_parts(json::read(text)?, source)
    }

    /// Puts collateral together from its parts, as they were fetched.
    ///
    /// # Errors
    ///
    /// [`CollateralError::Part`] when TCB info, QE identity or a revocation list is not what it should be.
    pub fn from_parts(parts: CollateralParts, source: impl Into<String>) -> Result<Self, CollateralError> {
        const TCB_INFO: &str = "TCB info";
        const QE_IDENTITY: &str = "QE identity";
        let head: TcbInfoHead =
            serde_json::from_str(&parts.tcb_info).map_err(|error| of(TCB_INFO, &error))?;
        let qe: QeIdentityHead =
            serde_json::from_str(&parts.qe_identity).map_err(|error| of(QE_IDENTITY, &error))?;
        let tee = match head.id.as_str() {
            "TDX" => CollateralTee::Tdx,
            "SGX" => CollateralTee::Sgx,
            other => return Err(of(TCB_INFO, &format_args!("it is for {other:?}, neither TDX nor SGX"))),
        };
        for (part, signature) in
            [(TCB_INFO, &parts.tcb_info_signature), (QE_IDENTITY, &parts.qe_identity_signature)]
        {
            if signature.len() != 64 {
                let length = signature.len();
                return Err(of(part, &format_args!("its signature has {length} bytes instead of 64")));
            }
        }
        let tcb_info = dated(TCB_INFO, &head.issue_date, &head.next_update)?;
        let all = [
            tcb_info,
            dated(QE_IDENTITY, &qe.issue_date, &qe.next_update)?,
            crl("root CA CRL", &parts.root_ca_crl)?,
            crl("PCK CRL", &parts.pck_crl)?,
        ];
        let bounds =
            |pick: fn(&Dated) -> SystemTime| all.map(|dated| Bound { part: dated.part, time: pick(&dated) });
        let latest = |a: Bound, b: Bound| if b.time > a.time { b } else { a };
        let earliest = |a: Bound, b: Bound| if b.time < a.time { b } else { a };
        let from = Bound { part: TCB_INFO, time: tcb_info.issued };
        let until = Bound { part: TCB_INFO, time: tcb_info.next_update };
        let inner = dcap_qvl::QuoteCollateralV3 {
            pck_crl_issuer_chain: parts.pck_crl_issuer_chain,
            root_ca_crl: parts.root_ca_crl,
            pck_crl: parts.pck_crl,
            tcb_info_issuer_chain: parts.tcb_info_issuer_chain,
            tcb_info: parts.tcb_info,
            tcb_info_signature: parts.tcb_info_signature,
            qe_identity_issuer_chain: parts.qe_identity_issuer_chain,
            qe_identity: parts.qe_identity,
            qe_identity_signature: parts.qe_identity_signature,
            pck_certificate_chain: parts.pck_certificate_chain,
        };
        Ok(Self {
            inner,
            source: source.into(),
            tee,
            fmspc: head.fmspc,
            tcb_info,
            evaluation_number: head.tcb_evaluation_data_number.min(qe.tcb_evaluation_data_number),
            enclave: qe.id,
            valid_from: bounds(|dated| dated.issued).into_iter().fold(from, latest),
            next_update: bounds(|dated| dated.next_update).into_iter().fold(until, earliest),
        })
    }

    /// The JSON that [`from_json`](Self::from_json) reads.
    pub fn to_json(&self) -> String {
        json::write(&self.parts())
    }

    /// The parts it is made of.
    pub fn parts(&self) -> CollateralParts {
        let inner = self.inner.clone();
        CollateralParts {
            pck_crl_issuer_chain: inner.pck_crl_issuer_chain,
            root_ca_crl: inner.root_ca_crl,
            pck_crl: inner.pck_crl,
            tcb_info_issuer_chain: inner.tcb_info_issuer_chain,
            tcb_info: inner.tcb_info,
            tcb_info_signature: inner.tcb_info_signature,
            qe_identity_issuer_chain: inner.qe_identity_issuer_chain,
            qe_identity: inner.qe_identity,
            qe_identity_signature: inner.qe_identity_signature,
            pck_certificate_chain: inner.pck_certificate_chain,
        }
    }

    /// Which TEE it is for.
    pub const fn tee(&self) -> CollateralTee {
        self.tee
    }

    /// The platform type it is for.
    pub const fn fmspc(&self) -> FixedBytes<6> {
        self.fmspc
    }

    /// When Intel issued its TCB info.
    pub const fn issued(&self) -> SystemTime {
        self.tcb_info.issued
    }

    /// From when on all of it holds: when the last of TCB info, QE identity and the revocation lists was issued.
    pub const fn valid_from(&self) -> SystemTime {
        self.valid_from.time
    }

    /// When the first of TCB info, QE identity and the revocation lists expires.
    pub const fn next_update(&self) -> SystemTime {
        self.next_update.time
    }

    /// The number by which Intel counts its TCB recoveries: the lower one of TCB info's and QE identity's.
    pub const fn evaluation_number(&self) -> u32 {
        self.evaluation_number
    }

    /// Where it comes from, as the caller said.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether all its parts hold at this time, by the dates that they state.
    pub fn holds_at(&self, now: SystemTime) -> bool {
        self.valid_from.time <= now && now <= self.next_update.time
    }
}

fn of(part: &'static str, message: &dyn std::fmt::Display) -> CollateralError {
    CollateralError::Part { part, message: message.to_string() }
}

fn dated(part: &'static str, issued: &str, next: &str) -> Result<Dated, CollateralError> {
    let time = |field: &str, text: &str| {
        let read: Result<jiff::Timestamp, _> = text.parse();
        read.map(SystemTime::from).map_err(|_| of(part, &format_args!("its {field} {text:?} is not a time")))
    };
    Ok(Dated { part, issued: time("issueDate", issued)?, next_update: time("nextUpdate", next)? })
}

fn crl(part: &'static str, der: &[u8]) -> Result<Dated, CollateralError> {
    let (rest, list) = CertificateRevocationList::from_der(der).map_err(|error| of(part, &error))?;
    if !rest.is_empty() {
        return Err(of(part, &format_args!("{} bytes follow it", rest.len())));
    }
    let time = |seconds: i64| {
        let read = jiff::Timestamp::from_second(seconds);
        read.map(SystemTime::from).map_err(|_| of(part, &"its date is out of range"))
    };
    let next = list.next_update().ok_or_else(|| of(part, &"it does not say when it expires"))?;
    Ok(Dated { part, issued: time(list.last_update().timestamp())?, next_update: time(next.timestamp())? })
}
