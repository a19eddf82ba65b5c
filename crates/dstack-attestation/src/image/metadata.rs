//! `metadata.json`: what an image is made of.

use serde::Deserialize;

use crate::Digest32;
use crate::fixed_bytes::parse_hex;

/// The longest text that is read, in bytes.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// The description of an image. Members that are not known are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ImageMetadata {
    /// The kernel's command line.
    pub cmdline: Option<String>,
    /// The file of the kernel.
    pub kernel: Option<String>,
    /// The file of the initrd.
    pub initrd: Option<String>,
    /// The file of the root file system.
    pub rootfs: Option<String>,
    /// The file of a disk, in images of old.
    pub hda: Option<String>,
    /// The file of the virtual firmware.
    pub bios: Option<String>,
    /// The file of the virtual firmware for AMD SEV. Branch next.
    #[serde(rename = "bios-sev")]
    pub bios_sev: Option<String>,
    /// The root hash of the root file system's dm-verity, in hex.
    pub rootfs_hash: Option<String>,
    /// The version, such as `0.5.11`.
    pub version: Option<String>,
    /// The commit it was built from.
    pub git_revision: Option<String>,
    /// Whether it is a development image: with a shell and a known way in. `None` when it is not said.
    pub is_dev: Option<bool>,
}

/// Why a text is not the description of an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The text is too long.
    #[error("it has {length} bytes, more than the {MAX_TEXT} that are read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The text is not a JSON object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// The text is not the JSON it should be.
    #[error("it is not the JSON it should be: {0}")]
    Json(#[from] serde_json::Error),
}

impl ImageMetadata {
    /// Reads the text of a `metadata.json`.
    ///
    /// # Errors
    ///
    /// [`MetadataError`].
    pub fn parse(json: &str) -> Result<Self, MetadataError> {
        if json.len() > MAX_TEXT {
            return Err(MetadataError::TooLong { length: json.len() });
        }
        // serde would take an array for the members in their order.
        if !json.trim_start().starts_with('{') {
            return Err(MetadataError::NotAnObject);
        }
        Ok(serde_json::from_str(json)?)
    }

    /// The dm-verity root hash of the root file system, as the kernel's command line has it (`dstack.rootfs_hash=`). With
    /// it, the guest refuses any other root file system. Source: upstream's image build.
    pub fn root_hash(&self) -> Option<Digest32> {
        let words = self.cmdline.as_deref().unwrap_or_default().split_ascii_whitespace();
        let mut named = words.filter_map(|word| word.strip_prefix("dstack.rootfs_hash="));
        named.next().and_then(|text| parse_hex(text).ok())
    }

    /// The files that it names, each with what it is for.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let named = [
            ("bios", &self.bios),
            ("bios-sev", &self.bios_sev),
            ("kernel", &self.kernel),
            ("initrd", &self.initrd),
            ("rootfs", &self.rootfs),
            ("hda", &self.hda),
        ];
        named.into_iter().filter_map(|(role, name)| {
            name.as_deref().filter(|name| !name.is_empty()).map(|name| (role, name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_named_with_their_part() {
        let text = r#"{"bios":"ovmf.fd","kernel":"bzImage","initrd":"initramfs.cpio.gz","rootfs":"","hda":null,
            "is_dev":false,"version":"0.5.11","new":1}"#;
        let metadata = ImageMetadata::parse(text).unwrap();
        let files: Vec<_> = metadata.files().collect();
        assert_eq!(files, [("bios", "ovmf.fd"), ("kernel", "bzImage"), ("initrd", "initramfs.cpio.gz")]);
        assert_eq!(metadata.is_dev, Some(false));
        assert_eq!(ImageMetadata::parse("{}").unwrap().is_dev, None);
        let hash =
            |line: &str| ImageMetadata { cmdline: Some(line.into()), ..ImageMetadata::default() }.root_hash();
        let line = format!("console=ttyS0 dstack.rootfs_hash={} quiet", "ab".repeat(32));
        assert_eq!(hash(&line), Some(Digest32::new([0xab; 32])));
        assert_eq!(hash("console=ttyS0 xdstack.rootfs_hash=00 dstack.rootfs_hash=ab"), None);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "[]", r#"{"is_dev":"no"}"#, r#"{"is_dev":true,"is_dev":false}"#] {
            assert!(ImageMetadata::parse(text).is_err(), "{text}");
        }
        let long = " ".repeat(MAX_TEXT + 1);
        assert!(matches!(ImageMetadata::parse(&long), Err(MetadataError::TooLong { .. })));
    }
}
