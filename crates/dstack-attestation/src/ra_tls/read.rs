//! From DER and PEM to certificates.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::error::{PEMError, X509Error};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Extension};
use x509_parser::time::ASN1Time;

use super::extension::{self, octet_string};
use super::{CertificateError, Extension, MAX_CERTIFICATE, MAX_CHAIN, RaTlsCertificate};
use crate::Id20;

/// The longest text that is kept of a name or a serial number, in bytes.
const MAX_TEXT: usize = 256;

/// A certificate as the X.509 library reads it: all of the bytes, each extension once.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    if der.len() > MAX_CERTIFICATE {
        return Err(CertificateError::TooLong { length: der.len() });
    }
    let (rest, certificate) = X509Certificate::from_der(der)
        .map_err(|error| CertificateError::X509(not_x509(der, &error.into()).to_owned()))?;
    if !rest.is_empty() {
        return Err(CertificateError::X509(format!("{} bytes follow it", rest.len())));
    }
    // The library takes a SEQUENCE that is not marked as constructed, which is not DER.
    if der.first() != Some(&0x30) {
        return Err(CertificateError::X509("the bytes do not begin as one in DER does".to_owned()));
    }
    let whole_bytes = certificate.signature_value.unused_bits == 0;
    if !whole_bytes || !repeats_its_algorithm(der, certificate.tbs_certificate.as_ref()) {
        return Err(CertificateError::X509("its signature or the algorithm of it cannot be read".to_owned()));
    }
    let mut seen = std::collections::HashSet::new();
    for found in certificate.extensions() {
        if !seen.insert(found.oid.as_bytes()) {
            return Err(CertificateError::Twice(found.oid.to_id_string()));
        }
    }
    drop(seen);
    Ok(certificate)
}

/// Whether the signature's algorithm, which no signature covers where it stands behind the signed part, is byte for byte
/// one that stands in there (RFC 5280, 4.1.1.2). The library does not look at the tags in it, so that one certificate would
/// have several forms.
fn repeats_its_algorithm(der: &[u8], signed: &[u8]) -> bool {
    let long = der.get(1).filter(|length| **length > 0x7f).map_or(0, |length| usize::from(length & 0x7f));
    let Some(rest) = (2 + long).checked_add(signed.len()).and_then(|at| der.get(at..)) else { return false };
    let [0x30, length @ ..=0x7f, ..] = rest else { return false };
    let algorithm = rest.get(..2 + usize::from(*length)).unwrap_or(rest);
    // What follows is the BIT STRING of the signature.
    let signature = rest.get(algorithm.len()) == Some(&0x03);
    signature && signed.windows(algorithm.len()).any(|window| window == algorithm)
}

/// Why bytes are no certificate, in words for people: the X.509 library's are about its own types.
fn not_x509(der: &[u8], error: &X509Error) -> &'static str {
    match error {
        _ if der.is_empty() => "there are no bytes",
        // Every certificate is a SEQUENCE.
        _ if der.first() != Some(&0x30) => "the bytes do not begin as one in DER does",
        X509Error::InvalidVersion => "its version is not 1, 2 or 3",
        X509Error::InvalidSerial => "its serial number cannot be read",
        X509Error::InvalidX509Name => "a name in it cannot be read",
        X509Error::InvalidDate => "a date in it cannot be read",
        X509Error::InvalidSPKI => "its public key cannot be read",
        X509Error::InvalidExtensions => "its extensions cannot be read",
        X509Error::DuplicateExtensions => "an extension in it is there twice",
        X509Error::InvalidAlgorithmIdentifier | X509Error::InvalidSignatureValue => {
            "its signature cannot be read"
        }
        _ => "the bytes are not the DER of one, or not all of it",
    }
}

const fn not_pem(error: &PEMError) -> &'static str {
    match error {
        PEMError::Base64DecodeError => "a block is not Base64",
        PEMError::IncompletePEM => "a block has no end",
        PEMError::InvalidHeader | PEMError::MissingHeader => "a block does not begin as one should",
        PEMError::IOError(_) => "it is not a text",
    }
}

