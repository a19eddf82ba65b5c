//! Guest images: directories with a `metadata.json`, the host's own or pretended ones.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::{ImageInfo, RegistryImageInfo};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::validate;
use crate::rpc::RpcError;

/// Version of the oldest image that a VMM boots.
const OLDEST: (u32, u32) = (0, 5);

/// The `metadata.json` of an image. The VMM writes the fields it knows back in this order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Metadata {
    #[serde(default)]
    cmdline: Option<String>,
    kernel: String,
    initrd: String,
    #[serde(default)]
    hda: Option<String>,
    #[serde(default)]
    rootfs: Option<String>,
    #[serde(default)]
    bios: Option<String>,
    /// Next only; left out for v0.5.
    #[serde(default, rename = "bios-sev")]
    bios_sev: Option<String>,
    #[serde(default)]
    rootfs_hash: Option<String>,
    #[serde(default)]
    pub(crate) shared_ro: bool,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    is_dev: bool,
    #[serde(default)]
    ovmf_variant: Option<String>,
}

/// An image that a VM can boot.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) version: String,
    /// Whether its guest reports boot steps.
    pub(crate) shared_ro: bool,
    /// What its measurement is called by: the digest that ships with it, else one of its metadata.
    pub(crate) os_image_hash: [u8; 32],
}

/// A pull from the registry.
#[derive(Clone, Debug)]
enum Pull {
    Running,
    Failed(String),
}

/// The image directory and the pretended registry.
#[derive(Debug)]
pub(crate) struct Images {
    dir: PathBuf,
    version: DstackVersion,
    /// Tags of the registry; `None` where the node has none.
    tags: Option<Vec<String>>,
    pulls: BTreeMap<String, Pull>,
}

impl Images {
    /// The images of a directory, which need not exist.
    pub(crate) fn at(dir: PathBuf, version: DstackVersion, tags: Option<Vec<String>>) -> Self {
        Self { dir, version, tags, pulls: BTreeMap::new() }
    }

    /// Where they are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts an image without content into a directory, unless it is there.
    pub(crate) fn pretend(dir: &Path, name: &str) -> io::Result<()> {
        let home = dir.join(name);
        if home.join("metadata.json").exists() {
            return Ok(());
        }
        fs::create_dir_all(&home)?;
        let metadata = Metadata {
            cmdline: Some("console=ttyS0 EMULATED".to_owned()),
            kernel: "bzImage".to_owned(),
            initrd: "initramfs.cpio.gz".to_owned(),
            rootfs: Some("rootfs.img.verity".to_owned()),
            bios: Some("ovmf.fd".to_owned()),
            rootfs_hash: Some("00".repeat(32)),
            shared_ro: true,
            version: name.trim_start_matches("dstack-").to_owned(),
            ..Metadata::default()
        };
        fs::write(home.join("metadata.json"), serde_json::to_vec(&metadata)?)
    }

    /// Every image that can be read, in the order of their names.
    pub(crate) fn list(&self) -> Vec<ImageInfo> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let mut images: Vec<ImageInfo> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let metadata = self.metadata(&name).ok()?;
                let mut info = ImageInfo::default();
                info.description = self.description(&metadata)?;
                info.version = metadata.version;
                info.is_dev = metadata.is_dev;
                info.name = name;
                Some(info)
            })
            .collect();
        images.sort_by(|a, b| a.name.cmp(&b.name));
        images
    }

    /// The image of this name, or why no VM boots from it.
    pub(crate) fn load(&self, name: &str) -> Result<Image, RpcError> {
        validate::image_name(name)?;
        let dir = self.dir.join(name);
        let metadata = self.metadata(name).map_err(|error| {
            let words = match self.version {
                DstackVersion::V0_5 => format!(
                    "failed to open image info: failed to open file `{}`: {error}",
                    dir.join("metadata.json").display()
                ),
                _ if !dir.exists() => format!("failed to resolve image directory: {error}"),
                _ => format!("failed to read image info: {error}"),
            };
            RpcError::text(format!("Failed to load image: {words}"))
        })?;
        if !supported(&metadata.version) {
            return Err(RpcError::text(format!("Unsupported image version: {}", metadata.version)));
        }
        let named = fs::read_to_string(dir.join("digest.txt")).ok();
        let named = named.and_then(|text| hex::decode(text.trim()).ok()?.try_into().ok());
        let os_image_hash = named.unwrap_or_else(|| {
            let mut hash = [0; 32];
            let text = serde_json::to_vec(&metadata).unwrap_or_default();
            hash.copy_from_slice(digest(&SHA256, &text).as_ref());
            hash
        });
        Ok(Image { version: metadata.version, shared_ro: metadata.shared_ro, os_image_hash })
    }

    /// Deletes an image. `user` names a VM that boots from it.
    pub(crate) fn delete(&self, name: &str, user: Option<&str>) -> Result<(), RpcError> {
        if name.is_empty() || name.contains("..") || name.contains('/') || name.contains('\0') {
            return Err(RpcError::text("invalid image name"));
        }
        if let Some(user) = user {
            return Err(RpcError::text(format!("cannot delete image '{name}': in use by VM '{user}'")));
        }
        let dir = self.dir.join(name);
        if !dir.is_dir() {
            return Err(RpcError::text(format!("image '{name}' not found")));
        }
        fs::remove_dir_all(dir).map_err(|error| RpcError::text(error.to_string()))
    }

    /// What the registry offers.
    pub(crate) fn registry(&self) -> Vec<RegistryImageInfo> {
        let tags = self.tags.iter().flatten().filter(|tag| !tag.starts_with("sha256-"));
        tags.map(|tag| {
            let mut info = RegistryImageInfo::default();
            info.tag.clone_from(tag);
            info.local = self.dir.join(local_name(tag)).is_dir();
            match self.pulls.get(tag) {
                Some(Pull::Running) => info.pulling = true,
                Some(Pull::Failed(error)) => info.error.clone_from(error),
                None => {}
            }
            info
        })
        .collect()
    }

    /// Begins to pull a tag; [`pulled`](Self::pulled) ends it.
    pub(crate) fn pull(&mut self, tag: &str) -> Result<(), RpcError> {
        if self.tags.is_none() {
            return Err(RpcError::text("image registry is not configured"));
        }
        if matches!(self.pulls.get(tag), Some(Pull::Running)) {
            return Err(RpcError::text(format!("image {tag} is already being pulled")));
        }
        self.pulls.insert(tag.to_owned(), Pull::Running);
        Ok(())
    }

    /// Ends the pull of a tag: the image is there, or the registry tells why not.
    pub(crate) fn pulled(&mut self, tag: &str) {
        let name = local_name(tag);
        let known = self.tags.iter().flatten().any(|known| known == tag);
        let result = if !known || validate::image_name(&name).is_err() {
            Err(format!("manifest of {tag} not found"))
        } else if self.dir.join(&name).exists() {
            Err(format!("image directory {name} already exists"))
        } else {
            Self::pretend(&self.dir, &name).map_err(|error| error.to_string())
        };
        match result {
            Ok(()) => self.pulls.remove(tag),
            Err(error) => self.pulls.insert(tag.to_owned(), Pull::Failed(error)),
        };
    }

    fn metadata(&self, name: &str) -> io::Result<Metadata> {
        Ok(serde_json::from_slice(&fs::read(self.dir.join(name).join("metadata.json"))?)?)
    }

    fn description(&self, metadata: &Metadata) -> Option<String> {
        let text = serde_json::to_string(metadata).ok()?;
        Some(match self.version {
            DstackVersion::V0_5 => crate::omit::drop_keys(&text, &["bios-sev"]),
            _ => text,
        })
    }
}

