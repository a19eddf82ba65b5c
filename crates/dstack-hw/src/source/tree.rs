//! A tree of files with recorded readings beside it.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::Files;
use super::{
    CpuidRegisters, DiskSpace, FileKind, FileMeta, HostSource, KvmCapabilities, MAX_NAMES, Origin, Probe,
    ProbeOutput, RawKernelLog, Readings, Unlisted,
};
use crate::capture::{Capture, MAX_CAPTURE};
use crate::{Error, Reading, Unread};

/// A host as a folder: `root/`, which is taken for its file system, and `readings.json`, which holds what no file can:
/// CPUID leaves, registers, the kernel log, the output of commands, devices with their owner and mode.
///
/// `readings.json` has the schema of a [`Capture`], and what it lists comes before the files. What neither has is absent
/// or was not recorded, as `unlisted` in it says. Without `readings.json` a missing file is absent, except below `/proc`,
/// `/sys`, `/dev` and `/run` where the tree has nothing there.
///
/// A tree with readings is kept in a repository or an archive, where owners and modes are those of whoever unpacked it.
/// So its files are root's, with mode 0644, or 0755 where the owner may execute them, unless the readings say otherwise.
#[derive(Debug)]
pub struct TreeHost {
    files: Files,
    readings: Option<Readings>,
}

impl TreeHost {
    /// Opens a folder with `root/` and, where there is one, `readings.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] where there is no `root/`, and those of [`Capture::from_bytes`] for `readings.json`.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let malformed = |error: std::io::Error| Error::Malformed { what: "the tree", why: error.to_string() };
        let files = Files::at(&folder.join("root")).map_err(malformed)?;
        // The readings themselves are read inside the folder too: a link out of it is not followed.
        let beside = Files::at(folder).map_err(malformed)?;
        let readings = match beside.read_up_to("/readings.json", MAX_CAPTURE) {
            Ok(bytes) => Some(Capture::from_bytes(&bytes)?.into_readings()),
            Err(Unread::Absent) => None,
            Err(Unread::TooLarge) => {
                return Err(Error::TooLarge { what: "readings.json", limit: MAX_CAPTURE });
            }
            Err(why) => return Err(Error::Malformed { what: "readings.json", why: why.why() }),
        };
        Ok(Self { files, readings })
    }

    /// The answer of the readings, where they list it.
    fn recorded<'a, T: Clone + 'a>(
        &'a self,
        get: impl FnOnce(&'a Readings) -> Option<&'a Reading<T>>,
    ) -> Option<Reading<T>> {
        self.readings.as_ref().and_then(get).cloned()
    }

    /// What a file that is not there means.
    fn missing(&self, why: Unread) -> Unread {
        match (&self.readings, why) {
            (Some(readings), Unread::Absent | Unread::NotRecorded) => match readings.unlisted {
                Unlisted::Absent => Unread::Absent,
                Unlisted::NotRecorded => Unread::NotRecorded,
            },
            (_, why) => why,
        }
    }

    /// The answer of the readings to what no file can answer.
    fn ask<T>(&self, ask: impl FnOnce(&Readings) -> Reading<T>) -> Reading<T> {
        self.readings.as_ref().map_or(Err(Unread::NotRecorded), ask)
    }
}

