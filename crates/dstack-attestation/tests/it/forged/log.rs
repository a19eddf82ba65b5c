//! Attacks on the event log, under a genuine signature.

use dstack_attestation::MrConfigId;
use dstack_attestation::event_log::{DigestVersion, Event, EventLog, RuntimeEvent};

use super::scene::{Attack, Scene, carry_out, changes};
use crate::evidence::{APP, boot_events, compose_hash};

const EVIL: [u8; 32] = [9; 32];

const ATTACKS: &[Attack] = &[
    (
        "two events change places",
        |scene| scene.edit_log(|log| log.swap(1, 2)),
        "fail eventlog.replay-rtmr3; warn eventlog.order",
    ),
    (
        "an event is there twice",
        |scene| scene.edit_log(|log| log.insert(3, log[2].clone())),
        "fail eventlog.order eventlog.replay-rtmr3",
    ),
    ("an event is removed", |scene| scene.edit_log(|log| drop(log.remove(7))), "fail eventlog.replay-rtmr3"),
    (
        "the last event is removed",
        |scene| scene.edit_log(|log| drop(log.pop())),
        "fail eventlog.boot-complete eventlog.replay-rtmr3",
    ),
    (
        "an event of the app's is left out of the log",
        |scene| {
            let mut events = boot_events();
            events.push(RuntimeEvent::new("visit", *b"1"));
            let honest_log = scene.evidence.event_log.clone();
            *scene = Scene::of(events, MrConfigId::v1(compose_hash()));
            scene.evidence.event_log = honest_log;
        },
        "fail eventlog.replay-rtmr3",
    ),
    (
        "the payload is swapped under its old digest",
        |scene| scene.edit_log(|log| log[2]["event_payload"] = "09".repeat(32).into()),
        "fail eventlog.digests eventlog.replay-rtmr3 app.compose.hash app.compose.deployed app.mrconfigid.compose",
    ),
    (
        "the digest is swapped over the right payload",
        |scene| scene.edit_log(|log| log[2]["digest"] = "09".repeat(48).into()),
        "fail eventlog.digests",
    ),
    (
        "payload and digest are swapped together",
        |scene| {
            scene.edit_log(|log| {
                let entry = Event::ComposeHash(EVIL.into()).to_runtime().entry(DigestVersion::V1);
                log[2] = serde_json::to_value(entry).unwrap();
            });
        },
        "fail eventlog.replay-rtmr3 app.compose.hash app.compose.deployed app.mrconfigid.compose",
    ),
    (
        "the digests are left out and a payload is swapped",
        |scene| {
            scene.edit_log(|log| {
                log.iter_mut().for_each(|entry| entry["digest"] = "".into());
                log[1]["event_payload"] = "09".repeat(20).into();
            });
        },
        "fail eventlog.replay-rtmr3 app.id.app-id",
    ),
    (
        "an event is moved to another register",
        |scene| scene.edit_log(|log| log[2]["imr"] = 2.into()),
        "fail eventlog.replay-rtmr3 eventlog.replay-boot app.compose.hash app.compose.deployed app.mrconfigid.compose; warn eventlog.order",
    ),
    (
        "an event is passed off as the firmware's",
        |scene| {
            scene.edit_log(|log| {
                log[2]["event_type"] = 4.into();
                log[2]["event_payload"] = "09".repeat(32).into();
            });
        },
        "fail eventlog.order app.compose.hash app.compose.deployed app.mrconfigid.compose",
    ),
    (
        "an entry of version 1 says version 2",
        |scene| scene.edit_log(|log| log[2]["version"] = 2.into()),
        "fail eventlog.digests eventlog.replay-rtmr3",
    ),
    (
        "a preimage shows another content",
        |scene| {
            scene.edit_log(|log| {
                log[2]["preimage"] =
                    hex::encode(b"{\"name\":\"compose-hash\",\"payload\":\"09\",\"type\":134217729}").into();
            });
        },
        "fail eventlog.digests",
    ),
    (
        "the log is that of another app",
        |scene| {
            let mut events = boot_events();
            events[1] = Event::AppId([0x22; 20].into()).to_runtime();
            scene.evidence.event_log = Scene::of(events, MrConfigId::v1(compose_hash())).evidence.event_log;
        },
        "fail eventlog.replay-rtmr3 app.id.app-id",
    ),
    (
        "the log is empty",
        |scene| scene.evidence.event_log = Some("[]".to_owned()),
        "fail eventlog.boot-complete eventlog.replay-rtmr3 app.compose.hash app.compose.deployed app.mrconfigid.compose app.id.app-id app.id.instance-id app.key-provider; unknown os.image-hash",
    ),
    (
        "the log is not JSON",
        |scene| scene.evidence.event_log = Some("[{".to_owned()),
        "unknown eventlog.readable",
    ),
    ("there is no log", |scene| scene.evidence.event_log = None, "unknown eventlog.readable"),
    (
        "entries of the firmware are made up",
        |scene| {
            scene.edit_log(|log| {
                let entry = serde_json::json!({
                    "imr": 0, "event_type": 10, "digest": "ab".repeat(48), "event": "", "event_payload": ""
                });
                log.insert(0, entry);
            });
        },
        "fail eventlog.replay-boot",
    ),
];

