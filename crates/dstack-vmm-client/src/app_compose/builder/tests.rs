use serde_json::json;

use super::*;
use crate::app_compose::{GpuPolicy, PortAttrs};

const YAML: &str = "services:\n  web:\n    image: nginx\n";

fn everything() -> AppComposeBuilder {
    let requirements = Requirements {
        os_version: Some(">=0.6.0".to_owned()),
        gpu_policy: GpuPolicy { allow_debug: true, ..GpuPolicy::default() },
        ..Requirements::default()
    };
    let policy = PortPolicy {
        ports: vec![PortAttrs::new(80), PortAttrs { port: 443, pp: true }],
        restrict_mode: true,
    };
    AppComposeBuilder::nerdctl_compose("all", YAML)
        .key_provider(KeyProvider::Tpm)
        .key_provider_id([0xab, 0xcd])
        .gateway(true)
        .public_logs(true)
        .public_sysinfo(true)
        .public_tcbinfo(false)
        .allowed_envs(["B", "A"])
        .no_instance_id(true)
        .secure_time(true)
        .pre_launch_script("echo ä\n")
        .init_script("true")
        .init_script("false")
        .swap_size(4 << 30)
        .storage_fs("ext4")
        .port_policy(policy)
        .event_log_version(EventLogVersion::V2)
        .snapshotter(Snapshotter::Stargz)
        .requirements(requirements)
        .verity_volume(VerityVolume { source: "a.img".into(), verity_root: [7; 32], target: "/a".into() })
        .launch_token_hash("00")
        .field("x-own", json!({"z": 1, "a": [null, 2.5]}))
}

#[test]
fn the_bytes_are_those_of_the_python_command_line() {
    // What `vmm-cli.py compose --name demo --kms --public-logs --env-file ...` writes, by its documented order.
    let expected = r#"{
    "manifest_version": 2,
    "name": "demo",
    "runner": "docker-compose",
    "docker_compose_file": "services:\n  web:\n    image: nginx\n",
    "kms_enabled": true,
    "gateway_enabled": false,
    "local_key_provider_enabled": false,
    "key_provider_id": "",
    "public_logs": true,
    "public_sysinfo": false,
    "allowed_envs": [
        "TOKEN"
    ],
    "no_instance_id": false,
    "secure_time": false
}"#;
    for version in DstackVersion::ALL {
        let document = AppComposeBuilder::docker_compose("demo", YAML)
            .key_provider(KeyProvider::Kms)
            .public_logs(true)
            .allowed_envs(["TOKEN"])
            .build(version, Layout::Indented(4))
            .unwrap();
        assert_eq!(document.text(), expected);
        assert_eq!(
            document.hash().to_string(),
            "8ff3dbf61c65de2fb08f70068631be01363395782cafbf22675d4773243c8c50"
        );
    }
}

#[test]
fn every_setting_in_every_layout() {
    let text = |layout| everything().build(DstackVersion::Next, layout).unwrap().into_text();
    insta::assert_snapshot!(
        [text(Layout::Indented(2)), text(Layout::Compact), text(Layout::Normalized)].join("\n\n")
    );
}

#[test]
fn documents_read_back_as_they_were_built() {
    for layout in [Layout::Indented(4), Layout::Compact, Layout::Normalized] {
        let built = everything().build(DstackVersion::Next, layout).unwrap();
        let again = AppComposeBuilder::from_fields(built.fields().clone());
        assert_eq!(again.build(DstackVersion::Next, layout).unwrap().text(), built.text());
        assert!(built.unknown_fields().iter().all(|field| field.path == "x-own"));
    }
    let mut expected = everything().fields;
    expected.manifest_version = 3;
    assert_eq!(everything().build(DstackVersion::Next, Layout::Compact).unwrap().fields(), &expected);
}

#[test]
fn a_script_for_bash() {
    let document =
        AppComposeBuilder::bash("job", "echo hi\n").build(DstackVersion::V0_5, Layout::Normalized).unwrap();
    assert_eq!(document.fields().bash_script.as_deref(), Some("echo hi\n"));
    assert!(document.text().contains(r#""manifest_version":2,"#));
    assert!(!document.text().contains("docker_compose_file"));
}

#[test]
fn the_manifest_version_is_3_only_where_it_must_be() {
    let text =
        |builder: AppComposeBuilder| builder.build(DstackVersion::Next, Layout::Compact).unwrap().into_text();
    let plain = || AppComposeBuilder::docker_compose("n", YAML);
    assert!(text(plain()).starts_with(r#"{"manifest_version":2,"#));
    assert!(text(plain().init_script("a")).starts_with(r#"{"manifest_version":2,"#));
    assert!(text(plain().init_script("a").init_script("b")).starts_with(r#"{"manifest_version":"3","#));
    assert!(text(plain().requirements(Requirements::default())).starts_with(r#"{"manifest_version":"3","#));
}

#[test]
fn refusals() {
    let plain = || AppComposeBuilder::docker_compose("n", YAML);
    let builders = [
        everything(),
        plain().key_provider(KeyProvider::Tpm),
        plain().requirements(Requirements::default()),
        plain().init_script("a").init_script("b"),
        plain().event_log_version(EventLogVersion::V2),
        plain().snapshotter(Snapshotter::Overlayfs),
        plain().allowed_envs(["A", "B C"]),
        plain().field("runner", json!("bash")),
        plain().field("x", json!("y".repeat(256 * 1024))),
    ];
    let said: Vec<String> = builders
        .iter()
        .map(|builder| {
            let error = builder.build(DstackVersion::V0_5, Layout::Compact).unwrap_err();
            format!("{error}\n  hint: {}", error.hint().unwrap())
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
    let many = (0..6).fold(plain(), |builder, _| builder.init_script("a"));
    let error = many.build(DstackVersion::Next, Layout::Compact).unwrap_err();
    assert_eq!(error.to_string(), "6 init scripts are too many, dstack takes 5");
}
