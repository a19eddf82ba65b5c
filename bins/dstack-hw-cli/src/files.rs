//! Reading and writing the files that commands are given.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use cli_support::atomic::{self, Mode};
use cli_support::{CliError, ExitCode};

use crate::context::Context;

/// The most that is read of any input. The library has closer bounds of its own.
const MAX_BYTES: u64 = 80 << 20;

/// Reads a file, or standard input for `-`, as text. Bytes that are not UTF-8 become U+FFFD: logs may have them.
///
/// # Errors
/// It cannot be read, is a directory, or is larger than 80 MiB.
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    let bytes = if path == Path::new("-") {
        bounded(io::stdin().lock(), path)?
    } else {
        let opened = File::open(path).and_then(|file| {
            if file.metadata()?.is_dir() {
                return Err(io::Error::other("it is a directory"));
            }
            Ok(file)
        });
        bounded(opened.map_err(|error| unreadable(path, error))?, path)?
    };
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn bounded(from: impl Read, path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells what is too long, whatever its metadata say.
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CliError::usage(format!("{} is larger than {MAX_BYTES} bytes", named(path))));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: io::Error) -> CliError {
    CliError::new(ExitCode::Usage, error).context(format_args!("cannot read {}", named(path)))
}

/// The path for people.
pub(crate) fn named(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// Writes a document into a file, whole or not at all and readable by its owner alone, or to stdout for `-`.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(context: &mut Context, path: &Path, text: &str) -> Result<(), CliError> {
    if path == Path::new("-") {
        context.out.text(text)
    } else {
        atomic::write(path, text.as_bytes(), Mode::Secret).map_err(CliError::unreachable)
    }
}
