//! The distribution: `/etc/os-release`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::HostSource;
use crate::{Fact, Unread};

/// The most assignments that are read of a file.
const MAX_FIELDS: usize = 256;

/// The distribution.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct OperatingSystem {
    /// `/etc/os-release`, or `/usr/lib/os-release` where that is not there.
    pub release: Fact<OsRelease>,
}

/// What `os-release` says (format: the manual page `os-release(5)` of systemd).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct OsRelease {
    /// `ID`, in lower case: `ubuntu`. Where it is not set: `linux`.
    pub id: String,
    /// `ID_LIKE`: distributions that this one is made of, the closest first.
    pub like: Vec<String>,
    /// `VERSION_ID`: `24.04`. Rolling distributions have none.
    pub version: Option<String>,
    /// `PRETTY_NAME`, else `NAME`.
    pub name: String,
}

impl OperatingSystem {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let mut release = Fact::from(source.text("/etc/os-release"));
        if release.is_absent() {
            release = Fact::from(source.text("/usr/lib/os-release"));
        }
        Self {
            release: release.and_then(|text| {
                OsRelease::parse(&text).map_or_else(
                    || Fact::Unread(Unread::Failed("os-release has no assignments".into())),
                    Fact::Known,
                )
            }),
        }
    }

    /// Is it this distribution, or one made of it?
    pub fn is_like(&self, id: &str) -> Fact<bool> {
        self.release.as_ref().map(|release| release.is_like(id))
    }
}

impl OsRelease {
    /// Reads an `os-release` file. `None` where there is no assignment in it. Nothing is expanded.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for line in text.lines() {
            let line = line.trim();
            let Some((name, value)) = line.split_once('=') else { continue };
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if !name.is_empty() && name.bytes().all(plain) && fields.len() < MAX_FIELDS {
                fields.insert(name, unquoted(value));
            }
        }
        if fields.is_empty() {
            return None;
        }
        let get = |name: &str| fields.get(name).filter(|value| !value.is_empty()).cloned();
        let id = get("ID").map_or_else(|| "linux".to_owned(), |id| id.to_ascii_lowercase());
        let name = get("PRETTY_NAME").or_else(|| get("NAME")).unwrap_or_else(|| id.clone());
        let like = get("ID_LIKE").unwrap_or_default();
        Some(Self {
            like: like.split_whitespace().map(str::to_ascii_lowercase).collect(),
            version: get("VERSION_ID"),
            name,
            id,
        })
    }

    /// Is it this distribution, or one made of it?
    pub fn is_like(&self, id: &str) -> bool {
        self.id == id || self.like.iter().any(|like| like == id)
    }

    /// The numbers of `VERSION_ID`: (24, 4) of `24.04`, (9, 6) of `9.6`, (13, 0) of `13`.
    pub fn version_numbers(&self) -> Option<(u32, u32)> {
        let mut numbers = self.version.as_deref()?.split('.').map(|part| part.parse::<u32>().ok());
        let major = numbers.next()??;
        Some((major, numbers.next().flatten().unwrap_or(0)))
    }
}

/// The value of a shell assignment: single or double quotes, and backslashes outside of single quotes.
fn unquoted(text: &str) -> String {
    let mut value = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\'' | '"', None) => quote = Some(character),
            (mark, Some(open)) if mark == open => quote = None,
            ('\\', None | Some('"')) => value.extend(characters.next()),
            (blank, None) if blank.is_whitespace() => break,
            (other, _) => value.push(other),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Readings;

    #[test]
    fn ubuntu_and_its_quotes() {
        let release = OsRelease::parse(
            "# comment\nPRETTY_NAME=\"Ubuntu 24.04.4 LTS\"\nNAME='Ubuntu'\nVERSION_ID=\"24.04\"\nID=ubuntu\nID_LIKE=debian\n",
        )
        .unwrap();
        assert_eq!((release.name.as_str(), release.id.as_str()), ("Ubuntu 24.04.4 LTS", "ubuntu"));
        assert_eq!(release.version_numbers(), Some((24, 4)));
        assert!(release.is_like("debian") && release.is_like("ubuntu") && !release.is_like("fedora"));
    }

    #[test]
    fn escapes_and_missing_fields() {
        let release = OsRelease::parse("PRETTY_NAME=\"A \\\"B\\\" \\$5\"\n").unwrap();
        assert_eq!((release.name.as_str(), release.id.as_str()), ("A \"B\" $5", "linux"));
        assert_eq!(release.version_numbers(), None);
        assert_eq!(OsRelease::parse("hello\n"), None);
    }

    #[test]
    fn the_second_place_is_looked_at() {
        let host = Readings::empty_host().file("/usr/lib/os-release", "ID=debian\nVERSION_ID=13\n");
        let os = OperatingSystem::collect(&host);
        assert_eq!(os.release.known().unwrap().version_numbers(), Some((13, 0)));
        assert!(OperatingSystem::collect(&Readings::empty_host()).release.is_absent());
    }

    proptest! {
        #[test]
        fn quoted_values_come_back(value in "[^\"\\\\\\n\\r']{1,40}") {
            let release = OsRelease::parse(&format!("ID=x\nPRETTY_NAME=\"{value}\"\n")).unwrap();
            prop_assert_eq!(release.name, value);
        }

        #[test]
        fn nothing_makes_it_panic(text in any::<String>()) {
            let _ = OsRelease::parse(&text).map(|release| release.version_numbers());
        }
    }
}
