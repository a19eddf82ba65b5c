//! Reading an image directory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dstack_check::{Hint, Hinted};
use ring::digest;

use super::checksums;
use super::{CHECKSUMS_FILE, Checksums, DIGEST_FILE, ImageDirectory, ImageFile, METADATA_FILE, metadata};
use crate::Digest32;

/// The longest file that is hashed, in bytes: 16 GiB.
const MAX_FILE: u64 = 16 << 30;

/// The longest `digest.txt` that is read, in bytes.
const MAX_DIGEST: usize = 4096;

/// How much of a file is in memory at a time, in bytes.
const BUFFER: usize = 1 << 20;

/// Why a directory cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The directory cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path is that of something else.
    #[error("{path} is not a directory", path = .path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The directory has none of the files of an image.
    #[error("{path} has neither {CHECKSUMS_FILE} nor {METADATA_FILE}", path = .path.display())]
    NotAnImage {
        /// The directory.
        path: PathBuf,
    },
}

impl Hinted for ImageError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NotADirectory { .. } => {
                Some(Hint::from("unpack an image's archive with `tar -xf` and name the directory in it"))
            }
            Self::NotAnImage { .. } => Some(Hint::from(
                "name the directory that has metadata.json and sha256sum.txt in it, such as one below \
                 `/var/lib/dstack/images`",
            )),
            Self::Read { .. } => None,
        }
    }
}

impl ImageDirectory {
    /// Reads a directory and hashes the files that its `sha256sum.txt` lists.
    ///
    /// Files are read to their end a piece at a time: an image has hundreds of MiB. Links that lead out of the directory
    /// are not followed, files beyond 16 GiB and what is not a file are not read; such entries are
    /// [`ImageFile::Unreadable`].
    ///
    /// # Errors
    ///
    /// [`ImageError`] when there is no directory or no image in it. A file that is missing or cannot be read is no error
    /// here: the checks say so.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        let path = path.as_ref();
        let failed = |source| ImageError::Read { path: path.to_owned(), source };
        // What lies behind the directory's own name is what files must stay in.
        let root = fs::canonicalize(path).map_err(failed)?;
        if !fs::metadata(&root).map_err(failed)?.is_dir() {
            return Err(ImageError::NotADirectory { path: path.to_owned() });
        }
        let mut image = Self::new();
        image.checksums = image.small(&root, CHECKSUMS_FILE, checksums::MAX_TEXT);
        image.digest = image.text(&root, DIGEST_FILE, MAX_DIGEST);
        image.metadata = image.text(&root, METADATA_FILE, metadata::MAX_TEXT);
        if image.checksums.is_none() && image.metadata.is_none() && image.unreadable.is_empty() {
            return Err(ImageError::NotAnImage { path: path.to_owned() });
        }
        for name in image.listed_files() {
            let file = hash_file(&root, &name);
            image.files.insert(name, file);
        }
        Ok(image)
    }

    /// The names of the files that the list names.
    fn listed_files(&self) -> Vec<String> {
        match self.checksums.as_deref().map(Checksums::parse) {
            Some(Ok(list)) => list.lines().iter().map(|line| line.name.clone()).collect(),
            Some(Err(_)) | None => Vec::new(),
        }
    }

    /// The bytes of a small file. `None` when it is not there, or is there and is noted as unreadable.
    fn small(&mut self, root: &Path, name: &str, most: usize) -> Option<Vec<u8>> {
        match read_small(root, name, most) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.unreadable.insert(name.to_owned(), error.to_string());
                None
            }
        }
    }

    fn text(&mut self, root: &Path, name: &str, most: usize) -> Option<String> {
        let bytes = self.small(root, name, most)?;
        String::from_utf8(bytes)
            .map_err(|_| self.unreadable.insert(name.to_owned(), "it is not UTF-8".to_owned()))
            .ok()
    }
}

fn read_small(root: &Path, name: &str, most: usize) -> io::Result<Vec<u8>> {
    let (file, size) = open(root, name)?;
    if size > most as u64 {
        return Err(io::Error::other(format!("it has {size} bytes, more than the {most} that are read")));
    }
    let mut bytes = Vec::new();
    // It may have grown since; the limit holds all the same.
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file that lies in the directory, and says how long it is.
fn open(root: &Path, name: &str) -> io::Result<(File, u64)> {
    let path = fs::canonicalize(root.join(name))?;
    if !path.starts_with(root) {
        return Err(io::Error::other("it is a link out of the directory"));
    }
    // Before opening: that of a pipe would wait for a writer.
    if !fs::metadata(&path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let file = File::open(&path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok((file, metadata.len()))
}

fn hash_file(root: &Path, name: &str) -> ImageFile {
    match hash(root, name) {
        Ok(hashed) => hashed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => ImageFile::Missing,
        Err(error) => ImageFile::Unreadable(error.to_string()),
    }
}

fn hash(root: &Path, name: &str) -> io::Result<ImageFile> {
    let (mut file, size) = open(root, name)?;
    if size > MAX_FILE {
        return Err(io::Error::other(format!("it has {size} bytes, more than the {MAX_FILE} that are read")));
    }
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; BUFFER];
    let mut total = 0u64;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        total = total.saturating_add(read as u64);
        if total > MAX_FILE {
            return Err(io::Error::other("it grows while it is read"));
        }
        context.update(buffer.get(..read).unwrap_or_default());
    }
    let sha256 = Digest32::from_slice(context.finish().as_ref()).map_err(io::Error::other)?;
    Ok(ImageFile::Hashed { sha256, size: total })
}
