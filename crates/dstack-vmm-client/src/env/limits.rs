//! What fits into an encrypted environment, and which names the guest takes out of it.
//!
//! The guest finds out at boot and gives up; here it is found out before anything is sealed. The numbers are upstream's
//! (`dstack-util/src/parse_env_file.rs`, `dstack-types`), except that the guest counts allowed names alone and this
//! counts all of them.

use std::collections::BTreeSet;

use dstack_check::{Hint, Hinted};

use super::seal::{MIN_BLOB_BYTES, plaintext_len};
use super::vars::Environment;

/// The most variables.
pub const MAX_ITEMS: usize = 1024;
/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 128 * 1024;
/// The most bytes of all names and values together.
pub const MAX_ENV_BYTES: usize = 1024 * 1024;
/// The largest sealed environment, in bytes, in every version.
pub const MAX_BLOB_BYTES: usize = 256 * 1024;

/// What is too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvLimitError {
    /// Too many variables.
    #[error("{count} variables are too many, the guest takes {MAX_ITEMS}")]
    Items {
        /// How many.
        count: usize,
    },
    /// A name that is too long.
    #[error("the name {name:?} has {bytes} bytes, the guest takes {MAX_NAME_BYTES}")]
    Name {
        /// The name, or its beginning.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// A value that is too long.
    #[error("the value of {name} has {bytes} bytes, the guest takes {MAX_VALUE_BYTES}")]
    Value {
        /// The name.
        name: String,
        /// Length of the value.
        bytes: usize,
    },
    /// Too much in all.
    #[error("names and values have {bytes} bytes together, the guest takes {MAX_ENV_BYTES}")]
    Total {
        /// All bytes.
        bytes: usize,
    },
    /// Too much once it is sealed.
    #[error("the sealed environment would have {bytes} bytes, the guest boots with at most {MAX_BLOB_BYTES}{}", say_longest(.longest))]
    Blob {
        /// Bytes of the blob.
        bytes: usize,
        /// Name and length of the longest value.
        longest: Option<(String, usize)>,
    },
}

fn say_longest(longest: &Option<(String, usize)>) -> String {
    longest
        .as_ref()
        .map_or_else(String::new, |(name, bytes)| format!("; the longest value is {name} with {bytes}"))
}

impl Hinted for EnvLimitError {
    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Items { .. } => {
                "join settings that belong together into one variable, or put them into the image"
            }
            Self::Name { .. } => "shorten the name, and its entry in allowed_envs",
            Self::Value { .. } | Self::Total { .. } | Self::Blob { .. } => {
                "let the app fetch large secrets itself, and pass it the key for them"
            }
        };
        Some(Hint::from(text))
    }
}

/// Whether the guest will take the environment. [`seal`](super::seal()) asks this first.
///
/// # Errors
///
/// The first limit that is exceeded.
pub fn check_limits(environment: &Environment) -> Result<(), EnvLimitError> {
    if environment.len() > MAX_ITEMS {
        return Err(EnvLimitError::Items { count: environment.len() });
    }
    let mut total = 0;
    for var in environment {
        let (name, value) = (var.name(), var.value().len());
        if name.len() > MAX_NAME_BYTES {
            return Err(EnvLimitError::Name { name: name.chars().take(40).collect(), bytes: name.len() });
        }
        if value > MAX_VALUE_BYTES {
            return Err(EnvLimitError::Value { name: name.to_owned(), bytes: value });
        }
        total += name.len() + value;
    }
    if total > MAX_ENV_BYTES {
        return Err(EnvLimitError::Total { bytes: total });
    }
    let bytes = plaintext_len(environment) + MIN_BLOB_BYTES;
    if bytes > MAX_BLOB_BYTES {
        let longest = environment.iter().max_by_key(|var| var.value().len());
        let longest = longest.map(|var| (var.name().to_owned(), var.value().len()));
        return Err(EnvLimitError::Blob { bytes, longest });
    }
    Ok(())
}

/// Names that `allowed_envs` leaves out. The guest would drop them without a word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} not in allowed_envs of the app-compose: {}", if .names.len() == 1 { "this variable is" } else { "these variables are" }, .names.join(", "))]
#[non_exhaustive]
pub struct NotAllowedError {
    /// The names, in the order of the environment.
    pub names: Vec<String>,
}

