//! Faults on purpose, as a client meets them.

use std::time::{Duration, Instant};

use dstack_emulator::fault::{Fault, Rule};
use dstack_vmm_client::DstackVersion;
use serde_json::json;

use crate::server::{COMPOSE, Rig, VERSIONS};

fn new_vm() -> Vec<u8> {
    json!({ "name": "x", "image": "dstack-0.5.11", "compose_file": COMPOSE, "stopped": true })
        .to_string()
        .into_bytes()
}

async fn count(rig: &Rig) -> u64 {
    rig.ok("Status", json!({})).await["total"].as_u64().unwrap()
}

#[tokio::test]
async fn a_dropped_reply_hides_what_was_done() {
    for version in VERSIONS {
        let rig = Rig::new(version).await;
        rig.emulator.faults().once("CreateVm", Fault::DropAfter);
        assert!(rig.try_send("POST", "/prpc/CreateVm?json", Some(&new_vm())).await.is_none());
        assert_eq!(count(&rig).await, 1);
        rig.emulator.faults().once("CreateVm", Fault::DropBefore);
        assert!(rig.try_send("POST", "/prpc/Teepod.CreateVm?json", Some(&new_vm())).await.is_none());
        assert_eq!(count(&rig).await, 1);
        assert!(rig.emulator.faults().pending().is_empty());
    }
}

#[tokio::test]
async fn errors_come_in_the_form_of_the_call() {
    let rig = Rig::new(DstackVersion::Next).await;
    rig.emulator.faults().always("Status", Fault::Error("no space left on device".to_owned()));
    let reply = rig.call("Status", json!({})).await;
    assert_eq!(reply.error(), "no space left on device");
    let proto = rig.try_send("POST", "/prpc/Status", Some(b"")).await.unwrap();
    assert_eq!(proto.body, b"\x0a\x17no space left on device");
    rig.emulator.faults().clear();
    assert_eq!(count(&rig).await, 0);
}

#[tokio::test]
async fn raw_replies_and_broken_bodies() {
    let rig = Rig::new(DstackVersion::Next).await;
    let raw = Fault::Raw { status: 502, content_type: "text/html".to_owned(), body: b"<h1>no</h1>".to_vec() };
    rig.emulator.faults().once("GetMeta", raw);
    let reply = rig.call("GetMeta", json!({})).await;
    assert_eq!(
        (reply.status, reply.content_type(), reply.text().as_str()),
        (502, Some("text/html"), "<h1>no</h1>")
    );

    let whole = rig.call("GetMeta", json!({})).await;
    rig.emulator.faults().once("GetMeta", Fault::Cut(10));
    let cut = rig.call("GetMeta", json!({})).await;
    assert!(whole.whole && !cut.whole);
    assert_eq!(cut.body, whole.body[..10]);
}

#[tokio::test]
async fn slow_replies_are_whole_in_the_end() {
    let rig = Rig::new(DstackVersion::Next).await;
    let whole = rig.call("Version", json!({})).await;
    let begun = Instant::now();
    rig.emulator.faults().once("Version", Fault::Slow { piece: 10, every: Duration::from_millis(5) });
    let slow = rig.call("Version", json!({})).await;
    assert_eq!((slow.body, slow.whole), (whole.body.clone(), true));
    rig.emulator.faults().once("Version", Fault::Latency(Duration::from_millis(20)));
    rig.call("Version", json!({})).await;
    let pieces = u32::try_from(whole.body.len().div_ceil(10)).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(20) + pieces * Duration::from_millis(5));
}

#[tokio::test]
async fn logs_and_guests_have_faults_of_their_own() {
    let rig = Rig::new(DstackVersion::Next).await;
    let id = rig.create("x", false).await;
    rig.boot();
    rig.emulator.faults().add("logs=cut:20*1".parse::<Rule>().unwrap());
    let cut = rig.get(&format!("/logs?id={id}")).await;
    assert_eq!((cut.body.len(), cut.whole), (20, false));
    rig.emulator.faults().add("guest/Info=error:asleep*1".parse::<Rule>().unwrap());
    assert_eq!(rig.call("guest/Info", json!({ "id": id })).await.error(), "asleep");
    assert_eq!(rig.call("guest/Info", json!({ "id": id })).await.status, 200);
}
