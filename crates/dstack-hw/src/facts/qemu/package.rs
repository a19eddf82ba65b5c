//! The package QEMU came with, on distributions with dpkg and apt: is anything keeping an upgrade from replacing it?
//!
//! The database of dpkg is deb822 text (deb-control(5)), the pins are those of apt_preferences(5).

use serde::Serialize;

use super::HostSource;
use crate::{Fact, Unread};

/// The database of dpkg.
const STATUS: &str = "/var/lib/dpkg/status";

/// What the names of the packages begin with that bring `qemu-system-x86_64`.
const PACKAGE: &str = "qemu-system-x86";

/// The most files of pins that are read, and the most pins that are kept.
const MAX_PINS: usize = 256;

/// The package of QEMU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, with the epoch: `2:8.2.2+ds-0ubuntu1.4+tdx1.1`.
    pub version: String,
    /// Is it held (`apt-mark hold`)?
    pub held: bool,
}

impl Package {
    pub(super) fn collect(source: &dyn HostSource) -> Fact<Self> {
        Fact::from(source.text(STATUS)).and_then(|text| Self::parse(&text).map_or(Fact::Absent, Fact::Known))
    }

    /// The installed package among the paragraphs of dpkg's database.
    pub fn parse(status: &str) -> Option<Self> {
        paragraphs(status).find_map(|paragraph| {
            let name = field(&paragraph, "Package")?;
            let state = field(&paragraph, "Status")?;
            let mut words = state.split_whitespace();
            let held = words.next() == Some("hold");
            let installed = words.next_back() == Some("installed");
            (name.starts_with(PACKAGE) && installed).then(|| Self {
                name: name.to_owned(),
                version: field(&paragraph, "Version").unwrap_or_default().to_owned(),
                held,
            })
        })
    }

    /// The epoch of the version; 0 where it has none. A higher epoch wins over every version with a lower one.
    pub fn epoch(&self) -> u32 {
        self.version.split_once(':').and_then(|(epoch, _)| epoch.parse().ok()).unwrap_or(0)
    }
}

/// A pin of apt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Pin {
    /// The file it is in.
    pub file: String,
    /// The packages it is about: names, patterns, `*`.
    pub packages: String,
    /// What is pinned: `release o=LP-PPA-kobuk-team-tdx-release`, `version 1:8.2*`.
    pub pin: String,
    /// The priority. Above 500 an installed version is kept against newer ones of the archive; above 1000 it is even
    /// gone back to.
    pub priority: i32,
}

impl Pin {
    pub(super) fn collect(source: &dyn HostSource) -> Fact<Vec<Self>> {
        let folder = "/etc/apt/preferences.d";
        let mut pins = Vec::new();
        let names = match source.list(folder) {
            Ok(names) => names,
            Err(Unread::Absent) => Vec::new(),
            Err(why) => return Fact::Unread(why),
        };
        // apt reads files without an extension or with `.pref`, and passes over the others.
        let read = |name: &&String| !name.contains('.') || name.ends_with(".pref");
        let files = names.iter().filter(read).take(MAX_PINS).map(|name| format!("{folder}/{name}"));
        for file in std::iter::once("/etc/apt/preferences".to_owned()).chain(files) {
            match source.text(&file) {
                Ok(text) => pins.extend(Self::parse(&file, &text)),
                Err(Unread::Absent) => {}
                Err(why) => return Fact::Unread(why),
            }
        }
        pins.truncate(MAX_PINS);
        Fact::Known(pins)
    }

    /// The pins of one file.
    pub fn parse(file: &str, text: &str) -> Vec<Self> {
        paragraphs(text)
            .filter_map(|paragraph| {
                Some(Self {
                    file: file.to_owned(),
                    packages: field(&paragraph, "Package")?.to_owned(),
                    pin: field(&paragraph, "Pin")?.to_owned(),
                    priority: field(&paragraph, "Pin-Priority")?.parse().ok()?,
                })
            })
            .take(MAX_PINS)
            .collect()
    }

    /// Does it keep a TDX build of QEMU: about this package, for an archive or a version that says TDX, above the 500
    /// that every archive has?
    pub fn keeps_tdx_build(&self) -> bool {
        let about = |pattern: &str| {
            pattern == "*"
                || pattern.strip_suffix('*').is_some_and(|start| PACKAGE.starts_with(start))
                || pattern.starts_with(PACKAGE)
                || pattern.trim_matches('/').contains("qemu")
        };
        let what = self.pin.to_ascii_lowercase();
        self.packages.split_whitespace().any(about)
            && (what.contains("tdx") || what.contains("kobuk"))
            && self.priority > 500
    }
}

