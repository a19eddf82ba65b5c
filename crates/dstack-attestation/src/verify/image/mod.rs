//! Is an image directory the OS image with this hash?

use std::collections::BTreeSet;

use dstack_check::{Catalogue, CheckDef, Finding, Fix, Report};

use super::Verifier;
use super::cvm::{list, one_of};
use crate::Digest32;
use crate::fixed_bytes::parse_hex;
use crate::image::{
    CHECKSUMS_FILE, Checksums, DIGEST_FILE, ImageDirectory, ImageFile, ImageMetadata, METADATA_FILE,
    TDX_MEASUREMENT_FILE,
};

/// Every check of [`Verifier::image`], parents before children.
pub const IMAGE_CHECKS: &[CheckDef] = &[
    CheckDef::new("image.readable", "the image lists its files")
        .layer("image")
        .needs("sha256sum.txt in the image's directory")
        .why("the OS image hash is that of this list")
        .proves("there is a list of files with their SHA-256 that can be read in one way only")
        .leaves_open("whether the files are what the list says"),
    CheckDef::new("image.checksums", "every file of the image has its listed SHA-256")
        .layer("image")
        .parents(&["image.readable"])
        .needs("the files that sha256sum.txt lists, and metadata.json")
        .why("a VMM starts the files, not the list")
        .proves("each listed file has the bytes that the list says, and firmware, kernel, initrd and command line are listed")
        .leaves_open("whether the list is the expected one, what the files do, and the bytes of a root file system that is tied by its dm-verity root hash only"),
    CheckDef::new("image.digest", "digest.txt has the hash of the list")
        .layer("image")
        .parents(&["image.readable"])
        .needs("digest.txt in the image's directory")
        .why("VMMs and scripts take the OS image hash from digest.txt and do not compute it")
        .proves("the OS image hash that tools take from this directory is that of its list")
        .leaves_open("whether it is the expected hash: both files can be replaced together"),
    CheckDef::new("image.hash", "the image has the expected OS image hash")
        .layer("image")
        .parents(&["image.readable"])
        .needs("the OS image hash that it should have")
        .why("contracts and policies list OS images by this hash")
        .proves("the list of files is the one that the expected OS image hash stands for")
        .leaves_open(
            "whether the files fit the list, which image.checksums says, and whether any CVM runs them",
        ),
    CheckDef::new("image.not-development", "the image is not a development image")
        .layer("image")
        .needs("metadata.json in the image's directory")
        .why("a development image has a shell and a way in for the operator")
        .proves("the image does not call itself a development image")
        .leaves_open("whether it has a way in all the same: it is the word of whoever built it"),
];

/// What an image is said to be. What is not said is taken from the policy, and else not judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageClaim {
    /// The OS image hash that it must have.
    pub os_image_hash: Option<Digest32>,
}

impl Verifier {
    /// Judges an image directory.
    pub fn image(&self, name: impl Into<String>, image: &ImageDirectory, claim: &ImageClaim) -> Report {
        // A test constructs the same catalogue: ids, parents and order are constants.
        let catalogue = Catalogue::new(IMAGE_CHECKS.iter().copied()).expect("the checks form a catalogue");
        let expected = claim
            .os_image_hash
            .map_or_else(|| self.policy.os_images.clone(), |claimed| BTreeSet::from([claimed]));
        let checksums = match &image.checksums {
            None => Err(absent(image, CHECKSUMS_FILE)),
            Some(bytes) => Checksums::parse(bytes).map_err(|error| format!("{CHECKSUMS_FILE}: {error}")),
        };
        let metadata = match &image.metadata {
            None => Err(absent(image, METADATA_FILE)),
            Some(text) => ImageMetadata::parse(text).map_err(|error| format!("{METADATA_FILE}: {error}")),
        };
        let subject = Subject { image, checksums, metadata, expected };
        Report::evaluate(name, &catalogue, |check| subject.evaluate(check))
    }
}

/// Why one of the small files cannot be judged.
fn absent(image: &ImageDirectory, name: &str) -> String {
    match image.unreadable.get(name) {
        Some(why) => format!("{name} cannot be read: {why}"),
        None => format!("there is no {name}"),
    }
}

struct Subject<'a> {
    image: &'a ImageDirectory,
    checksums: Result<Checksums, String>,
    metadata: Result<ImageMetadata, String>,
    expected: BTreeSet<Digest32>,
}

