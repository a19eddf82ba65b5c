//! The distribution, the kernel and what it is set to, mounts, and the versions of programs.

use std::collections::BTreeMap;

use super::hide::Hider;
use super::pattern::Part;
use super::record::{Module, Mount, Section, Seen};
use super::spec::SnapshotSpec;
use crate::facts::kernel::CommandLine;
use crate::source::{FileKind, Probe};
use crate::{HostSource, Unread};

/// The longest value that is recorded, in characters.
const MAX_VALUE: usize = 300;
/// The most mounts that are looked at.
const MAX_MOUNTS: usize = 20_000;

/// Fields of `/etc/os-release` that say which system it is.
const OS_FIELDS: &[&str] = &["ID", "VERSION_ID", "VERSION_CODENAME", "PRETTY_NAME", "VARIANT_ID"];

pub(super) fn os(source: &dyn HostSource) -> Section<String> {
    let text = source.text("/etc/os-release").or_else(|why| match why {
        Unread::Absent => source.text("/usr/lib/os-release"),
        why => Err(why),
    });
    Section::from_reading(text.map(|text| {
        super::settings::pairs(&text)
            .into_iter()
            .filter(|(field, _)| OS_FIELDS.contains(&field.as_str()))
            .collect()
    }))
}

/// The release, and the parameters the kernel was started with.
pub(super) fn kernel(source: &dyn HostSource, spec: &SnapshotSpec, hider: &Hider) -> Section<String> {
    let mut section = Section::default();
    let release = source.text("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned());
    section.items.insert("release".to_owned(), release.into());
    match source.text("/proc/cmdline") {
        Ok(text) => {
            for (name, value) in parameters(&text, spec, hider) {
                section.items.insert(format!("parameter {name}"), Seen::Value(value));
            }
        }
        Err(why) => {
            section.items.insert("parameters".to_owned(), Seen::not_read(why));
        }
    }
    section
}

/// The parameters by name; those that are given several times keep their order in one value.
fn parameters(command_line: &str, spec: &SnapshotSpec, hider: &Hider) -> BTreeMap<String, String> {
    let parsed = CommandLine::parse(command_line);
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    // What follows `--` is for the first program and may be anything.
    for word in parsed.words().iter().take_while(|word| *word != "--").take(1000) {
        let (name, value) =
            word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        let hidden = spec.hidden_parameters.iter().any(|pattern| pattern.matches(name));
        let shown = match value {
            None => "present".to_owned(),
            Some(_) if hidden => "<hidden>".to_owned(),
            Some(value) => short(&hider.text(value)),
        };
        let entry = parameters.entry(hider.name(name)).or_default();
        if !entry.is_empty() {
            entry.push_str(", ");
        }
        entry.push_str(&shown);
    }
    parameters
}

pub(super) fn modules(source: &dyn HostSource, spec: &SnapshotSpec) -> Section<Module> {
    let mut section = Section::default();
    let loaded = match source.text("/proc/modules") {
        Ok(text) => text,
        // A kernel without modules has no such file.
        Err(Unread::Absent) => String::new(),
        Err(why) => return Section::not_read(why),
    };
    for name in &spec.modules {
        let is_loaded = loaded.lines().any(|line| line.split(' ').next() == Some(name.as_str()));
        let module = if is_loaded {
            Seen::Value(Module::Loaded)
        } else {
            match source.exists(&format!("/sys/module/{name}")) {
                // A folder without a line among the loaded: part of the kernel, with parameters.
                Ok(true) => Seen::Value(Module::BuiltIn),
                Ok(false) => continue,
                Err(why) => Seen::not_read(why),
            }
        };
        section.items.insert(name.clone(), module);
    }
    section
}

/// The content of files that are one value each.
pub(super) fn values(source: &dyn HostSource, spec: &SnapshotSpec, hider: &Hider) -> Section<String> {
    let mut section = Section::default();
    for pattern in &spec.values {
        let mut paths = vec![String::new()];
        for part in pattern.parts() {
            let mut next = Vec::new();
            for path in paths {
                match part {
                    Part::Literal(name) => next.push(format!("{path}/{name}")),
                    part => {
                        let names = source.list(&path).unwrap_or_default();
                        let fits = names.iter().filter(|name| part.matches(name)).take(256);
                        next.extend(fits.map(|name| format!("{path}/{name}")));
                    }
                }
            }
            next.truncate(1024);
            paths = next;
        }
        for path in paths {
            if spec.never_records(&path) {
                continue;
            }
            let value = match source.text(&path) {
                Ok(text) => Seen::Value(short(&hider.text(text.trim()))),
                Err(Unread::Absent) => continue,
                Err(why) => Seen::not_read(why),
            };
            section.items.insert(path, value);
        }
    }
    section
}

pub(super) fn mounts(source: &dyn HostSource, spec: &SnapshotSpec) -> Section<Mount> {
    Section::from_reading(source.text("/proc/mounts").map(|text| {
        text.lines()
            .take(MAX_MOUNTS)
            .filter_map(|line| {
                // device, mount point, file system, options
                let mut words = line.split(' ');
                let (point, file_system, options) = (words.nth(1)?, words.next()?, words.next()?);
                spec.mounts.iter().any(|pattern| pattern.matches(point)).then_some(())?;
                let mut options: Vec<String> = options
                    .split(',')
                    .filter(|option| {
                        let name = option.split('=').next().unwrap_or(option);
                        !matches!(
                            name,
                            "size"
                                | "nr_inodes"
                                | "inode64"
                                | "lowerdir"
                                | "upperdir"
                                | "workdir"
                                | "fd"
                                | "pgrp"
                        )
                    })
                    .map(str::to_owned)
                    .collect();
                options.sort();
                Some((point.to_owned(), Mount { file_system: file_system.to_owned(), options }))
            })
            .collect()
    }))
}

/// The first line that each program prints when it is asked for its version.
pub(super) fn programs(source: &dyn HostSource, spec: &SnapshotSpec, hider: &Hider) -> Section<String> {
    let mut section = Section::default();
    for path in spec.programs.iter().take(64) {
        let version = match belongs_to_root(source, path) {
            Ok(true) => source.probe(&Probe::ProgramVersion { path: path.clone() }).and_then(|output| {
                let text = if output.stdout.trim().is_empty() { output.stderr } else { output.stdout };
                let line = text.lines().map(str::trim).find(|line| !line.is_empty());
                let line = line.map(|line| short(&hider.text(line)));
                line.ok_or_else(|| Unread::Failed("it prints no version".to_owned()))
            }),
            Ok(false) => Err(Unread::Failed("others than root can write it: it was not run".to_owned())),
            Err(why) => Err(why),
        };
        let seen = match version {
            Err(Unread::Absent) => continue,
            version => version.into(),
        };
        section.items.insert(path.clone(), seen);
    }
    section
}

/// Is this a program that only root can write? No other is run: a snapshot is taken as root.
fn belongs_to_root(source: &dyn HostSource, path: &str) -> Result<bool, Unread> {
    let mut path = path.to_owned();
    // `/etc/alternatives` makes two links in a row.
    for _ in 0..5 {
        let meta = source.stat(&path)?;
        match (meta.kind, meta.target) {
            (FileKind::File, _) => {
                return Ok(meta.uid == 0 && meta.mode & 0o022 == 0 && meta.mode & 0o111 != 0);
            }
            (FileKind::Link, Some(target)) if target.starts_with('/') => path = target,
            (FileKind::Link, Some(target)) if !target.contains("..") => {
                let (folder, _) = path.rsplit_once('/').unwrap_or_default();
                path = format!("{folder}/{target}");
            }
            _ => return Ok(false),
        }
    }
    Ok(false)
}

fn short(text: &str) -> String {
    text.chars().take(MAX_VALUE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FileMeta, Readings};

    fn spec() -> SnapshotSpec {
        SnapshotSpec::builtin()
    }

    #[test]
    fn parameters_without_what_they_must_not_say() {
        let line = "BOOT_IMAGE=/vmlinuz root=UUID=3e6be9de-8139-11d1-9106-a43f08d823a6 ro ip=192.0.2.7 nohibernate \
                    kvm_intel.tdx=1 console=tty0 console=ttyS0,115200 my_token=abc -- --password planted";
        let parameters = parameters(line, &spec(), &Hider::default());
        assert_eq!(parameters["root"], "<hidden>");
        assert_eq!(parameters["ip"], "<hidden>");
        assert_eq!(parameters["my_token"], "<hidden>");
        assert_eq!(parameters["console"], "tty0, ttyS0,115200");
        assert_eq!(
            (parameters["kvm_intel.tdx"].as_str(), parameters["nohibernate"].as_str()),
            ("1", "present")
        );
        assert!(!format!("{parameters:?}").contains("planted"));
    }

    #[test]
    fn only_programs_of_root_are_run() {
        let meta = |mode, uid| FileMeta { uid, size: 1, ..FileMeta::new(FileKind::File, mode) };
        let mut only = spec();
        only.programs = vec!["/usr/bin/a".to_owned(), "/usr/bin/b".to_owned(), "/usr/bin/c".to_owned()];
        let version = |path: &str| Probe::ProgramVersion { path: path.to_owned() };
        let host = Readings::empty_host()
            .meta("/usr/bin/a", meta(0o755, 0))
            .meta("/usr/bin/b", meta(0o775, 0))
            .probe_stdout(version("/usr/bin/a"), "\na 1.2.3\nmore\n")
            .probe_stdout(version("/usr/bin/b"), "b 9\n")
            .probe_stdout(version("/usr/bin/c"), "c 9\n");
        let section = programs(&host, &only, &Hider::default());
        assert_eq!(section.items["/usr/bin/a"].value().map(String::as_str), Some("a 1.2.3"));
        assert!(section.items["/usr/bin/b"].value().is_none());
        assert!(!section.items.contains_key("/usr/bin/c"));
    }

    #[test]
    fn values_and_mounts() {
        let host = Readings::empty_host()
            .file("/proc/sys/vm/nr_hugepages", "512\n")
            .folder("/sys/devices/system/node", ["node0"])
            .folder("/sys/devices/system/node/node0/hugepages", ["hugepages-2048kB"])
            .file("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "16\n")
            .file("/proc/mounts", "UUID=x / ext4 rw,relatime,size=4k 0 0\nx /mnt/me ext4 rw 0 0\n");
        let values = values(&host, &spec(), &Hider::default());
        assert_eq!(values.items.len(), 2);
        let mounts = mounts(&host, &spec());
        assert_eq!(mounts.items.len(), 1);
        assert_eq!(mounts.items["/"].value().unwrap().options, ["relatime", "rw"]);
    }
}
