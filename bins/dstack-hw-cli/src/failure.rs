//! From an error of the library to an exit code with hints.

use cli_support::CliError;
use dstack_hw::{Error, Profile};

/// Every error of the library is input that cannot be used: exit code 2. What could not be read on a host is no error.
pub(crate) fn from_hw(error: Error) -> CliError {
    let hint = match &error {
        Error::NoSuchCheck { similar, .. } if !similar.is_empty() => {
            let ids: Vec<String> = similar.iter().map(|id| format!("`{id}`")).collect();
            Some(format!("did you mean {}?", ids.join(" or ")))
        }
        Error::NoSuchCheck { .. } => Some("`dstack-hw list-checks` lists every check".to_owned()),
        Error::NoSuchProfile { .. } => {
            let names: Vec<&str> = Profile::builtin_names().collect();
            Some(format!("built in are {}; a path to a TOML file is one of your own", names.join(", ")))
        }
        // The same form in a greater version; anything else is another kind of document.
        Error::Schema { found, supported, .. } if family(found) == family(supported) => Some(
            "another version of dstack-hw made it: use that one, or make it again with this one".to_owned(),
        ),
        _ => None,
    };
    let error = CliError::usage(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The name of a schema without its version.
fn family(schema: &str) -> &str {
    schema.rsplit_once("/v").map_or(schema, |(name, _)| name)
}