/// The paragraphs of dpkg's database that are about QEMU, and of these only name, state and version. What a capture
/// keeps of the file.
pub fn package_paragraphs(status: &str) -> String {
    let mut kept = String::new();
    for paragraph in paragraphs(status) {
        if !field(&paragraph, "Package").is_some_and(|name| name.starts_with(PACKAGE)) {
            continue;
        }
        for name in ["Package", "Status", "Version"] {
            if let Some(value) = field(&paragraph, name) {
                kept.push_str(&format!("{name}: {value}\n"));
            }
        }
        kept.push('\n');
    }
    kept
}

/// The paragraphs of a deb822 text: lines between blank ones, without comments.
fn paragraphs(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut paragraph = Vec::new();
        for line in lines.by_ref() {
            if line.trim().is_empty() {
                if !paragraph.is_empty() {
                    break;
                }
            } else if !line.starts_with('#') {
                paragraph.push(line);
            }
        }
        (!paragraph.is_empty()).then_some(paragraph)
    })
}

/// The value of a field; lines that go on from the one before are not part of it.
fn field<'a>(paragraph: &[&'a str], name: &str) -> Option<&'a str> {
    paragraph.iter().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Readings;

    const DATABASE: &str = "Package: adduser\nStatus: install ok installed\nVersion: 3.1\n\n\
        Package: qemu-system-x86\nStatus: install ok installed\nPriority: optional\n\
        Version: 1:8.2.2+ds-0ubuntu1.4+tdx1.1\nDescription: emulator\n of things\n\n\
        Package: qemu-utils\nStatus: hold ok installed\nVersion: 1\n";

    #[test]
    fn the_package_among_others() {
        let package = Package::parse(DATABASE).unwrap();
        assert_eq!((package.name.as_str(), package.held, package.epoch()), ("qemu-system-x86", false, 1));
        assert_eq!(
            Package::parse(&DATABASE.replace("install ok installed", "deinstall ok config-files")),
            None
        );
        assert!(Package::parse(&DATABASE.replace("install ok", "hold ok")).unwrap().held);
    }

    #[test]
    fn only_qemu_is_kept_for_a_capture() {
        let kept = package_paragraphs(DATABASE);
        assert!(!kept.contains("adduser") && !kept.contains("qemu-utils") && !kept.contains("Description"));
        assert_eq!(Package::parse(&kept), Package::parse(DATABASE));
    }

    #[test]
    fn pins_that_keep_a_tdx_build() {
        let pin = |text: &str| Pin::parse("/etc/apt/preferences.d/p", text);
        let wide =
            pin("# ours\nPackage: *\nPin: release o=LP-PPA-kobuk-team-tdx-release\nPin-Priority: 4000\n");
        assert!(wide[0].keeps_tdx_build());
        let narrow = pin("Package: qemu-system-x86 qemu-utils\nPin: version *+tdx*\nPin-Priority: 1001\n");
        assert!(narrow[0].keeps_tdx_build());
        let low = pin("Package: *\nPin: release o=LP-PPA-kobuk-team-tdx-release\nPin-Priority: 100\n");
        assert!(!low[0].keeps_tdx_build());
        let other = pin("Package: firefox*\nPin: release o=LP-PPA-tdx\nPin-Priority: 1001\n");
        assert!(!other[0].keeps_tdx_build());
        assert!(pin("Package: *\nPin: release a=x\nPin-Priority: high\n").is_empty());
    }

    #[test]
    fn files_that_apt_passes_over() {
        let text = "Package: *\nPin: release o=tdx\nPin-Priority: 900\n";
        let host = Readings::empty_host()
            .file("/etc/apt/preferences.d/tdx.bak", text)
            .file("/etc/apt/preferences.d/tdx.pref", text);
        let pins = Pin::collect(&host);
        assert_eq!(pins.known().unwrap().len(), 1);
        assert!(pins.known().unwrap()[0].file.ends_with(".pref"));
    }

    proptest! {
        #[test]
        fn cutting_down_changes_no_answer(text in "((Package|Status|Version|Pin)?: ?(qemu-system-x86|hold ok installed|1:2|)\\n?| x\\n|\\n){0,20}") {
            let once = package_paragraphs(&text);
            prop_assert_eq!(&package_paragraphs(&once), &once);
            prop_assert_eq!(Package::parse(&once), Package::parse(&text));
            let _ = Pin::parse("f", &text);
        }
    }
}
