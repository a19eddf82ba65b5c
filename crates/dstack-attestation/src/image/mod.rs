//! Image directories: the files of an OS image and the hashes that name it.
//!
//! An image is a directory with the virtual firmware, the kernel, the initrd and the root file system, described by
//! `metadata.json`. `sha256sum.txt` lists the SHA-256 of all of them but the root file system, whose dm-verity root hash
//! stands in the kernel's command line in `metadata.json`. The SHA-256 of that list is the OS image hash, which
//! `digest.txt` repeats in hex. Source: upstream's image build and `dstack-types`, `ImageInfo`.

mod checksums;
mod metadata;
mod read;

use std::collections::BTreeMap;

pub use checksums::{ChecksumLine, Checksums, ChecksumsError};
pub use metadata::{ImageMetadata, MetadataError};
pub use read::ImageError;

use crate::{Digest32, hash};

/// The name of the list of checksums.
pub const CHECKSUMS_FILE: &str = "sha256sum.txt";
/// The name of the file with the OS image hash.
pub const DIGEST_FILE: &str = "digest.txt";
/// The name of the image's description.
pub const METADATA_FILE: &str = "metadata.json";
/// The name of the measurement document by which TDX lite verifies an image. Branch next.
pub const TDX_MEASUREMENT_FILE: &str = "measurement.tdx.cbor";

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageFile {
    /// It was read to its end.
    Hashed {
        /// Its SHA-256.
        sha256: Digest32,
        /// Its size in bytes.
        size: u64,
    },
    /// It is not there.
    Missing,
    /// It is there and cannot be read, or is not a file.
    Unreadable(String),
}

/// An image directory as data: the texts of its small files and the hashes of all that it lists.
///
/// [`read`](Self::read) makes one from a directory; a caller with the files elsewhere fills one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageDirectory {
    /// The bytes of `sha256sum.txt`; `None` when it is not there.
    pub checksums: Option<Vec<u8>>,
    /// The text of `digest.txt`; `None` when it is not there.
    pub digest: Option<String>,
    /// The text of `metadata.json`; `None` when it is not there.
    pub metadata: Option<String>,
    /// The files that `sha256sum.txt` lists, by name.
    pub files: BTreeMap<String, ImageFile>,
    /// Which of the small files are there and could not be read, and why.
    pub unreadable: BTreeMap<String, String>,
}

impl ImageDirectory {
    /// A directory of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// The OS image hash: SHA-256 of the bytes of `sha256sum.txt`. `None` without that file.
    ///
    /// It says what the files should be. Whether they are is another question.
    pub fn os_image_hash(&self) -> Option<Digest32> {
        self.checksums.as_ref().map(|bytes| hash::sha256(&[bytes]))
    }
}