impl Hinted for NotAllowedError {
    fn hint(&self) -> Option<Hint> {
        Some(Hint::from(
            "add the names to allowed_envs, which changes the compose hash, or take the variables out",
        ))
    }
}

/// How an environment fits the names that are allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllowedNames {
    /// Allowed names without a value: the app will miss them.
    pub without_value: Vec<String>,
}

/// Holds the names of an environment against `allowed_envs`.
///
/// # Errors
///
/// Names that are not allowed.
pub fn check_allowed<'a>(
    names: impl IntoIterator<Item = &'a str>,
    allowed_envs: &[String],
) -> Result<AllowedNames, NotAllowedError> {
    let given: Vec<&str> = names.into_iter().collect();
    let allowed: BTreeSet<&str> = allowed_envs.iter().map(String::as_str).collect();
    let dropped: Vec<String> =
        given.iter().filter(|name| !allowed.contains(**name)).map(|name| (*name).to_owned()).collect();
    if !dropped.is_empty() {
        return Err(NotAllowedError { names: dropped });
    }
    let given: BTreeSet<&str> = given.into_iter().collect();
    let mut without_value: Vec<String> = Vec::new();
    for name in allowed_envs {
        if !given.contains(name.as_str()) && !without_value.contains(name) {
            without_value.push(name.clone());
        }
    }
    Ok(AllowedNames { without_value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DstackVersion;
    use crate::env::EnvVar;

    fn environment(vars: impl IntoIterator<Item = (String, usize)>) -> Environment {
        vars.into_iter().map(|(name, len)| EnvVar::new(name, "v".repeat(len)).unwrap()).collect()
    }

    #[test]
    fn limits_are_those_of_every_version() {
        for version in DstackVersion::ALL {
            assert_eq!(MAX_BLOB_BYTES, version.capabilities().max_encrypted_env_bytes);
        }
    }

    #[test]
    fn what_just_fits_and_what_does_not() {
        let fits = |vars: Vec<(String, usize)>| check_limits(&environment(vars));
        let name = |n: usize| format!("N{n}");
        assert_eq!(fits((0..MAX_ITEMS).map(|n| (name(n), 1)).collect()), Ok(()));
        assert_eq!(fits(vec![("N".repeat(MAX_NAME_BYTES), 1)]), Ok(()));
        assert_eq!(fits(vec![(name(0), MAX_VALUE_BYTES)]), Ok(()));
        let refused = [
            fits((0..=MAX_ITEMS).map(|n| (name(n), 1)).collect()),
            fits(vec![("N".repeat(MAX_NAME_BYTES + 1), 1)]),
            fits(vec![(name(0), MAX_VALUE_BYTES + 1)]),
            fits((0..9).map(|n| (name(n), MAX_VALUE_BYTES)).collect()),
            fits(vec![(name(0), MAX_VALUE_BYTES - 1), (name(1), MAX_VALUE_BYTES)]),
        ];
        let said: Vec<String> = refused
            .into_iter()
            .map(|refused| {
                let error = refused.unwrap_err();
                format!("{error}\n  hint: {}", error.hint().unwrap())
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn the_blob_limit_is_exact() {
        // One value alone cannot reach it, so a second one fills the rest.
        let rest = MAX_BLOB_BYTES
            - MIN_BLOB_BYTES
            - plaintext_len(&environment([("A".into(), MAX_VALUE_BYTES), ("B".into(), 0)]));
        assert_eq!(check_limits(&environment([("A".into(), MAX_VALUE_BYTES), ("B".into(), rest)])), Ok(()));
        let over =
            check_limits(&environment([("A".into(), MAX_VALUE_BYTES), ("B".into(), rest + 1)])).unwrap_err();
        assert!(matches!(over, EnvLimitError::Blob { bytes, .. } if bytes == MAX_BLOB_BYTES + 1), "{over}");
    }

    #[test]
    fn names_outside_the_list_and_names_without_a_value() {
        let allowed = ["A", "B", "C", "C"].map(str::to_owned);
        let fine = check_allowed(["B"], &allowed).unwrap();
        assert_eq!(fine.without_value, ["A", "C"]);
        let one = check_allowed(["A", "X"], &allowed).unwrap_err();
        assert_eq!(one.to_string(), "this variable is not in allowed_envs of the app-compose: X");
        let two = check_allowed(["Y", "A", "X"], &allowed).unwrap_err();
        assert_eq!(two.to_string(), "these variables are not in allowed_envs of the app-compose: Y, X");
    }
}
