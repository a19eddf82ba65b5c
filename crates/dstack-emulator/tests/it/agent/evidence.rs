//! Event logs, quotes and ids: they must explain each other, whatever the app-compose.

use dstack_attestation::event_log::{DigestVersion, EventLog, EventName, Rtmr};
use dstack_attestation::quote::TdxQuote;
use dstack_attestation::{CreatorFields, Digest32, Id20, MrConfigId};
use dstack_emulator::agent::{GuestAgent, GuestSpec};
use dstack_emulator::clock::Clock;
use dstack_vmm_client::DstackVersion;
use proptest::prelude::*;
use ring::digest;
use serde_json::{Value, json};

use super::{COMPOSE, Guest, bytes, kms};

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn boot(version: DstackVersion, compose: &str) -> GuestAgent {
    GuestAgent::boot(GuestSpec::new(version, compose), &kms(), Clock::manual()).unwrap()
}

fn read_quote(agent: &GuestAgent) -> TdxQuote {
    TdxQuote::parse(&agent.quote([7; 64].into())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_log_explains_the_quote_of_any_app(
        name in "[a-zA-Z0-9 ._-]{0,20}",
        provider in prop::sample::select(vec!["none", "kms", "local", "tpm"]),
        pinned in prop::option::of("[0-9a-f]{64}"),
        flags in any::<[bool; 2]>(),
        event_log_version in 1..=2,
        scripts in prop::collection::vec("[ -~]{0,30}", 0..4),
        app_id in prop::option::of(any::<[u8; 20]>()),
        next in any::<bool>(),
    ) {
        let compose = json!({
            "manifest_version": "3", "name": name, "runner": "docker-compose", "key_provider": provider,
            "key_provider_id": pinned.unwrap_or_default(), "no_instance_id": flags[0],
            "public_tcbinfo": flags[1], "event_log_version": event_log_version, "init_script": scripts,
        }).to_string();
        let version = if next { DstackVersion::Next } else { DstackVersion::V0_5 };
        let mut spec = GuestSpec::new(version, compose.clone());
        spec.app_id = app_id.map(Id20::new);
        let agent = GuestAgent::boot(spec, &kms(), Clock::manual()).unwrap();
        let quote = read_quote(&agent);
        // What was sent is what is read, and replays to the quote.
        let log = EventLog::parse(&agent.event_log().to_json()).unwrap();
        for rtmr in Rtmr::ALL {
            prop_assert_eq!(log.replay().get(rtmr), quote.report.measurements.rtmrs().get(rtmr));
        }
        prop_assert!(log.divergences().next().is_none());
        let events = log.system_events();
        prop_assert!(events.problems.is_empty(), "{:?}", events.problems);
        prop_assert!(events.system_ready.is_some() && events.boot_mr_done.is_some());
        prop_assert_eq!(events.app_id, Some(agent.app_id()));
        prop_assert_eq!(events.instance_id, Some(agent.instance_id()));
        prop_assert_eq!(agent.instance_id().is_none(), flags[0]);
        prop_assert_eq!(events.compose_hash.unwrap().to_string(), hex::encode(sha256(compose.as_bytes())));
        prop_assert_eq!(events.os_image_hash.is_some(), provider == "kms");
        prop_assert_eq!(events.init_script_hashes.len(), if next { scripts.len() } else { 0 });
        let expected = match (app_id, next, provider) {
            (Some(given), true, _) | (Some(given), _, "kms") => Id20::new(given),
            _ => Id20::from_slice(&sha256(compose.as_bytes())[..20]).unwrap(),
        };
        prop_assert_eq!(agent.app_id(), expected);
        let runtime_version = log.entries().iter().find(|entry| entry.is_runtime()).unwrap().version();
        let expected = if next && event_log_version == 2 { DigestVersion::V2 } else { DigestVersion::V1 };
        prop_assert_eq!(runtime_version, expected);
        prop_assert!(quote.is_emulated());
    }
}

#[test]
fn mr_config_id_commits_to_the_compose_hash() {
    for version in DstackVersion::ALL {
        let agent = boot(version, COMPOSE);
        let expected = MrConfigId::v1(agent.compose_hash());
        assert_eq!(MrConfigId::parse(&read_quote(&agent).report.creator.mr_config_id), Ok(expected));
    }
}

#[test]
fn a_pinned_key_provider_is_committed_to_in_the_form_of_the_version() {
    let pinned = COMPOSE.replace("\"kms_enabled\":true", r#""key_provider":"kms","key_provider_id":"3333""#);
    let version_of = |version| {
        let quote = read_quote(&boot(version, &pinned));
        MrConfigId::parse(&quote.report.creator.mr_config_id).unwrap().version()
    };
    assert_eq!(version_of(DstackVersion::V0_5), 2);
    assert_eq!(version_of(DstackVersion::Next), 3);
}

#[test]
fn the_order_of_events_is_the_recorded_one() {
    let recorded: Value =
        serde_json::from_str(super::recorded_answer("quote")["event_log"].as_str().unwrap()).unwrap();
    let recorded: EventLog = serde_json::from_value(recorded).unwrap();
    let names = |log: &EventLog| -> Vec<String> {
        log.runtime_events().map(|event| event.entry.name().to_owned()).collect()
    };
    for version in DstackVersion::ALL {
        assert_eq!(names(&boot(version, COMPOSE).event_log()), names(&recorded));
    }
}

#[test]
fn boot_measurements_follow_from_image_and_shape() {
    let measured = |image: u8, vcpu: u32, compose: &str| {
        let mut spec = GuestSpec::new(DstackVersion::Next, compose);
        spec.os_image_hash = Digest32::new([image; 32]);
        spec.vcpu = vcpu;
        GuestAgent::boot(spec, &kms(), Clock::manual()).unwrap().measurements()
    };
    let one = measured(1, 1, COMPOSE);
    assert_eq!(one, measured(1, 1, COMPOSE));
    let other_app = measured(1, 1, &COMPOSE.replace("guest-agent", "other"));
    assert_eq!(
        (one.mrtd, one.rtmr0, one.rtmr1, one.rtmr2),
        (other_app.mrtd, other_app.rtmr0, other_app.rtmr1, other_app.rtmr2)
    );
    assert_ne!(one.rtmr3, other_app.rtmr3);
    let bigger = measured(1, 2, COMPOSE);
    assert_ne!(one.rtmr0, bigger.rtmr0);
    assert_eq!((one.mrtd, one.rtmr1, one.rtmr2), (bigger.mrtd, bigger.rtmr1, bigger.rtmr2));
    let other_image = measured(2, 1, COMPOSE);
    assert!(one.mrtd != other_image.mrtd && one.rtmr1 != other_image.rtmr1 && one.rtmr2 != other_image.rtmr2);
}

#[test]
fn instance_ids_follow_from_seed_and_app() {
    let mut spec = GuestSpec::new(DstackVersion::V0_5, COMPOSE);
    spec.instance_seed = Id20::new([5; 20]);
    spec.app_id = Some(Id20::new([9; 20]));
    let agent = GuestAgent::boot(spec, &kms(), Clock::manual()).unwrap();
    let expected = sha256(&[[5; 20], [9; 20]].concat());
    assert_eq!(agent.instance_id().unwrap().as_ref(), &expected[..20]);
}

#[tokio::test]
async fn an_app_extends_rtmr3_on_0_5_only() {
    let old = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    let before = old.agent.measurements();
    assert_eq!(old.ask("EmitEvent", &json!({ "event": "my-event", "payload": "0102" })).await, Value::Null);
    let quote = old.ask("GetQuote", &json!({ "report_data": "00" })).await;
    let read = TdxQuote::parse(&bytes(&quote["quote"])).unwrap();
    assert_ne!(read.report.measurements.rtmr3, before.rtmr3);
    assert_eq!(read.report.measurements.rtmr0, before.rtmr0);
    let log = EventLog::parse(quote["event_log"].as_str().unwrap()).unwrap();
    assert_eq!(log.replay(), read.report.measurements.rtmrs());
    let last = log.entries().last().unwrap();
    assert_eq!((last.name(), last.payload()), ("my-event", [1, 2].as_slice()));
    assert_eq!(log.system_events().app_events, 1);
    // A name of dstack's after the system is ready is still the app's.
    old.ask("EmitEvent", &json!({ "event": EventName::AppId.as_str(), "payload": "00" })).await;
    assert_eq!(old.agent.event_log().system_events().app_id, Some(old.agent.app_id()));
    let next = Guest::with_compose(DstackVersion::Next, COMPOSE);
    let words = next.refusal("EmitEvent", &json!({ "event": "x", "payload": "" })).await;
    assert_eq!(words, "Service not found: EmitEvent");
}

#[tokio::test]
async fn info_agrees_with_the_quote() {
    for version in DstackVersion::ALL {
        let guest = Guest::with_compose(version, COMPOSE);
        let info = guest.ask("Info", &json!({})).await;
        let tcb: Value = serde_json::from_str(info["tcb_info"].as_str().unwrap()).unwrap();
        let quote = read_quote(&guest.agent);
        let measured = quote.report.measurements;
        assert_eq!(tcb["mrtd"], measured.mrtd.to_string());
        assert_eq!(tcb["rtmr3"], measured.rtmr3.to_string());
        let creator =
            CreatorFields { mr_config_id: quote.report.creator.mr_config_id, ..CreatorFields::default() };
        assert_eq!(info["mr_aggregated"], measured.mr_aggregated(&creator).to_string());
        assert_eq!(tcb["mr_aggregated"], info["mr_aggregated"]);
        assert_eq!(info["compose_hash"], hex::encode(sha256(COMPOSE.as_bytes())));
        assert_eq!(info["device_id"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let provider: Value = serde_json::from_str(info["key_provider_info"].as_str().unwrap()).unwrap();
        assert_eq!(provider, json!({ "name": "kms", "id": hex::encode(guest.kms.ca_pubkey()) }));
        let config: Value = serde_json::from_str(info["vm_config"].as_str().unwrap()).unwrap();
        assert_eq!((&config["cpu_count"], &config["memory_size"]), (&json!(1), &json!(1 << 30)));
        let log = EventLog::parse(&tcb["event_log"].to_string()).unwrap();
        assert_eq!(log, guest.agent.event_log());
    }
}

#[tokio::test]
async fn legacy_quotes_hash_what_they_are_given() {
    let guest = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    let report_data = async |request: &Value| {
        let answer = guest.tappd("TdxQuote", request).await;
        let quote = TdxQuote::parse(&bytes(&answer["quote"])).unwrap();
        (quote.report.report_data.to_string(), answer["hash_algorithm"].clone(), answer["prefix"].clone())
    };
    let hello = hex::encode("hello");
    let (data, algorithm, prefix) = report_data(&json!({ "report_data": hello })).await;
    let expected = "e39fd3dbee991d65e65cc38c6e9d664324929816279a19b495bcd3f77a62d81949ba61282d8a732916d39bb9f6a6a16d11211c0d800b6ffc56ecf74419a7c835";
    assert_eq!((data.as_str(), algorithm, prefix), (expected, json!("sha512"), json!("app-data")));
    let (data, algorithm, _) =
        report_data(&json!({ "report_data": hello, "hash_algorithm": "sha256", "prefix": "tag" })).await;
    assert_eq!(data, hex::encode(sha256(b"tag:hello")) + &"00".repeat(32));
    assert_eq!(algorithm, "sha256");
    let raw = json!({ "report_data": "ab".repeat(64) });
    let answer = guest.tappd("RawQuote", &raw).await;
    assert_eq!((&answer["hash_algorithm"], &answer["prefix"]), (&json!("raw"), &json!("")));
}
