//! Files of a Linux file system, read without ever waiting for one and without unbounded memory.

mod accounts;
mod root;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{AtFlags, FileType, OFlags, Stat};

use self::accounts::Accounts;
use self::root::Root;
pub(crate) use self::root::unread;
use super::{DiskSpace, FileKind, FileMeta, MAX_DIGEST, MAX_FILE, MAX_NAMES};
use crate::{Reading, Unread};

/// How much is read at a time while a file is digested, in bytes.
const CHUNK: usize = 64 << 10;

/// A file system: the one of this machine, or a tree.
#[derive(Debug)]
pub(crate) struct Files {
    root: Root,
    accounts: OnceLock<Accounts>,
}

impl Files {
    /// The file system of this machine.
    pub(crate) const fn host() -> Self {
        Self { root: Root::host(), accounts: OnceLock::new() }
    }

    /// A folder taken for `/`; nothing in it leads out of it.
    pub(crate) fn at(folder: &Path) -> std::io::Result<Self> {
        Ok(Self { root: Root::at(folder)?, accounts: OnceLock::new() })
    }

    /// Is it a tree, and not the file system of this machine?
    pub(crate) const fn is_tree(&self) -> bool {
        self.root.is_tree()
    }

    /// Opens a regular file. Pipes, sockets and devices are never opened: they could wait, and opening some devices
    /// does something. What is there is asked first, and once more of what was opened.
    fn open_regular(&self, path: &str) -> Reading<File> {
        let seen = self.root.open(path, OFlags::PATH)?;
        regular(&seen)?;
        let opened = self.root.open(path, OFlags::RDONLY)?;
        regular(&opened)?;
        Ok(File::from(opened))
    }

    /// The content of a file of at most [`MAX_FILE`] bytes. The size that is reported is not believed: it is 0 for
    /// everything in procfs and 4096 for everything in sysfs.
    pub(crate) fn read(&self, path: &str) -> Reading<Vec<u8>> {
        self.read_up_to(path, MAX_FILE)
    }

    /// The content of a file of at most `limit` bytes.
    pub(crate) fn read_up_to(&self, path: &str, limit: usize) -> Reading<Vec<u8>> {
        let file = self.open_regular(path)?;
        let mut content = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut content).map_err(|error| unread_io(&error))?;
        if content.len() > limit { Err(Unread::TooLarge) } else { Ok(content) }
    }

    /// The SHA-256 of a file of at most [`MAX_DIGEST`] bytes, in lower-case hex.
    pub(crate) fn digest(&self, path: &str) -> Reading<String> {
        let mut file = self.open_regular(path)?;
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        let mut chunk = vec![0; CHUNK];
        let mut total = 0_u64;
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return Ok(hex::encode(digest.finish())),
                Ok(length) => {
                    total += length as u64;
                    if total > MAX_DIGEST {
                        return Err(Unread::TooLarge);
                    }
                    digest.update(chunk.get(..length).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(unread_io(&error)),
            }
        }
    }

    /// The names in a folder, sorted.
    pub(crate) fn list(&self, path: &str) -> Reading<Vec<String>> {
        let folder = self.root.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(folder).map_err(unread)? {
            let entry = entry.map_err(unread)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            if names.len() == MAX_NAMES {
                return Err(Unread::TooLarge);
            }
            names.push(name.to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What a path is. A link at its end is not followed; links on the way are.
    pub(crate) fn stat(&self, path: &str) -> Reading<FileMeta> {
        let file = self.root.open(path, OFlags::PATH | OFlags::NOFOLLOW)?;
        let stat = rustix::fs::fstat(&file).map_err(unread)?;
        let kind = kind(&stat).ok_or_else(|| Unread::Failed("of a kind that is not known".to_owned()))?;
        let target = if kind == FileKind::Link {
            let target = rustix::fs::readlinkat(&file, "", Vec::new()).map_err(unread)?;
            Some(target.to_string_lossy().into_owned())
        } else {
            None
        };
        let accounts = self.accounts();
        let is_device = matches!(kind, FileKind::CharacterDevice | FileKind::BlockDevice);
        Ok(FileMeta {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            owner: accounts.users.get(&stat.st_uid).cloned(),
            group: accounts.groups.get(&stat.st_gid).cloned(),
            size: if kind == FileKind::File { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 },
            device: is_device
                .then(|| (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev))),
            target,
        })
    }

    /// The space of the file system that a folder is on.
    pub(crate) fn disk(&self, path: &str) -> Reading<DiskSpace> {
        let folder = self.root.open(path, OFlags::PATH)?;
        let space = rustix::fs::fstatvfs(folder).map_err(unread)?;
        let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
        Ok(DiskSpace { total: bytes(space.f_blocks), available: bytes(space.f_bavail) })
    }

    fn accounts(&self) -> &Accounts {
        self.accounts.get_or_init(|| {
            let text = |path| {
                self.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
            };
            Accounts::parse(&text("/etc/passwd"), &text("/etc/group"))
        })
    }
}

/// Is what was opened a regular file?
fn regular(file: &OwnedFd) -> Reading<()> {
    let stat = rustix::fs::statat(file.as_fd(), "", AtFlags::EMPTY_PATH).map_err(unread)?;
    match kind(&stat) {
        Some(FileKind::File) => Ok(()),
        Some(FileKind::Folder) => Err(Unread::Failed("a folder, not a file".to_owned())),
        _ => Err(Unread::Failed("not a regular file".to_owned())),
    }
}

fn kind(stat: &Stat) -> Option<FileKind> {
    Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        FileType::Symlink => FileKind::Link,
        FileType::CharacterDevice => FileKind::CharacterDevice,
        FileType::BlockDevice => FileKind::BlockDevice,
        FileType::Socket => FileKind::Socket,
        FileType::Fifo => FileKind::Pipe,
        FileType::Unknown => return None,
    })
}

/// What an error while reading means.
pub(crate) fn unread_io(error: &std::io::Error) -> Unread {
    rustix::io::Errno::from_io_error(error).map_or_else(|| Unread::Failed(error.to_string()), unread)
}