/// Name of the directory that a tag is pulled to.
fn local_name(tag: &str) -> String {
    if tag.starts_with("dstack-") { tag.to_owned() } else { format!("dstack-{tag}") }
}

/// An image without a version is taken for a new one.
fn supported(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(version: DstackVersion, tags: Option<Vec<String>>) -> (tempfile::TempDir, Images) {
        let dir = tempfile::tempdir().unwrap();
        Images::pretend(dir.path(), "dstack-0.5.11").unwrap();
        let images = Images::at(dir.path().to_owned(), version, tags);
        (dir, images)
    }

    #[test]
    fn the_description_is_in_the_words_of_the_version() {
        let (_a, next) = images(DstackVersion::Next, None);
        let (_b, old) = images(DstackVersion::V0_5, None);
        assert!(next.list()[0].description.contains(r#""bios":"ovmf.fd","bios-sev":null,"#));
        assert!(!old.list()[0].description.contains("bios-sev"));
    }

    #[test]
    fn what_is_no_image_is_not_listed_and_not_booted() {
        let (dir, images) = images(DstackVersion::Next, None);
        fs::create_dir(dir.path().join("empty")).unwrap();
        fs::create_dir(dir.path().join("old")).unwrap();
        let old = r#"{"kernel":"k","initrd":"i","version":"0.4.2"}"#;
        fs::write(dir.path().join("old/metadata.json"), old).unwrap();
        let names: Vec<_> = images.list().into_iter().map(|image| image.name).collect();
        assert_eq!(names, ["dstack-0.5.11", "old"]);
        for bad in ["empty", "old", "../x", "missing"] {
            assert!(images.load(bad).is_err(), "{bad}");
        }
        assert!(images.load("dstack-0.5.11").unwrap().shared_ro);
    }

    #[test]
    fn a_digest_that_ships_with_the_image_names_it() {
        let (dir, images) = images(DstackVersion::Next, None);
        fs::write(dir.path().join("dstack-0.5.11/digest.txt"), "ab".repeat(32) + "\n").unwrap();
        assert_eq!(images.load("dstack-0.5.11").unwrap().os_image_hash, [0xab; 32]);
    }

    #[test]
    fn pulling_makes_an_image_or_tells_why_not() {
        let tags = ["0.5.11", "0.6.0", "sha256-x"].map(str::to_owned).to_vec();
        let (_dir, mut images) = images(DstackVersion::Next, Some(tags));
        images.pull("0.6.0").unwrap();
        assert!(images.registry()[1].pulling);
        assert_eq!(images.pull("0.6.0").unwrap_err(), RpcError::text("image 0.6.0 is already being pulled"));
        images.pulled("0.6.0");
        images.pull("0.5.11").unwrap();
        images.pulled("0.5.11");
        let shown: Vec<_> =
            images.registry().into_iter().map(|i| (i.tag, i.local, i.pulling, i.error)).collect();
        let row = |tag: &str, error: &str| (tag.to_owned(), true, false, error.to_owned());
        assert_eq!(shown, [row("0.5.11", "image directory dstack-0.5.11 already exists"), row("0.6.0", "")]);
    }
}
