//! Opening paths: as they are, or inside a folder that nothing leads out of.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::{Reading, Unread};

/// The longest path that is opened, in bytes: `PATH_MAX` of Linux.
const MAX_PATH: usize = 4096;

/// Folders that the running kernel fills. In the tree of another host they are empty mount points, unless somebody
/// recorded them.
const FILLED_BY_THE_KERNEL: [&str; 4] = ["proc", "sys", "dev", "run"];

/// Where paths begin.
#[derive(Debug)]
pub(crate) struct Root {
    /// The folder that is taken for `/`; `None` for the file system as it is.
    folder: Option<OwnedFd>,
    /// Which of [`FILLED_BY_THE_KERNEL`] hold something.
    recorded: OnceLock<[bool; FILLED_BY_THE_KERNEL.len()]>,
}

impl Root {
    /// The file system as it is.
    pub(crate) const fn host() -> Self {
        Self { folder: None, recorded: OnceLock::new() }
    }

    /// A folder taken for `/`. The kernel resolves paths in it (`openat2(2)` with `RESOLVE_IN_ROOT`): absolute links
    /// begin at the folder, `..` ends at it, and the magic links of `/proc` are refused.
    pub(crate) fn at(folder: &Path) -> std::io::Result<Self> {
        let folder = rustix::fs::openat(
            CWD,
            folder,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self { folder: Some(folder), recorded: OnceLock::new() })
    }

    /// Is it a tree, and not the file system of this machine?
    pub(crate) const fn is_tree(&self) -> bool {
        self.folder.is_some()
    }

    /// Opens a path. Never waits, never becomes the controlling terminal.
    pub(crate) fn open(&self, path: &str, flags: OFlags) -> Reading<OwnedFd> {
        if path.len() > MAX_PATH || !path.starts_with('/') || path.contains('\0') {
            return Err(Unread::Failed("not an absolute path".to_owned()));
        }
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = match &self.folder {
            None => rustix::fs::openat(CWD, path, flags, Mode::empty()),
            Some(folder) => {
                // `openat2` refuses flags that mean nothing for a path descriptor.
                let flags = if flags.contains(OFlags::PATH) {
                    flags - OFlags::NONBLOCK - OFlags::NOCTTY
                } else {
                    flags
                };
                let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                rustix::fs::openat2(folder, path, flags, Mode::empty(), inside)
            }
        };
        opened.map_err(|error| match unread(error) {
            Unread::Absent => self.missing(path),
            other => other,
        })
    }

    /// What it means that a path is not there. In a tree, an empty `/proc` says nothing about the host it is from.
    fn missing(&self, path: &str) -> Unread {
        let Some(folder) = &self.folder else { return Unread::Absent };
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let Some(index) = FILLED_BY_THE_KERNEL.iter().position(|name| *name == first) else {
            return Unread::Absent;
        };
        let recorded =
            self.recorded.get_or_init(|| FILLED_BY_THE_KERNEL.map(|name| holds_something(folder, name)));
        if recorded.get(index).copied().unwrap_or(false) { Unread::Absent } else { Unread::NotRecorded }
    }
}

/// Is there a folder of this name with at least one entry?
fn holds_something(root: &OwnedFd, name: &str) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(root, name, flags, Mode::empty(), ResolveFlags::IN_ROOT)
        .and_then(rustix::fs::Dir::new)
        .is_ok_and(|entries| {
            entries.flatten().any(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."))
        })
}

/// What an error of the system means for a reading.
///
/// Without root a refusal is [`Unread::NotPermitted`]. With root it is not a matter of rights that can be had: a
/// container, a security module or the lockdown of the kernel refuses, and the words say so.
pub(crate) fn unread(error: Errno) -> Unread {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::SRCH => Unread::Absent,
        Errno::ACCESS | Errno::PERM if rustix::process::geteuid().is_root() => Unread::Failed(
            "refused although root asks: a container, a security module or the kernel's lockdown".to_owned(),
        ),
        Errno::ACCESS | Errno::PERM => Unread::NotPermitted,
        Errno::AGAIN => Unread::Failed("reading it would wait".to_owned()),
        Errno::TIMEDOUT => Unread::TimedOut,
        other => Unread::Failed(in_words(other)),
    }
}

/// The words of the system for an error, without the number and lower case at the beginning.
fn in_words(error: Errno) -> String {
    let words = std::io::Error::from(error).to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    let mut characters = words.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}
