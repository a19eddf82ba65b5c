//! The directory `.dstack` beside a project file: kept versions, journals, and the key of the digests.
//!
//! ```text
//! .dstack/
//!   .gitignore                      *
//!   lock                            held while something is applied
//!   allowed.json                    hashes that were made allowed from here
//!   digest-key                      makes digests of environment values useless elsewhere
//!   journal-<host>.json             there while a run is not finished
//!   versions/000012-0123456789ab/   one for each version and host it was applied to
//!     app-compose.json              the bytes
//!     meta.json                     an `Entry`
//! ```
//!
//! Directories have mode 0700, files 0600. Every file appears whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::files::{self, FileError};
use super::history::{Damage, DigestKey, Entry, History, KEEP_VERSIONS};
use super::journal::{self, Journal};
use crate::app_compose::ComposeHash;

/// The usual name of the directory.
pub const DIR_NAME: &str = ".dstack";

/// Compose hashes by app id.
pub type Allowed = BTreeMap<String, BTreeSet<ComposeHash>>;

/// What the `schema` field of a kept version says.
const SCHEMA: &str = "dstack-vmm-client/version/v1";

/// No app-compose is longer on any version.
const MAX_COMPOSE_BYTES: u64 = 64 << 20;
/// A `meta.json` or a journal holds names and digests.
const MAX_META_BYTES: u64 = 4 << 20;

/// Why the directory could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another program holds the lock.
    #[error("another run is at work in {}", .path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// A journal is there and cannot be read.
    #[error("the journal {} cannot be read: {reason}", .path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// The directory, for reading. It need not exist.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
    keep: usize,
}

#[derive(Serialize, Deserialize)]
struct Meta {
    schema: String,
    #[serde(flatten)]
    entry: Entry,
}

impl Store {
    /// The directory at this path, usually `.dstack` beside the project file.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), keep: KEEP_VERSIONS }
    }

    /// How many versions to keep. Those that are current on a host stay beside them.
    #[must_use]
    pub fn keep(mut self, versions: usize) -> Self {
        self.keep = versions.max(1);
        self
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The kept versions. One that is damaged is listed as such and does not hinder the rest.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn history(&self) -> Result<History, StoreError> {
        let mut history = History::default();
        let versions = self.versions();
        let listing = match fs::read_dir(&versions) {
            Ok(listing) => listing,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(history),
            Err(source) => return Err(FileError::new("list", &versions, source).into()),
        };
        for item in listing {
            let item = item.map_err(|source| FileError::new("list", &versions, source))?;
            let name = item.file_name().to_string_lossy().into_owned();
            // A name with a dot in front is one that a run was still writing.
            if name.starts_with('.') {
                continue;
            }
            match read_version(&item.path(), &name) {
                Ok((entry, _)) => history.entries.push(entry),
                Err(reason) => {
                    history.damaged.push(Damage { path: item.path().display().to_string(), reason });
                }
            }
        }
        history.entries.sort_by_key(|entry| entry.seq);
        history.damaged.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(history)
    }

    /// The bytes of a kept version's app-compose.
    ///
    /// # Errors
    /// When they cannot be read, or are no longer those that were kept.
    pub fn compose(&self, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        let name = version_name(entry.seq, &entry.hash);
        let path = self.versions().join(&name);
        let read = read_version(&path, &name);
        read.map(|(_, bytes)| bytes)
            .map_err(|reason| FileError::new("read", &path, io::Error::other(reason)).into())
    }

    /// What a broken-off run left for this host.
    ///
    /// # Errors
    /// When there is something and it cannot be read. It is not passed over: it may be all that tells of a VM.
    pub fn journal(&self, host: &str) -> Result<Option<Journal>, StoreError> {
        let path = self.journal_path(host);
        let Some(bytes) = files::read_optional(&path, MAX_META_BYTES)? else { return Ok(None) };
        match serde_json::from_slice::<Journal>(&bytes) {
            Ok(read) if read.schema == journal::SCHEMA => Ok(Some(read)),
            Ok(read) => {
                Err(StoreError::Journal { path, reason: format!("unknown schema {:?}", read.schema) })
            }
            Err(error) => Err(StoreError::Journal { path, reason: error.to_string() }),
        }
    }

    /// The journals of all hosts. One that cannot be read is left out.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn journals(&self) -> Result<Vec<Journal>, StoreError> {
        let listing = match fs::read_dir(&self.dir) {
            Ok(listing) => listing,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(FileError::new("list", &self.dir, source).into()),
        };
        let read = |item: io::Result<fs::DirEntry>| {
            let name = item.ok()?.file_name().to_string_lossy().into_owned();
            let host = name.strip_prefix("journal-")?.strip_suffix(".json")?;
            self.journal(host).ok().flatten()
        };
        Ok(listing.filter_map(read).collect())
    }

    /// Hashes that were made allowed from this directory, by app id. Others may be allowed, too; they are not ours to revoke.
    ///
    /// # Errors
    /// When the list is there and cannot be read.
    pub fn allowed(&self) -> Result<Allowed, StoreError> {
        let path = self.dir.join("allowed.json");
        let Some(bytes) = files::read_optional(&path, MAX_META_BYTES)? else { return Ok(Allowed::new()) };
        serde_json::from_slice(&bytes)
            .map_err(|error| FileError::new("read", &path, io::Error::other(error)).into())
    }

    /// The key of the digests, if one was made already.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest_key(&self) -> Result<Option<DigestKey>, StoreError> {
        let path = self.dir.join("digest-key");
        let Some(bytes) = files::read_optional(&path, 1024)? else { return Ok(None) };
        // A key that is damaged is as good as none: environments then count as changed.
        Ok(<&[u8; DigestKey::BYTES]>::try_from(bytes.as_slice()).ok().map(DigestKey::new))
    }

    /// Locks the directory for this program, making it where needed. The lock goes with the returned value.
    ///
    /// # Errors
    /// [`StoreError::Busy`] at once when another program holds it.
    pub fn lock(&self) -> Result<LockedStore, StoreError> {
        files::private_dir(&self.versions())?;
        let ignore = self.dir.join(".gitignore");
        if !ignore.exists() {
            files::write_new(&ignore, b"*\n")?;
        }
        let path = self.dir.join("lock");
        let lock = files::lock_file(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { path: self.dir.clone() }),
            Err(TryLockError::Error(source)) => return Err(FileError::new("lock", &path, source).into()),
        }
        Ok(LockedStore {
            store: self.clone(),
            writing: Mutex::default(),
            policy_turn: tokio::sync::Mutex::default(),
            _lock: lock,
        })
    }

    fn versions(&self) -> PathBuf {
        self.dir.join("versions")
    }

    fn journal_path(&self, host: &str) -> PathBuf {
        // Host names of a project file are plain; one from elsewhere is made so.
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        self.dir.join(format!("journal-{}.json", host.chars().map(plain).collect::<String>()))
    }
}

