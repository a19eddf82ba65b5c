//! Who may ask what where: sockets, the outside, the VMM, and the three forms of a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dstack_attestation::agent::{AppInfo, GetKeyArgs, GetKeyResponse, RawQuoteArgs};
use dstack_emulator::agent::{GuestAgent, GuestSpec};
use dstack_emulator::clock::Clock;
use dstack_vmm_client::DstackVersion;
use prost::Message as _;
use serde_json::{Value, json};

use super::{COMPOSE, Guest, bytes, kms};
use crate::raw_http::{exchange, over_unix};

#[tokio::test]
async fn versions_say_emulated() {
    for (version, number) in [(DstackVersion::V0_5, "0.5.11"), (DstackVersion::Next, "0.6.0")] {
        let guest = Guest::with_compose(version, COMPOSE);
        let expected = json!({ "version": number, "rev": "EMULATED, no TEE" });
        assert_eq!(guest.ask("Version", &json!({})).await, expected);
        assert_eq!(guest.tappd("Version", &json!({})).await, expected);
        let vmm = guest.open("guest.sock", guest.agent.guest_api_router());
        let info = over_unix(&vmm, "POST", "/api/Info?json", Some("{}")).await.json();
        assert_eq!(info["version"], format!("{number}+EMULATED"));
        assert_eq!(DstackVersion::from_server(info["version"].as_str().unwrap()), Some(version));
    }
}

#[tokio::test]
async fn gpus_are_asked_about_on_next_only() {
    let next = Guest::with_compose(DstackVersion::Next, COMPOSE);
    assert_eq!(next.ask("GpuInfo", &json!({})).await, json!({ "attestation": "" }));
    let old = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    assert_eq!(old.refusal("GpuInfo", &json!({})).await, "Service not found: GpuInfo");
}

#[tokio::test]
async fn json_query_and_protobuf_say_the_same() {
    let guest = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    let socket = guest.socket("dstack.sock");
    let json = guest.ask("GetKey", &json!({ "path": "/a b", "purpose": "p" })).await;
    let query = over_unix(&socket, "GET", "/GetKey?path=%2Fa%20b&purpose=p", None).await;
    assert_eq!(query.json(), json);
    let mut args = GetKeyArgs::default();
    args.path = "/a b".to_owned();
    args.purpose = "p".to_owned();
    let stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    let body = args.encode_to_vec();
    let reply = exchange(stream, "POST", "/GetKey", "application/octet-stream", Some(&body)).await;
    assert_eq!(reply.content_type.as_deref(), Some("application/octet-stream"));
    let read = GetKeyResponse::decode(reply.body.as_slice()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), json);
    assert_eq!(serde_json::from_value::<GetKeyResponse>(json).unwrap(), read);
    // An error too takes the form of the request.
    let mut long = RawQuoteArgs::default();
    long.report_data = vec![0; 65];
    let stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    let body = long.encode_to_vec();
    let reply = exchange(stream, "POST", "/GetQuote", "application/octet-stream", Some(&body)).await;
    assert_eq!((reply.status, reply.body.as_slice()), (400, b"\x0a\x17Report data is too long".as_slice()));
}

#[tokio::test]
async fn methods_of_one_surface_are_unknown_to_the_others() {
    let guest = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    let external = guest.open("external.sock", guest.agent.external_router());
    for (socket, path) in [
        (guest.socket("dstack.sock"), "/DeriveKey"),
        (guest.socket("tappd.sock"), "/prpc/GetKey"),
        (external.clone(), "/prpc/GetKey"),
        (external, "/prpc/Worker.Sign"),
    ] {
        let reply = over_unix(&socket, "POST", path, Some("{}")).await;
        let method = path.rsplit(['/', '.']).next().unwrap();
        assert_eq!(reply.json()["error"], format!("Service not found: {method}"), "{path}");
    }
    let nowhere = over_unix(&guest.socket("dstack.sock"), "POST", "/prpc/Info", Some("{}")).await;
    assert_eq!(nowhere.status, 404);
}

