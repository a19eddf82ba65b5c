//! `check` of hosts that are not this one.

use crate::snapshot;
use crate::world::{World, host, recorded};

/// What the exit code and the readiness say.
fn answer(world: &World, arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
    let arguments = [&["check", "--json"], arguments].concat();
    let output = world.command(&arguments).output().unwrap();
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), document)
}

#[test]
fn a_healthy_host_is_ready() {
    let world = World::new();
    snapshot!("healthy", world.run(&["check", "--root", &host("healthy-2404-intel")]));
    for (name, profile) in [
        ("healthy-2404-intel", "tdx-host"),
        ("healthy-2404-intel", "tdx-host-with-kms"),
        ("healthy-2510-mainline", "tdx-host"),
        ("healthy-2604-mainline", "tdx-host"),
        ("healthy-snp", "snp-host"),
        ("gpu-host", "gpu"),
        ("td-guest", "tdx-guest"),
    ] {
        let (code, document) = answer(&world, &["--root", &host(name), "--profile", profile]);
        let readiness = &document["readiness"];
        assert_eq!((code, readiness["state"].as_str()), (Some(0), Some("ready")), "{name}: {readiness:#}");
    }
}

#[test]
fn firmware_that_is_off_is_not_enabled_yet() {
    let world = World::new();
    snapshot!("firmware_off", world.run(&["check", "--root", &host("firmware-off")]));
    let (code, document) = answer(&world, &["--root", &host("firmware-off")]);
    assert_eq!((code, document["readiness"]["state"].as_str()), (Some(1), Some("not-enabled-yet")));
    assert!(document["readiness"]["next_step"]["action"].is_string());
}

#[test]
fn a_virtual_machine_a_container_and_a_guest_are_not_the_host() {
    let world = World::new();
    snapshot!("vm", world.run(&["check", "--root", &host("vm")]));
    for name in ["vm", "container", "td-guest"] {
        let (code, document) = answer(&world, &["--root", &host(name)]);
        let readiness = &document["readiness"];
        assert_eq!((code, readiness["state"].as_str()), (Some(1), Some("not-this-place")), "{name}");
        let text = world.run(&["check", "--root", &host(name)]);
        assert!(text.starts_with("code: 1\n--- stdout\nSTOP: NOT THE HOST: "), "{text}");
    }
    let text = world.run(&["check", "--root", &host("healthy-2404-intel"), "--profile", "tdx-guest"]);
    assert!(text.contains("STOP: NOT A CVM"), "{text}");
}

#[test]
fn hardware_that_cannot_is_a_stop() {
    let world = World::new();
    snapshot!("cannot", world.run(&["check", "--root", &host("healthy-snp")]));
    let (code, document) = answer(&world, &["--root", &host("healthy-snp")]);
    assert_eq!((code, document["readiness"]["state"].as_str()), (Some(1), Some("cannot")));
}

#[test]
fn a_pasted_log_gives_the_answer_it_can() {
    let world = World::new();
    let log = "[    0.000000] x86/tme: enabled by BIOS\n\
               [    0.000000] x86/mktme: enabled by BIOS\n\
               [    0.000000] x86/mktme: 63 KeyIDs available\n\
               [    5.205693] virt/tdx: BIOS enabled: private KeyID range [1, 64)\n\
               [    5.205699] virt/tdx: Disable ACPI S3. Turn off TDX in the BIOS to use ACPI S3.\n\
               [   29.884504] virt/tdx: module not loaded\n";
    snapshot!("pasted_log", world.run_with_input(&["check", "--dmesg", "-"], log));
}

#[test]
fn a_paste_with_the_commands_left_in_is_understood() {
    let world = World::new();
    let paste = "root@host:~# cat /proc/cmdline\nroot=/dev/sda1 nohibernate\n\
                 root@host:~# dmesg | grep -i -e tme -e tdx\n\
                 [    0.000000] x86/tme: not enabled by BIOS\n";
    world.write("paste.txt", paste);
    let (code, document) = answer(&world, &["--paste", "paste.txt"]);
    assert_eq!((code, document["readiness"]["check"].as_str()), (Some(1), Some("hw.firmware.tme")));
    world.write("nothing.txt", "good morning\n");
    let said = world.run(&["check", "--paste", "nothing.txt"]);
    assert!(said.starts_with("code: 2\n") && said.contains("was recognised"), "{said}");
}