/// The directory while this program alone writes to it. Several hosts may share one.
#[derive(Debug)]
pub struct LockedStore {
    store: Store,
    /// Numbers of versions are given one after the other.
    writing: Mutex<()>,
    /// Hosts of one app change its policy one after the other: what one no longer needs may be what another is about to use.
    pub(super) policy_turn: tokio::sync::Mutex<()>,
    /// The lock ends when the file is closed.
    _lock: File,
}

impl std::ops::Deref for LockedStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl LockedStore {
    /// Keeps a version under the next number, which is put into the returned entry, and drops the oldest ones.
    ///
    /// # Errors
    /// When it cannot be written; then nothing is kept.
    pub fn record(&self, mut entry: Entry, compose: &[u8]) -> Result<Entry, StoreError> {
        let _turn = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let versions = self.versions();
        entry.seq = self.last_seq()? + 1;
        let name = version_name(entry.seq, &entry.hash);
        let half = versions.join(format!(".{name}"));
        // Left by a run that was broken off here.
        if half.exists() {
            fs::remove_dir_all(&half).map_err(|source| FileError::new("remove", &half, source))?;
        }
        files::private_dir(&half)?;
        files::write_new(&half.join("app-compose.json"), compose)?;
        let meta = Meta { schema: SCHEMA.to_owned(), entry: entry.clone() };
        files::write_new(&half.join("meta.json"), &to_json(&meta))?;
        files::sync_dir(&half)?;
        let whole = versions.join(&name);
        fs::rename(&half, &whole).map_err(|source| FileError::new("write", &whole, source))?;
        files::sync_dir(&versions)?;
        self.prune()?;
        Ok(entry)
    }

    /// Writes a kept version's entry anew, for instance when its app was seen up later.
    ///
    /// # Errors
    /// When it cannot be written; then it stays as it was.
    pub fn amend(&self, entry: &Entry) -> Result<(), StoreError> {
        let _turn = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let path = self.versions().join(version_name(entry.seq, &entry.hash)).join("meta.json");
        let meta = Meta { schema: SCHEMA.to_owned(), entry: entry.clone() };
        Ok(files::replace(&path, &to_json(&meta))?)
    }

