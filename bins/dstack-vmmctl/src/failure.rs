//! From an error of the client to an exit code with hints.

use cli_support::{CliError, ExitCode};
use dstack_vmm_client::Error;
use dstack_vmm_client::error::ConnectFailure;

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
///
/// The client's hints say what is wrong; those added here name the option that helps.
pub(crate) fn from_client(error: Error) -> CliError {
    let kind = kind_of(&error);
    let option = match &error {
        Error::Unauthorized { had_credentials: false, .. } => Some(
            "`--token-from FILE` or the variable DSTACK_VMM_TOKEN gives it; `--user NAME` is for a proxy",
        ),
        Error::Connect {
            failure: ConnectFailure::UntrustedCertificate | ConnectFailure::NoRoots, ..
        } => Some("`--ca-file FILE` names the certificate of an authority"),
        Error::Timeout { .. } => Some("`--timeout SECONDS` gives calls more time"),
        Error::NoSuchVm { .. } => Some("`dstack-vmmctl ls` lists names and ids"),
        _ => None,
    };
    let error = CliError::hinted(kind, error);
    match option {
        Some(option) => error.hint(option),
        None => error,
    }
}

/// The exit code of an error.
pub(crate) fn kind_of(error: &Error) -> ExitCode {
    match error {
        Error::InvalidEndpoint { .. } | Error::InvalidRequest { .. } => ExitCode::Usage,
        Error::Api { .. } | Error::NoSuchVm { .. } => ExitCode::No,
        _ => ExitCode::Unreachable,
    }
}
