//! From an error of the client to an exit code with hints.

use cli_support::{CliError, ExitCode};
use dstack_vmm_client::Error;

/// Turns the result of a call into one that a command can return.
pub(crate) trait IntoCli<T> {
    fn into_cli(self) -> Result<T, CliError>;
}

impl<T> IntoCli<T> for Result<T, Error> {
    fn into_cli(self) -> Result<T, CliError> {
        self.map_err(from_client)
    }
}

/// What could not be reached or was not permitted is 3, what the server refused is 1, what was not even sent is 2.
pub(crate) fn from_client(error: Error) -> CliError {
    let kind = match &error {
        Error::InvalidEndpoint { .. } | Error::InvalidRequest { .. } => ExitCode::Usage,
        Error::Api { .. } | Error::NoSuchVm { .. } => ExitCode::No,
        _ => ExitCode::Unreachable,
    };
    CliError::hinted(kind, error)
}
