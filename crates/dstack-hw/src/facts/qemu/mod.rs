//! QEMU: where it is, which version it is, what it can do, and which package it came with.

mod package;

use std::collections::BTreeSet;

use serde::Serialize;

use super::HostSource;
use crate::Fact;
use crate::source::{Probe, ProbeOutput};

pub use package::{Package, Pin, package_paragraphs};

/// Where QEMU may be, in the order in which the probes of this crate look for it. dstack's VMM runs the one named
/// `qemu_path` in its configuration, and otherwise the first `qemu-system-x86_64` on its `PATH`.
pub const QEMU_PATHS: [&str; 2] = ["/usr/bin/qemu-system-x86_64", "/usr/local/bin/qemu-system-x86_64"];

/// Where distributions put QEMU that dstack does not find by itself.
pub const QEMU_PATHS_ELSEWHERE: [&str; 1] = ["/usr/libexec/qemu-kvm"];

/// The most object types or properties that are kept of one help text.
const MAX_WORDS: usize = 1024;

/// QEMU: where it is, which version it is, what it can do, and which package it came with.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Qemu {
    /// The paths of [`QEMU_PATHS`] and [`QEMU_PATHS_ELSEWHERE`] at which there is something. Absent where there is
    /// nothing at any of them.
    pub paths: Fact<Vec<String>>,
    /// What `--version` says.
    pub version: Fact<QemuVersion>,
    /// The object types of `-object help`.
    pub objects: Fact<BTreeSet<String>>,
    /// The properties of `-object tdx-guest,help`. Absent where QEMU does not know the type.
    pub tdx_properties: Fact<BTreeSet<String>>,
    /// The package it came with, from dpkg's database. Looked for only where the version is that of a TDX build:
    /// otherwise [`Unread::NotAsked`](crate::Unread::NotAsked).
    pub package: Fact<Package>,
    /// The pins of apt that name a release, a package or a version. Read on the same condition.
    pub pins: Fact<Vec<Pin>>,
}

/// What `qemu-system-x86_64 --version` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct QemuVersion {
    /// The version of QEMU itself: major, minor, patch.
    pub number: (u16, u16, u16),
    /// What the builder put in parentheses, such as `Debian 1:8.2.2+ds-0ubuntu1.4+tdx1.1`.
    pub package: Option<String>,
    /// The line it was read from.
    pub line: String,
}

impl QemuVersion {
    /// Finds the line `QEMU emulator version X.Y.Z (...)`.
    ///
    /// ```
    /// use dstack_hw::facts::qemu::QemuVersion;
    ///
    /// let text = "QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.4+tdx1.1)\nCopyright (c) ...\n";
    /// let version = QemuVersion::parse(text).unwrap();
    /// assert_eq!(version.number, (8, 2, 2));
    /// assert_eq!(version.tdx_build(), Some("tdx1.1"));
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        text.lines().take(64).find_map(|line| {
            let rest = line.trim().strip_prefix("QEMU emulator version ")?;
            let (number, package) = match rest.split_once('(') {
                Some((number, package)) => {
                    (number, Some(package.trim_end().trim_end_matches(')').trim().to_owned()))
                }
                None => (rest, None),
            };
            // Only digits and points count: a build from git adds `-rc1` or `.50`.
            let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
            let mut parts = number.get(..end)?.split('.').map(str::parse::<u16>);
            let major = parts.next()?.ok()?;
            let minor = parts.next()?.ok()?;
            let patch = parts.next().and_then(Result::ok).unwrap_or(0);
            let package = package.filter(|package| !package.is_empty());
            Some(Self { number: (major, minor, patch), package, line: line.trim().to_owned() })
        })
    }

    /// Is it this version or a later one?
    pub fn at_least(&self, major: u16, minor: u16) -> bool {
        (self.number.0, self.number.1) >= (major, minor)
    }

    /// The mark of a build with TDX patches, such as `tdx1.1`, as the packages of the Ubuntu team name them.
    pub fn tdx_build(&self) -> Option<&str> {
        let package = self.package.as_deref()?;
        let at = package.rfind("+tdx")?;
        package.get(at + 1..)?.split([' ', ')']).next()
    }
}

impl std::fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (major, minor, patch) = self.number;
        write!(f, "{major}.{minor}.{patch}")?;
        match &self.package {
            Some(package) => write!(f, " ({package})"),
            None => Ok(()),
        }
    }
}

