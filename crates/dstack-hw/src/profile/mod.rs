//! What a host is wanted for: which checks decide, and which only advise.

mod pattern;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub(crate) use pattern::similar_ids;

use crate::Error;
use crate::checks::{self, HwCheck};
use pattern::Pattern;

/// The longest profile that is read, in bytes.
pub const MAX_PROFILE: usize = 64 << 10;

/// The profiles that are built in, in the order in which they are listed.
const BUILTIN: &[(&str, &str)] = &[
    ("tdx-host", include_str!("builtin/tdx-host.toml")),
    ("tdx-host-with-kms", include_str!("builtin/tdx-host-with-kms.toml")),
    ("gpu", include_str!("builtin/gpu.toml")),
    ("snp-host", include_str!("builtin/snp-host.toml")),
    ("tdx-guest", include_str!("builtin/tdx-guest.toml")),
    ("build-host", include_str!("builtin/build-host.toml")),
];

/// What the answer to a check means for the purpose of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// It shows, and a failure is a warning.
    Advised,
    /// It decides: the host is not ready while it fails or cannot be told.
    Required,
}

impl Requirement {
    /// `required` or `advised`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Advised => "advised",
            Self::Required => "required",
        }
    }
}

/// What a host is wanted for: a choice of checks, each of which decides or advises.
///
/// A check that another one of the profile stands on belongs to the profile too, and is required where one that stands
/// on it is. What a profile does not name is not asked.
///
/// ```
/// use dstack_hw::{Profile, Requirement};
///
/// let profile = Profile::builtin("tdx-host")?.ignore(["hw.kernel.nohibernate"])?;
/// assert_eq!(profile.requirement("hw.kvm.tdx"), Some(Requirement::Required));
/// assert_eq!(profile.requirement("hw.snp.kvm"), None);
///
/// let own = Profile::from_toml(
///     r#"
///     name = "rack-7"
///     about = "our GPU hosts, with clocks that must agree"
///     extends = "gpu"
///     required = ["hw.platform.time-sync"]
///     left-out = ["hw.platform.hugepages"]
///     "#,
/// )?;
/// assert_eq!(own.requirement("hw.platform.time-sync"), Some(Requirement::Required));
/// assert_eq!(own.requirement("hw.platform.hugepages"), None);
/// # Ok::<(), dstack_hw::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// Its name, such as `tdx-host`.
    pub name: String,
    /// What it is for, in a few words.
    pub about: String,
    requirements: BTreeMap<&'static str, Requirement>,
    ignored: BTreeSet<&'static str>,
}

