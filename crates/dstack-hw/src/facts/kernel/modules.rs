//! Modules: which are loaded, and which options they are loaded with.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::Fact;
use crate::facts::HostSource;

/// The folders in which options of modules are kept, in the order in which a file of the same name hides a later one.
const OPTION_FOLDERS: &[&str] =
    &["/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"];

/// The most files of one folder that are read.
const MAX_FILES: usize = 256;

/// The modules that options are kept of.
const WANTED: &[&str] = &["kvm", "kvm_intel", "kvm_amd", "vhost_vsock", "vfio_pci"];

/// Options that a file gives a module: `options kvm_intel tdx=1`, or that it is not loaded: `blacklist kvm_intel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ModuleOptions {
    /// The file.
    pub path: String,
    /// The module, with underscores.
    pub module: String,
    /// The options as they stand there. Empty for a module that is not to be loaded.
    pub options: Vec<String>,
    /// Is it kept from being loaded by its alias?
    pub blacklisted: bool,
}

/// The names in `/proc/modules`, or the folders of `/sys/module`, among which are built-in modules with parameters.
pub(super) fn loaded(source: &dyn HostSource) -> Fact<BTreeSet<String>> {
    match Fact::from(source.text("/proc/modules")) {
        Fact::Known(text) => Fact::Known(
            text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect(),
        ),
        unknown => match Fact::from(source.list("/sys/module")) {
            Fact::Known(names) => Fact::Known(names.into_iter().collect()),
            _ => unknown.map(|_| BTreeSet::new()),
        },
    }
}

/// The options for the modules of interest, in the order in which they are read.
pub(super) fn options(source: &dyn HostSource) -> Fact<Vec<ModuleOptions>> {
    let mut answer = Fact::Absent;
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for folder in OPTION_FOLDERS {
        let names = match Fact::from(source.list(folder)) {
            Fact::Known(names) => names,
            Fact::Absent => continue,
            Fact::Unread(why) => {
                if answer.is_absent() {
                    answer = Fact::Unread(why);
                }
                continue;
            }
        };
        answer = Fact::Known(Vec::new());
        for name in names.iter().filter(|name| name.ends_with(".conf")).take(MAX_FILES) {
            if !seen.insert(name.clone()) {
                continue;
            }
            let path = format!("{folder}/{name}");
            if let Ok(text) = source.text(&path) {
                found.extend(parse(&path, &text));
            }
        }
    }
    answer.map(|_: Vec<ModuleOptions>| found)
}

fn parse<'a>(path: &'a str, text: &'a str) -> impl Iterator<Item = ModuleOptions> + 'a {
    text.lines().filter_map(move |line| {
        let mut words = line.split_whitespace();
        let keyword = words.next()?;
        let module = words.next()?.replace('-', "_");
        if !WANTED.contains(&module.as_str()) {
            return None;
        }
        let blacklisted = match keyword {
            "options" => false,
            "blacklist" => true,
            _ => return None,
        };
        let options = if blacklisted { Vec::new() } else { words.map(str::to_owned).collect() };
        Some(ModuleOptions { path: path.to_owned(), module, options, blacklisted })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unread;
    use crate::source::Readings;

    #[test]
    fn names_come_from_either_place() {
        let host = Readings::empty_host()
            .file("/proc/modules", "kvm_intel 475136 0 - Live 0x0\nkvm 1409024 1 kvm_intel, Live 0x0\n");
        assert!(loaded(&host).known().unwrap().contains("kvm_intel"));
        let host = Readings::nothing_known().folder("/sys/module", ["kvm"]);
        assert!(loaded(&host).known().unwrap().contains("kvm"));
        assert_eq!(loaded(&Readings::nothing_known()).unread(), Some(&Unread::NotRecorded));
    }

    #[test]
    fn options_of_the_modules_of_interest() {
        let host = Readings::empty_host()
            .file("/etc/modprobe.d/tdx.conf", "# on\noptions kvm-intel tdx=1 ept=1\noptions snd x=1\n")
            .file("/usr/lib/modprobe.d/tdx.conf", "options kvm_intel tdx=0\n")
            .file("/usr/lib/modprobe.d/no.conf", "blacklist kvm_amd\ninstall kvm /bin/true\n");
        let found = options(&host);
        let found = found.known().unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].options, ["tdx=1", "ept=1"]);
        assert!(found[1].blacklisted);
        assert!(options(&Readings::empty_host()).is_absent());
    }
}