#[tokio::test]
async fn the_outside_sees_what_the_app_compose_allows() {
    let shown = Guest::with_compose(DstackVersion::Next, COMPOSE);
    let external = shown.open("external.sock", shown.agent.external_router());
    let info = over_unix(&external, "POST", "/prpc/Worker.Info?json", Some("{}")).await.json();
    assert!(!info["tcb_info"].as_str().unwrap().is_empty());
    let page = over_unix(&external, "GET", "/", None).await;
    assert!(page.text().contains("EMULATED") && page.text().contains(&shown.agent.app_id().to_string()));
    let metrics = over_unix(&external, "GET", "/metrics", None).await;
    assert!(metrics.text().contains("\nnum_cpus 1\n") && metrics.text().contains("EMULATED"));
    let bare = over_unix(&external, "GET", "/logs/dstack-web-1?bare&text", None).await;
    assert_eq!(bare.text(), "EMULATED: this container does not run\nit would run the image nginx:1.27\n");
    let last = over_unix(&external, "GET", "/logs/store?text&tail=1", None).await;
    let item: Value = serde_json::from_str(last.text()).unwrap();
    assert_eq!(item, json!({ "channel": "stdout", "message": "it would run the image postgres:17\n" }));
    assert_eq!(over_unix(&external, "GET", "/logs/nope", None).await.status, 404);

    let closed = COMPOSE.replace("\"public_logs\":true,\"public_sysinfo\":true", "\"public_tcbinfo\":false");
    let hidden = Guest::with_compose(DstackVersion::Next, &closed);
    let external = hidden.open("external.sock", hidden.agent.external_router());
    let info = over_unix(&external, "POST", "/prpc/Info?json", Some("{}")).await.json();
    assert_eq!((&info["tcb_info"], &info["vm_config"]), (&json!(""), &json!("")));
    assert_eq!(info["app_id"], hidden.agent.app_id().to_string());
    assert_eq!(over_unix(&external, "GET", "/metrics", None).await.status, 404);
    assert_eq!(over_unix(&external, "GET", "/logs/dstack-web-1", None).await.status, 404);
    // The app itself sees it all.
    assert!(!hidden.ask("Info", &json!({})).await["tcb_info"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn the_signing_key_can_be_attested_from_outside() {
    let guest = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    let external = guest.open("external.sock", guest.agent.external_router());
    for (algorithm, tag) in [("ed25519", "dip1::ed25519-pk:"), ("secp256k1", "dip1::secp256k1c-pk:")] {
        let request = json!({ "algorithm": algorithm }).to_string();
        let path = "/prpc/Worker.GetAttestationForAppKey?json";
        let answer = over_unix(&external, "POST", path, Some(&request)).await.json();
        let data = bytes(&answer["report_data"]);
        let text = String::from_utf8(data).unwrap();
        let key = text.trim_end_matches('\0').strip_prefix(tag).unwrap().to_owned();
        use base64::Engine as _;
        let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(key).unwrap();
        let signed = guest.ask("Sign", &json!({ "algorithm": algorithm, "data": "00" })).await;
        assert_eq!(key, bytes(&signed["public_key"]), "{algorithm}");
    }
}

#[tokio::test]
async fn the_vmm_learns_about_the_guest() {
    let mut spec = GuestSpec::new(DstackVersion::V0_5, COMPOSE);
    (spec.vcpu, spec.memory_mib, spec.disk_gib) = (4, 2048, 20);
    let guest = Guest::boot(spec);
    let vmm = guest.open("guest.sock", guest.agent.guest_api_router());
    let ask = async |method: &str| {
        over_unix(&vmm, "POST", &format!("/api/{method}?json"), Some(r#"{"id":"x"}"#)).await.json()
    };
    guest.clock.advance(Duration::from_secs(90));
    let system = ask("SysInfo").await;
    assert_eq!((&system["num_cpus"], &system["total_memory"]), (&json!(4), &json!(2_u64 << 30)));
    assert_eq!((&system["uptime"], &system["disks"][0]["total_size"]), (&json!(90), &json!(20_u64 << 30)));
    let containers = ask("ListContainers").await;
    let names: Vec<&Value> =
        containers["containers"].as_array().unwrap().iter().map(|container| &container["names"][0]).collect();
    assert_eq!(names, [&json!("/dstack-web-1"), &json!("/store")]);
    assert_eq!(containers["containers"][0]["status"], "Up About a minute");
    assert_eq!(ask("NetworkInfo").await["interfaces"][0]["name"], "eth0");
    let shut_down = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&shut_down);
    guest.agent.on_shutdown(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(ask("Shutdown").await, Value::Null);
    assert_eq!(shut_down.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn sockets_live_as_long_as_their_handle() {
    let guest = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    let paths: Vec<_> = guest.sockets.paths().map(std::path::Path::to_owned).collect();
    assert_eq!(paths, [guest.socket("dstack.sock"), guest.socket("tappd.sock")]);
    assert!(paths.iter().all(|path| path.exists()));
    drop(guest.sockets);
    assert!(!paths.iter().any(|path| path.exists()));
    // The file of a guest that was killed is no obstacle.
    std::fs::write(&paths[0], b"").unwrap();
    let again = guest.agent.open_sockets(guest.directory.path()).unwrap();
    let info = over_unix(&paths[0], "GET", "/Info", None).await.json();
    assert_eq!(serde_json::from_value::<AppInfo>(info).unwrap().app_id, guest.agent.app_id().as_ref());
    drop(again);
    let long = guest.directory.path().join("x".repeat(120));
    std::fs::create_dir(&long).unwrap();
    assert!(guest.agent.open_sockets(&long).is_err());
}

#[test]
fn what_a_guest_cannot_boot_with_is_named() {
    let error = |compose: &str| {
        let spec = GuestSpec::new(DstackVersion::V0_5, compose);
        GuestAgent::boot(spec, &kms(), Clock::manual()).unwrap_err().to_string()
    };
    let errors = [error("{"), error(r#"{"key_provider":"magic"}"#), error(r#"{"key_provider_id":"0"}"#)];
    insta::assert_snapshot!(errors.join("\n"), @r#"
    failed to read the app-compose: EOF while parsing an object at line 1 column 1
    failed to read the app-compose: unknown key provider "magic"
    failed to read the app-compose: key_provider_id: Odd number of digits
    "#);
}
