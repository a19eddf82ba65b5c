//! The guest inside of the whole emulator: what is deployed, what the VMM tells, and what the app sees must fit together.

use dstack_attestation::event_log::EventLog;
use dstack_attestation::quote::TdxQuote;
use dstack_attestation::{CvmEvidence, Digest32, MrConfigId, Policy, Verifier};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::PublicKeyResponse;
use dstack_vmm_client::app_compose::ComposeHash;
use dstack_vmm_client::env::{SignaturePolicy, SignerKey, verify_env_key};
use dstack_vmm_client::ids::AppId;
use serde_json::{Value, json};

use super::bytes;
use crate::raw_http::over_unix;
use crate::server::{Rig, VERSIONS, sealed};

/// Status and id of every check of the app in a VM, one a line.
async fn checked(rig: &Rig, id: &str, deployed: &str, danger_accept_emulated: bool) -> String {
    let socket = rig.emulator.vm_dir(id).join("dstack.sock");
    let report_data = json!({ "report_data": "07".repeat(64) }).to_string();
    let info = over_unix(&socket, "POST", "/Info", Some("{}")).await;
    let quote = over_unix(&socket, "POST", "/GetQuote", Some(&report_data)).await;
    let evidence = CvmEvidence::new().read_info(info.text()).unwrap().read_quote(quote.text()).unwrap();
    let policy = Policy::new()
        .compose(deployed)
        .report_data([7; 64].into())
        .danger_accept_emulated(danger_accept_emulated);
    let report = Verifier::new(policy, std::time::SystemTime::now()).app("web", &evidence);
    let lines =
        report.findings().iter().map(|finding| format!("{} {}", finding.status.word(), finding.id.as_str()));
    lines.collect::<Vec<_>>().join("\n")
}

/// An app-compose that takes two names from its environment.
const COMPOSE: &str = r#"{"manifest_version":2,"name":"env","runner":"docker-compose","docker_compose_file":"services: {}","kms_enabled":true,"allowed_envs":["TOKEN","MODE"]}"#;

async fn create(rig: &Rig, compose: &str, encrypted_env: &str) -> String {
    let request = json!({
        "name": "env", "image": "dstack-0.5.11", "compose_file": compose, "vcpu": 2, "memory": 2048, "disk_size": 5,
        "encrypted_env": encrypted_env,
    });
    rig.ok("CreateVm", request).await["id"].as_str().unwrap().to_owned()
}

fn app_id() -> AppId {
    AppId::from_compose_hash(&ComposeHash::of(COMPOSE.as_bytes()))
}

fn environment(rig: &Rig, id: &str) -> Vec<(String, String)> {
    let agent = rig.emulator.agent(id).unwrap();
    agent.environment().iter().map(|var| (var.name().to_owned(), var.value().to_owned())).collect()
}

