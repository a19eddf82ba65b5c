//! State outlives the emulator.

use std::path::Path;
use std::time::Duration;

use dstack_vmm_client::DstackVersion;
use serde_json::{Value, json};

use crate::server::{COMPOSE, Rig, VERSIONS};

async fn on(version: DstackVersion, dir: &Path) -> Rig {
    Rig::with(version, |builder| builder.run_dir(dir)).await
}

#[tokio::test]
async fn vms_are_there_again_and_what_ran_still_runs() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let first = on(version, dir.path()).await;
        let app_id = "ab".to_owned() + &"cd".repeat(19);
        let sealed = crate::server::sealed(&first, &app_id, "A=1\n").await;
        let request = json!({
            "name": "kept", "image": "dstack-0.5.11", "compose_file": COMPOSE, "vcpu": 2, "memory": 2048,
            "disk_size": 7, "encrypted_env": sealed, "user_config": "{}", "app_id": format!("0x{}", app_id.to_uppercase()),
            "ports": [{ "protocol": "tcp", "host_port": 8080, "vm_port": 80 }],
        });
        let running = first.ok("CreateVm", request).await["id"].as_str().unwrap().to_owned();
        let stopped = first.create("stopped", true).await;
        first.boot();
        let key = first.ok("GetAppEnvEncryptPubKey", json!({ "app_id": "00".repeat(20) })).await;
        let (before, before_stopped) = (first.info(&running).await, first.info(&stopped).await);
        drop(first);
        assert!(!dir.path().join(".vmm.sock").exists(), "the socket is gone with the emulator");

        let second = on(version, dir.path()).await;
        let (after, after_stopped) = (second.info(&running).await, second.info(&stopped).await);
        for key in ["name", "app_id", "instance_id", "configuration", "status", "image_version"] {
            assert_eq!(before[key], after[key], "{version} {key}");
            assert_eq!(before_stopped[key], after_stopped[key], "{version} {key}");
        }
        // Events lived in memory, and the VMM knows no more than that it runs.
        assert_eq!((&after["boot_progress"], &after["events"]), (&json!("running"), &json!([])));
        second.emulator.advance(Duration::from_secs(1));
        assert!(second.emulator.agent(&running).is_some(), "its guest answers");
        let same_key = second.ok("GetAppEnvEncryptPubKey", json!({ "app_id": "00".repeat(20) })).await;
        assert_eq!(key["public_key"], same_key["public_key"]);
        let names: Vec<Value> = {
            let listed = second.ok("Status", json!({})).await;
            listed["vms"].as_array().unwrap().iter().map(|vm| vm["name"].clone()).collect()
        };
        assert_eq!(names, ["kept", "stopped"]);
    }
}

#[tokio::test]
async fn a_removal_goes_on_after_a_restart() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().unwrap();
        let first = on(version, dir.path()).await;
        let id = first.create("gone", true).await;
        first.ok("RemoveVm", json!({ "id": id })).await;
        drop(first);
        let second = on(version, dir.path()).await;
        assert_eq!(second.ok("Status", json!({})).await["total"], 0);
        assert!(!second.emulator.vm_dir(&id).exists());
    }
}

#[tokio::test]
async fn a_broken_vm_does_not_keep_the_others_from_loading() {
    let dir = tempfile::tempdir().unwrap();
    let first = on(DstackVersion::Next, dir.path()).await;
    let (broken, whole) = (first.create("broken", true).await, first.create("whole", false).await);
    drop(first);
    std::fs::write(dir.path().join(&broken).join("vm-manifest.json"), "{\"id\":").unwrap();
    std::fs::write(dir.path().join(&whole).join("emulated-process.json"), "{").unwrap();
    let second = on(DstackVersion::Next, dir.path()).await;
    let listed = second.ok("Status", json!({})).await;
    assert_eq!((&listed["total"], &listed["vms"][0]["name"]), (&json!(1), &json!("whole")));
    // It was meant to run and its process is lost, so it is started.
    assert_eq!(second.info(&whole).await["boot_progress"], "booting");
}

#[tokio::test]
async fn secrets_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let rig = on(DstackVersion::Next, dir.path()).await;
    let request = json!({
        "name": "x", "image": "dstack-0.5.11", "compose_file": COMPOSE, "stopped": true, "encrypted_env": "00",
    });
    let id = rig.ok("CreateVm", request).await["id"].as_str().unwrap().to_owned();
    for file in
        [dir.path().join(".emulated-kms.json"), rig.emulator.vm_dir(&id).join("shared/.encrypted-env")]
    {
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            file.display()
        );
    }
}

#[tokio::test]
async fn an_announced_emulator_is_found_while_it_runs() {
    use dstack_vmm_client::discovery::read_dir;
    for listen_tcp in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::with(DstackVersion::Next, |builder| {
            let builder = builder.discovery_dir(dir.path().join("dstack-vmm"));
            if listen_tcp { builder.listen_tcp("127.0.0.1:0") } else { builder }
        })
        .await;
        let found = read_dir(&dir.path().join("dstack-vmm"), |pid| pid == std::process::id());
        let [Ok(vmm)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((vmm.endpoint().unwrap(), vmm.alive), (rig.emulator.endpoint().to_owned(), true));
        assert_eq!(vmm.file.version, "0.6.0");
        drop(rig);
        assert!(read_dir(&dir.path().join("dstack-vmm"), |_| true).is_empty());
    }
}

#[tokio::test]
async fn two_emulators_do_not_know_each_other() {
    let old = Rig::new(DstackVersion::V0_5).await;
    let new = Rig::new(DstackVersion::Next).await;
    let (a, b) = tokio::join!(old.create("a", false), new.create("b", false));
    assert_ne!(old.emulator.endpoint(), new.emulator.endpoint());
    for (rig, mine, other) in [(&old, &a, &b), (&new, &b, &a)] {
        assert_eq!(rig.ok("GetInfo", json!({ "id": mine })).await["found"], true);
        assert_eq!(rig.ok("GetInfo", json!({ "id": other })).await["found"], false);
    }
    let key = async |rig: &Rig| {
        rig.ok("GetAppEnvEncryptPubKey", json!({ "app_id": "00".repeat(20) })).await["public_key"].clone()
    };
    assert_ne!(key(&old).await, key(&new).await);
}