impl HostSource for TreeHost {
    fn origin(&self) -> Origin {
        Origin::Tree
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> Reading<CpuidRegisters> {
        self.ask(|readings| readings.cpuid(leaf, subleaf))
    }

    fn msr(&self, cpu: u32, address: u32) -> Reading<u64> {
        self.ask(|readings| HostSource::msr(readings, cpu, address))
    }

    fn read(&self, path: &str) -> Reading<Vec<u8>> {
        self.recorded(|readings| readings.files.get(path))
            .unwrap_or_else(|| self.files.read(path).map_err(|why| self.missing(why)))
    }

    fn digest(&self, path: &str) -> Reading<String> {
        if let Some(readings) = &self.readings
            && (readings.digests.contains_key(path) || readings.files.contains_key(path))
        {
            return readings.digest(path);
        }
        self.files.digest(path).map_err(|why| self.missing(why))
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        if let Some(listed) = self.recorded(|readings| readings.folders.get(path)) {
            return listed;
        }
        let implied = self.readings.as_ref().and_then(|readings| readings.implied_folder(path));
        match (self.files.list(path), implied) {
            (Ok(names), Some(more)) => {
                let names: BTreeSet<String> = names.into_iter().chain(more).take(MAX_NAMES).collect();
                Ok(names.into_iter().collect())
            }
            (Ok(names), None) => Ok(names),
            (Err(_), Some(names)) => Ok(names),
            (Err(why), None) => Err(self.missing(why)),
        }
    }

    fn stat(&self, path: &str) -> Reading<FileMeta> {
        let Some(readings) = &self.readings else { return self.files.stat(path) };
        if readings.stats.contains_key(path) || readings.files.contains_key(path) {
            return readings.stat(path);
        }
        match self.files.stat(path) {
            Ok(meta) => Ok(as_roots(meta)),
            Err(_) if readings.implied_folder(path).is_some() || readings.folders.contains_key(path) => {
                readings.stat(path)
            }
            Err(why) => Err(self.missing(why)),
        }
    }

    fn disk(&self, path: &str) -> Reading<DiskSpace> {
        // The disk that the tree happens to be on says nothing about the host.
        self.ask(|readings| readings.disk(path))
    }

    fn kernel_log(&self) -> Reading<RawKernelLog> {
        self.ask(HostSource::kernel_log)
    }

    fn kvm(&self) -> Reading<KvmCapabilities> {
        self.ask(HostSource::kvm)
    }

    fn probe(&self, probe: &Probe) -> Reading<ProbeOutput> {
        self.ask(|readings| readings.probe(probe))
    }
}

/// The same file as root's, with one of the two modes that survive in repositories.
fn as_roots(meta: FileMeta) -> FileMeta {
    let executable = meta.mode & 0o100 != 0 || meta.kind == FileKind::Folder;
    let mode = match meta.kind {
        FileKind::Link => 0o777,
        _ if executable => 0o755,
        _ => 0o644,
    };
    let root = || Some("root".to_owned());
    FileMeta { mode, uid: 0, gid: 0, owner: root(), group: root(), ..meta }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(readings: Option<&str>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root/proc")).unwrap();
        fs::write(folder.path().join("root/proc/cmdline"), "nohibernate\n").unwrap();
        fs::create_dir_all(folder.path().join("root/dev")).unwrap();
        fs::write(folder.path().join("root/dev/null"), "").unwrap();
        if let Some(readings) = readings {
            let json = format!(r#"{{"schema": "dstack-hw/capture/v1", "readings": {readings}}}"#);
            fs::write(folder.path().join("readings.json"), json).unwrap();
        }
        folder
    }

    #[test]
    fn readings_come_before_files_and_say_what_the_rest_means() {
        let folder = tree(Some(
            r#"{"unlisted": "absent",
                "cpuid": {"0x0.0": {"eax": "0x20"}},
                "files": {"/proc/secret": {"unread": "not-permitted"}},
                "stats": {"/dev/sgx_enclave": {"kind": "character-device", "mode": "0660", "gid": 9, "group": "sgx"}}}"#,
        ));
        let host = TreeHost::open(folder.path()).unwrap();
        assert_eq!(host.text("/proc/cmdline").unwrap(), "nohibernate\n");
        assert_eq!(host.read("/proc/secret"), Err(Unread::NotPermitted));
        assert_eq!(host.read("/proc/cpuinfo"), Err(Unread::Absent));
        assert_eq!(host.cpuid(0x21, 0), Err(Unread::Absent));
        assert_eq!(host.list("/dev").unwrap(), ["null", "sgx_enclave"]);
        assert_eq!(host.stat("/dev/sgx_enclave").unwrap().group.as_deref(), Some("sgx"));
        // Whoever unpacked the tree, its files are root's.
        let meta = host.stat("/proc/cmdline").unwrap();
        assert_eq!((meta.uid, meta.owner.as_deref(), meta.mode), (0, Some("root"), 0o644));
        assert_eq!(host.kernel_log(), Err(Unread::Absent));
        assert_eq!(host.disk("/"), Err(Unread::Absent));
    }

    #[test]
    fn what_nobody_looked_for_is_not_absent() {
        let folder = tree(Some("{}"));
        let host = TreeHost::open(folder.path()).unwrap();
        assert_eq!(host.read("/etc/os-release"), Err(Unread::NotRecorded));
        let folder = tree(None);
        let host = TreeHost::open(folder.path()).unwrap();
        assert_eq!(host.read("/etc/os-release"), Err(Unread::Absent));
        assert_eq!(host.read("/sys/class/x"), Err(Unread::NotRecorded));
        assert_eq!(host.cpuid(0, 0), Err(Unread::NotRecorded));
    }

    #[test]
    fn a_tree_without_root_or_with_odd_readings_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(TreeHost::open(folder.path()), Err(Error::Malformed { what: "the tree", .. })));
        let folder = tree(Some("7"));
        assert!(matches!(TreeHost::open(folder.path()), Err(Error::Malformed { .. })));
    }

    #[test]
    fn readings_that_are_a_link_out_of_the_folder_are_not_read() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), r#"{"schema": "dstack-hw/capture/v1", "readings": {}}"#).unwrap();
        let folder = tree(None);
        symlink(outside.path(), folder.path().join("readings.json")).unwrap();
        let host = TreeHost::open(folder.path()).unwrap();
        assert!(host.readings.is_none());
    }
}
