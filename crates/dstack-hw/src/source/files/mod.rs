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
        // Looked at first, or a sparse file would keep us busy up to the bound.
        if file.metadata().map_err(|error| unread_io(&error))?.len() > MAX_DIGEST {
            return Err(Unread::TooLarge);
        }
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
            device: is_device.then(|| (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev))),
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::source::{HostSource, LiveHost, Origin};

    /// A tree with everything that leads out of it, hangs or does not end.
    fn hostile() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(folder.path().join("outside"), "outside").unwrap();
        fs::write(root.join("etc/inside"), "inside").unwrap();
        symlink("/etc/passwd", root.join("absolute")).unwrap();
        symlink("/etc/inside", root.join("absolute-inside")).unwrap();
        symlink("../../../../../../etc/passwd", root.join("climbing")).unwrap();
        symlink("../outside", root.join("next-to-it")).unwrap();
        symlink("/", root.join("etc/up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("/proc/self/root/etc/passwd", root.join("magic")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("fifo"), rustix::fs::Mode::from_raw_mode(0o666))
            .unwrap();
        File::create(root.join("sparse")).unwrap().set_len(1 << 30).unwrap();
        File::create(root.join("endless")).unwrap().set_len(1 << 40).unwrap();
        folder
    }

    #[test]
    fn nothing_leads_out_of_a_tree() {
        let folder = hostile();
        let host = LiveHost::at(folder.path().join("root")).unwrap();
        assert_eq!(host.origin(), Origin::Tree);
        assert_eq!(host.text("/absolute-inside").unwrap(), "inside");
        assert_eq!(host.text("/etc/up/etc/up/etc/inside").unwrap(), "inside");
        assert_eq!(host.text("/../../../etc/inside").unwrap(), "inside");
        for path in
            ["/absolute", "/climbing", "/next-to-it", "/../outside", "/etc/up/../../outside", "/etc/passwd"]
        {
            assert_eq!(host.read(path), Err(Unread::Absent), "{path}");
            assert_eq!(host.digest(path), Err(Unread::Absent), "{path}");
        }
        assert!(host.read("/magic").is_err());
        assert!(matches!(host.read("/loop"), Err(Unread::Failed(_))));
        assert_eq!(host.list("/..").unwrap(), host.list("/").unwrap());
        assert_eq!(host.stat("/absolute").unwrap().target.as_deref(), Some("/etc/passwd"));
    }

    #[test]
    fn nothing_is_waited_for_and_nothing_is_read_without_end() {
        let folder = hostile();
        let host = LiveHost::at(folder.path().join("root")).unwrap();
        assert_eq!(host.read("/fifo"), Err(Unread::Failed("not a regular file".to_owned())));
        assert_eq!(host.digest("/fifo"), Err(Unread::Failed("not a regular file".to_owned())));
        assert_eq!(host.stat("/fifo").unwrap().kind, FileKind::Pipe);
        assert_eq!(host.read("/etc"), Err(Unread::Failed("a folder, not a file".to_owned())));
        assert_eq!(host.read("/sparse"), Err(Unread::TooLarge));
        assert_eq!(host.digest("/endless"), Err(Unread::TooLarge));
        assert_eq!(host.stat("/sparse").unwrap().size, 1 << 30);
    }

    #[test]
    fn paths_that_are_none_are_refused() {
        let folder = hostile();
        for host in [LiveHost::at(folder.path().join("root")).unwrap(), LiveHost::new()] {
            for path in ["", "etc/inside", "/etc\0/inside", &format!("/{}", "x/".repeat(4096))] {
                assert!(matches!(host.read(path), Err(Unread::Failed(_))), "{path:?}");
            }
        }
    }

    #[test]
    fn the_tree_of_another_host_is_not_this_machine() {
        let folder = hostile();
        let host = LiveHost::at(folder.path().join("root")).unwrap();
        assert_eq!(host.cpuid(0, 0), Err(Unread::NotRecorded));
        assert_eq!(host.msr(0, 0xfe), Err(Unread::NotRecorded));
        assert_eq!(host.kernel_log(), Err(Unread::NotRecorded));
        assert_eq!(host.kvm(), Err(Unread::NotRecorded));
        assert_eq!(host.disk("/"), Err(Unread::NotRecorded));
        assert_eq!(host.probe(&crate::source::Probe::Units), Err(Unread::NotRecorded));
        // An empty mount point says nothing, a missing file elsewhere does.
        assert_eq!(host.read("/proc/cpuinfo"), Err(Unread::NotRecorded));
        assert_eq!(host.read("/etc/os-release"), Err(Unread::Absent));
        fs::create_dir_all(folder.path().join("root/proc/sys")).unwrap();
        let recorded = LiveHost::at(folder.path().join("root")).unwrap();
        assert_eq!(recorded.read("/proc/cpuinfo"), Err(Unread::Absent));
    }

    #[test]
    fn what_a_path_is_comes_with_names_of_the_tree() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/passwd"), format!("somebody:x:{}:0::/:/\n", me.0)).unwrap();
        fs::write(root.join("etc/group"), format!("some:x:{}:\n", me.1)).unwrap();
        fs::write(root.join("file"), "abc").unwrap();
        fs::set_permissions(root.join("file"), fs::Permissions::from_mode(0o4750)).unwrap();
        let host = LiveHost::at(root).unwrap();
        let meta = host.stat("/file").unwrap();
        assert_eq!((meta.kind, meta.mode, meta.size), (FileKind::File, 0o4750, 3));
        assert_eq!((meta.owner.as_deref(), meta.group.as_deref()), (Some("somebody"), Some("some")));
        assert_eq!(
            host.digest("/file").unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(host.list("/etc").unwrap(), ["group", "passwd"]);
    }

    #[test]
    fn files_of_the_kernel_are_read_although_they_have_no_size() {
        let host = LiveHost::new();
        assert!(host.text("/proc/self/status").unwrap().contains("Uid:"));
        assert!(host.stat("/proc/self/status").unwrap().size == 0);
        assert_eq!(host.stat("/dev/null").unwrap().kind, FileKind::CharacterDevice);
        assert_eq!(host.stat("/dev/null").unwrap().device, Some((1, 3)));
        assert_eq!(host.read("/dev/zero"), Err(Unread::Failed("not a regular file".to_owned())));
        assert!(host.disk("/").unwrap().total > 0);
        assert_eq!(host.read("/proc/no-such-file"), Err(Unread::Absent));
        assert_eq!(host.read("/proc/self/status/x"), Err(Unread::Absent));
    }
}