pub(super) fn from_der(der: &[u8]) -> Result<RaTlsCertificate, CertificateError> {
    let parsed = parse(der)?;
    let validity = parsed.validity();
    let mut certificate = RaTlsCertificate {
        der: der.to_vec(),
        public_key: parsed.public_key().raw.to_vec(),
        subject: cut(parsed.subject().to_string()),
        issuer: cut(parsed.issuer().to_string()),
        // Two digits and a colon a byte.
        serial: cut(colons(parsed.raw_serial().get(..MAX_TEXT).unwrap_or(parsed.raw_serial()))),
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        not_before: system_time(validity.not_before),
        not_after: system_time(validity.not_after),
        is_ca: false,
        path_length: None,
        may_sign: None,
        usage: None,
        attestation_blob: None,
        quote: None,
        event_log: None,
        app_id: None,
        app_info: None,
        unwrapped: Vec::new(),
        unknown_critical: Vec::new(),
    };
    for found in parsed.extensions() {
        take(&mut certificate, found)?;
    }
    Ok(certificate)
}

fn take(certificate: &mut RaTlsCertificate, found: &X509Extension<'_>) -> Result<(), CertificateError> {
    let oid = found.oid.to_id_string();
    if let Some(known) = Extension::from_oid(&oid) {
        return take_dstacks(certificate, known, found.value);
    }
    match found.parsed_extension() {
        ParsedExtension::BasicConstraints(constraints) => {
            certificate.is_ca = constraints.ca;
            certificate.path_length = constraints.path_len_constraint;
        }
        ParsedExtension::KeyUsage(usage) => certificate.may_sign = Some(usage.key_cert_sign()),
        ParsedExtension::SubjectAlternativeName(names) => {
            for name in &names.general_names {
                match name {
                    GeneralName::DNSName(name) => certificate.dns_names.push((*name).to_owned()),
                    GeneralName::IPAddress(bytes) => certificate.ip_addresses.extend(address(bytes)),
                    _ => {}
                }
            }
        }
        ParsedExtension::ParseError { .. } => {
            let problem = "it is not encoded as such an extension is".to_owned();
            return Err(CertificateError::Extension { extension: oid, problem });
        }
        ParsedExtension::ExtendedKeyUsage(_)
        | ParsedExtension::SubjectKeyIdentifier(_)
        | ParsedExtension::AuthorityKeyIdentifier(_) => {}
        _ if found.critical && !oid.starts_with(extension::ARC) => {
            certificate.unknown_critical.push(cut(oid));
        }
        _ => {}
    }
    Ok(())
}

fn take_dstacks(
    certificate: &mut RaTlsCertificate,
    known: Extension,
    value: &[u8],
) -> Result<(), CertificateError> {
    let wrong = |problem: String| CertificateError::Extension { extension: known.to_string(), problem };
    // An app id that happens to begin like an OCTET STRING is still one by its length.
    let is_bare_id = known == Extension::AppId && value.len() == 20;
    let content = match octet_string(value).filter(|_| !is_bare_id) {
        Some(content) => content,
        None => {
            certificate.unwrapped.push(known);
            value
        }
    };
    let text = || String::from_utf8(content.to_vec()).map_err(|_| wrong("it is not UTF-8".to_owned()));
    match known {
        Extension::Quote => certificate.quote = Some(content.to_vec()),
        Extension::EventLog => certificate.event_log = Some(text()?),
        Extension::AppId => {
            let id = Id20::from_slice(content).map_err(|error| wrong(error.to_string()))?;
            certificate.app_id = Some(id);
        }
        Extension::Usage => certificate.usage = Some(text()?),
        Extension::Attestation => certificate.attestation_blob = Some(content.to_vec()),
        Extension::AppInfo => certificate.app_info = Some(content.to_vec()),
    }
    Ok(())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

/// Seconds before the Unix epoch and beyond what the system's clock type can hold are cut off at its ends.
fn system_time(time: ASN1Time) -> SystemTime {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let shifted =
        if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    shifted.unwrap_or(UNIX_EPOCH)
}

fn colons(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(":")
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('\u{2026}');
    }
    text
}

pub(super) fn all_from_pem(pem: &str) -> Result<Vec<RaTlsCertificate>, CertificateError> {
    // Base64 takes four characters for three bytes; the rest is for line ends and remarks.
    if pem.len() > 2 * MAX_CERTIFICATE * MAX_CHAIN {
        return Err(CertificateError::TooLong { length: pem.len() });
    }
    let mut certificates = Vec::new();
    for block in Pem::iter_from_buffer(pem.as_bytes()) {
        let block = block.map_err(|error| CertificateError::Pem(not_pem(&error).to_owned()))?;
        if block.label != "CERTIFICATE" {
            continue;
        }
        if certificates.len() == MAX_CHAIN {
            return Err(CertificateError::TooMany);
        }
        certificates.push(from_der(&block.contents)?);
    }
    if certificates.is_empty() {
        return Err(CertificateError::Pem("there is no certificate in it".to_owned()));
    }
    Ok(certificates)
}