impl Qemu {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let version = Fact::from(source.probe(&Probe::QemuVersion)).and_then(|output| {
            QemuVersion::parse(&output.stdout)
                .map_or_else(|| not_understood(&Probe::QemuVersion, &output), Fact::Known)
        });
        let objects = Fact::from(source.probe(&Probe::QemuObjects)).and_then(|output| {
            let objects = object_types(&output.stdout);
            if objects.is_empty() {
                not_understood(&Probe::QemuObjects, &output)
            } else {
                Fact::Known(objects)
            }
        });
        let tdx_properties = Fact::from(source.probe(&Probe::QemuTdxProperties)).and_then(|output| {
            let properties = properties(&output.stdout);
            if !properties.is_empty() {
                Fact::Known(properties)
            } else if no_such_type(&output) {
                Fact::Absent
            } else {
                not_understood(&Probe::QemuTdxProperties, &output)
            }
        });
        let tdx_build = version.known().is_some_and(|version| version.tdx_build().is_some());
        let (package, pins) = if tdx_build {
            (Package::collect(source), Pin::collect(source))
        } else {
            (Fact::Unread(crate::Unread::NotAsked), Fact::Unread(crate::Unread::NotAsked))
        };
        Self { paths: paths(source), version, objects, tdx_properties, package, pins }
    }
}

/// The paths at which there is a QEMU.
fn paths(source: &dyn HostSource) -> Fact<Vec<String>> {
    let mut found = Vec::new();
    let mut unread = None;
    for path in QEMU_PATHS.into_iter().chain(QEMU_PATHS_ELSEWHERE) {
        match source.exists(path) {
            Ok(true) => found.push(path.to_owned()),
            Ok(false) => {}
            Err(why) => unread = Some(why),
        }
    }
    match unread {
        _ if !found.is_empty() => Fact::Known(found),
        Some(why) => Fact::Unread(why),
        None => Fact::Absent,
    }
}

/// The object types of `-object help`: the first word of each line that is set in.
pub fn object_types(help: &str) -> BTreeSet<String> {
    let word = |line: &str| {
        let word = line.strip_prefix("  ")?.split_whitespace().next()?;
        word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_').then(|| word.to_owned())
    };
    help.lines().filter_map(word).take(MAX_WORDS).collect()
}

/// The properties of `-object TYPE,help`: the name before `=<` of each line that is set in.
pub fn properties(help: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let (name, _) = line.strip_prefix("  ")?.split_once("=<")?;
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_').then(|| name.to_owned())
    };
    help.lines().filter_map(name).take(MAX_WORDS).collect()
}

/// Does QEMU say that there is no such object type? The wording changed between 7.x and 10.x.
fn no_such_type(output: &ProbeOutput) -> bool {
    let said = |text: &str| {
        text.contains("does not accept value 'tdx-guest'")
            || text.contains("invalid object type: tdx-guest")
            || text.contains("invalid object type 'tdx-guest'")
            || text.contains("'tdx-guest' is not a valid")
            || text.contains("There are no options for tdx-guest")
    };
    output.status != Some(0) && said(&output.stderr) || said(&output.stdout)
}

