//! Every method of both versions, over both transports.

use std::collections::BTreeSet;
use std::time::Duration;

use dstack_emulator::settings::Gpu;
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::{METHODS, Surface};
use serde_json::{Value, json};

use crate::server::{COMPOSE, Rig, VERSIONS};

async fn rig(version: DstackVersion, transport: &str) -> Rig {
    Rig::with(version, |builder| {
        builder.listen_tcp("127.0.0.1:0").listen_unix(std::env::temp_dir().join(unique())).configure(
            |settings| {
                settings.registry = "registry.example.com/dstack".to_owned();
                settings.registry_tags = vec!["0.5.12".to_owned()];
                settings.gpu_enabled = true;
                settings.gpus = vec![Gpu::new("18:00.0", "10de:2335", "EMULATED GPU")];
            },
        )
    })
    .await
    .over(transport)
}

/// A name of a socket that no other test uses.
fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("dstack-emulator-{}-{}.sock", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Calls a method with success and says what is expected of its answer. A method without an arm fails the test.
#[allow(clippy::too_many_lines, reason = "one arm a method")]
async fn exercise(rig: &Rig, surface: Surface, name: &str) {
    let vm = |id: &str| json!({ "id": id });
    let up = async || {
        let id = rig.create(name, false).await;
        rig.boot();
        id
    };
    match (surface, name) {
        (Surface::Vmm, "CreateVm") => {
            let id = rig.create("made", true).await;
            assert_eq!(rig.info(&id).await["status"], "stopped");
        }
        (Surface::Vmm, "StartVm") => {
            let id = rig.create("started", true).await;
            assert_eq!(rig.ok(name, vm(&id)).await, Value::Null);
            let info = rig.info(&id).await;
            assert_eq!((&info["status"], &info["boot_progress"]), (&json!("running"), &json!("booting")));
        }
        (Surface::Vmm, "StopVm") => {
            let id = up().await;
            rig.ok(name, vm(&id)).await;
            assert_eq!(rig.info(&id).await["status"], "stopped");
        }
        (Surface::Vmm, "ShutdownVm") | (Surface::Guest, "Shutdown") => {
            let id = up().await;
            let path = if surface == Surface::Guest { "guest/Shutdown" } else { name };
            rig.ok(path, vm(&id)).await;
            let info = rig.info(&id).await;
            assert_eq!(
                (&info["status"], &info["shutdown_progress"]),
                (&json!("stopping"), &json!("powering off"))
            );
            rig.boot();
            assert_eq!(rig.info(&id).await["status"], "stopped");
        }
        (Surface::Vmm, "RemoveVm") => {
            let id = up().await;
            rig.ok(name, vm(&id)).await;
            assert_eq!(rig.info(&id).await["status"], "removing");
            assert_eq!(rig.ok(name, vm(&id)).await, Value::Null, "a second time changes nothing");
            rig.emulator.advance(Duration::from_secs(2));
            assert_eq!(rig.ok("GetInfo", vm(&id)).await, json!({ "found": false, "info": null }));
            assert!(!rig.emulator.vm_dir(&id).exists());
        }
        (Surface::Vmm, "UpdateVm" | "UpgradeApp") => {
            let id = rig.create("changed", true).await;
            let request = json!({
                "id": id, "encrypted_env": "00ff", "user_config": "u", "vcpu": 3, "memory": 4096, "disk_size": 9,
                "update_kms_urls": true, "kms_urls": ["https://kms.example.com"], "no_tee": true,
                "gpus": { "attach_mode": "listed", "gpus": [{ "slot": "18:00.0" }] },
            });
            assert_eq!(rig.ok(name, request).await, json!({ "id": "" }));
            let made_of = rig.info(&id).await["configuration"].clone();
            for (key, value) in [
                ("encrypted_env", json!("00ff")),
                ("user_config", json!("u")),
                ("vcpu", json!(3)),
                ("memory", json!(4096)),
                ("disk_size", json!(9)),
                ("kms_urls", json!(["https://kms.example.com"])),
                ("no_tee", json!(true)),
                ("gpus", json!({ "gpus": [{ "slot": "18:00.0" }], "attach_mode": "listed" })),
            ] {
                assert_eq!(made_of[key], value, "{key}");
            }
        }
        (Surface::Vmm, "ResizeVm") => {
            let id = rig.create("bigger", true).await;
            rig.ok(name, json!({ "id": id, "memory": 2048 })).await;
            assert_eq!(rig.info(&id).await["configuration"]["memory"], 2048);
        }
        (Surface::Vmm, "GetComposeHash") => {
            let reply = rig.ok(name, json!({ "name": "x", "compose_file": COMPOSE })).await;
            let hash = dstack_vmm_client::app_compose::ComposeHash::of(COMPOSE.as_bytes()).to_string();
            assert_eq!(reply, json!({ "hash": hash }));
        }
        (Surface::Vmm, "Status") => {
            let id = rig.create("listed", true).await;
            let reply = rig.ok(name, json!({ "ids": [id], "brief": true })).await;
            assert_eq!(reply["total"], 1);
            assert_eq!(reply["vms"][0]["configuration"], Value::Null);
        }
        (Surface::Vmm, "GetInfo") => {
            let id = rig.create("looked at", true).await;
            assert_eq!(rig.ok(name, vm(&id)).await["found"], true);
        }
        (Surface::Vmm, "ListImages") => {
            let reply = rig.ok(name, json!({})).await;
            assert_eq!(reply["images"][0]["name"], "dstack-0.5.11");
            assert!(reply["images"][0]["description"].as_str().unwrap().contains("EMULATED"));
        }
        (Surface::Vmm, "DeleteImage") => {
            rig.create("user", true).await;
            let used = rig.call(name, vm("dstack-0.5.11")).await.error();
            assert!(used.contains("in use by VM"), "{used}");
            rig.ok("PullRegistryImage", json!({ "tag": "0.5.12" })).await;
            rig.boot();
            rig.ok(name, vm("dstack-0.5.12")).await;
            assert_eq!(rig.call(name, vm("dstack-0.5.12")).await.error(), "image 'dstack-0.5.12' not found");
        }
        (Surface::Vmm, "ListRegistryImages" | "PullRegistryImage") => {
            let seen = async || rig.ok("ListRegistryImages", json!({})).await["images"][0].clone();
            let state = |local: bool, pulling: bool| json!({ "tag": "0.5.12", "local": local, "pulling": pulling, "error": "" });
            assert_eq!(seen().await, state(false, false));
            rig.ok("PullRegistryImage", json!({ "tag": "0.5.12" })).await;
            assert_eq!(seen().await, state(false, true));
            rig.boot();
            assert_eq!(seen().await, state(true, false));
            rig.ok("DeleteImage", vm("dstack-0.5.12")).await;
        }
        (Surface::Vmm, "GetAppEnvEncryptPubKey") => {
            let reply = rig.ok(name, json!({ "app_id": "00".repeat(20) })).await;
            let key = rig.emulator.kms().env_public_key(&[0; 20]).unwrap();
            assert_eq!(reply["public_key"], hex::encode(key));
            assert_eq!(reply["timestamp"], rig.emulator.clock().now_ms() / 1000);
            assert_eq!(rig.call(name, json!({ "app_id": "00" })).await.status, 400);
        }
        (Surface::Vmm, "GetMeta") => {
            let reply = rig.ok(name, json!({})).await;
            assert_eq!(reply["gateway"]["agent_port"], 8090);
            let next = rig.emulator.version() != DstackVersion::V0_5;
            assert_eq!(reply.get("networking").is_some(), next);
        }
        (Surface::Vmm, "Version") => {
            let reply = rig.ok(name, json!({})).await;
            assert_eq!(reply["version"], rig.emulator.version().capabilities().reference);
            assert!(reply["rev"].as_str().unwrap().contains("EMULATED"));
        }
        (Surface::Vmm, "ListGpus") => {
            let gpu = |free: bool| {
                let gpu = json!({
                    "slot": "18:00.0", "product_id": "10de:2335", "description": "EMULATED GPU", "is_free": free,
                });
                json!({ "gpus": [gpu], "allow_attach_all": true })
            };
            assert_eq!(rig.ok(name, json!({})).await, gpu(true));
            let request = json!({
                "name": "gpu", "image": "dstack-0.5.11", "compose_file": COMPOSE, "gpus": { "attach_mode": "all" },
            });
            let id = rig.ok("CreateVm", request).await["id"].clone();
            assert_eq!(rig.ok(name, json!({})).await, gpu(false));
            rig.ok("StopVm", json!({ "id": id })).await;
        }
        (Surface::Vmm, "ReloadVms") => {
            let id = rig.create("put there", true).await;
            let before = rig.ok(name, json!({})).await;
            assert_eq!((&before["loaded"], &before["removed"]), (&json!(0), &json!(0)));
            let kept = tempfile::tempdir().unwrap();
            let (from, to) = (rig.emulator.vm_dir(&id), kept.path().join(&id));
            std::fs::rename(&from, &to).unwrap();
            assert_eq!(rig.ok(name, json!({})).await["removed"], 1);
            std::fs::rename(&to, &from).unwrap();
            assert_eq!(rig.ok(name, json!({})).await["loaded"], 1);
            assert_eq!(rig.info(&id).await["name"], "put there");
        }
        (Surface::Vmm, "SvList" | "SvStop" | "SvRemove") => {
            let id = up().await;
            let status = async || {
                let reply = rig.ok("SvList", json!({})).await;
                let processes = reply["processes"].as_array().unwrap().clone();
                processes
                    .into_iter()
                    .find(|process| process["id"] == id)
                    .map(|process| process["status"].clone())
            };
            assert_eq!(status().await, Some(json!("running")));
            assert_eq!(rig.call("SvRemove", vm(&id)).await.status, 400, "it runs");
            rig.ok("SvStop", vm(&id)).await;
            assert_eq!(status().await, Some(json!("stopped")));
            rig.ok("SvRemove", vm(&id)).await;
            assert_eq!(status().await, None);
        }
        (Surface::Vmm, "ReportDhcpLease") => {
            let request = json!({ "mac": "02:00:00:00:00:01", "ip": "192.0.2.1" });
            assert_eq!(rig.ok(name, request).await, Value::Null);
        }
        (Surface::Guest, "Info") => {
            let id = up().await;
            let reply = rig.ok("guest/Info", vm(&id)).await;
            let info = rig.info(&id).await;
            assert_eq!(reply["app_id"], info["app_id"]);
            assert_eq!(reply["instance_id"], info["instance_id"]);
            assert!(reply["version"].as_str().unwrap().contains("EMULATED"));
        }
        (Surface::Guest, "SysInfo") => {
            let id = up().await;
            assert_eq!(rig.ok("guest/SysInfo", vm(&id)).await["num_cpus"], 1);
        }
        (Surface::Guest, "NetworkInfo") => {
            let id = up().await;
            assert!(rig.ok("guest/NetworkInfo", vm(&id)).await["interfaces"].is_array());
        }
        (Surface::Guest, "ListContainers") => {
            let id = up().await;
            assert_eq!(rig.ok("guest/ListContainers", vm(&id)).await["containers"][0]["image"], "nginx");
        }
        other => panic!("no test for {other:?}"),
    }
}

async fn every_method(version: DstackVersion, transport: &str) {
    let rig = rig(version, transport).await;
    let mut tested = BTreeSet::new();
    for method in METHODS {
        if method.versions.contains(&version) {
            exercise(&rig, method.surface, method.name).await;
            tested.insert((method.surface.prefix(), method.name));
        } else {
            let reply = rig.call(method.name, json!({})).await;
            assert_eq!(reply.error(), format!("Service not found: {}", method.name));
        }
    }
    let all = METHODS.iter().filter(|method| method.versions.contains(&version)).count();
    assert_eq!(tested.len(), all);
}

#[tokio::test]
async fn every_method_of_v0_5_over_unix() {
    every_method(DstackVersion::V0_5, "unix").await;
}

#[tokio::test]
async fn every_method_of_v0_5_over_tcp() {
    every_method(DstackVersion::V0_5, "http").await;
}

#[tokio::test]
async fn every_method_of_next_over_unix() {
    every_method(DstackVersion::Next, "unix").await;
}

#[tokio::test]
async fn every_method_of_next_over_tcp() {
    every_method(DstackVersion::Next, "http").await;
}

#[tokio::test]
async fn json_protobuf_and_query_answer_the_same() {
    use dstack_vmm_client::api::{GetInfoResponse, GetMetaResponse, StatusResponse};
    use prost::Message;

    async fn same<T: Message + Default + serde::Serialize>(
        rig: &Rig,
        method: &str,
        request: &[u8],
        query: &str,
    ) {
        let path = format!("/prpc/{method}");
        let proto = rig.try_send("POST", &path, Some(request)).await.unwrap();
        assert_eq!(proto.content_type(), Some("application/octet-stream"));
        let from_proto = serde_json::to_value(T::decode(proto.body.as_slice()).unwrap()).unwrap();
        let get = rig.get(&format!("{path}?{query}")).await;
        assert_eq!(get.content_type(), Some("application/json"));
        // What a version does not write reads as its default.
        let empty = serde_json::to_value(T::default()).unwrap();
        contains(&from_proto, &get.json(), &empty);
    }

    /// Every member on the right is the same on the left; what the left has besides is as in a new message.
    fn contains(left: &Value, right: &Value, _default: &Value) {
        match (left, right) {
            (Value::Object(left), Value::Object(right)) => {
                for (key, value) in right {
                    contains(&left[key], value, &Value::Null);
                }
                for (key, value) in left.iter().filter(|(key, _)| !right.contains_key(*key)) {
                    let empty = value.is_null()
                        || value.as_array().is_some_and(Vec::is_empty)
                        || value.as_str().is_some_and(str::is_empty);
                    assert!(empty, "{key}: {value}");
                }
            }
            (Value::Array(left), Value::Array(right)) => {
                assert_eq!(left.len(), right.len());
                left.iter().zip(right).for_each(|(left, right)| contains(left, right, &Value::Null));
            }
            _ => assert_eq!(left, right),
        }
    }

    for version in VERSIONS {
        let rig = Rig::new(version).await;
        let id = rig.create("same", false).await;
        rig.boot();
        let mut request = dstack_vmm_client::api::Id::default();
        request.id.clone_from(&id);
        same::<GetInfoResponse>(&rig, "GetInfo", &request.encode_to_vec(), &format!("id={id}")).await;
        same::<GetMetaResponse>(&rig, "GetMeta", &[], "").await;
        let mut request = dstack_vmm_client::api::StatusRequest::default();
        request.ids = vec![id.clone(), "x".to_owned()];
        request.brief = true;
        let query = format!("ids[0]={id}&ids[1]=x&brief=true");
        same::<StatusResponse>(&rig, "Status", &request.encode_to_vec(), &query).await;
    }
}

#[tokio::test]
async fn many_clients_at_once_get_their_own_answers() {
    let rig = std::sync::Arc::new(Rig::new(DstackVersion::Next).await);
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let rig = std::sync::Arc::clone(&rig);
            tokio::spawn(async move {
                let id = rig.create(&format!("vm {n}"), n % 2 == 0).await;
                assert_eq!(rig.info(&id).await["name"], format!("vm {n}"));
                id
            })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 64);
    assert_eq!(rig.ok("Status", json!({ "page": 1, "page_size": 10 })).await["total"], 64);
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rig = Rig::with(DstackVersion::Next, |builder| {
        builder.configure(|settings| settings.keep_alive = Duration::from_millis(200))
    })
    .await;
    let path = rig.endpoint().strip_prefix("unix:").unwrap();
    let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
    let request = b"GET /prpc/Version HTTP/1.1\r\nHost: x\r\n\r\n";
    // Two calls on one connection, then nothing: the server hangs up.
    stream.write_all(request).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut replies = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut replies)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(replies).unwrap().matches("HTTP/1.1 200").count(), 2);
}

#[tokio::test]
async fn the_other_paths_answer_too() {
    for version in VERSIONS {
        let rig = Rig::new(version).await;
        let old = version == DstackVersion::V0_5;
        for (path, status) in [
            ("/", 200),
            ("/v1", 200),
            ("/beta", 200),
            ("/v0", if old { 200 } else { 404 }),
            ("/res/x25519.js", 200),
            ("/res/other.js", 404),
            ("/api-docs/openapi.json", 200),
            ("/api-docs/docs", 200),
            ("/metrics", 404),
            ("/prpc/a/b", 404),
            ("/api/Info", if old { 400 } else { 404 }),
        ] {
            let reply = rig.get(path).await;
            assert_eq!(reply.status, status, "{version} {path}");
            assert!(reply.headers["x-app-version"].contains("EMULATED"));
            assert_eq!(reply.headers["x-accel-buffering"], "no");
        }
        let document = rig.get("/api-docs/openapi.json").await.json();
        let methods = METHODS.iter().filter(|method| method.versions.contains(&version)).count();
        assert_eq!(document["paths"].as_object().unwrap().len(), methods);
    }
}
