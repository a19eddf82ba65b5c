//! The machine that the tests run on: what it is is not known, but answers must agree with each other.

use crate::world::World;

#[test]
fn exit_code_readiness_and_words_agree() {
    let world = World::new();
    let arguments = ["check", "--offline", "--skip-qemu"];
    let output = world.command(&[&arguments[..], &["--json"]].concat()).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let readiness = &document["readiness"];
    let ready = readiness["state"] == "ready";
    assert_eq!(output.status.code(), Some(i32::from(!ready)));
    assert_eq!(readiness["ready"], ready);
    let text = world.run(&arguments);
    assert!(text.contains("this machine, live"), "{text}");
    let shout = match readiness["state"].as_str().unwrap() {
        "ready" => "READY: ",
        "not-enabled-yet" => "NOT ENABLED YET: ",
        "cannot" => "STOP: CANNOT: ",
        "not-this-place" => "STOP: NOT ",
        "undetermined" => "NOT KNOWN: ",
        other => panic!("{other}"),
    };
    assert!(text.lines().any(|line| line.starts_with(shout)), "{text}");
    if !ready && readiness["state"] != "undetermined" {
        let check = readiness["check"].as_str().unwrap();
        let mut findings = document["findings"].as_array().unwrap().iter();
        let finding = findings.find(|finding| finding["id"] == check).unwrap();
        assert_eq!(finding["status"], "fail");
        assert!(finding["fix"]["action"].is_string());
    }
}

#[test]
fn a_capture_of_this_machine_gives_the_same_findings() {
    let world = World::new();
    let made = world.run(&["capture", "--offline", "--skip-qemu", "-o", "here.json"]);
    assert!(made.starts_with("code: 0\n--- stdout\n--- stderr\n"), "{made}");
    let statuses = |arguments: &[&str]| {
        let document = world.json(arguments);
        let findings = document["findings"].as_array().unwrap().clone();
        findings.iter().map(|finding| format!("{} {}", finding["id"], finding["status"])).collect::<Vec<_>>()
    };
    let live = statuses(&["check", "--offline", "--skip-qemu", "--json"]);
    let captured = statuses(&["check", "--from", "here.json", "--json"]);
    // The space left on the disks, and whose rights they are, are of the moment.
    let steady = |list: &[String]| {
        list.iter().filter(|line| !line.contains("disk-space")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(steady(&live), steady(&captured));
}