/// The answer of a command that was not understood, with its first words.
fn not_understood<T>(probe: &Probe, output: &ProbeOutput) -> Fact<T> {
    let asked = match probe {
        Probe::QemuVersion => "--version",
        Probe::QemuObjects => "-object help",
        _ => "-object tdx-guest,help",
    };
    let said = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    let said: String = said.trim().lines().next().unwrap_or("nothing").chars().take(200).collect();
    Fact::Unread(crate::Unread::Failed(format!("`qemu-system-x86_64 {asked}` said: {said}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Unread;
    use crate::source::Readings;

    const OBJECTS: &str =
        "List of user creatable objects:\n  authz-list\n  memory-backend-ram\n  sev-guest\n  tdx-guest\n\n";
    const PROPERTIES: &str = "tdx-guest options:\n  attributes=<int>\n  mrconfigid=<string>\n  mrowner=<string>\n  \
                              mrownerconfig=<string>\n  quote-generation-socket=<SocketAddress>\n  \
                              sept-ve-disable=<bool>         - description\n";

    #[test]
    fn versions_of_several_builders() {
        let parse = |text| QemuVersion::parse(text).unwrap();
        assert_eq!(parse("QEMU emulator version 10.1.0 (Debian 1:10.1.0+ds-5ubuntu2)").number, (10, 1, 0));
        assert_eq!(parse("QEMU emulator version 9.2.0 (qemu-kvm-9.2.0-1.el10)").tdx_build(), None);
        assert_eq!(parse("warning: x\nQEMU emulator version 10.0.50").to_string(), "10.0.50");
        assert_eq!(parse("QEMU emulator version 10.2.0-rc1 (v10.2.0-rc1-dirty)").number, (10, 2, 0));
        let old = parse("QEMU emulator version 8.0.4 (Debian 1:8.0.4+dfsg-1ubuntu3+tdx1.0)");
        assert_eq!((old.tdx_build(), old.at_least(8, 0), old.at_least(8, 1)), (Some("tdx1.0"), true, false));
        assert_eq!(QemuVersion::parse("qemu-img version 8.2.2"), None);
        assert_eq!(QemuVersion::parse("QEMU emulator version 99999999.1"), None);
    }

    #[test]
    fn help_texts() {
        assert_eq!(object_types(OBJECTS).len(), 4);
        assert!(!object_types("List of user creatable objects:\n").contains("List"));
        let names = properties(PROPERTIES);
        assert!(names.contains("quote-generation-socket") && names.contains("sept-ve-disable"));
        assert_eq!(names.len(), 6);
        // What QEMU 7.2 of Debian 12 prints.
        let sev = "sev-guest options:\n  dh-cert-file=<string>  - guest owners DH certificate (encoded with base64)\n  kernel-hashes=<bool>   - add kernel hashes to guest firmware for measured Linux boot\n";
        assert_eq!(properties(sev).into_iter().collect::<Vec<_>>(), ["dh-cert-file", "kernel-hashes"]);
    }

    #[test]
    fn a_type_that_is_not_known_is_absent_and_a_crash_is_unread() {
        let with = |status, stderr: &str| {
            let output = ProbeOutput { status, stdout: String::new(), stderr: stderr.to_owned() };
            Qemu::collect(&Readings::empty_host().probe_output(Probe::QemuTdxProperties, output))
                .tdx_properties
        };
        let refused = "qemu-system-x86_64: -object tdx-guest,help: Parameter 'qom-type' does not accept value 'tdx-guest'";
        assert_eq!(with(Some(1), refused), Fact::Absent);
        assert!(matches!(with(None, "Illegal instruction"), Fact::Unread(Unread::Failed(_))));
    }

    #[test]
    fn the_package_is_looked_at_only_for_a_tdx_build() {
        let status =
            "Package: qemu-system-x86\nStatus: hold ok installed\nVersion: 2:8.2.2+ds-0ubuntu1.4+tdx1.1\n";
        let host = |version: &str| {
            let line = format!("QEMU emulator version {version}\n");
            let host = Readings::empty_host().file("/var/lib/dpkg/status", status);
            Qemu::collect(&host.probe_stdout(Probe::QemuVersion, line))
        };
        assert!(host("8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.4+tdx1.1)").package.known().unwrap().held);
        assert_eq!(host("10.1.0").package, Fact::Unread(Unread::NotAsked));
    }

    #[test]
    fn paths_that_are_there() {
        let host = Readings::empty_host().file(QEMU_PATHS[1], "");
        assert_eq!(paths(&host), Fact::Known(vec![QEMU_PATHS[1].to_owned()]));
        assert_eq!(paths(&Readings::empty_host()), Fact::Absent);
        assert_eq!(paths(&Readings::nothing_known()), Fact::Unread(Unread::NotRecorded));
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "(QEMU emulator version )?[ -~\\n(+]{0,200}") {
            let _ = (QemuVersion::parse(&text).map(|version| version.tdx_build().map(str::len)), object_types(&text), properties(&text));
        }

        #[test]
        fn a_version_is_read_back(major in 1u16..99, minor in 0u16..99, patch in 0u16..99) {
            let version = QemuVersion::parse(&format!("QEMU emulator version {major}.{minor}.{patch} (x)")).unwrap();
            prop_assert_eq!(version.number, (major, minor, patch));
        }
    }
}