    /// Writes what is about to be done.
    ///
    /// # Errors
    /// When it cannot be written; then the step must not be done.
    pub fn write_journal(&self, journal: &Journal) -> Result<(), StoreError> {
        Ok(files::replace(&self.journal_path(&journal.host), &to_json(journal))?)
    }

    /// Notes that a hash is made allowed from here, before it is.
    ///
    /// # Errors
    /// When that cannot be written; then the hash must not be made allowed.
    pub fn claim(&self, app_id: &str, hash: ComposeHash) -> Result<(), StoreError> {
        self.change_allowed(|allowed| allowed.entry(app_id.to_owned()).or_default().insert(hash))
    }

    /// Notes that a hash is no longer allowed from here, after it was revoked.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn disclaim(&self, app_id: &str, hash: ComposeHash) -> Result<(), StoreError> {
        self.change_allowed(|allowed| allowed.get_mut(app_id).is_some_and(|hashes| hashes.remove(&hash)))
    }

    fn change_allowed(&self, change: impl FnOnce(&mut Allowed) -> bool) -> Result<(), StoreError> {
        let _turn = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut allowed = self.allowed()?;
        if change(&mut allowed) {
            allowed.retain(|_, hashes| !hashes.is_empty());
            files::replace(&self.dir().join("allowed.json"), &to_json(&allowed))?;
        }
        Ok(())
    }

    /// Ends a run.
    ///
    /// # Errors
    /// When the journal cannot be removed.
    pub fn clear_journal(&self, host: &str) -> Result<(), StoreError> {
        Ok(files::remove_optional(&self.journal_path(host))?)
    }

    /// The key of the digests, made on first use.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub fn digest_key_or_new(&self) -> Result<DigestKey, StoreError> {
        let _turn = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(key) = self.digest_key()? {
            return Ok(key);
        }
        let mut bytes = [0; DigestKey::BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| StoreError::Random)?;
        files::replace(&self.dir().join("digest-key"), &bytes)?;
        Ok(DigestKey::new(&bytes))
    }

    /// The highest number that any directory has, damaged ones included: a number is never given twice.
    fn last_seq(&self) -> Result<u64, StoreError> {
        let versions = self.versions();
        let listing = fs::read_dir(&versions).map_err(|source| FileError::new("list", &versions, source))?;
        let number = |item: io::Result<fs::DirEntry>| {
            let name = item.ok()?.file_name().to_string_lossy().into_owned();
            name.split('-').next()?.parse::<u64>().ok()
        };
        Ok(listing.filter_map(number).max().unwrap_or(0))
    }

    fn prune(&self) -> Result<(), StoreError> {
        let history = self.history()?;
        for seq in history.superfluous(self.store.keep) {
            let Some(entry) = history.entries.iter().find(|entry| entry.seq == seq) else { continue };
            let path = self.versions().join(version_name(seq, &entry.hash));
            fs::remove_dir_all(&path).map_err(|source| FileError::new("remove", &path, source))?;
        }
        Ok(())
    }
}

fn version_name(seq: u64, hash: &ComposeHash) -> String {
    format!("{seq:06}-{}", &hash.to_string()[..12])
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    // These are structs of texts and numbers, which always have a JSON form.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// A kept version, or why it is none.
fn read_version(path: &Path, name: &str) -> Result<(Entry, Vec<u8>), String> {
    let read = |file: &str, limit| match files::read_optional(&path.join(file), limit) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(format!("{file} is missing")),
        Err(error) => Err(format!("{error}: {}", error.source)),
    };
    let meta: Meta = serde_json::from_slice(&read("meta.json", MAX_META_BYTES)?)
        .map_err(|error| format!("meta.json: {error}"))?;
    if meta.schema != SCHEMA {
        return Err(format!("meta.json has the unknown schema {:?}", meta.schema));
    }
    let bytes = read("app-compose.json", MAX_COMPOSE_BYTES)?;
    let hash = ComposeHash::of(&bytes);
    if hash != meta.entry.hash {
        return Err(format!("app-compose.json has hash {}, not {}", hash.short(), meta.entry.hash.short()));
    }
    if version_name(meta.entry.seq, &hash) != name {
        return Err("its name does not fit its contents".to_owned());
    }
    Ok((meta.entry, bytes))
}

#[cfg(test)]
mod tests;
