//! VMMs on this machine, from the files they and the upstream installer leave.
//!
//! Every VMM writes a file into a directory of its user when it starts and removes it when it ends; `dstackup` records
//! what it installed in a state file. Reading them needs no daemon and no search. The directories are the caller's to
//! give: this crate does not look at the environment.
//!
//! Sources: `vmm/src/discovery.rs` and `crates/dstackup/src/state.rs` of dstack.
//!
//! ```no_run
//! use dstack_vmm_client::discovery;
//!
//! let alive = |pid: u32| std::path::Path::new(&format!("/proc/{pid}")).exists();
//! for directory in discovery::directories(Some("/run/user/1000".as_ref()), 1000) {
//!     for found in discovery::read_dir(&directory, alive) {
//!         match found {
//!             Ok(vmm) if vmm.alive => println!("{} at {}", vmm.file.version, vmm.endpoint()?),
//!             Ok(_) => {}
//!             Err(error) => eprintln!("{error}"),
//!         }
//!     }
//! }
//! # Ok::<(), dstack_vmm_client::config::AddressError>(())
//! ```

mod dstackup;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{AddressError, ListenAddress};

pub use dstackup::{DstackupState, STATE_FILE};

/// The largest file that is read, in bytes. A discovery file has some hundred.
pub const MAX_FILE_BYTES: u64 = 64 * 1024;

/// How many files of a directory are read.
pub const MAX_FILES: usize = 256;

/// The file a running VMM keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DiscoveryFile {
    /// Random id of this run of the VMM.
    pub id: String,
    /// Its process.
    pub pid: u32,
    /// Where its API listens, in the form of the `address` key of `vmm.toml`.
    pub address: String,
    /// The directory it was started in.
    pub working_dir: PathBuf,
    /// The configuration given with `-c`.
    #[serde(default)]
    pub config_file: Option<PathBuf>,
    /// Directory of the guest images.
    #[serde(default)]
    pub image_path: PathBuf,
    /// Directory of the VMs.
    #[serde(default)]
    pub run_path: PathBuf,
    /// Name of the node, often empty.
    #[serde(default)]
    pub node_name: String,
    /// Version of the VMM, as it says it.
    #[serde(default)]
    pub version: String,
    /// When it was started, in seconds since the epoch.
    #[serde(default)]
    pub started_at: u64,
    /// What else the file has.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// A VMM that left a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalVmm {
    /// The file it left.
    pub path: PathBuf,
    /// What is in it.
    pub file: DiscoveryFile,
    /// Whether its process is there. A file without process is what a killed VMM leaves.
    pub alive: bool,
}

impl LocalVmm {
    /// How a client on this machine reaches it: `unix:/PATH` or `http://HOST:PORT`. A relative socket path lies in the
    /// directory the VMM was started in; an unspecified address becomes the loopback address.
    ///
    /// # Errors
    /// [`AddressError`] when the address is none this crate knows.
    pub fn endpoint(&self) -> Result<String, AddressError> {
        Ok(ListenAddress::parse(&self.file.address, None)?.endpoint(&self.file.working_dir))
    }
}

/// Why something in a discovery directory gives no VMM.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The directory or the file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The file is longer than a discovery file can be.
    #[error("{} has more than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what a VMM writes.
    #[error("{} cannot be read as a discovery file", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The directory has more files than are read.
    #[error("{} has {left_out} files beyond the {MAX_FILES} that are read", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// How many were left out.
        left_out: usize,
    },
}

/// Where VMMs of a user leave their files: `dstack-vmm` in `$XDG_RUNTIME_DIR`, which the caller gives, or else in
/// `/run/user/UID`; older releases used `/run/dstack-vmm` instead of the latter.
pub fn directories(xdg_runtime_dir: Option<&Path>, uid: u32) -> Vec<PathBuf> {
    match xdg_runtime_dir.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => vec![path.join("dstack-vmm")],
        None => vec![PathBuf::from(format!("/run/user/{uid}/dstack-vmm")), PathBuf::from("/run/dstack-vmm")],
    }
}

/// The VMMs of some discovery files, given as paths and contents. Running ones come first, of those the one that was
/// started last; then the unreadable files. `is_alive` says whether a process is there.
pub fn discover(
    files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>,
    is_alive: impl Fn(u32) -> bool,
) -> Vec<Result<LocalVmm, DiscoveryError>> {
    let mut vmms = Vec::new();
    let mut errors = Vec::new();
    for (path, bytes) in files {
        match serde_json::from_slice::<DiscoveryFile>(&bytes) {
            Ok(file) => {
                let alive = is_alive(file.pid);
                vmms.push(LocalVmm { path, file, alive });
            }
            Err(source) => errors.push(DiscoveryError::Malformed { path, source }),
        }
    }
    vmms.sort_by(|a, b| {
        (b.alive, b.file.started_at).cmp(&(a.alive, a.file.started_at)).then_with(|| a.path.cmp(&b.path))
    });
    vmms.into_iter().map(Ok).chain(errors.into_iter().map(Err)).collect()
}

