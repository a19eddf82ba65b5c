//! Installed packages, from the records of dpkg or from rpm.

use std::collections::BTreeMap;

use super::record::{Package, Section};
use crate::source::Probe;
use crate::{HostSource, Unread};

/// Where dpkg keeps its records (deb822 paragraphs, `dpkg-query(1)`).
const DPKG_STATUS: &str = "/var/lib/dpkg/status";
/// The most packages that are recorded.
const MAX_PACKAGES: usize = 50_000;

/// Packages by name.
pub(super) fn packages(source: &dyn HostSource) -> Section<Package> {
    match source.text(DPKG_STATUS) {
        Ok(text) => Section::of(dpkg(&text)),
        Err(Unread::Absent) => match source.probe(&Probe::RpmPackages) {
            Ok(output) if output.status == Some(0) => Section::of(rpm(&output.stdout)),
            Ok(output) => Section::not_read(Unread::Failed(format!("rpm ended with {:?}", output.status))),
            Err(why) => Section::not_read(why),
        },
        Err(why) => Section::not_read(why),
    }
}

/// The installed packages in the records of dpkg. Never fails; a paragraph without a name or a version is none.
///
/// A package that was removed and left its settings behind is not installed and is left out.
pub fn dpkg(status: &str) -> BTreeMap<String, Package> {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    let mut paragraph: [Option<&str>; 4] = [None; 4];
    for line in status.lines().chain(std::iter::once("")) {
        if line.trim().is_empty() {
            let [name, state, version, architecture] = std::mem::take(&mut paragraph);
            if packages.len() >= MAX_PACKAGES {
                break;
            }
            if let (Some(name), Some(state), Some(version)) = (name, state, version)
                && let Some(package) = package(state, version)
            {
                // The same library may be there for two architectures.
                let key = match packages.contains_key(name) {
                    true => format!("{name}:{}", architecture.unwrap_or("other")),
                    false => name.to_owned(),
                };
                packages.insert(key, package);
            }
            continue;
        }
        let Some((field, value)) = line.split_once(':') else { continue };
        let at = match field {
            "Package" => 0,
            "Status" => 1,
            "Version" => 2,
            "Architecture" => 3,
            _ => continue,
        };
        if let Some(slot) = paragraph.get_mut(at) {
            *slot = Some(value.trim());
        }
    }
    packages
}

/// `Status` is three words: what is wanted, whether something is wrong, what is.
fn package(status: &str, version: &str) -> Option<Package> {
    let mut words = status.split_whitespace();
    let (wanted, error, state) = (words.next()?, words.next()?, words.next()?);
    if matches!(state, "not-installed" | "config-files") {
        return None;
    }
    let wrong = state != "installed" || error != "ok";
    Some(Package {
        version: version.to_owned(),
        held: wanted == "hold",
        state: wrong.then(|| if error == "ok" { state.to_owned() } else { format!("{state}, {error}") }),
    })
}

/// The installed packages as `rpm -qa` prints them: name, version and architecture a line, with blanks or tabs between.
/// Never fails; a line without a version is left out.
pub fn rpm(output: &str) -> BTreeMap<String, Package> {
    let mut packages = BTreeMap::new();
    for line in output.lines().take(MAX_PACKAGES) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        // No epoch is epoch 0.
        let version = version.strip_prefix("0:").unwrap_or(version);
        let package = Package { version: version.to_owned(), held: false, state: None };
        let mut key = name.to_owned();
        if packages.contains_key(&key) {
            key = format!("{name}:{}", words.next().unwrap_or("other"));
        }
        // Several kernels are installed side by side under one name.
        if packages.contains_key(&key) {
            key = format!("{name} {version}");
        }
        packages.insert(key, package);
    }
    packages
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATUS: &str = "\
Package: qemu-system-x86
Status: hold ok installed
Priority: optional
Architecture: amd64
Version: 1:8.2.2+ds-0ubuntu1.4+tdx1.1
Description: QEMU full system emulation binaries (x86)
 Version: not a field, a line of the description
 .

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.39-0ubuntu8

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.39-0ubuntu8

Package: broken
Status: install reinstreq half-installed
Version: 3
";

    #[test]
    fn dpkg_records() {
        let packages = dpkg(STATUS);
        let names: Vec<&str> = packages.keys().map(String::as_str).collect();
        assert_eq!(names, ["broken", "libc6", "libc6:i386", "qemu-system-x86"]);
        assert!(packages["qemu-system-x86"].held);
        assert_eq!(packages["qemu-system-x86"].version, "1:8.2.2+ds-0ubuntu1.4+tdx1.1");
        assert_eq!(packages["broken"].state.as_deref(), Some("half-installed, reinstreq"));
    }

    #[test]
    fn rpm_output() {
        let packages =
            rpm("bash\t0:5.1.8-6.el9\tx86_64\nqemu-kvm\t17:8.2.0-11\tx86_64\nkernel\t0:5.14.0\tx86_64\n\
                            kernel\t0:5.15.0\tx86_64\nkernel\t0:5.16.0\tx86_64\nx\n");
        let lines: Vec<String> =
            packages.iter().map(|(name, package)| format!("{name} = {}", package.version)).collect();
        assert_eq!(
            lines,
            [
                "bash = 5.1.8-6.el9",
                "kernel = 5.14.0",
                "kernel 5.16.0 = 5.16.0",
                "kernel:x86_64 = 5.15.0",
                "qemu-kvm = 17:8.2.0-11"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "(Package|Status|Version|[a-z :\\n-]){0,60}") {
            let _ = dpkg(&text);
            let _ = rpm(&text);
        }

        #[test]
        fn what_is_written_is_read(versions in proptest::collection::btree_map("[a-z]{1,8}", "[0-9.+~]{1,8}", 0..8)) {
            let status: String = versions
                .iter()
                .map(|(name, version)| format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n"))
                .collect();
            let read: BTreeMap<String, String> =
                dpkg(&status).into_iter().map(|(name, package)| (name, package.version)).collect();
            prop_assert_eq!(read, versions);
        }
    }
}
