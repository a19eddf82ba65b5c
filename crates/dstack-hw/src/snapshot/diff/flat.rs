//! A snapshot as one table: section, name, attributes.

use std::collections::BTreeMap;

use super::looked_for;
use crate::Unread;
use crate::snapshot::record::{FileRecord, HostSnapshot, Module, Section, Seen};
use crate::snapshot::spec::SnapshotSpec;
use crate::source::FileKind;

/// What is known of a thing, attribute by attribute.
pub(super) type Attributes = BTreeMap<String, Result<String, Unread>>;

/// The sections, in the order in which they are compared. `secrets` and `settings` come out of `files`.
pub(super) const SECTIONS: [&str; 15] = [
    "files",
    "groups",
    "kernel",
    "listening",
    "modules",
    "mounts",
    "os",
    "packages",
    "programs",
    "secrets",
    "services",
    "settings",
    "units",
    "users",
    "values",
];

/// A snapshot as one table.
pub(super) struct Flat {
    /// By section and name; `Err` for things that could not be read.
    pub(super) things: BTreeMap<(&'static str, String), Result<Attributes, Unread>>,
    /// Sections of which nothing, or not everything, was read.
    gaps: BTreeMap<&'static str, Gap>,
}

enum Gap {
    Unread(Unread),
    Cut,
}

/// One side of a comparison of one thing.
pub(super) enum Side<'a> {
    /// It is there.
    There(&'a Attributes),
    /// It was looked for and is not there.
    Missing,
    /// It is not known whether it is there.
    Unknown(String),
    /// It is not among what is looked at.
    NotLookedFor,
    /// Nothing of its section is known.
    PartUnread,
}

impl Side<'_> {
    /// Why it is not known, where it is not.
    pub(super) fn why_unknown(self) -> Option<String> {
        match self {
            Self::Unknown(why) => Some(why),
            _ => None,
        }
    }
}

impl Flat {
    pub(super) fn of(snapshot: &HostSnapshot) -> Self {
        let mut flat = Self { things: BTreeMap::new(), gaps: BTreeMap::new() };
        let value = |text: &String| one("value", text.clone());
        flat.section("os", &snapshot.os, value);
        flat.section("kernel", &snapshot.kernel, value);
        flat.section("programs", &snapshot.programs, value);
        flat.section("values", &snapshot.values, value);
        flat.section("packages", &snapshot.packages, |package| {
            let mut attributes = one("version", package.version.clone());
            attributes.insert("held".to_owned(), Ok(yes_or_no(package.held)));
            if let Some(state) = &package.state {
                attributes.insert("state".to_owned(), Ok(state.clone()));
            }
            attributes
        });
        flat.section("units", &snapshot.units, value);
        flat.section("services", &snapshot.services, |service| {
            let mut attributes = one("active", service.active.clone());
            attributes.insert("load".to_owned(), Ok(service.load.clone()));
            attributes
        });
        flat.section("users", &snapshot.users, |user| {
            let mut attributes = one("group", user.group.clone());
            attributes.insert("uid".to_owned(), Ok(user.uid.to_string()));
            attributes.insert("home".to_owned(), Ok(user.home.clone()));
            attributes.insert("shell".to_owned(), Ok(user.shell.clone()));
            attributes.insert(
                "groups".to_owned(),
                Ok(if user.groups.is_empty() { "none".to_owned() } else { user.groups.join(", ") }),
            );
            attributes
        });
        flat.section("groups", &snapshot.groups, |group| one("gid", group.gid.to_string()));
        flat.section("listening", &snapshot.listening, |listening| {
            let mut attributes = Attributes::new();
            if listening.ephemeral {
                attributes.insert("ephemeral".to_owned(), Ok(yes_or_no(true)));
            }
            attributes
        });
        flat.section("modules", &snapshot.modules, |module| {
            let state = match module {
                Module::Loaded => "loaded",
                Module::BuiltIn => "built in",
            };
            one("value", state.to_owned())
        });
        flat.section("mounts", &snapshot.mounts, |mount| {
            let mut attributes = one("file-system", mount.file_system.clone());
            attributes.insert("options".to_owned(), Ok(mount.options.join(",")));
            attributes
        });
        flat.files(&snapshot.files);
        flat
    }

    fn section<T>(
        &mut self,
        name: &'static str,
        section: &Section<T>,
        attributes: impl Fn(&T) -> Attributes,
    ) {
        self.gap(name, section);
        for (subject, seen) in &section.items {
            let thing = match seen {
                Seen::Value(value) => Ok(attributes(value)),
                Seen::Unread(why) => Err(why.unread.clone()),
            };
            self.things.insert((name, subject.clone()), thing);
        }
    }

    fn gap<T>(&mut self, name: &'static str, section: &Section<T>) {
        if let Some(why) = &section.unread {
            self.gaps.insert(name, Gap::Unread(why.clone()));
        } else if section.cut {
            self.gaps.insert(name, Gap::Cut);
        }
    }

