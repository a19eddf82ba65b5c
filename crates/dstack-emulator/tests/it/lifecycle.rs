//! What happens to VMs over time, on a clock that the test moves.

use std::time::Duration;

use dstack_emulator::settings::PortRange;
use dstack_vmm_client::DstackVersion;
use serde_json::{Value, json};

use crate::server::{COMPOSE, Rig, Sent, VERSIONS, profile, send};

fn bodies(info: &Value, event: &str) -> Vec<String> {
    let events = info["events"].as_array().unwrap().iter();
    events.filter(|e| e["event"] == event).map(|e| e["body"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_boot_reports_its_steps_and_the_guest_answers() {
    for version in VERSIONS {
        let rig = Rig::new(version).await;
        let id = rig.create("demo", false).await;
        let info = rig.info(&id).await;
        assert_eq!(info["boot_progress"], "booting");
        assert_eq!(info["instance_id"], Value::Null);
        assert_eq!(
            rig.call("guest/Info", json!({ "id": id })).await.error(),
            "client error (Connect): Connection timed out (os error 110)"
        );
        rig.boot();
        let info = rig.info(&id).await;
        assert_eq!((&info["boot_progress"], &info["boot_error"]), (&json!("done"), &json!("")));
        assert_eq!(
            bodies(&info, "boot.progress"),
            [
                "requesting app keys",
                "initializing data disk",
                "data disk ready",
                "setting up dstack-gateway",
                "setting up docker",
                "starting containers",
                "done"
            ]
        );
        assert_eq!(info["uptime"], "3s");
        let instance = info["instance_id"].as_str().unwrap();
        assert_eq!(info["app_url"], format!("https://{instance}-8090.localhost:8082"));
        let dir = rig.emulator.vm_dir(&id);
        assert!(dir.join("dstack.sock").exists() && dir.join("tappd.sock").exists());
        let agent = rig.emulator.agent(&id).unwrap();
        assert_eq!(agent.app_id().to_string(), info["app_id"].as_str().unwrap());
        assert_eq!(agent.instance_id().unwrap().to_string(), instance);

        rig.ok("StopVm", json!({ "id": id })).await;
        assert!(!dir.join("dstack.sock").exists(), "the sockets close with the guest");
        assert!(rig.emulator.agent(&id).is_none());
        let stopped = rig.info(&id).await;
        assert_eq!(stopped["exited_at"], "0s");
        assert_eq!(stopped["instance_id"], instance);

        // With a KMS the disk survives, and the instance with it.
        rig.ok("StartVm", json!({ "id": id })).await;
        rig.boot();
        let again = rig.info(&id).await;
        assert_eq!(again["instance_id"], instance);
        assert!(bodies(&again, "boot.progress").contains(&"mounting data disk".to_owned()));
    }
}

#[tokio::test]
async fn the_serial_log_says_emulated_first() {
    let rig = Rig::new(DstackVersion::Next).await;
    let id = rig.create("demo", false).await;
    rig.boot();
    let log = rig.get(&format!("/logs?id={id}")).await.text();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("===== boot @ 2026-01-01T00:00:00Z ====="), "{log}");
    assert!(lines[1].contains("EMULATED"), "{log}");
    insta::assert_snapshot!(log);
}

#[tokio::test]
async fn v0_5_marks_no_boot_on_the_serial_log() {
    let rig = Rig::new(DstackVersion::V0_5).await;
    let id = rig.create("demo", false).await;
    rig.boot();
    assert!(!rig.get(&format!("/logs?id={id}")).await.text().contains("boot @"));
    assert!(rig.get(&format!("/logs?id={id}&ch=stdout")).await.text().contains("boot @"));
}

#[tokio::test]
async fn boots_fail_as_asked() {
    let rig = Rig::with(DstackVersion::Next, |builder| {
        builder
            .boot_named("no keys", profile("fail@requesting app keys:the KMS refused"))
            .boot_named("no app", profile("fail@starting containers:failed to start containers"))
            .boot_named("stuck", profile("hang@requesting app keys"))
            .boot_named("crash", profile("crash@setting up docker"))
    })
    .await;
    let mut seen = Vec::new();
    for name in ["no keys", "no app", "stuck", "crash"] {
        let id = rig.create(name, false).await;
        rig.boot();
        let info = rig.info(&id).await;
        let text = |key: &str| info[key].as_str().unwrap().to_owned();
        seen.push((
            name,
            text("status"),
            text("boot_progress"),
            text("boot_error"),
            rig.emulator.agent(&id).is_some(),
        ));
    }
    insta::assert_debug_snapshot!(seen);
}

#[tokio::test]
async fn the_guest_refuses_what_the_vmm_does_not_check() {
    let over_limit = format!("{}{}", COMPOSE, " ".repeat(256 * 1024));
    let compose = |runner: &str, extra: &str| {
        format!(r#"{{"manifest_version":2,"name":"x","runner":"{runner}"{extra}}}"#)
    };
    for (version, what, compose_file, app_id, refused) in [
        (DstackVersion::V0_5, "size", over_limit.clone(), Value::Null, true),
        (DstackVersion::Next, "size", over_limit, Value::Null, false),
        (DstackVersion::Next, "runner", compose("podman", ""), Value::Null, true),
        (DstackVersion::V0_5, "nerdctl", compose("nerdctl-compose", ""), Value::Null, true),
        (DstackVersion::Next, "nerdctl", compose("nerdctl-compose", ""), Value::Null, false),
        (DstackVersion::V0_5, "tpm", compose("bash", r#","key_provider":"tpm""#), Value::Null, true),
        (DstackVersion::Next, "app id", compose("bash", ""), json!("abcd"), true),
    ] {
        let rig = Rig::new(version).await;
        let request = json!({
            "name": what, "image": "dstack-0.5.11", "compose_file": compose_file, "app_id": app_id,
        });
        let id = rig.ok("CreateVm", request).await["id"].as_str().unwrap().to_owned();
        rig.boot();
        let info = rig.info(&id).await;
        let error = info["boot_error"].as_str().unwrap();
        assert_eq!(!error.is_empty(), refused, "{version} {what}: {error:?}");
        let status = if refused { "exited" } else { "running" };
        assert_eq!(info["status"], status, "{version} {what}");
    }
}

#[tokio::test]
async fn exited_vms_are_started_again_and_next_gives_up() {
    for version in VERSIONS {
        let rig = Rig::with(version, |builder| {
            builder.boot(profile("crash@booting")).configure(|settings| settings.auto_restart_max_retries = 2)
        })
        .await;
        let id = rig.create("crash", false).await;
        let pid = async || rig.ok("SvList", json!({})).await["processes"][0].clone();
        rig.emulator.advance(Duration::from_secs(1));
        assert_eq!(rig.info(&id).await["status"], "exited");
        assert_eq!(pid().await["status"], "exited(1)");
        rig.emulator.advance(Duration::from_secs(20));
        assert_eq!(rig.info(&id).await["status"], "exited", "it crashed again at once");
        assert_eq!(rig.info(&id).await["uptime"], "0s", "it was started again");
        rig.emulator.advance(Duration::from_secs(600));
        let exhausted = !bodies(&rig.info(&id).await, "vmm.auto_restart.exhausted").is_empty();
        assert_eq!(exhausted, version != DstackVersion::V0_5);
    }
}

#[tokio::test]
async fn a_vm_that_was_shut_down_is_not_started_again() {
    let rig = Rig::new(DstackVersion::Next).await;
    let id = rig.create("demo", false).await;
    rig.boot();
    rig.ok("ShutdownVm", json!({ "id": id })).await;
    rig.emulator.advance(Duration::from_secs(600));
    let info = rig.info(&id).await;
    assert_eq!((&info["status"], &info["shutdown_progress"]), (&json!("stopped"), &json!("powering off")));
}

#[tokio::test]
async fn a_port_that_two_vms_want_is_refused_by_next_and_fails_at_start_on_v0_5() {
    for version in VERSIONS {
        let rig = Rig::new(version).await;
        let request = json!({
            "name": "x", "image": "dstack-0.5.11", "compose_file": COMPOSE,
            "ports": [{ "protocol": "tcp", "host_port": 8080, "vm_port": 80 }],
        });
        rig.ok("CreateVm", request.clone()).await;
        let second = rig.call("CreateVm", request).await;
        if version != DstackVersion::V0_5 {
            assert!(second.error().starts_with("host port mapping conflicts with VM"));
            continue;
        }
        let id = second.json()["id"].as_str().unwrap().to_owned();
        let info = rig.info(&id).await;
        assert_eq!(info["status"], "exited");
        let log = rig.get(&format!("/logs?id={id}&ch=stderr")).await.text();
        assert!(log.contains("host port tcp 127.0.0.1:8080: address already in use"), "{log}");
    }
}

#[tokio::test]
async fn cids_run_out() {
    let rig = Rig::with(DstackVersion::Next, |b| b.configure(|settings| settings.cid_pool_size = 2)).await;
    let first = rig.create("a", true).await;
    rig.create("b", true).await;
    let third = json!({ "name": "c", "image": "dstack-0.5.11", "compose_file": COMPOSE, "stopped": true });
    assert_eq!(rig.call("CreateVm", third.clone()).await.error(), "Failed to load VM: CID pool exhausted");
    rig.ok("RemoveVm", json!({ "id": first })).await;
    rig.emulator.advance(Duration::from_secs(2));
    rig.ok("CreateVm", third).await;
    let left = std::fs::read_dir(rig.emulator.run_dir())
        .unwrap()
        .filter(|entry| !entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(left.count(), 2, "a VM that could not be loaded leaves nothing");
}

#[tokio::test]
async fn the_key_of_an_environment_opens_it() {
    for version in VERSIONS {
        let rig = Rig::new(version).await;
        let key = rig.ok("GetAppEnvEncryptPubKey", json!({ "app_id": "11".repeat(20) })).await;
        let secret = rig.emulator.kms().env_secret(&[0x11; 20]).unwrap();
        let public = dstack_vmm_client::env::EnvPublicKey::of_secret(&secret);
        assert_eq!(key["public_key"], hex::encode(public.as_bytes()));
    }
}

#[tokio::test]
async fn many_vms_are_listed_by_the_page() {
    let rig = Rig::new(DstackVersion::Next).await;
    let dir = rig.emulator.run_dir().to_owned();
    // Put there by hand: a directory is a VM by its manifest.
    for n in 0..500_u32 {
        let home = dir.join(format!("vm-{n:03}"));
        std::fs::create_dir_all(home.join("shared")).unwrap();
        std::fs::write(home.join("shared/app-compose.json"), COMPOSE).unwrap();
        let manifest = json!({
            "id": format!("vm-{n:03}"), "name": format!("vm {n}"), "app_id": "00", "vcpu": 1, "memory": 1024,
            "disk_size": 1, "image": "dstack-0.5.11", "created_at_ms": n,
        });
        std::fs::write(home.join("vm-manifest.json"), manifest.to_string()).unwrap();
    }
    assert_eq!(rig.ok("ReloadVms", json!({})).await["loaded"], 500);
    let page = rig.ok("Status", json!({ "page": 3, "page_size": 200, "brief": true })).await;
    assert_eq!((&page["total"], &page["vms"][99]["name"]), (&json!(500), &json!("vm 499")));
    assert_eq!(page["vms"].as_array().unwrap().len(), 100);
    let found = rig.ok("Status", json!({ "keyword": "vm 4", "page": 2, "page_size": 100 })).await;
    assert_eq!((&found["total"], found["vms"].as_array().unwrap().len()), (&json!(111), 11));
}

#[tokio::test]
async fn a_port_of_the_guest_agent_is_published() {
    let rig = Rig::with(DstackVersion::V0_5, |builder| {
        builder.configure(|settings| settings.port_ranges = vec![PortRange::new("tcp", 1, u16::MAX)])
    })
    .await;
    // Free a moment ago, which is as good as a port of one's own gets.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let request = json!({
        "name": "demo", "image": "dstack-0.5.11", "vcpu": 1, "memory": 1024, "disk_size": 5,
        "compose_file": COMPOSE.replace("\"kms_enabled\": true", "\"kms_enabled\": true, \"public_logs\": true"),
        "ports": [{ "protocol": "tcp", "host_address": "127.0.0.1", "host_port": free.port(), "vm_port": 8090 }],
    });
    let id = rig.ok("CreateVm", request).await["id"].as_str().unwrap().to_owned();
    let url = format!("http://{free}");
    assert!(tokio::net::TcpStream::connect(free).await.is_err(), "nothing listens before the guest is up");
    rig.boot();
    rig.info(&id).await;
    let reply = send(&url, "GET", "/logs/dstack-web-1?text&bare&tail=1", &Sent::default()).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!reply.text().trim().is_empty());
    rig.ok("StopVm", json!({ "id": id })).await;
    rig.info(&id).await;
    assert!(tokio::net::TcpStream::connect(free).await.is_err(), "and nothing after it was stopped");
}
