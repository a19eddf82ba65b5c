//! Every recorded exchange of the real agent, put to ours.

use dstack_emulator::agent::GuestSpec;
use dstack_vmm_client::DstackVersion;
use serde_json::Value;

use super::{COMPOSE, Guest, recorded};
use crate::golden_shape::difference;
use crate::raw_http::over_unix;

/// A JSON text inside of JSON, as a value.
fn inner(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn every_recorded_exchange_is_answered_alike() {
    let mut spec = GuestSpec::new(DstackVersion::Next, COMPOSE);
    // The recording machine had no Docker.
    spec.docker = false;
    let guest = Guest::boot(spec);
    guest.open("external.sock", guest.agent.external_router());
    guest.open("guest.sock", guest.agent.guest_api_router());
    let mut compared = 0;
    for exchange in recorded() {
        let name = exchange["name"].as_str().unwrap();
        let socket = guest.socket(exchange["socket"].as_str().unwrap());
        let request = match &exchange["request"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            // The recorder wrote JSON as Python does; columns in error texts depend on it.
            value => Some(value.to_string().replace("\":", "\": ").replace(",\"", ", \"")),
        };
        let (verb, path) = (exchange["method"].as_str().unwrap(), exchange["path"].as_str().unwrap());
        let reply = over_unix(&socket, verb, path, request.as_deref()).await;
        let answer = reply.json();
        assert_eq!(u64::from(reply.status), exchange["status"].as_u64().unwrap(), "{name}: {answer}");
        assert_eq!(reply.content_type.as_deref(), exchange["content_type"].as_str(), "{name}");
        let recorded = &exchange["response"];
        assert_eq!(difference(name, recorded, &answer), None);
        for text in ["tcb_info", "key_provider_info", "event_log"] {
            if let Some(recorded) = recorded.get(text) {
                assert_eq!(
                    difference(&format!("{name}.{text}"), &inner(recorded), &inner(&answer[text])),
                    None
                );
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 33);
}

#[tokio::test]
async fn recorded_signatures_are_judged_as_recorded() {
    let guest = Guest::with_compose(DstackVersion::Next, COMPOSE);
    for exchange in recorded().into_iter().filter(|exchange| exchange["path"] == "/Verify") {
        let request = match &exchange["request"] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            value => value.clone(),
        };
        assert_eq!(guest.ask("Verify", &request).await, exchange["response"], "{}", exchange["name"]);
    }
}

#[tokio::test]
async fn the_page_of_facts_has_the_layout_of_the_recorded_one() {
    let guest = Guest::with_compose(DstackVersion::Next, COMPOSE);
    let info = guest.ask("Info", &serde_json::json!({})).await;
    let tcb_info = info["tcb_info"].as_str().unwrap();
    // Two spaces of indentation, and the app-compose as the text that was given.
    assert!(tcb_info.starts_with("{\n  \"mrtd\": \""), "{}", &tcb_info[..40]);
    assert_eq!(inner(&info["tcb_info"])["app_compose"], COMPOSE);
    let certificates = info["app_cert"].as_str().unwrap().matches("BEGIN CERTIFICATE").count();
    assert_eq!(certificates, 3);
    assert_eq!(info["app_name"], "guest-agent");
}
