//! Making a compose hash allowed, and taking that back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::allowlist::{Allowlist, AllowlistError};
use super::files::{self, FileError};
use crate::app_compose::ComposeHash;
use crate::ids::AppId;

/// Why a policy could not be asked or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizeError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is no allow-list.
    #[error("{} is no allow-list", .path.display())]
    Allowlist {
        /// The file.
        path: PathBuf,
        /// Why.
        source: AllowlistError,
    },
    /// Somebody else holds the lock of the file.
    #[error("another program has been changing {} for {waited:?}", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// Anything that another implementation meets.
    #[error("{what}")]
    Other {
        /// What happened.
        what: String,
        /// What it comes from.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// A policy that says which compose hashes an app may boot with.
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// What it is, for messages: `allow-list /etc/dstack/auth-allowlist.json`.
    fn describe(&self) -> String;

    /// Whether the hash is allowed.
    async fn is_allowed(&self, app_id: &AppId, hash: &ComposeHash) -> Result<bool, AuthorizeError>;

    /// Makes the hash allowed. Returns whether it was not before.
    async fn allow(&self, app_id: &AppId, hash: &ComposeHash) -> Result<bool, AuthorizeError>;

    /// Takes that back. Returns whether it was allowed before.
    async fn revoke(&self, app_id: &AppId, hash: &ComposeHash) -> Result<bool, AuthorizeError>;
}

/// An allow-list file on this machine, see [`Allowlist`].
///
/// It is replaced as a whole under an advisory lock on `<file>.lock`; mode and owner stay. Writers that do not take this lock
/// are not kept out.
#[derive(Debug)]
pub struct AllowlistFile {
    path: PathBuf,
    patience: Duration,
    /// One at a time in this program; the file lock is for others.
    turn: Mutex<()>,
}

/// No allow-list is longer.
const MAX_BYTES: u64 = 16 << 20;

impl AllowlistFile {
    /// The allow-list in this file, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), patience: Duration::from_secs(5), turn: Mutex::new(()) }
    }

    /// How long to wait for somebody else's lock; 5 seconds unless said otherwise.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, path: &Path) -> Result<Allowlist, AuthorizeError> {
        let Some(bytes) = files::read_optional(path, MAX_BYTES)? else { return Ok(Allowlist::default()) };
        let text = String::from_utf8(bytes)
            .map_err(|_| FileError::new("read", path, std::io::Error::other("it is not UTF-8")))?;
        Allowlist::parse(&text).map_err(|source| AuthorizeError::Allowlist { path: path.to_owned(), source })
    }

    async fn change(&self, edit: impl FnOnce(&mut Allowlist) -> bool + Send) -> Result<bool, AuthorizeError> {
        let _turn = self.turn.lock().await;
        // The file itself is replaced, not a link to it.
        let path = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let mut lock_path = path.clone().into_os_string();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let lock = files::lock_file(&lock_path)?;
        let begun = tokio::time::Instant::now();
        // There is no way to be told when a file lock is free without giving a thread to it.
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::WouldBlock) if begun.elapsed() < self.patience => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(AuthorizeError::Busy { path, waited: self.patience });
                }
                Err(std::fs::TryLockError::Error(source)) => {
                    return Err(FileError::new("lock", &lock_path, source).into());
                }
            }
        }
        let mut list = self.read(&path)?;
        let changed = edit(&mut list);
        if changed {
            files::replace(&path, list.to_text().as_bytes())?;
        }
        Ok(changed)
    }
}

#[async_trait]
impl Authorizer for AllowlistFile {
    fn describe(&self) -> String {
        format!("allow-list {}", self.path.display())
    }

    async fn is_allowed(&self, app_id: &AppId, hash: &ComposeHash) -> Result<bool, AuthorizeError> {
        Ok(self.read(&self.path)?.is_allowed(app_id, hash))
    }

    async fn allow(&self, app_id: &AppId, hash: &ComposeHash) -> Result<bool, AuthorizeError> {
        self.change(|list| list.allow(app_id, hash)).await
    }

    async fn revoke(&self, app_id: &AppId, hash: &ComposeHash) -> Result<bool, AuthorizeError> {
        self.change(|list| list.revoke(app_id, hash)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = AppId::from_bytes([0xaa; 20]);
    const HASH: ComposeHash = ComposeHash::from_bytes([1; 32]);

    #[tokio::test]
    async fn a_file_is_changed_and_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("allow.json");
        std::fs::write(&path, "{\"osImages\": []}\n").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        }
        let link = dir.path().join("link.json");
        #[cfg(unix)]
        std::os::unix::fs::symlink(&path, &link).unwrap();
        #[cfg(not(unix))]
        let link = path.clone();
        let file = AllowlistFile::new(&link);
        assert!(!file.is_allowed(&APP, &HASH).await.unwrap());
        assert!(file.allow(&APP, &HASH).await.unwrap());
        assert!(!file.allow(&APP, &HASH).await.unwrap());
        assert!(file.is_allowed(&APP, &HASH).await.unwrap());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert!(link.is_symlink());
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        }
        assert!(file.revoke(&APP, &HASH).await.unwrap());
        assert!(std::fs::read_to_string(&path).unwrap().contains("osImages"));
    }

    #[tokio::test]
    async fn a_damaged_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("allow.json");
        std::fs::write(&path, "{").unwrap();
        let file = AllowlistFile::new(&path);
        assert!(matches!(file.allow(&APP, &HASH).await, Err(AuthorizeError::Allowlist { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
    }

    #[tokio::test]
    async fn writers_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("allow.json");
        // Each with its own file handle, as separate programs have.
        let tasks: Vec<_> = (0..16_u8)
            .map(|n| {
                let file = AllowlistFile::new(&path);
                tokio::spawn(async move { file.allow(&APP, &ComposeHash::from_bytes([n; 32])).await })
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap().unwrap());
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(Allowlist::parse(&text).unwrap().hashes_of(&APP).len(), 16);
    }

    #[tokio::test]
    async fn a_lock_that_is_never_given_back_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("allow.json");
        let lock = files::lock_file(&dir.path().join("allow.json.lock")).unwrap();
        lock.lock().unwrap();
        let file = AllowlistFile::new(&path).patience(Duration::from_millis(50));
        assert!(matches!(file.allow(&APP, &HASH).await, Err(AuthorizeError::Busy { .. })));
    }
}
