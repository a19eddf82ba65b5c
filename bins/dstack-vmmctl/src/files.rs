//! Reading the files that commands are given.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cli_support::{CliError, ExitCode};
use zeroize::Zeroizing;

/// The most that is read of any input: the VMM's own limit for an app-compose of the next version.
pub(crate) const MAX_BYTES: u64 = 50 * 1024 * 1024;

/// Reads a file.
///
/// # Errors
/// It cannot be read, is no file, or is larger than 50 MiB.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let open = || -> std::io::Result<(u64, Vec<u8>)> {
        let file = std::fs::File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(std::io::Error::other("it is a directory"));
        }
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too long, whatever its metadata say.
        let length = file.take(MAX_BYTES + 1).read_to_end(&mut bytes)? as u64;
        Ok((length, bytes))
    };
    let (length, bytes) = open().map_err(|error| {
        CliError::new(ExitCode::Usage, error).context(format_args!("cannot read {}", path.display()))
    })?;
    if length > MAX_BYTES {
        return Err(CliError::usage(format!("{} is larger than {MAX_BYTES} bytes", path.display())));
    }
    Ok(bytes)
}

/// Reads a file as text.
///
/// # Errors
/// As [`read`], or when it is not UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    String::from_utf8(read(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        CliError::usage(format!("{} is not UTF-8: byte {at} is the first that is not", path.display()))
    })
}

/// Reads a file with secrets, which nobody but its owner may be able to read.
///
/// # Errors
/// As [`read`], or when group or others can read it.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let bytes = Zeroizing::new(read(path)?);
    let mode = std::fs::metadata(path).map(|meta| meta.permissions().mode()).unwrap_or(0);
    if mode & 0o077 != 0 {
        return Err(CliError::usage(format!(
            "{} holds secrets and has mode {:03o}: others can read it",
            path.display(),
            mode & 0o777
        ))
        .hint(format!("`chmod 600 {}`", path.display())));
    }
    Ok(bytes)
}