    /// Files fall into three: those whose content counts, secrets, and settings one by one.
    fn files(&mut self, files: &Section<FileRecord>) {
        for name in ["files", "secrets", "settings"] {
            self.gap(name, files);
        }
        for (path, seen) in &files.items {
            let record = match seen {
                Seen::Unread(why) => {
                    self.things.insert(("files", path.clone()), Err(why.unread.clone()));
                    continue;
                }
                Seen::Value(record) => record,
            };
            let mut attributes = one("kind", kind(record.kind).to_owned());
            let mut add = |name: &str, value: Result<String, Unread>| {
                attributes.insert(name.to_owned(), value);
            };
            add("owner", Ok(record.owner.clone()));
            add("group", Ok(record.group.clone()));
            if let Some(mode) = &record.mode {
                add("mode", Ok(mode.clone()));
            }
            if let Some(target) = &record.target {
                add("target", Ok(target.clone()));
            }
            match (&record.sha256, record.size) {
                (Some(digest), _) => add("sha256", read(digest)),
                // Too long to digest: the length is what there is.
                (None, Some(size)) => add("size", Ok(size.to_string())),
                (None, None) => {}
            }
            match &record.settings {
                Some(Seen::Unread(why)) => add("settings", Err(why.unread.clone())),
                Some(Seen::Value(settings)) => {
                    for (name, value) in settings {
                        let subject = format!("{path} {name}");
                        self.things.insert(("settings", subject), Ok(one("value", value.clone())));
                    }
                }
                None => {}
            }
            let section = if record.secret { "secrets" } else { "files" };
            self.things.insert((section, path.clone()), Ok(attributes));
        }
    }

    /// Why nothing of a section is known. The files' sections are one.
    pub(super) fn unread(&self, section: &str) -> Option<String> {
        match self.gaps.get(section) {
            Some(Gap::Unread(why)) if !matches!(section, "secrets" | "settings") => Some(why.why()),
            _ => None,
        }
    }

    /// What this side knows of a thing.
    pub(super) fn side(&self, key: &(&'static str, String), spec: &SnapshotSpec) -> Side<'_> {
        let (section, subject) = (key.0, key.1.as_str());
        match self.things.get(key) {
            Some(Ok(attributes)) => return Side::There(attributes),
            Some(Err(why)) => return Side::Unknown(why.why()),
            None => {}
        }
        match self.gaps.get(section) {
            Some(Gap::Unread(_)) => return Side::PartUnread,
            Some(Gap::Cut) => return Side::Unknown("there was more than is recorded".to_owned()),
            None => {}
        }
        if !looked_for(spec, section, subject) {
            return Side::NotLookedFor;
        }
        if matches!(section, "files" | "secrets" | "settings")
            && let Some(why) = self.hidden_by(section, subject)
        {
            return Side::Unknown(why);
        }
        // `vsock` stands for all of vsock, `parameters` for all parameters.
        let stands_for_all = match section {
            "listening" if subject.starts_with("vsock/") => Some("vsock"),
            "kernel" if subject.starts_with("parameter ") => Some("parameters"),
            _ => None,
        };
        if let Some(all) = stands_for_all
            && let Some(Err(why)) = self.things.get(&(section, all.to_owned()))
        {
            return Side::Unknown(why.why());
        }
        Side::Missing
    }

    /// Is there a file whose setting this is, or is that not known?
    pub(super) fn has_file_of(&self, setting: &str) -> bool {
        let path = setting.split_once(' ').map_or(setting, |(path, _)| path);
        self.gaps.contains_key("files")
            || self.things.contains_key(&("files", path.to_owned()))
            || self.hidden_by("settings", setting).is_some()
    }

    /// Is a file below a folder that could not be listed, or a setting of a file that could not be read?
    fn hidden_by(&self, section: &str, subject: &str) -> Option<String> {
        let path = if section == "settings" { subject.split_once(' ')?.0 } else { subject };
        if section == "settings" {
            let file = self.things.get(&("files", path.to_owned()));
            match file {
                Some(Err(why)) => return Some(why.why()),
                Some(Ok(attributes)) => {
                    if let Some(Err(why)) = attributes.get("settings") {
                        return Some(why.why());
                    }
                }
                None => {}
            }
        }
        let mut folder = path;
        while let Some((parent, _)) = folder.rsplit_once('/') {
            if let Some(Err(why)) = self.things.get(&("files", parent.to_owned())) {
                return Some(format!("{parent}: {}", why.why()));
            }
            folder = parent;
        }
        None
    }
}

fn one(name: &str, value: String) -> Attributes {
    Attributes::from([(name.to_owned(), Ok(value))])
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn read(seen: &Seen<String>) -> Result<String, Unread> {
    match seen {
        Seen::Value(value) => Ok(value.clone()),
        Seen::Unread(why) => Err(why.unread.clone()),
    }
}

const fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Folder => "folder",
        FileKind::Link => "link",
        FileKind::CharacterDevice => "character device",
        FileKind::BlockDevice => "block device",
        FileKind::Socket => "socket",
        FileKind::Pipe => "pipe",
    }
}
