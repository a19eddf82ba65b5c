//! `check`: what a running app proves.

use dstack_emulator::BootProfile;
use serde_json::Value;

use crate::snapshot;
use crate::world::World;

/// Status of one check in a JSON report.
fn status<'a>(report: &'a Value, id: &str) -> &'a str {
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["id"] == id);
    finding.unwrap_or_else(|| panic!("no finding {id}"))["status"].as_str().unwrap()
}

#[test]
fn emulated_evidence_needs_the_flag() {
    let world = World::new();
    world.vm("web");
    snapshot!("refused", world.run(&["check", "web"]));
    snapshot!("let_through", world.run(&["check", "web", "--danger-accept-emulated"]));
}

#[test]
fn another_app_than_expected_is_found_out() {
    let world = World::next();
    world.vm("web");
    world.write("other.json", r#"{"manifest_version": 2, "name": "other", "runner": "docker-compose"}"#);
    let arguments = ["check", "web", "--compose", "other.json", "--danger-accept-emulated", "--json"];
    assert_eq!(world.command(&arguments).status().unwrap().code(), Some(1));
    let report = world.json(&arguments);
    assert_eq!(status(&report, "app.compose.hash"), "pass");
    assert_eq!(status(&report, "app.compose.deployed"), "fail");
    assert_eq!(report["meta"]["evidence"], "EMULATED");
}

#[test]
fn a_quote_from_inside_is_part_of_it() {
    let world = World::new();
    let id = world.vm("web");
    let agent = world.emulator.agent(&id).unwrap();
    let quote = agent.quote(dstack_attestation::report_data::ReportData::default());
    let answer = serde_json::json!({ "quote": hex::encode(quote), "event_log": agent.event_log().to_json() });
    world.write("quote.json", answer.to_string());
    let report = world.json(&["check", "web", "--quote", "quote.json", "--danger-accept-emulated", "--json"]);
    assert_eq!(status(&report, "eventlog.replay-rtmr3"), "pass");
    assert_eq!(status(&report, "app.mrconfigid.compose"), "pass");
    assert_eq!(status(&report, "quote.signature"), "warn");
}

#[test]
fn without_evidence_nothing_is_said() {
    let world = World::with(|builder| builder.boot(BootProfile::no_guest()));
    world.create("web", |_| {});
    snapshot!("no_guest", world.run(&["check", "web"]));
    world.write("quote.json", "<html>");
    snapshot!("no_vm", world.run(&["check", "nope", "--quote", "quote.json"]));
}
