//! Event logs replayed and explained.

use crate::snapshot;
use crate::world::{World, recorded};

#[test]
fn a_log_replays_to_its_quote() {
    let world = World::new();
    world.write_recorded();
    let (code, document) = world.json(&["log", "replay", "evidence/quote.json"]);
    assert_eq!((code, document["schema"].as_str()), (Some(0), Some("dstack-verify/log-replay/v1")));
    assert_eq!((&document["matches"], &document["divergence"]), (&true.into(), &serde_json::Value::Null));
    snapshot!("replay", world.run(&["log", "replay", "evidence/quote.json"]));

    let log = recorded("get-quote")["event_log"].as_str().unwrap().to_owned();
    world.write("log.json", &log);
    let alone = world.run(&["log", "replay", "log.json"]);
    assert!(alone.starts_with("code: 0\n") && alone.contains("`--quote FILE`"), "{alone}");
    let (code, document) = world.json(&["log", "replay", "log.json", "--quote", "evidence/quote.json"]);
    assert_eq!((code, &document["matches"]), (Some(0), &true.into()));
    let (code, document) = world.json(&["log", "replay", "evidence/info.json"]);
    assert_eq!((code, &document["matches"]), (Some(0), &serde_json::Value::Null));
}

#[test]
fn a_log_that_was_touched_is_found_out() {
    let world = World::new();
    world.write_recorded();
    let mut answer = recorded("get-quote");
    let log = answer["event_log"].as_str().unwrap().replace("\"compose-hash\"", "\"compose-hush\"");
    answer["event_log"] = log.into();
    world.write("forged.json", answer.to_string());
    let text = world.run(&["log", "replay", "forged.json"]);
    assert!(text.starts_with("code: 1\n") && text.contains("DIFFERENT"), "{text}");
    assert!(text.contains("first contradiction: entry"), "{text}");
    let (code, document) = world.json(&["log", "explain", "forged.json"]);
    assert_eq!(code, Some(1));
    assert!(document["divergence"].as_str().unwrap().contains("compose-hush"), "{document}");
}

#[test]
fn entries_in_words() {
    let world = World::new();
    world.write_recorded();
    snapshot!("explain", world.run(&["log", "explain", "evidence/quote.json"]));
    let (code, document) = world.json(&["log", "explain", "evidence/quote.json"]);
    assert_eq!((code, document["schema"].as_str()), (Some(0), Some("dstack-verify/log-explain/v1")));
    let entries = document["entries"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["whose"] == "firmware"));
    assert!(entries.iter().any(|entry| entry["name"] == "compose-hash" && entry["whose"] == "dstack"));
}

/// What the app measures after system-ready is the app's, whatever its name.
#[test]
fn a_name_of_dstack_after_system_ready_is_the_apps() {
    use dstack_attestation::event_log::{DigestVersion, Event, EventLogBuilder, RuntimeEvent};
    let world = World::new();
    let log = EventLogBuilder::new(DigestVersion::V1)
        .event(&Event::SystemPreparing)
        .event(&Event::SystemReady)
        .runtime(RuntimeEvent::new("compose-hash", [0x11; 32]))
        .build();
    world.write("log.json", log.to_json());
    let (_, document) = world.json(&["log", "explain", "log.json"]);
    let last = document["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((last["name"].as_str(), last["whose"].as_str()), (Some("compose-hash"), Some("app")));
}