impl Subject<'_> {
    fn evaluate(&self, check: &CheckDef) -> Finding {
        match check.id {
            "image.readable" => self.readable(check),
            "image.checksums" => self.checksums(check),
            "image.digest" => self.digest(check),
            "image.hash" => self.hash(check),
            "image.not-development" => self.not_development(check),
            _ => check.unknown("no such check"),
        }
    }

    fn readable(&self, check: &CheckDef) -> Finding {
        let checksums = match &self.checksums {
            Ok(checksums) => checksums,
            Err(why) => {
                return check.unknown(why).fix(Fix::new(
                    "unpack the image's archive anew; every image since dstack 0.4 has the list",
                ));
            }
        };
        let mut observed = format!("{} files", checksums.lines().len());
        if let Ok(metadata) = &self.metadata
            && let Some(version) = &metadata.version
        {
            let shown: String = version.chars().take(40).collect();
            observed.push_str(&format!(", version {shown:?}"));
        }
        if checksums.get(TDX_MEASUREMENT_FILE).is_some() {
            observed.push_str(", with the measurement document of TDX lite");
        }
        check.pass().observed(observed)
    }

    fn checksums(&self, check: &CheckDef) -> Finding {
        let checksums = match &self.checksums {
            Ok(checksums) => checksums,
            Err(why) => return check.unknown(why),
        };
        let mut wrong = Vec::new();
        let mut untold = Vec::new();
        for line in checksums.lines() {
            match self.image.files.get(&line.name) {
                Some(ImageFile::Hashed { sha256, .. }) if *sha256 == line.sha256 => {}
                Some(ImageFile::Hashed { sha256, .. }) => {
                    wrong.push(format!("{} has {sha256}, the list says {}", line.name, line.sha256));
                }
                Some(ImageFile::Missing) => wrong.push(format!("{} is listed and missing", line.name)),
                Some(ImageFile::Unreadable(why)) => {
                    untold.push(format!("{} cannot be read: {why}", line.name));
                }
                None => untold.push(format!("{} was not looked at", line.name)),
            }
        }
        match &self.metadata {
            Ok(metadata) => wrong.extend(unbound(metadata, checksums)),
            Err(why) => untold.push(format!("which files the image starts is not known: {why}")),
        }
        if !wrong.is_empty() {
            return check
                .fail()
                .observed(list(&wrong))
                .expected("the files that the list names, with the SHA-256 that it says, and all that are started among them")
                .fix(
                    Fix::new("do not start this image: fetch it again and compare the hash of the list")
                        .command(format!("sha256sum -c {CHECKSUMS_FILE}")),
                );
        }
        if !untold.is_empty() {
            return check
                .unknown(list(&untold))
                .fix(Fix::new("make the image's files readable, as plain files in its directory"));
        }
        let size = self.image.files.values().map(|file| match file {
            ImageFile::Hashed { size, .. } => *size,
            ImageFile::Missing | ImageFile::Unreadable(_) => 0,
        });
        let size = size.fold(0u64, u64::saturating_add);
        let mut observed = format!("{} files, {} MiB", checksums.lines().len(), size >> 20);
        if let Ok(metadata) = &self.metadata
            && let Some(hash) = metadata.root_hash()
        {
            observed.push_str(&format!("\nthe root file system by its dm-verity root hash {hash}"));
        }
        check.pass().observed(observed)
    }

    fn digest(&self, check: &CheckDef) -> Finding {
        let Some(hash) = self.image.os_image_hash() else {
            return check.unknown(absent(self.image, CHECKSUMS_FILE));
        };
        let Some(text) = &self.image.digest else {
            return check
                .unknown(absent(self.image, DIGEST_FILE))
                .observed(format!("the list has {hash}"))
                .fix(
                    Fix::new("compute the hash instead of looking it up")
                        .command(format!("sha256sum {CHECKSUMS_FILE}")),
                );
        };
        match parse_hex::<32>(text.trim()) {
            Err(error) => {
                check.unknown(format!("{DIGEST_FILE}: {error}")).observed(format!("the list has {hash}"))
            }
            Ok(stated) if stated == hash => check.pass().observed(format!("OS image hash {hash}")),
            Ok(stated) => check
                .fail()
                .observed(format!("{DIGEST_FILE} has {stated}"))
                .expected(format!("{hash}, the SHA-256 of {CHECKSUMS_FILE}"))
                .fix(Fix::new("do not start this image: one of the two files was replaced")),
        }
    }

    fn hash(&self, check: &CheckDef) -> Finding {
        let Some(hash) = self.image.os_image_hash() else {
            return check.unknown(absent(self.image, CHECKSUMS_FILE));
        };
        let observed = format!("OS image hash {hash}");
        if self.expected.is_empty() {
            return check.not_applicable().observed(observed);
        }
        if self.expected.contains(&hash) {
            return check
                .pass()
                .observed(observed)
                .trusting("the expected OS image hash, which the caller gave");
        }
        check
            .fail()
            .observed(observed)
            .expected(format!("OS image hash {}", one_of(&self.expected)))
            .fix(Fix::new("fetch the image again by its hash, and do not start this one"))
    }

    fn not_development(&self, check: &CheckDef) -> Finding {
        match self.metadata.as_ref().map(|metadata| metadata.is_dev) {
            Err(why) => check.unknown(why),
            Ok(None) => check.unknown(format!("{METADATA_FILE} does not say: it has no is_dev")),
            Ok(Some(false)) => check
                .pass()
                .trusting(format!("is_dev in {METADATA_FILE}, the word of whoever built the image")),
            Ok(Some(true)) => {
                check.fail().observed("is_dev is true").expected("an image for production").fix(Fix::new(
                    "use the image of the same version without -dev; keep this one for development",
                ))
            }
        }
    }
}

/// What the image starts and nothing in the list ties to the OS image hash.
fn unbound(metadata: &ImageMetadata, checksums: &Checksums) -> Vec<String> {
    let mut unbound = Vec::new();
    if checksums.get(METADATA_FILE).is_none() {
        unbound.push(format!(
            "the list does not have {METADATA_FILE}, in which the kernel's command line stands"
        ));
    }
    for (part, name) in metadata.files() {
        let bound = match part {
            // The kernel checks it against the root hash in its command line.
            "rootfs" | "hda" => metadata.root_hash().is_some(),
            // What a SEV-SNP guest starts with is measured otherwise.
            "bios-sev" => true,
            _ => false,
        };
        if !bound && checksums.get(name).is_none() {
            let shown: String = name.chars().take(80).collect();
            unbound.push(format!("{METADATA_FILE} names {shown:?} as {part}, and the list does not have it"));
        }
    }
    unbound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checks_form_a_catalogue_and_each_says_what_it_proves() {
        assert_eq!(Catalogue::new(IMAGE_CHECKS.iter().copied()).unwrap().len(), IMAGE_CHECKS.len());
        assert!(IMAGE_CHECKS.iter().all(|check| !check.proves.is_empty() && !check.leaves_open.is_empty()));
    }
}
