//! Image directories: the files of an OS image and the hashes that name it.

use std::path::Path;

/// An image directory, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageDirectory {}

/// Why a directory is not an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A file cannot be read.
    #[error("{file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
}

impl ImageDirectory {
    /// Reads a directory and hashes its files.
    ///
    /// # Errors
    ///
    /// [`ImageError`].
    pub fn read(_path: &Path) -> Result<Self, ImageError> {
        Ok(Self::default())
    }
}
