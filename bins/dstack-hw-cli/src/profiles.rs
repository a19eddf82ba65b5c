//! Which profile is meant.

use std::path::Path;

use cli_support::CliError;
use dstack_hw::{Error, Profile};

use crate::failure::from_hw;
use crate::files;

/// A built-in profile by its name, or one of the user's by the path of its file: what has a slash or ends in `.toml`.
///
/// # Errors
/// There is no such profile or file, or the file is no profile.
pub(crate) fn by_name_or_file(text: &str) -> Result<Profile, CliError> {
    if text.contains('/') || text.ends_with(".toml") {
        let path = Path::new(text);
        return Profile::from_toml(&files::read_text(path)?)
            .map_err(|error| from_hw(error).context(files::named(path)));
    }
    Profile::builtin(text).map_err(|error| {
        let is_file = matches!(error, Error::NoSuchProfile { .. }) && Path::new(text).is_file();
        let error = from_hw(error);
        if is_file { error.hint(format!("the file is meant with `./{text}`")) } else { error }
    })
}
