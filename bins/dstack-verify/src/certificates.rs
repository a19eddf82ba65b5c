//! Certificates in files, as PEM or DER.

use std::path::Path;

use cli_support::CliError;
use dstack_attestation::ra_tls::RaTlsCertificate;

use crate::files;
use crate::kind::{self, Kind};

/// All certificates of a file, in its order.
///
/// # Errors
/// The file cannot be read, or has no certificate in it.
pub(crate) fn all(path: &Path) -> Result<Vec<Vec<u8>>, CliError> {
    let bytes = files::read(path)?;
    let named = files::named(path);
    let wrong = |error: CliError| kind::wrong(error.context(&named), &bytes, Kind::Certificate);
    let read = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("-----BEGIN ") => RaTlsCertificate::all_from_pem(text),
        _ => RaTlsCertificate::from_der(&bytes).map(|certificate| vec![certificate]),
    };
    let certificates = read.map_err(|error| wrong(CliError::usage(error)))?;
    if certificates.is_empty() {
        return Err(wrong(CliError::usage("there is no certificate in it")));
    }
    Ok(certificates.into_iter().map(|certificate| certificate.der).collect())
}

/// The only certificate of a file.
///
/// # Errors
/// As [`all`], and when there are several.
pub(crate) fn one(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut certificates = all(path)?;
    match (certificates.pop(), certificates.len()) {
        (Some(certificate), 0) => Ok(certificate),
        (_, more) => Err(CliError::usage(format!(
            "{} has {} certificates in it, and one is wanted",
            files::named(path),
            more + 1
        ))),
    }
}