impl Profile {
    /// The names of the built-in profiles.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// A built-in profile.
    ///
    /// # Errors
    /// [`Error::NoSuchProfile`].
    pub fn builtin(name: &str) -> Result<Self, Error> {
        let (_, text) = BUILTIN
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| Error::NoSuchProfile { name: name.to_owned() })?;
        Self::from_toml(text)
    }

    /// Reads a profile: `name`, `about`, and optionally `extends` (a built-in profile) and the lists `required`,
    /// `advised` and `left-out` of check ids or patterns such as `hw.cpu.*`.
    ///
    /// Where several entries match a check, the longest counts. What the profile says goes before what the one it
    /// extends says.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the line and what is wrong there, and what may have been meant: a key or a check that
    /// does not exist, an entry in two lists, a check left out that another one stands on. [`Error::TooLarge`] beyond
    /// [`MAX_PROFILE`].
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        read::profile(text)
    }

    /// Makes a failure of these checks (ids, or patterns such as `hw.sgx.*`) a warning that still shows and says that
    /// it was ignored. What stands on them is asked as if they had passed; where they cannot be told, that does not
    /// decide.
    ///
    /// # Errors
    /// [`Error::NoSuchCheck`] with ids that look like the one given.
    pub fn ignore<'a>(mut self, ids: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        for id in ids {
            let id = id.trim();
            let pattern = Pattern::new(id).filter(|pattern| pattern.matched().next().is_some());
            let Some(pattern) = pattern else {
                return Err(Error::NoSuchCheck { id: id.to_owned(), similar: similar_ids(id) });
            };
            self.ignored.extend(pattern.matched());
        }
        Ok(self)
    }

    /// What a check means here; `None` where it is not asked.
    pub fn requirement(&self, id: &str) -> Option<Requirement> {
        self.requirements.get(id).copied()
    }

    /// Is a failure of this check ignored?
    pub fn ignores(&self, id: &str) -> bool {
        self.ignored.contains(id)
    }

    /// Does this check decide: required, and not ignored?
    pub fn decides(&self, id: &str) -> bool {
        self.requirement(id) == Some(Requirement::Required) && !self.ignores(id)
    }

    /// The checks that are asked, layer by layer from the silicon up.
    pub fn checks(&self) -> impl Iterator<Item = (&'static HwCheck, Requirement)> + '_ {
        checks::all().filter_map(|check| Some((check, self.requirement(check.def.id)?)))
    }

    /// The profile as TOML, every check by its id: what `extends` and patterns came to.
    pub fn to_toml(&self) -> String {
        let ids = |wanted| {
            let mut list = toml_edit::Array::new();
            for (check, requirement) in self.checks() {
                if requirement == wanted {
                    let mut id = toml_edit::Value::from(check.def.id);
                    id.decor_mut().set_prefix("\n    ");
                    list.push_formatted(id);
                }
            }
            list.set_trailing_comma(!list.is_empty());
            list.set_trailing(if list.is_empty() { "" } else { "\n" });
            toml_edit::value(list)
        };
        let mut document = toml_edit::DocumentMut::new();
        document.insert("name", toml_edit::value(&self.name));
        document.insert("about", toml_edit::value(&self.about));
        document.insert("required", ids(Requirement::Required));
        document.insert("advised", ids(Requirement::Advised));
        document.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_is_sound() {
        for name in Profile::builtin_names() {
            let profile = Profile::builtin(name).unwrap();
            assert_eq!(profile.name, name);
            assert!(!profile.about.is_empty());
            assert!(profile.checks().any(|(_, requirement)| requirement == Requirement::Required), "{name}");
            for (check, requirement) in profile.checks() {
                for parent in check.def.parents {
                    let of_parent = profile.requirement(parent);
                    assert!(of_parent >= Some(requirement), "{name}: {} stands on {parent}", check.def.id);
                }
            }
        }
    }

    #[test]
    fn every_check_belongs_to_a_profile() {
        let profiles: Vec<Profile> =
            Profile::builtin_names().map(|name| Profile::builtin(name).unwrap()).collect();
        let forgotten: Vec<&str> = checks::all()
            .map(|check| check.def.id)
            .filter(|id| !profiles.iter().any(|profile| profile.requirement(id).is_some()))
            .collect();
        assert_eq!(forgotten, [""; 0]);
    }

    #[test]
    fn the_profiles_ask_for_what_they_are_named_after() {
        let required = |name: &str, id| Profile::builtin(name).unwrap().requirement(id);
        let (must, should) = (Some(Requirement::Required), Some(Requirement::Advised));
        assert_eq!(required("tdx-host", "hw.sgx.devices"), should);
        assert_eq!(required("tdx-host", "hw.quote-services.key-provider"), None);
        assert_eq!(required("tdx-host-with-kms", "hw.sgx.devices"), must);
        assert_eq!(required("tdx-host-with-kms", "hw.quote-services.key-provider"), must);
        assert_eq!(required("tdx-host-with-kms", "hw.kvm.tdx"), must);
        assert_eq!(required("gpu", "hw.gpu.present"), must);
        assert_eq!(required("gpu", "hw.platform.iommufd"), must);
        assert_eq!(required("snp-host", "hw.snp.kvm"), must);
        assert_eq!(required("snp-host", "hw.kvm.tdx"), None);
        assert_eq!(required("tdx-guest", "hw.environment.bare-metal"), None);
        assert_eq!(required("build-host", "hw.build.tools"), must);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for name in Profile::builtin_names() {
            let profile = Profile::builtin(name).unwrap();
            assert_eq!(Profile::from_toml(&profile.to_toml()).unwrap(), profile);
        }
    }

    #[test]
    fn ignoring_takes_ids_and_patterns_and_refuses_what_is_unknown() {
        let profile = Profile::builtin("tdx-host").unwrap();
        let ignoring = profile.clone().ignore(["hw.kvm.tdx", " hw.sgx.* "]).unwrap();
        assert!(ignoring.ignores("hw.kvm.tdx") && ignoring.ignores("hw.sgx.epc"));
        assert!(!ignoring.decides("hw.kvm.tdx") && ignoring.decides("hw.kvm.loaded"));
        let Err(Error::NoSuchCheck { id, similar }) = profile.clone().ignore(["hw.kvm.tbx"]) else {
            panic!("an unknown id is refused")
        };
        assert_eq!((id.as_str(), similar.first()), ("hw.kvm.tbx", Some(&"hw.kvm.tdx")));
        assert!(profile.ignore(["hw.nothing.*"]).is_err());
    }

    #[test]
    fn an_unknown_profile_is_named() {
        let error = Profile::builtin("tdx").unwrap_err();
        assert_eq!(error.to_string(), "there is no profile `tdx`");
    }
}
