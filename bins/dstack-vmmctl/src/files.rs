//! Reading the files that commands are given.

use std::fs::{File, Metadata};
use std::io::{self, Read};
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
    let (file, _) = open(path)?;
    contents(file, path)
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
/// As [`read`], or when group or others have rights on it.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let (file, metadata) = open(path)?;
    // A pipe, as of process substitution, is nobody else's.
    let mode = metadata.permissions().mode();
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(CliError::usage(format!(
            "{} holds secrets and has mode {:03o}: others can read it",
            path.display(),
            mode & 0o777
        ))
        .hint(format!("`chmod 600 {}`", path.display())));
    }
    contents(file, path).map(Zeroizing::new)
}

/// Opens a file, and looks at what was opened: the path may lead elsewhere a moment later.
fn open(path: &Path) -> Result<(File, Metadata), CliError> {
    let opened = File::open(path).and_then(|file| {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::other("it is a directory"));
        }
        Ok((file, metadata))
    });
    opened.map_err(|error| unreadable(path, error))
}

fn contents(file: File, path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too long, whatever its metadata say.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CliError::usage(format!("{} is larger than {MAX_BYTES} bytes", path.display())));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: io::Error) -> CliError {
    CliError::new(ExitCode::Usage, error).context(format_args!("cannot read {}", path.display()))
}
