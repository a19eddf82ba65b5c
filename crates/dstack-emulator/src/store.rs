//! The run directory on disk: one directory a VM, laid out as the VMM does.
//!
//! ```text
//! <run dir>/<vm id>/vm-manifest.json          what the VM is made of
//!                   vm-state.json             {"started": bool}
//!                   emulated-process.json     the pretended process, so that it outlives the emulator
//!                   serial.log stdout.log stderr.log
//!                   shared/app-compose.json .encrypted-env .user-config .instance_info
//! ```
//!
//! Files are written whole under another name and renamed: a crash leaves the old file or the new one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dstack_vmm_client::DstackVersion;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::manifest::{InstanceInfo, Manifest, Process, Shared};
use crate::rpc::RpcError;

/// Channels of the log, which are files in the directory of a VM.
pub(crate) const CHANNELS: [&str; 3] = ["serial", "stdout", "stderr"];

#[derive(Serialize, Deserialize)]
struct VmState {
    started: bool,
}

/// The run directory.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
    version: DstackVersion,
}

impl Store {
    pub(crate) fn open(root: &Path, version: DstackVersion) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        // Error texts and other processes name the files by absolute paths.
        Ok(Self { root: root.canonicalize()?, version })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn vm_dir(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }

    /// Whether an id can name a directory of a VM. The emulator touches no other path, whichever version it plays.
    pub(crate) fn is_vm_id(id: &str) -> bool {
        (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    }

    /// Ids of the directories that hold a VM.
    pub(crate) fn ids(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        let mut ids: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| Self::is_vm_id(name) && self.vm_dir(name).join("vm-manifest.json").is_file())
            .collect();
        ids.sort();
        ids
    }

    /// Makes the directory of a VM with all its files.
    pub(crate) fn create(&self, manifest: &Manifest, shared: &Shared, started: bool) -> io::Result<()> {
        let dir = self.vm_dir(&manifest.id);
        fs::create_dir_all(dir.join("shared"))?;
        self.write_shared(&manifest.id, "app-compose.json", shared.compose.as_bytes())?;
        if !shared.encrypted_env.is_empty() {
            self.write_shared(&manifest.id, ".encrypted-env", &shared.encrypted_env)?;
        }
        if !shared.user_config.is_empty() {
            self.write_shared(&manifest.id, ".user-config", shared.user_config.as_bytes())?;
        }
        write_json(&dir.join("vm-state.json"), &VmState { started })?;
        // Last, because a directory counts as a VM by its manifest.
        self.write_manifest(manifest)
    }

    pub(crate) fn write_manifest(&self, manifest: &Manifest) -> io::Result<()> {
        write_json(&self.vm_dir(&manifest.id).join("vm-manifest.json"), manifest)
    }

    pub(crate) fn write_shared(&self, id: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_atomic(&self.vm_dir(id).join("shared").join(name), bytes)
    }

    pub(crate) fn write_instance_info(&self, id: &str, info: &InstanceInfo) -> io::Result<()> {
        write_json(&self.vm_dir(id).join("shared/.instance_info"), info)
    }

