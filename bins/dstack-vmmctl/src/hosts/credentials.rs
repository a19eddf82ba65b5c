//! The credentials of a host.

use std::path::PathBuf;

use cli_support::{CliError, ExitCode, Progress, SecretError, SecretSource};
use dstack_vmm_client::client::Credentials;

use super::{ConnectArgs, KnownHost};

/// The environment variable with the token of hosts that name none of their own.
pub(super) const TOKEN_VARIABLE: &str = "DSTACK_VMM_TOKEN";

/// Where the token of a known host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenPlace {
    /// The project file names it, so it has to be there.
    Named(SecretSource),
    /// An installation left it there, perhaps not for this user.
    Found(PathBuf),
}

impl ConnectArgs {
    /// What to show a host: what the command line names, else what the host has of its own, else the variable.
    ///
    /// The variable comes after the project file's token, and only then: a token that a shell happens to hold must not go to a
    /// host that has another.
    ///
    /// # Errors
    /// A source that has to be there cannot be read.
    pub(crate) fn credentials(
        &self,
        host: &KnownHost,
        progress: &Progress,
    ) -> Result<Option<Credentials>, CliError> {
        let in_environment = || {
            std::env::var_os(TOKEN_VARIABLE)
                .filter(|value| !value.is_empty())
                .map(|_| SecretSource::Env(TOKEN_VARIABLE.to_owned()))
        };
        let (source, must_be_there) = match (&self.token_from, &host.token) {
            (Some(source), _) | (None, Some(TokenPlace::Named(source))) => (source.clone(), true),
            (None, found) => match (in_environment(), found) {
                (Some(source), _) => (source, true),
                (None, Some(TokenPlace::Found(path))) => (SecretSource::File(path.clone()), false),
                (None, _) => return self.without(),
            },
        };
        let secret = match source.read() {
            Ok(secret) => secret,
            Err(SecretError::Io { source: error, .. }) if !must_be_there => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    progress.warning(format_args!("no token is sent: cannot read {source}: {error}"));
                }
                return self.without();
            }
            Err(error) => return Err(CliError::hinted(ExitCode::Usage, error)),
        };
        let secret = secret.expose();
        Ok(Some(match &self.user {
            Some(user) => Credentials::basic(user, secret),
            None => Credentials::bearer(secret),
        }))
    }

    fn without(&self) -> Result<Option<Credentials>, CliError> {
        match &self.user {
            Some(user) => Err(CliError::usage(format!("there is no password for the user {user:?}"))
                .hint("`--token-from FILE` names the file that holds it")),
            None => Ok(None),
        }
    }
}
