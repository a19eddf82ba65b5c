//! Image directories: real files in a temporary directory.

use std::fs;
use std::path::Path;

use dstack_attestation::image::{ImageDirectory, ImageError, ImageFile};
use dstack_attestation::{Digest32, ImageClaim, Policy, Verifier};
use dstack_check::{Hinted, Report, Verdict};
use tempfile::TempDir;

use crate::evidence::at_recording;

fn sha256(bytes: &[u8]) -> Digest32 {
    Policy::new().compose(bytes).compose_hashes.into_iter().next().unwrap()
}

const METADATA: &str = r#"{
    "bios": "ovmf.fd", "kernel": "bzImage", "initrd": "initramfs.cpio.gz", "rootfs": "rootfs.img.verity",
    "cmdline": "console=ttyS0 dstack.rootfs_hash=1111111111111111111111111111111111111111111111111111111111111111",
    "version": "0.5.11", "is_dev": false
}"#;

/// A directory as an image's build leaves it: the root file system is not listed.
fn image() -> TempDir {
    image_with(METADATA, &["ovmf.fd", "bzImage", "initramfs.cpio.gz", "metadata.json"])
}

fn image_with(metadata: &str, listed: &[&str]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    put("ovmf.fd", b"firmware");
    put("bzImage", b"kernel");
    put("initramfs.cpio.gz", &vec![7; 3 << 20]);
    put("rootfs.img.verity", b"root");
    put("metadata.json", metadata.as_bytes());
    let line = |name: &&str| format!("{}  {name}\n", sha256(&fs::read(dir.path().join(name)).unwrap()));
    let list: String = listed.iter().map(line).collect();
    put("sha256sum.txt", list.as_bytes());
    put("digest.txt", format!("{}\n", sha256(list.as_bytes())).as_bytes());
    dir
}

fn judge(path: &Path) -> Report {
    let image = ImageDirectory::read(path).unwrap();
    let mut claim = ImageClaim::default();
    claim.os_image_hash = image.os_image_hash();
    Verifier::new(Policy::new(), at_recording()).image("image", &image, &claim)
}

fn word(report: &Report, id: &str) -> &'static str {
    report.get(id).unwrap().status.word()
}

fn observed(report: &Report, id: &str) -> String {
    report.get(id).unwrap().observed.clone().unwrap_or_default()
}

#[test]
fn an_image_as_it_was_built() {
    let dir = image();
    let report = judge(dir.path());
    assert_eq!(report.verdict(), Verdict::Ok, "{report:?}");
    assert!(observed(&report, "image.checksums").starts_with("4 files, 3 MiB\nthe root file system by its"));
    assert!(observed(&report, "image.readable").contains("0.5.11"));
}

#[test]
fn a_changed_file_is_named() {
    for name in ["ovmf.fd", "bzImage", "initramfs.cpio.gz", "metadata.json"] {
        let dir = image();
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
        let report = judge(dir.path());
        assert_eq!(word(&report, "image.checksums"), "fail", "{name}");
        assert!(observed(&report, "image.checksums").contains(name), "{name}");
    }
}

#[test]
fn a_listed_file_that_is_missing_fails() {
    let dir = image();
    fs::remove_file(dir.path().join("bzImage")).unwrap();
    let report = judge(dir.path());
    assert_eq!(word(&report, "image.checksums"), "fail");
    assert!(observed(&report, "image.checksums").contains("bzImage is listed and missing"));
}

#[test]
fn what_is_started_must_be_listed() {
    let all = ["ovmf.fd", "bzImage", "initramfs.cpio.gz", "metadata.json"];
    for left_out in all {
        let listed: Vec<&str> = all.into_iter().filter(|name| *name != left_out).collect();
        let dir = image_with(METADATA, &listed);
        let report = judge(dir.path());
        assert_eq!(word(&report, "image.checksums"), "fail", "{left_out}");
        assert!(observed(&report, "image.checksums").contains(left_out), "{left_out}");
    }
    // Without a root hash, nothing ties the root file system to the list.
    let metadata = METADATA.replace("dstack.rootfs_hash", "dstack.rootfs_hush");
    let dir = image_with(&metadata, &all);
    assert!(observed(&judge(dir.path()), "image.checksums").contains("rootfs.img.verity"));
    // Unless it is listed itself, as in images of old.
    let dir = image_with(
        &metadata,
        &["ovmf.fd", "bzImage", "initramfs.cpio.gz", "metadata.json", "rootfs.img.verity"],
    );
    assert_eq!(word(&judge(dir.path()), "image.checksums"), "pass");
}