    pub(crate) fn write_process(&self, id: &str, process: Option<&Process>) -> io::Result<()> {
        let path = self.vm_dir(id).join("emulated-process.json");
        match process {
            Some(process) => write_json(&path, process),
            None => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Writes the started flag, with the words of the version where there is no such VM.
    pub(crate) fn set_started(&self, id: &str, started: bool) -> Result<(), RpcError> {
        let path = self.vm_dir(id).join("vm-state.json");
        let written = if Self::is_vm_id(id) {
            write_json(&path, &VmState { started })
        } else {
            Err(io::Error::from_raw_os_error(NOT_FOUND))
        };
        written.map_err(|error| {
            let attempted = self.words("failed to write state", "Failed to write state");
            RpcError::text(format!("{attempted}: failed to create file `{}`: {error}", path.display()))
        })
    }

    /// Reads the manifest, with the words of the version where it cannot be read.
    pub(crate) fn manifest(&self, id: &str) -> Result<Manifest, RpcError> {
        let path = self.vm_dir(id).join("vm-manifest.json");
        let attempted = self.words("failed to read manifest", "Failed to read manifest");
        let bytes =
            if Self::is_vm_id(id) { fs::read(&path) } else { Err(io::Error::from_raw_os_error(NOT_FOUND)) };
        let bytes = bytes.map_err(|error| {
            RpcError::text(format!(
                "Failed to read manifest: {attempted}: failed to open file `{}`: {error}",
                path.display()
            ))
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|error| RpcError::text(format!("Failed to read manifest: {attempted}: {error}")))
    }

    pub(crate) fn shared(&self, id: &str) -> Shared {
        let dir = self.vm_dir(id).join("shared");
        let text = |name| fs::read_to_string(dir.join(name)).unwrap_or_default();
        Shared {
            compose: text("app-compose.json"),
            encrypted_env: fs::read(dir.join(".encrypted-env")).unwrap_or_default(),
            user_config: text(".user-config"),
        }
    }

    /// The started flag. A missing or torn file reads as not started.
    pub(crate) fn started(&self, id: &str) -> bool {
        read_json::<VmState>(&self.vm_dir(id).join("vm-state.json")).is_some_and(|state| state.started)
    }

    pub(crate) fn process(&self, id: &str) -> Option<Process> {
        read_json(&self.vm_dir(id).join("emulated-process.json"))
    }

    pub(crate) fn instance_info(&self, id: &str) -> Option<InstanceInfo> {
        read_json(&self.vm_dir(id).join("shared/.instance_info"))
    }

    /// Deletes a VM for good.
    pub(crate) fn remove(&self, id: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.vm_dir(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn log_path(&self, id: &str, channel: &str) -> PathBuf {
        self.vm_dir(id).join(format!("{channel}.log"))
    }

    /// Appends to a log. At `max_bytes` the file is put aside as `<channel>.log.1` and a new one begun.
    pub(crate) fn append_log(
        &self,
        id: &str,
        channel: &str,
        text: &[u8],
        rotation: Option<Rotation>,
    ) -> io::Result<()> {
        let path = self.log_path(id, channel);
        if let Some(rotation) = rotation
            && fs::metadata(&path).is_ok_and(|meta| meta.len() >= rotation.max_bytes)
        {
            let numbered = |n: u32| self.vm_dir(id).join(format!("{channel}.log.{n}"));
            for n in (1..rotation.max_backups).rev() {
                // A backup that is not there yet leaves its place empty.
                let _ = fs::rename(numbered(n), numbered(n + 1));
            }
            fs::rename(&path, numbered(1))?;
        }
        fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(text)
    }

    fn words(&self, next: &'static str, v0_5: &'static str) -> &'static str {
        match self.version {
            DstackVersion::V0_5 => v0_5,
            _ => next,
        }
    }
}

/// When a log begins a new file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    pub(crate) max_bytes: u64,
    pub(crate) max_backups: u32,
}

/// `ENOENT`, for paths that are not even looked at.
const NOT_FOUND: i32 = 2;

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    write_atomic(path, &bytes)
}

/// Writes a file that only the owner reads: it may hold an environment or a user's secrets.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    // So that a directory that is not there is told in the words of the system alone.
    fs::metadata(dir)?;
    let mut file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), DstackVersion::Next).unwrap();
        (dir, store)
    }

    fn manifest(id: &str) -> Manifest {
        Manifest { id: id.to_owned(), name: "demo".to_owned(), ..Manifest::default() }
    }

    #[test]
    fn a_vm_reads_back_as_written() {
        let (_dir, store) = store();
        let shared = Shared {
            compose: "{ \"odd\":  \"spacing\"}".to_owned(),
            encrypted_env: vec![0, 255],
            user_config: "x".to_owned(),
        };
        store.create(&manifest("a-1"), &shared, true).unwrap();
        assert_eq!(store.ids(), ["a-1"]);
        assert_eq!(store.manifest("a-1").unwrap(), manifest("a-1"));
        assert_eq!(store.shared("a-1"), shared);
        assert!(store.started("a-1"));
        store.remove("a-1").unwrap();
        store.remove("a-1").unwrap();
        assert!(store.ids().is_empty());
    }

    #[test]
    fn a_crash_while_writing_leaves_a_vm_that_loads() {
        let (_dir, store) = store();
        store.create(&manifest("a-1"), &Shared::default(), true).unwrap();
        let dir = store.vm_dir("a-1");
        // A half-written temporary file, and state files torn by another program.
        fs::write(dir.join(".tmp-x"), "{").unwrap();
        fs::write(dir.join("vm-state.json"), "{\"star").unwrap();
        fs::write(dir.join("emulated-process.json"), "").unwrap();
        // A directory whose manifest was never written is no VM.
        fs::create_dir_all(store.vm_dir("half")).unwrap();
        assert_eq!(store.ids(), ["a-1"]);
        assert!(!store.started("a-1"));
        assert_eq!(store.process("a-1"), None);
    }

    #[test]
    fn no_id_leads_out_of_the_run_directory() {
        let (_dir, store) = store();
        for id in ["", ".", "..", "../x", "a/b", "a\0b", &"x".repeat(65)] {
            assert!(!Store::is_vm_id(id), "{id:?}");
            assert!(store.set_started(id, true).is_err(), "{id:?}");
            assert!(store.manifest(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn logs_rotate_and_the_oldest_goes() {
        let (_dir, store) = store();
        store.create(&manifest("a"), &Shared::default(), false).unwrap();
        let rotation = Some(Rotation { max_bytes: 4, max_backups: 2 });
        for text in ["one\n", "two\n", "three\n", "four\n"] {
            store.append_log("a", "serial", text.as_bytes(), rotation).unwrap();
        }
        let read = |name: &str| fs::read_to_string(store.vm_dir("a").join(name)).unwrap();
        assert_eq!(read("serial.log"), "four\n");
        assert_eq!(read("serial.log.1"), "three\n");
        assert_eq!(read("serial.log.2"), "two\n");
        assert!(!store.vm_dir("a").join("serial.log.3").exists());
    }
}