#[test]
fn each_is_found() {
    carry_out(ATTACKS);
}

/// Events that the CVM itself measured, so that the log replays: an attacker inside, before or after `system-ready`.
#[test]
fn events_that_were_really_measured() {
    let names = [
        ("compose-hash", EVIL.to_vec()),
        ("app-id", vec![9; 20]),
        ("instance-id", vec![9; 20]),
        ("key-provider", br#"{"name":"none","id":""}"#.to_vec()),
        ("os-image-hash", EVIL.to_vec()),
        ("boot-mr-done", vec![]),
        ("system-preparing", vec![]),
    ];
    for (name, payload) in names {
        for version in [DigestVersion::V1, DigestVersion::V2] {
            let with = |at: usize| {
                let mut entries: Vec<_> =
                    boot_events().into_iter().map(|event| event.entry(version)).collect();
                entries.insert(at, RuntimeEvent::new(name, payload.clone()).entry(version));
                Scene::of_log(&EventLog::from_entries(entries), MrConfigId::v1(compose_hash())).report()
            };
            // After system-ready it is the app's, and says nothing about the system.
            assert_eq!(changes(&with(9)), "", "{name} after system-ready");
            // Between the others it is a second answer to one question.
            assert!(changes(&with(8)).contains("eventlog.order"), "{name} before system-ready");
            // Before system-preparing, nothing of dstack can have measured.
            assert!(changes(&with(0)).contains("eventlog.order"), "{name} first");
        }
    }
}

#[test]
fn another_compose_really_ran() {
    let events = boot_events().into_iter().map(|event| match event.name() {
        "compose-hash" => Event::ComposeHash(EVIL.into()).to_runtime(),
        _ => event,
    });
    let mut scene = Scene::of(events.collect(), MrConfigId::v1(EVIL.into()));
    assert_eq!(changes(&scene.report()), "fail app.compose.hash app.compose.deployed");
    // Showing the log of the honest app does not help, nor does its MRCONFIGID beside it.
    scene.evidence.event_log = Scene::honest().evidence.event_log;
    assert_eq!(changes(&scene.report()), "fail eventlog.replay-rtmr3 app.mrconfigid.compose");
}

#[test]
fn a_log_of_both_versions_is_as_good() {
    let entries = boot_events().into_iter().enumerate().map(|(index, event)| {
        event.entry(if index % 2 == 0 { DigestVersion::V1 } else { DigestVersion::V2 })
    });
    let mut scene = Scene::of_log(&EventLog::from_entries(entries.collect()), MrConfigId::v1(compose_hash()));
    assert_eq!(changes(&scene.report()), "");
    scene.edit_log(|log| log.iter_mut().for_each(|entry| entry["digest"] = "".into()));
    assert_eq!(changes(&scene.report()), "", "digests that are left out are recomputed");
    scene.edit_log(|log| log[3]["version"] = 1.into());
    assert_eq!(changes(&scene.report()), "fail eventlog.replay-rtmr3");
    assert_eq!(scene.evidence.app_id, Some(APP.to_string()));
}
