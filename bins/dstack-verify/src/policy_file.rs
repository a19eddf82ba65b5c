//! Policy files.

use std::io;
use std::path::Path;

use cli_support::CliError;
use dstack_attestation::Policy;
use dstack_attestation::policy::{PolicyFile, PolicyFileError};

use crate::files;
use crate::kind::{self, Kind};

/// Reads a policy file and the files it names, whose paths begin at its own folder.
///
/// # Errors
/// A file cannot be read, or the file is no policy.
pub(crate) fn read(path: &Path) -> Result<Policy, CliError> {
    let text = files::read_text(path)?;
    let named = files::named(path);
    let wrong = |error: PolicyFileError| {
        let hints = dstack_check::Hinted::hints(&error);
        let error = CliError::usage(error).context(format_args!("{named} is no policy"));
        let error = hints.into_iter().fold(error, CliError::hint);
        kind::wrong(error, text.as_bytes(), Kind::Policy)
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = PolicyFile::parse(&text).map_err(wrong)?;
    file.resolve(|name| files::read(&folder.join(name)).map_err(|error| io::Error::other(error.to_string())))
        .map_err(wrong)
}
