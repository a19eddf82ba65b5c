//! `GET /logs`: tails, follows, heartbeats, rotation, escapes and errors.

use std::io::Write;
use std::time::Duration;

use dstack_emulator::BootProfile;
use dstack_vmm_client::DstackVersion;

use crate::server::{Rig, Streaming, VERSIONS};

/// A VM whose serial log nobody but the test writes to.
async fn quiet(version: DstackVersion) -> (Rig, String) {
    let rig = Rig::with(version, |builder| {
        builder.boot(BootProfile::no_guest()).configure(|settings| settings.log_max_bytes = 200)
    })
    .await;
    let id = rig.create("quiet", true).await;
    (rig, id)
}

#[tokio::test]
async fn tails_are_the_last_lines() {
    for version in VERSIONS {
        let (rig, id) = quiet(version).await;
        for n in 0..10 {
            rig.emulator.append_log(&id, "serial", &format!("line {n}")).unwrap();
        }
        rig.emulator.append_log(&id, "stderr", "elsewhere").unwrap();
        let get = async |query: &str| rig.get(&format!("/logs?id={id}{query}")).await;
        let reply = get("&lines=2").await;
        assert_eq!((reply.status, reply.content_type()), (200, Some("text/plain; charset=utf-8")));
        assert_eq!(reply.text(), "line 8\nline 9\n");
        assert_eq!(get("").await.text().lines().count(), 10);
        assert_eq!(get("&ch=stderr&follow=false").await.text(), "elsewhere\n");
        assert_eq!(get("&ch=stdout").await.text(), "");
        assert_eq!(get("&lines=many").await.status, 422);
    }
}

#[tokio::test]
async fn errors_differ_by_version() {
    for version in VERSIONS {
        let (rig, id) = quiet(version).await;
        let old = version == DstackVersion::V0_5;
        let unknown = rig.get("/logs?id=nope").await;
        let channel = rig.get(&format!("/logs?id={id}&ch=zzz")).await;
        let traversal = rig.get("/logs?id=..%2f..%2fetc").await;
        assert_eq!(unknown.status, if old { 200 } else { 404 });
        assert_eq!(channel.status, if old { 200 } else { 400 });
        assert_eq!(channel.text(), "Unknown channel zzz");
        assert_eq!(traversal.text(), if old { "" } else { "VM not found" });
    }
}

#[tokio::test]
async fn escapes_are_taken_out_unless_asked_for() {
    let (rig, id) = quiet(DstackVersion::Next).await;
    rig.emulator.append_log(&id, "serial", "\x1b[31mred\x1b[0m").unwrap();
    let file = rig.emulator.vm_dir(&id).join("serial.log");
    let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(b"bad \xff byte, no line end").unwrap();
    assert_eq!(rig.get(&format!("/logs?id={id}")).await.text(), "red\nbad \u{fffd} byte, no line end");
    assert!(rig.get(&format!("/logs?id={id}&ansi=true")).await.text().contains("\x1b[31m"));
}

#[tokio::test]
async fn a_followed_log_goes_on() {
    for version in VERSIONS {
        let (rig, id) = quiet(version).await;
        rig.emulator.append_log(&id, "serial", "before").unwrap();
        let mut log = Streaming::open(rig.endpoint(), &format!("/logs?id={id}&follow=true")).await;
        log.until("before\n").await;
        rig.emulator.append_log(&id, "serial", "after").unwrap();
        let path = rig.emulator.vm_dir(&id).join("serial.log");
        log.until("after\n").await;
        // Half a line waits for its other half.
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"half ").unwrap();
        rig.emulator.advance(Duration::from_secs(60));
        let heard = log.until("[vmm heartbeat]\n").await;
        assert!(!heard.contains("half"), "{heard}");
        file.write_all(b"whole\n").unwrap();
        let heard = log.until("half whole\n").await;
        assert_eq!(heard, "before\nafter\n[vmm heartbeat]\nhalf whole\n");
    }
}

#[tokio::test]
async fn a_log_that_is_not_there_yet_can_be_followed() {
    let (rig, id) = quiet(DstackVersion::Next).await;
    let mut log = Streaming::open(rig.endpoint(), &format!("/logs?id={id}&follow=true")).await;
    // The head of the reply is there: from now on it is followed.
    log.until("").await;
    rig.emulator.advance(Duration::from_secs(60));
    log.until("[vmm heartbeat]\n").await;
    rig.emulator.append_log(&id, "serial", "first").unwrap();
    log.until("first\n").await;
}

#[tokio::test]
async fn next_rotates_and_a_follower_goes_on_with_the_new_file() {
    let (rig, id) = quiet(DstackVersion::Next).await;
    let long = "x".repeat(150);
    rig.emulator.append_log(&id, "serial", &long).unwrap();
    let mut log = Streaming::open(rig.endpoint(), &format!("/logs?id={id}&follow=true")).await;
    log.until(&long).await;
    rig.emulator.append_log(&id, "serial", "last of the old file, which is long enough to fill it").unwrap();
    log.until("fill it\n").await;
    rig.emulator.append_log(&id, "serial", "first of the new file").unwrap();
    log.until("first of the new file\n").await;
    assert_eq!(rig.get(&format!("/logs?id={id}")).await.text(), "first of the new file\n");
    assert!(rig.emulator.vm_dir(&id).join("serial.log.1").exists());
}

#[tokio::test]
async fn v0_5_does_not_rotate() {
    let (rig, id) = quiet(DstackVersion::V0_5).await;
    for _ in 0..10 {
        rig.emulator.append_log(&id, "serial", &"x".repeat(100)).unwrap();
    }
    assert!(!rig.emulator.vm_dir(&id).join("serial.log.1").exists());
}