#[test]
fn a_recorded_host_names_the_layer() {
    let world = World::new();
    snapshot!("recorded", world.run(&["check", "--from", &recorded("F-10")]));
    let (_, document) = answer(&world, &["--from", &recorded("F-10")]);
    assert_eq!(document["readiness"]["first_failing_layer"], "firmware");
}

#[test]
fn what_is_ignored_shows_and_does_not_decide() {
    let world = World::new();
    let (code, before) = answer(&world, &["--root", &host("sgx-off-kms"), "--profile", "tdx-host-with-kms"]);
    assert_eq!((code, before["readiness"]["state"].as_str()), (Some(1), Some("not-enabled-yet")));
    let ignore = "hw.sgx.*,hw.registration.*,hw.quote-services.*";
    let arguments = ["--root", &host("sgx-off-kms"), "--profile", "tdx-host-with-kms", "--ignore", ignore];
    let (code, after) = answer(&world, &arguments);
    assert_eq!(
        (code, after["readiness"]["state"].as_str()),
        (Some(0), Some("ready")),
        "{:#}",
        after["readiness"]
    );
    let ignored = after["readiness"]["ignored"].as_array().unwrap();
    assert!(!ignored.is_empty());
    for id in ignored {
        let mut findings = after["findings"].as_array().unwrap().iter();
        let finding = findings.find(|finding| finding["id"] == *id).unwrap();
        assert_eq!(finding["status"], "warn");
        assert!(finding["evidence"].to_string().contains("ignored on request"), "{finding:#}");
    }
    let text = world.run(&[&["check"], arguments.as_slice()].concat());
    assert!(text.contains("\nignored: "), "{text}");
}

#[test]
fn what_a_profile_only_advises_is_a_warning() {
    let world = World::new();
    let (code, document) = answer(&world, &["--root", &host("sgx-off-kms"), "--profile", "tdx-host"]);
    assert_eq!(
        (code, document["readiness"]["state"].as_str()),
        (Some(0), Some("ready")),
        "{:#}",
        document["readiness"]
    );
    assert!(!document["readiness"]["advised"].as_array().unwrap().is_empty());
    assert_eq!(document["counts"]["fail"], 0);
}

#[test]
fn the_json_form_is_a_report_with_readiness_beside_it() {
    let world = World::new();
    let output =
        world.command(&["check", "--json", "--root", &host("vm"), "--name", "rack-7"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report = dstack_check::render::json::read_report(&text).unwrap();
    assert_eq!(report.subject(), "rack-7");
    assert_eq!(report.meta()["profile"], "tdx-host");
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["schema"], "dstack-check/report/v1");
    let mut readiness = document["readiness"].clone();
    assert_eq!(readiness["schema"], "dstack-hw/readiness/v1");
    readiness["next_step"] = serde_json::Value::Null;
    snapshot!("readiness_json", serde_json::to_string_pretty(&readiness).unwrap());
}

#[test]
fn the_markdown_form_begins_with_the_verdict() {
    let world = World::new();
    let text = world.run(&["check", "--md", "--root", &host("vm")]);
    assert!(text.starts_with("code: 1\n--- stdout\n**STOP: NOT THE HOST**: "), "{text}");
    assert!(text.contains("hw.environment.bare-metal"), "{text}");
}

#[test]
fn a_profile_of_ones_own() {
    let world = World::new();
    world.write("own.toml", "name = \"own\"\nabout = \"only the CPU\"\nrequired = [\"hw.cpu.vendor\"]\n");
    let (code, document) = answer(&world, &["--root", &host("firmware-off"), "--profile", "own.toml"]);
    assert_eq!((code, document["readiness"]["profile"].as_str()), (Some(0), Some("own")));
    assert!(document["findings"].as_array().unwrap().len() < 6);
}

#[test]
fn everything_is_shown_on_request() {
    let world = World::new();
    let short = world.run(&["check", "--root", &host("healthy-2404-intel")]);
    let long = world.run(&["check", "-v", "--root", &host("healthy-2404-intel")]);
    let (_, document) = answer(&world, &["--root", &host("healthy-2404-intel")]);
    for finding in document["findings"].as_array().unwrap() {
        let id = finding["id"].as_str().unwrap();
        assert!(long.contains(id), "{id}");
        assert!(finding["status"] != "pass" || finding.get("fix").is_some() || !short.contains(id), "{id}");
    }
}
