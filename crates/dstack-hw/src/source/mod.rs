//! Where raw readings come from.
//!
//! Everything the crate knows about a host went through a [`HostSource`]: the live host, a tree of files with recorded
//! readings, a capture, or texts that somebody pasted. Facts and checks do not know which it was.

mod cpuid;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod live;
mod log_text;
mod pasted;
mod probe;
mod readings;
#[cfg(target_os = "linux")]
mod tree;

use serde::{Deserialize, Serialize};

use crate::Reading;

#[cfg(target_os = "linux")]
pub use live::LiveHost;
pub use pasted::{Pasted, PastedKind};
pub use probe::{Probe, ProbeOutput, UNITS};
pub use readings::{Readings, Unlisted};
#[cfg(target_os = "linux")]
pub use tree::TreeHost;

/// The longest file that is read, in bytes. Longer ones are [`Unread::TooLarge`](crate::Unread::TooLarge), and can still be digested.
pub const MAX_FILE: usize = 16 << 20;

/// The longest file that is digested, in bytes. Longer ones are [`Unread::TooLarge`](crate::Unread::TooLarge).
pub const MAX_DIGEST: u64 = 2 << 30;

/// The most names that are read of one folder. A folder with more is [`Unread::TooLarge`](crate::Unread::TooLarge).
pub const MAX_NAMES: usize = 65_536;

/// The longest kernel log that is kept, in bytes. Of a longer one the beginning and the end are kept.
pub const MAX_LOG: usize = 8 << 20;

/// A source of raw readings. Nothing a source does changes the host.
///
/// Paths are absolute and as on the host (`/proc/cpuinfo`); a source with a root of its own resolves them inside it and
/// never follows a link out of it.
pub trait HostSource: Sync {
    /// What kind of source it is.
    fn origin(&self) -> Origin;

    /// The registers after `CPUID` with this leaf in EAX and sub-leaf in ECX. A leaf above the highest that the processor
    /// announces for its range is [`Unread::Absent`](crate::Unread::Absent).
    fn cpuid(&self, leaf: u32, subleaf: u32) -> Reading<CpuidRegisters>;

    /// A model-specific register of one logical CPU.
    fn msr(&self, cpu: u32, address: u32) -> Reading<u64>;

    /// The content of a file of at most [`MAX_FILE`] bytes.
    fn read(&self, path: &str) -> Reading<Vec<u8>>;

    /// The SHA-256 of a file of at most [`MAX_DIGEST`] bytes, in lower-case hex.
    fn digest(&self, path: &str) -> Reading<String>;

    /// The names in a folder, sorted, without `.` and `..`. A name that is not UTF-8 is left out.
    fn list(&self, path: &str) -> Reading<Vec<String>>;

    /// What a path is. A symbolic link is not followed.
    fn stat(&self, path: &str) -> Reading<FileMeta>;

    /// The kernel's log since boot, as far back as it can be had.
    fn kernel_log(&self) -> Reading<RawKernelLog>;

    /// What `/dev/kvm` says of itself.
    fn kvm(&self) -> Reading<KvmCapabilities>;

    /// The space of the file system that a folder is on.
    fn disk(&self, path: &str) -> Reading<DiskSpace>;

    /// The output of one of a closed list of commands, none of which changes the host.
    fn probe(&self, probe: &Probe) -> Reading<ProbeOutput>;

    /// [`HostSource::read`] as text. Bytes that are not UTF-8 become U+FFFD.
    fn text(&self, path: &str) -> Reading<String> {
        self.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Is there something at this path?
    fn exists(&self, path: &str) -> Reading<bool> {
        match self.stat(path) {
            Ok(_) => Ok(true),
            Err(crate::Unread::Absent) => Ok(false),
            Err(why) => Err(why),
        }
    }
}

/// The kind of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Origin {
    /// The host this runs on, now.
    Live,
    /// A tree of files, such as a mounted disk, with or without recorded readings.
    Tree,
    /// A capture made by this crate, or readings put together by a program.
    Capture,
    /// Texts that somebody pasted: most of the host is not known.
    Pasted,
}

/// What `CPUID` returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuidRegisters {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
}

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileMeta {
    /// File, folder, device...
    pub kind: FileKind,
    /// The permission bits, `0o7777` at most.
    #[serde(with = "octal")]
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// The owner's name, where `/etc/passwd` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The group's name, where `/etc/group` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Length in bytes; 0 for anything but a file.
    #[serde(default)]
    pub size: u64,
    /// Device number (major, minor), for devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<(u32, u32)>,
    /// Where a symbolic link points, as written in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl FileMeta {
    /// What a path of root's is with this kind and these permission bits: empty, no device, no link.
    ///
    /// ```
    /// use dstack_hw::source::{FileKind, FileMeta};
    ///
    /// assert_eq!(FileMeta::new(FileKind::File, 0o600).mode, 0o600);
    /// ```
    pub fn new(kind: FileKind, mode: u32) -> Self {
        Self {
            kind,
            mode,
            uid: 0,
            gid: 0,
            owner: Some("root".to_owned()),
            group: Some("root".to_owned()),
            size: 0,
            device: None,
            target: None,
        }
    }

    /// What a symbolic link to this target is.
    pub fn link(target: impl Into<String>) -> Self {
        Self { target: Some(target.into()), ..Self::new(FileKind::Link, 0o777) }
    }
}

/// The kinds of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A socket.
    Socket,
    /// A named pipe.
    Pipe,
}

/// The kernel's log as text, with what is known about its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RawKernelLog {
    /// Where it was read.
    pub from: LogOrigin,
    /// Does it reach back to the boot? `None` where the source cannot tell; then the time of the first line decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_boot: Option<bool>,
    /// One message a line, in the form of `dmesg`: `[    5.205693] virt/tdx: ...`.
    pub text: String,
}

/// Where a kernel log was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LogOrigin {
    /// `/dev/kmsg`: the kernel's ring buffer, which forgets its beginning when it is full.
    Kmsg,
    /// The journal of systemd.
    Journal,
    /// A text somebody pasted.
    Pasted,
}

/// What `/dev/kvm` says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KvmCapabilities {
    /// `KVM_GET_API_VERSION`; 12 on every kernel since 2.6.22.
    pub api_version: i32,
    /// `KVM_CHECK_EXTENSION(KVM_CAP_VM_TYPES)`: a bit a type of VM; 0 where the kernel does not know the extension.
    pub vm_types: u64,
}

/// The space of a file system, as `statvfs` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiskSpace {
    /// Its size, in bytes.
    pub total: u64,
    /// What a user without privileges may still write, in bytes.
    pub available: u64,
}

/// Permission bits as an octal string, the way people read them.
mod octal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{mode:04o}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8)
            .ok()
            .filter(|mode| *mode <= 0o7777)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not an octal mode such as 0644")))
    }
}