/// The VMMs of a discovery directory, as [`discover`] gives them. A directory that is not there has none. Files that do
/// not end in `.json` are not looked at; what cannot be read is reported. At most [`MAX_FILES`] files of at most
/// [`MAX_FILE_BYTES`] are read.
pub fn read_dir(directory: &Path, is_alive: impl Fn(u32) -> bool) -> Vec<Result<LocalVmm, DiscoveryError>> {
    let io = |path: &Path, source| DiscoveryError::Io { path: path.to_owned(), source };
    let entries = match directory.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![Err(io(directory, error))],
    };
    let mut errors = Vec::new();
    let mut paths = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => paths.push(entry.path()),
            Err(error) => errors.push(io(directory, error)),
        }
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    if paths.len() > MAX_FILES {
        let left_out = paths.len() - MAX_FILES;
        errors.push(DiscoveryError::TooMany { path: directory.to_owned(), left_out });
        paths.truncate(MAX_FILES);
    }
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match read_file(&path) {
            Ok(Some(bytes)) => files.push((path, bytes)),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    let mut found = discover(files, is_alive);
    found.extend(errors.into_iter().map(Err));
    found
}

/// The content of a file, or `None` when it went away meanwhile: a VMM that ends removes its file.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, DiscoveryError> {
    let io = |source: io::Error| DiscoveryError::Io { path: path.to_owned(), source };
    // A pipe with such a name would keep the reader waiting, so the kind is looked at before the file is opened.
    let kind = match path.metadata() {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    if !kind.is_file() {
        return Err(io(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(DiscoveryError::TooLarge { path: path.to_owned() });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(pid: u32, address: &str, started_at: u64) -> (PathBuf, Vec<u8>) {
        let json = serde_json::json!({
            "id": "0b1f4c1e-0000-4000-8000-000000000000", "pid": pid, "address": address,
            "working_dir": "/srv/vmm", "config_file": null, "image_path": "/srv/vmm/images", "run_path": "/srv/vmm/vm",
            "node_name": "", "version": "0.5.11", "started_at": started_at,
        });
        (PathBuf::from(format!("{pid}.json")), json.to_string().into_bytes())
    }

    #[test]
    fn running_vmms_come_first_and_endpoints_are_absolute() {
        let files = [
            file(1, "unix:./vmm.sock", 10),
            file(2, "0.0.0.0:9080", 20),
            (PathBuf::from("broken.json"), b"{".to_vec()),
            file(3, "[::]:9081", 30),
            file(4, "vsock:2", 40),
        ];
        let shown: Vec<String> = discover(files, |pid| pid != 3)
            .into_iter()
            .map(|found| match found {
                Ok(vmm) => format!(
                    "{} alive={} {}",
                    vmm.path.display(),
                    vmm.alive,
                    vmm.endpoint().unwrap_or_else(|error| format!("error: {error}"))
                ),
                Err(error) => format!("error: {error}"),
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn a_file_needs_its_address_and_may_have_more() {
        let read =
            |text: &str| discover([(PathBuf::from("a.json"), text.as_bytes().to_vec())], |_| true).remove(0);
        let small =
            read(r#"{"id":"a","pid":7,"address":"127.0.0.1:1","working_dir":"/","colour":"red"}"#).unwrap();
        assert_eq!(small.file.other["colour"], "red");
        assert_eq!(small.file.config_file, None);
        assert!(matches!(read(r#"{"id":"a","pid":7}"#), Err(DiscoveryError::Malformed { .. })));
        assert!(matches!(read(r#"[]"#), Err(DiscoveryError::Malformed { .. })));
    }

    #[test]
    fn directories_of_a_user() {
        let own = directories(Some("/run/user/1000".as_ref()), 1000);
        assert_eq!(own, [PathBuf::from("/run/user/1000/dstack-vmm")]);
        let fallback = ["/run/user/7/dstack-vmm", "/run/dstack-vmm"].map(PathBuf::from);
        assert_eq!(directories(None, 7), fallback);
        assert_eq!(directories(Some("".as_ref()), 7), fallback);
    }
}
