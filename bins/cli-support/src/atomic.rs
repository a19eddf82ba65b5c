//! Files that are written whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The rights a file gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// 0600, also where a file with wider rights is there already.
    Secret,
    /// The rights of the file that is there; these (such as `0o644`) for a new one.
    Keep(u32),
}

/// Why a file was not written. What was there before is unchanged.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", .path.display())]
pub struct WriteError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Writes a file so that at every moment, a power cut included, the path shows either the old or the new content.
///
/// The content goes into a new file in the same directory, is flushed to the disk and takes the place of the old one.
/// A symbolic link is followed first, so that the link stays and its target changes.
///
/// # Errors
/// [`WriteError`]; the file made on the way is taken away again.
pub fn write(path: &Path, content: &[u8], mode: Mode) -> Result<(), WriteError> {
    let result = resolve(path).and_then(|target| replace(&target, content, mode));
    result.map_err(|source| WriteError { path: path.to_owned(), source })
}

/// The file a path leads to, through links; the path itself where nothing is there yet.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(target) => Ok(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(path) {
            // A link into nowhere: replacing it would put the file where nobody looks for it.
            Ok(_) => Err(io::Error::new(io::ErrorKind::NotFound, "it is a symbolic link to nothing")),
            Err(_) => Ok(path.to_owned()),
        },
        Err(error) => Err(error),
    }
}

fn replace(target: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let bits = match (mode, fs::metadata(target)) {
        (_, Ok(there)) if !there.is_file() => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        (Mode::Secret, _) => 0o600,
        (Mode::Keep(_), Ok(there)) => there.permissions().mode() & 0o7777,
        (Mode::Keep(fresh), Err(_)) => fresh,
    };
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (temporary, mut file) = create_beside(target, directory)?;
    let written = file
        .write_all(content)
        // Rights on the open file, since those given at creation are narrowed by the umask.
        .and_then(|()| file.set_permissions(Permissions::from_mode(bits)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, target));
    if let Err(error) = written {
        // The first error is the one that tells; a temporary file that cannot be removed either is left.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    // The rename itself reaches the disk with its directory. Some file systems do not offer this; the content is safe.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// A new file next to the target, readable by the owner alone, under a name nobody else uses.
fn create_beside(target: &Path, directory: &Path) -> io::Result<(PathBuf, File)> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?;
    let mut attempts = 0;
    loop {
        let mut candidate = std::ffi::OsString::from(".");
        candidate.push(name);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        candidate.push(format!(".{}-{number}.tmp", std::process::id()));
        let path = directory.join(candidate);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, file)),
            // Left behind by a crashed process that had our id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempts < 100 => attempts += 1,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn entries(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn new_files_get_the_mode_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let (open, secret) = (directory.path().join("open"), directory.path().join("secret"));
        write(&open, b"1", Mode::Keep(0o664)).unwrap();
        write(&secret, b"2", Mode::Secret).unwrap();
        assert_eq!((mode(&open), mode(&secret)), (0o664, 0o600));
        assert_eq!(fs::read(&open).unwrap(), b"1");
        assert_eq!(entries(directory.path()), 2);
    }

    #[test]
    fn existing_rights_stay_unless_it_is_a_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        write(&path, b"new", Mode::Keep(0o644)).unwrap();
        assert_eq!((mode(&path), fs::read(&path).unwrap().as_slice()), (0o640, b"new".as_slice()));
        write(&path, b"secret", Mode::Secret).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn links_stay_links() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("target"), directory.path().join("link"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink("target", &link).unwrap();
        write(&link, b"new", Mode::Keep(0o644)).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
        fs::remove_file(&target).unwrap();
        let error = write(&link, b"new", Mode::Keep(0o644)).unwrap_err();
        assert_eq!(error.source.to_string(), "it is a symbolic link to nothing");
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let error = write(&inner, b"x", Mode::Keep(0o644)).unwrap_err();
        assert_eq!(error.source.to_string(), "it is not a file");
        assert_eq!((entries(directory.path()), entries(&inner)), (1, 0));
        let missing = directory.path().join("no/such/file");
        let error = write(&missing, b"x", Mode::Secret).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write {}", missing.display()));
        assert!(write(Path::new("/"), b"x", Mode::Secret).is_err());
    }

    #[test]
    fn readers_see_the_old_or_the_new_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let (old, new) = (vec![b'a'; 200_000], vec![b'b'; 200_000]);
        write(&path, &old, Mode::Keep(0o644)).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for round in 0..20 {
                    write(&path, if round % 2 == 0 { &new } else { &old }, Mode::Keep(0o644)).unwrap();
                }
            });
            loop {
                let last = writer.is_finished();
                let seen = fs::read(&path).unwrap();
                assert!(seen == old || seen == new, "half a file of {} bytes", seen.len());
                if last {
                    break;
                }
            }
        });
    }
}
