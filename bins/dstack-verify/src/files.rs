//! Reading and writing the files that commands are given.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use cli_support::atomic::{self, Mode};
use cli_support::{CliError, ExitCode};

/// The most that is read of any input. The library has closer bounds of its own.
const MAX_BYTES: u64 = 32 << 20;

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// It cannot be read, is a directory, or is larger than 32 MiB.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    if path == Path::new("-") {
        return bounded(io::stdin().lock(), path);
    }
    let opened = File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(io::Error::other("it is a directory"));
        }
        Ok(file)
    });
    bounded(opened.map_err(|error| unreadable(path, error))?, path)
}

/// Reads a file as text.
///
/// # Errors
/// As [`read`], or when it is not UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    String::from_utf8(read(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        CliError::usage(format!("{} is not UTF-8 text: byte {at} is the first that is not", named(path)))
    })
}

fn bounded(from: impl Read, path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells what is too long, whatever its metadata say.
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CliError::usage(format!("{} is larger than {} MiB", named(path), MAX_BYTES >> 20)));
    }
    Ok(bytes)
}

/// That a file or directory cannot be read.
pub(crate) fn unreadable(path: &Path, error: io::Error) -> CliError {
    CliError::new(ExitCode::Usage, error).context(format_args!("cannot read {}", named(path)))
}

/// The path for people.
pub(crate) fn named(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// Writes a public document into a file, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), CliError> {
    atomic::write(path, text.as_bytes(), Mode::Keep(0o644)).map_err(CliError::unreachable)
}
