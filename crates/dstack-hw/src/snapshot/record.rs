//! The record: what is kept of a host, and how it is written down.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SnapshotSpec;
use crate::source::FileKind;
use crate::{Error, Reading, Unread};

/// The schema of [`HostSnapshot`] as JSON.
pub const SNAPSHOT_SCHEMA: &str = "dstack-hw/snapshot/v1";

/// The longest snapshot that is read, in bytes.
const MAX_SNAPSHOT: usize = 64 << 20;

/// The state of a host, as far as a set-up changes it. No serial numbers, addresses, host names or secrets are in it:
/// it can be handed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct HostSnapshot {
    /// [`SNAPSHOT_SCHEMA`].
    pub schema: String,
    /// The program that took it and its version, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// What the one who took it calls it. Not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What was looked at. A thing that is in one snapshot only is missing in the other where that one looked for it.
    pub spec: SnapshotSpec,
    /// The distribution: the fields of `/etc/os-release` that name it and its version.
    pub os: Section<String>,
    /// The kernel: `release`, and the parameters it was started with, as `parameter NAME`.
    pub kernel: Section<String>,
    /// Packages by name, with `:architecture` where it is not the host's first.
    pub packages: Section<Package>,
    /// Files, folders, links and devices by path.
    pub files: Section<FileRecord>,
    /// Units of systemd by name: are they started at boot (`enabled`, `disabled`, `masked`)?
    pub units: Section<String>,
    /// The services that facts are collected about, by the names of their units: do they run?
    pub services: Section<Service>,
    /// Users by name.
    pub users: Section<User>,
    /// Groups by name.
    pub groups: Section<Group>,
    /// What is listened on: `tcp/443/any`, `vsock/4050`, `unix//run/dstack/vmm.sock`.
    pub listening: Section<Listening>,
    /// The versions of programs by path.
    pub programs: Section<String>,
    /// Kernel modules by name.
    pub modules: Section<Module>,
    /// Settings of the kernel by path: the content of files in `/proc/sys`, `/sys`.
    pub values: Section<String>,
    /// Mounts by mount point.
    pub mounts: Section<Mount>,
}

/// One part of a snapshot: what was seen, by name, or why nothing could be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Section<T> {
    /// Why nothing in this part could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<Unread>,
    /// Not everything was looked at, because there was more than is recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What was seen.
    #[serde(default = "BTreeMap::new")]
    pub items: BTreeMap<String, Seen<T>>,
}

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self { unread: None, cut: false, items: BTreeMap::new() }
    }
}

/// A thing that was seen, or why it was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Seen<T> {
    /// It could not be read.
    Unread(NotRead),
    /// It was read.
    Value(T),
}

/// Why something is not in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct NotRead {
    /// Why.
    pub unread: Unread,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Package {
    /// Its version, as the package manager writes it.
    pub version: String,
    /// It is held: upgrades leave it alone (`apt-mark hold`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Its state where that is not `installed`, such as `half-configured`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// A file, folder, link or device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct FileRecord {
    /// What it is.
    pub kind: FileKind,
    /// The permission bits as four octal digits. None for links, whose bits mean nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The owner's name, or its number where it has none.
    pub owner: String,
    /// The group's name, or its number.
    pub group: String,
    /// It is one whose content must not be recorded in any form.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// Length in bytes, for files whose content is recorded and those too long to digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// SHA-256 of the content in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Seen<String>>,
    /// Where a link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The settings in it, one by one, instead of a digest. Secrets, addresses and names of hosts are placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Seen<BTreeMap<String, String>>>,
}

/// A service, as systemd sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Service {
    /// `active`, `inactive`, `failed`.
    pub active: String,
    /// `loaded`, `masked`.
    pub load: String,
}

/// A user account. No password, no name of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// The name of its first group, or its number.
    pub group: String,
    /// The groups it is also in, of those that matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Its home.
    pub home: String,
    /// Its shell.
    pub shell: String,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Group {
    /// Its number.
    pub gid: u32,
}

/// Something that is listened on. Its name says everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Listening {
    /// The number is one that the kernel gives out by itself: another one after the next start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
}

/// A kernel module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Module {
    /// Loaded.
    Loaded,
    /// Part of the kernel.
    BuiltIn,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Mount {
    /// The file system, such as `ext4`.
    pub file_system: String,
    /// Its options, without sizes and numbers of this host, sorted.
    pub options: Vec<String>,
}

impl<T> Section<T> {
    /// A part of which nothing could be read.
    pub(crate) fn not_read(why: Unread) -> Self {
        Self { unread: Some(why), ..Self::default() }
    }

    /// A part with these items.
    pub(crate) fn of(items: BTreeMap<String, T>) -> Self {
        let items = items.into_iter().map(|(name, value)| (name, Seen::Value(value))).collect();
        Self { items, ..Self::default() }
    }

    /// A part that was read as a whole, or not.
    pub(crate) fn from_reading(reading: Reading<BTreeMap<String, T>>) -> Self {
        reading.map_or_else(Self::not_read, Self::of)
    }
}

impl<T> Seen<T> {
    /// Why it was not read.
    pub(crate) const fn not_read(why: Unread) -> Self {
        Self::Unread(NotRead { unread: why })
    }

    /// The value, where it was read.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unread(_) => None,
        }
    }
}

impl<T> From<Reading<T>> for Seen<T> {
    fn from(reading: Reading<T>) -> Self {
        reading.map_or_else(Self::not_read, Self::Value)
    }
}

impl HostSnapshot {
    /// As JSON: indented, in a stable order, with a line end.
    pub fn to_json(&self) -> String {
        // Maps with text as keys and plain values: there is nothing in it that JSON cannot hold.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 64 MiB, [`Error::Schema`] for another schema or a newer version of it, and
    /// [`Error::Malformed`] with line and column for anything else, a text that is cut short among it.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Head {
            schema: Option<String>,
        }
        const WHAT: &str = "the snapshot";
        if text.len() > MAX_SNAPSHOT {
            return Err(Error::TooLarge { what: WHAT, limit: MAX_SNAPSHOT });
        }
        let malformed = |error: serde_json::Error| Error::Malformed { what: WHAT, why: error.to_string() };
        let head: Head = serde_json::from_str(text).map_err(malformed)?;
        match head.schema {
            Some(schema) if schema == SNAPSHOT_SCHEMA => serde_json::from_str(text).map_err(malformed),
            Some(found) => Err(Error::Schema { what: WHAT, found, supported: SNAPSHOT_SCHEMA }),
            None => Err(Error::Malformed { what: WHAT, why: "it has no field `schema`".to_owned() }),
        }
    }

    /// Names the program that took it.
    #[must_use]
    pub fn made_by(mut self, program: impl Into<String>) -> Self {
        self.made_by = Some(program.into());
        self
    }

    /// Gives it a name.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
}
