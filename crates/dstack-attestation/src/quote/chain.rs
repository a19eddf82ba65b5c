//! Certificate chains in PEM, as quotes and collateral carry them: leaf first, up to the root CA.
//!
//! This tells early and in plain words why a chain cannot hold. It is no substitute for the path validation that a
//! verification of a quote does, which also looks at revocation.

use std::time::SystemTime;

use x509_parser::pem::Pem;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use crate::quote::verify::TrustRoot;

/// The most certificates a chain has. Intel's have three.
const MAX_CERTIFICATES: usize = 6;
/// The most bytes a chain has as PEM.
const MAX_PEM: usize = 64 * 1024;

/// Why a chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainError {
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("there is no certificate in it")]
    Empty,
    #[error("certificate {0} is not signed by the next one")]
    Link(usize),
    #[error("certificate {0} is not that of a certificate authority")]
    NotCa(usize),
    #[error("certificate {position} is valid from {from} to {until} only")]
    Time { position: usize, from: String, until: String },
    #[error("it does not lead to the trusted root CA")]
    OtherRoot,
}

pub(crate) struct Chain {
    certificates: Vec<Vec<u8>>,
}

impl Chain {
    /// Reads a chain. Zero bytes and line ends may follow, as in quotes.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, ChainError> {
        if pem.len() > MAX_PEM {
            return Err(ChainError::Unreadable(format!("{} bytes are too many", pem.len())));
        }
        let mut certificates = Vec::new();
        for pem in Pem::iter_from_buffer(pem) {
            let pem = pem.map_err(|error| ChainError::Unreadable(error.to_string()))?;
            if certificates.len() == MAX_CERTIFICATES {
                return Err(ChainError::Unreadable(format!(
                    "it has more than {MAX_CERTIFICATES} certificates"
                )));
            }
            certificates.push(pem.contents);
        }
        if certificates.is_empty() { Err(ChainError::Empty) } else { Ok(Self { certificates }) }
    }

    /// The chain of the root CA alone.
    pub(crate) fn of_root(root: &TrustRoot) -> Self {
        Self { certificates: vec![root.der().to_vec()] }
    }

    /// The first certificate.
    pub(crate) fn leaf(&self) -> Result<X509Certificate<'_>, ChainError> {
        read(self.certificates.first().ok_or(ChainError::Empty)?)
    }

    /// The first certificate in DER.
    pub(crate) fn leaf_der(&self) -> Result<&[u8], ChainError> {
        self.certificates.first().map(Vec::as_slice).ok_or(ChainError::Empty)
    }

    /// The public key of the first certificate, as an uncompressed point.
    pub(crate) fn leaf_key(&self) -> Result<Vec<u8>, ChainError> {
        Ok(self.leaf()?.public_key().subject_public_key.data.to_vec())
    }

    /// Whether each certificate is signed by the next and the last by the root CA, and all are valid at this time.
    pub(crate) fn check(&self, root: &TrustRoot, now: SystemTime) -> Result<(), ChainError> {
        let root = read(root.der())?;
        let chain = self.certificates.iter().map(|der| read(der)).collect::<Result<Vec<_>, _>>()?;
        for (index, certificate) in chain.iter().enumerate() {
            let position = index + 1;
            if index > 0 && !certificate.is_ca() {
                return Err(ChainError::NotCa(position));
            }
            match chain.get(position) {
                Some(issuer) => certificate.verify_signature(Some(issuer.public_key())),
                None => certificate.verify_signature(Some(root.public_key())),
            }
            .map_err(|_| match chain.get(position) {
                Some(_) => ChainError::Link(position),
                None => ChainError::OtherRoot,
            })?;
        }
        for (index, certificate) in chain.iter().enumerate() {
            let validity = certificate.validity();
            if !validity.is_valid_at(asn1_time(now)?) {
                let text = |time: ASN1Time| time_text(from_unix(time.timestamp()));
                let (from, until) = (text(validity.not_before), text(validity.not_after));
                return Err(ChainError::Time { position: index + 1, from, until });
            }
        }
        Ok(())
    }
}

fn read(der: &[u8]) -> Result<X509Certificate<'_>, ChainError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok((rest, _)) => Err(ChainError::Unreadable(format!("{} bytes follow a certificate", rest.len()))),
        Err(error) => Err(ChainError::Unreadable(error.to_string())),
    }
}

fn asn1_time(now: SystemTime) -> Result<ASN1Time, ChainError> {
    let seconds = jiff::Timestamp::try_from(now).map(jiff::Timestamp::as_second).ok();
    let time = seconds.and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    time.ok_or_else(|| ChainError::Unreadable("the time for which is asked is out of range".to_owned()))
}

/// The time so many seconds after 1970, or as near as a timestamp comes.
fn from_unix(seconds: i64) -> SystemTime {
    jiff::Timestamp::from_second(seconds).map_or(SystemTime::UNIX_EPOCH, SystemTime::from)
}

/// A time in RFC 3339, to the second.
pub(crate) fn time_text(time: SystemTime) -> String {
    let read =
        jiff::Timestamp::try_from(time).and_then(|time| jiff::Timestamp::from_second(time.as_second()));
    read.map_or_else(|_| "a time out of range".to_owned(), |time| time.to_string())
}
