//! The release of a kernel: `6.8.0-1028-intel`, `7.0.0-14-generic`, `6.12.43+deb13-amd64`, `5.14.0-570.el9.x86_64`.

use std::fmt;

use serde::{Serialize, Serializer};

/// The release of a kernel, as `uname -r` prints it, and what can be told from it.
///
/// The number says which mainline release a kernel was made from, not what was added to it: enterprise kernels carry
/// TDX under an old number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Release {
    text: String,
    /// Major, minor and patch number of the mainline release, where the text begins with them. A missing patch is 0.
    pub version: Option<(u32, u32, u32)>,
    /// The number after the first dash, which Ubuntu calls the ABI: 1028 of `6.8.0-1028-intel`.
    pub abi: Option<u32>,
    /// Who built it, as far as the name says.
    pub flavour: Flavour,
}

/// Who built a kernel, as far as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Flavour {
    /// Canonical's kernel with Intel's patches for TDX: `-intel`.
    CanonicalIntel,
    /// Its forerunner of Ubuntu 23.10: `-intel-opt`.
    CanonicalIntelOpt,
    /// Intel's own kernels of the time before TDX was in mainline: `mvp` in the name.
    IntelMvp,
    /// Ubuntu's general kernels: `-generic`, `-lowlatency` and the cloud flavours.
    Ubuntu,
    /// Debian's kernels: `+deb13-amd64` or `-amd64`.
    Debian,
    /// Red Hat Enterprise Linux and its relatives: `.el9`, `.el10`.
    EnterpriseLinux,
    /// Fedora: `.fc43`.
    Fedora,
    /// SUSE: `-default`.
    Suse,
    /// Anything else, kernels built by hand among them.
    Other,
}

impl Release {
    /// Reads a release. Never fails: a text without numbers has no version.
    pub fn parse(text: &str) -> Self {
        let text: String = text.trim().chars().take(256).collect();
        let mut numbers = text.split(|character: char| !character.is_ascii_digit()).map(str::parse::<u32>);
        let leading = text.chars().next().is_some_and(|character| character.is_ascii_digit());
        let version = match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), patch) if leading => {
                let dots = text.chars().filter(|character| !character.is_ascii_digit()).take(2);
                let dots: String = dots.collect();
                let patch = if dots == ".." { patch.and_then(Result::ok) } else { None };
                dots.starts_with('.').then_some((major, minor, patch.unwrap_or(0)))
            }
            _ => None,
        };
        let abi = text.split('-').nth(1).and_then(|part| part.parse().ok());
        let flavour = Flavour::of(&text);
        Self { text, version, abi, flavour }
    }

    /// The release as it was read.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Major and minor number.
    pub fn mainline(&self) -> Option<(u32, u32)> {
        self.version.map(|(major, minor, _)| (major, minor))
    }

    /// Can the text be part of a path? A capture may hold anything.
    pub(super) fn is_plain(&self) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+~-".contains(&byte);
        !self.text.is_empty() && !self.text.contains("..") && self.text.bytes().all(plain)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Release {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Flavour {
    fn of(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let tail = lower.rsplit('-').next().unwrap_or_default();
        let ubuntu = ["generic", "lowlatency", "aws", "azure", "gcp", "oracle", "kvm", "oem", "hwe"];
        if lower.contains("mvp") {
            Self::IntelMvp
        } else if lower.ends_with("-intel-opt") {
            Self::CanonicalIntelOpt
        } else if tail == "intel" {
            Self::CanonicalIntel
        } else if lower.contains(".el") {
            Self::EnterpriseLinux
        } else if lower.contains(".fc") {
            Self::Fedora
        } else if tail == "default" {
            Self::Suse
        } else if lower.contains("+deb") || tail == "amd64" {
            Self::Debian
        } else if ubuntu.contains(&tail) {
            Self::Ubuntu
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn releases_of_distributions() {
        for (text, version, abi, flavour) in [
            ("6.8.0-1028-intel", Some((6, 8, 0)), Some(1028), Flavour::CanonicalIntel),
            ("6.5.0-1003-intel-opt", Some((6, 5, 0)), Some(1003), Flavour::CanonicalIntelOpt),
            ("7.0.0-14-generic", Some((7, 0, 0)), Some(14), Flavour::Ubuntu),
            ("6.12.43+deb13-amd64", Some((6, 12, 43)), None, Flavour::Debian),
            ("6.1.0-37-amd64", Some((6, 1, 0)), Some(37), Flavour::Debian),
            ("5.14.0-570.12.1.el9_6.x86_64", Some((5, 14, 0)), None, Flavour::EnterpriseLinux),
            ("6.17.4-300.fc43.x86_64", Some((6, 17, 4)), None, Flavour::Fedora),
            ("6.12.0-160000.5-default", Some((6, 12, 0)), None, Flavour::Suse),
            ("5.15.0-mvp30v3+7-generic", Some((5, 15, 0)), None, Flavour::IntelMvp),
            ("6.16-rc3", Some((6, 16, 0)), None, Flavour::Other),
            ("v6.16", None, None, Flavour::Other),
            ("", None, None, Flavour::Other),
        ] {
            let release = Release::parse(text);
            assert_eq!((release.version, release.abi, release.flavour), (version, abi, flavour), "{text}");
            assert_eq!(release.as_str(), text);
        }
    }

    #[test]
    fn a_hostile_release_is_not_part_of_a_path() {
        for text in ["../../etc/shadow", "a/b", "", "6.8\0", "x..y"] {
            assert!(!Release::parse(text).is_plain(), "{text}");
        }
        assert!(Release::parse("6.12.43+deb13-amd64").is_plain());
    }

    proptest! {
        #[test]
        fn numbers_come_back(major in 0u32..100, minor in 0u32..1000, patch in 0u32..1000, abi in 1u32..9999) {
            let release = Release::parse(&format!("{major}.{minor}.{patch}-{abi}-intel"));
            prop_assert_eq!(release.version, Some((major, minor, patch)));
            prop_assert_eq!(release.abi, Some(abi));
        }

        #[test]
        fn nothing_makes_it_panic(text in any::<String>()) {
            let _ = Release::parse(&text);
        }
    }
}