#[tokio::test]
async fn an_environment_reaches_the_app_that_it_was_sealed_to() {
    for version in VERSIONS {
        let rig = Rig::new(version).await;
        // The key is checked as a careful client checks it: signed a moment ago by the KMS that is trusted.
        let answer = rig.ok("GetAppEnvEncryptPubKey", json!({ "app_id": app_id().to_string() })).await;
        let answer: PublicKeyResponse = serde_json::from_value(answer).unwrap();
        let signer = SignerKey::try_from(rig.emulator.kms().k256_pubkey().as_slice()).unwrap();
        let now = rig.emulator.clock().now_ms() / 1000;
        let verified = verify_env_key(&answer, &app_id(), now, &SignaturePolicy::pinned([signer])).unwrap();
        assert!(verified.pinned);
        let blob =
            sealed(&rig, &app_id().to_string(), "TOKEN='s3 cret'\nMODE=a\nOTHER=dropped\nMODE2=x\n").await;
        let id = create(&rig, COMPOSE, &blob).await;
        rig.boot();
        assert_eq!(rig.info(&id).await["boot_progress"], "done");
        let expected =
            [("TOKEN", "s3 cret"), ("MODE", "a")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(environment(&rig, &id), expected);
    }
}

#[tokio::test]
async fn a_guest_gives_up_on_an_environment_that_is_not_for_it() {
    let rig = Rig::new(DstackVersion::Next).await;
    let of_another_app = sealed(&rig, &"11".repeat(20), "TOKEN=a\n").await;
    for (blob, words) in [(of_another_app.as_str(), "sealed to another key"), ("00ff", "at least 60 bytes")] {
        let id = create(&rig, COMPOSE, blob).await;
        rig.boot();
        let info = rig.info(&id).await;
        let error = info["boot_error"].as_str().unwrap();
        assert!(
            error.starts_with("failed to open the encrypted environment: ") && error.contains(words),
            "{error}"
        );
        assert_ne!(info["boot_progress"], "done");
    }
}

#[tokio::test]
async fn the_app_and_the_vmm_tell_the_same_story() {
    for version in VERSIONS {
        let rig = Rig::new(version).await;
        let id = create(&rig, COMPOSE, "").await;
        rig.boot();
        let info = rig.info(&id).await;
        let guest = rig.ok("guest/Info", json!({ "id": id })).await;
        assert_eq!(guest["app_id"], info["app_id"]);
        assert_eq!(guest["instance_id"], info["instance_id"]);
        let socket = rig.emulator.vm_dir(&id).join("dstack.sock");
        let app = over_unix(&socket, "POST", "/Info", Some("{}")).await.json();
        assert_eq!((&app["app_id"], &app["tcb_info"]), (&guest["app_id"], &guest["tcb_info"]));
        let tcb: Value = serde_json::from_str(app["tcb_info"].as_str().unwrap()).unwrap();
        assert_eq!(tcb["app_compose"], COMPOSE);
        // The evidence is about what was deployed.
        let reply = over_unix(&socket, "POST", "/GetQuote", Some(r#"{"report_data":"0102"}"#)).await.json();
        let quote = TdxQuote::parse(&bytes(&reply["quote"])).unwrap();
        let log = EventLog::parse(reply["event_log"].as_str().unwrap()).unwrap();
        assert_eq!(log.replay(), quote.report.measurements.rtmrs());
        let deployed = Digest32::from_slice(ComposeHash::of(COMPOSE.as_bytes()).as_bytes()).unwrap();
        assert_eq!(log.system_events().compose_hash, Some(deployed));
        assert_eq!(quote.report.creator.mr_config_id, MrConfigId::v1(deployed).to_bytes());
        let legacy = rig.emulator.vm_dir(&id).join("tappd.sock");
        assert_eq!(
            over_unix(&legacy, "GET", "/prpc/Tappd.Info", None).await.json()["app_id"],
            info["app_id"]
        );
        // Each boot of a guest without keys that outlast it is another instance.
        let keyless = COMPOSE.replace("\"kms_enabled\":true", "\"key_provider\":\"none\"");
        let id = create(&rig, &keyless, "").await;
        rig.boot();
        let first = rig.info(&id).await["instance_id"].clone();
        rig.ok("StopVm", json!({ "id": id })).await;
        rig.ok("StartVm", json!({ "id": id })).await;
        rig.boot();
        assert_ne!(rig.info(&id).await["instance_id"], first);
    }
}

#[tokio::test]
async fn asking_the_guest_to_power_off_powers_it_off() {
    for version in VERSIONS {
        let rig = Rig::new(version).await;
        let id = create(&rig, COMPOSE, "").await;
        rig.boot();
        assert_eq!(rig.ok("guest/Shutdown", json!({ "id": id })).await, Value::Null);
        rig.emulator.advance(std::time::Duration::from_secs(5));
        let info = rig.info(&id).await;
        assert_eq!(info["shutdown_progress"], "powering off");
        assert_eq!(info["status"], "stopped");
        assert!(!rig.emulator.vm_dir(&id).join("dstack.sock").exists());
    }
}

#[tokio::test]
async fn no_check_takes_the_evidence_for_genuine() {
    let rig = Rig::new(DstackVersion::V0_5).await;
    let id = create(&rig, COMPOSE, "").await;
    rig.boot();
    insta::assert_snapshot!("refused", checked(&rig, &id, COMPOSE, false).await);
    insta::assert_snapshot!("let_through", checked(&rig, &id, COMPOSE, true).await);
    // Nor does letting it through hide that another app runs.
    insta::assert_snapshot!("another_app", checked(&rig, &id, &COMPOSE.replace("env", "other"), true).await);
}