#[test]
fn a_replaced_list_shows_in_digest_and_hash() {
    let dir = image();
    let expected = ImageDirectory::read(dir.path()).unwrap().os_image_hash();
    let path = dir.path().join("sha256sum.txt");
    let list = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{}  extra\n{list}", sha256(b"extra"))).unwrap();
    fs::write(dir.path().join("extra"), b"extra").unwrap();
    let image = ImageDirectory::read(dir.path()).unwrap();
    let mut claim = ImageClaim::default();
    claim.os_image_hash = expected;
    let report = Verifier::new(Policy::new(), at_recording()).image("image", &image, &claim);
    let words = ["image.checksums", "image.digest", "image.hash"].map(|id| word(&report, id));
    assert_eq!(words, ["pass", "fail", "fail"]);
    // The policy's images stand in for a claim.
    let policy = Policy::new().os_image(image.os_image_hash().unwrap());
    let report = Verifier::new(policy, at_recording()).image("image", &image, &ImageClaim::default());
    assert_eq!(word(&report, "image.hash"), "pass");
    let report = Verifier::new(Policy::new(), at_recording()).image("image", &image, &ImageClaim::default());
    assert_eq!(word(&report, "image.hash"), "not-applicable");
}

#[test]
fn a_digest_that_is_missing_or_no_hash_is_unknown() {
    let dir = image();
    let path = dir.path().join("digest.txt");
    for text in ["", "nonsense\n", "abcd"] {
        fs::write(&path, text).unwrap();
        assert_eq!(word(&judge(dir.path()), "image.digest"), "unknown", "{text:?}");
    }
    fs::write(&path, [0xff; 8]).unwrap();
    assert_eq!(word(&judge(dir.path()), "image.digest"), "unknown");
    fs::write(&path, vec![b'a'; 1 << 20]).unwrap();
    assert_eq!(word(&judge(dir.path()), "image.digest"), "unknown");
    fs::remove_file(&path).unwrap();
    assert_eq!(word(&judge(dir.path()), "image.digest"), "unknown");
}

#[test]
fn a_development_image_fails_and_silence_is_unknown() {
    let all = ["ovmf.fd", "bzImage", "initramfs.cpio.gz", "metadata.json"];
    for (said, expected) in
        [("\"is_dev\": true", "fail"), ("\"other\": 1", "unknown"), ("\"is_dev\": null", "unknown")]
    {
        let dir = image_with(&METADATA.replace("\"is_dev\": false", said), &all);
        assert_eq!(word(&judge(dir.path()), "image.not-development"), expected, "{said}");
    }
    let dir = image_with("nonsense", &["metadata.json"]);
    let report = judge(dir.path());
    assert_eq!(
        (word(&report, "image.not-development"), word(&report, "image.checksums")),
        ("unknown", "unknown")
    );
}

#[test]
fn a_list_that_leads_elsewhere_is_not_followed() {
    let dir = image();
    fs::write(dir.path().join("sha256sum.txt"), format!("{}  ../../etc/passwd\n", "00".repeat(32))).unwrap();
    let report = judge(dir.path());
    assert_eq!((word(&report, "image.readable"), word(&report, "image.checksums")), ("unknown", "skipped"));
    fs::remove_file(dir.path().join("sha256sum.txt")).unwrap();
    let report = judge(dir.path());
    assert_eq!((word(&report, "image.readable"), word(&report, "image.hash")), ("unknown", "skipped"));
}

#[cfg(unix)]
#[test]
fn links_out_of_the_directory_and_other_things_are_not_read() {
    use std::os::unix::fs::symlink;
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("kernel"), b"kernel").unwrap();
    let dir = image();
    let path = dir.path().join("bzImage");
    fs::remove_file(&path).unwrap();
    symlink(outside.path().join("kernel"), &path).unwrap();
    // The bytes behind the link are the listed ones, and still it is not a file of the image.
    assert_eq!(word(&judge(dir.path()), "image.checksums"), "unknown");
    fs::remove_file(&path).unwrap();
    fs::write(dir.path().join("kernel-6"), b"kernel").unwrap();
    symlink("kernel-6", &path).unwrap();
    assert_eq!(word(&judge(dir.path()), "image.checksums"), "pass");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let image = ImageDirectory::read(dir.path()).unwrap();
    assert!(matches!(&image.files["bzImage"], ImageFile::Unreadable(why) if why == "it is not a file"));
    // A directory that is a link itself is fine: VMMs switch images so.
    let link = outside.path().join("current");
    let whole = image_with(METADATA, &["ovmf.fd", "bzImage", "initramfs.cpio.gz", "metadata.json"]);
    symlink(whole.path(), &link).unwrap();
    assert_eq!(judge(&link).verdict(), Verdict::Ok);
}

#[test]
fn what_is_no_image_directory_is_an_error_with_a_hint() {
    let dir = TempDir::new().unwrap();
    let error = ImageDirectory::read(dir.path()).unwrap_err();
    assert!(matches!(error, ImageError::NotAnImage { .. }) && error.hint().is_some());
    let file = dir.path().join("image.tar.gz");
    fs::write(&file, b"archive").unwrap();
    let error = ImageDirectory::read(&file).unwrap_err();
    assert!(matches!(error, ImageError::NotADirectory { .. }) && error.hint().is_some());
    assert!(matches!(ImageDirectory::read(dir.path().join("none")), Err(ImageError::Read { .. })));
}
