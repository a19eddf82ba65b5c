//! `list-checks` and `profile`.

use std::collections::BTreeSet;

use crate::snapshot;
use crate::world::World;

#[test]
fn the_checks_are_listed_once_each_layer_by_layer() {
    let world = World::new();
    let document = world.json(&["list-checks", "--json"]);
    assert_eq!(document["schema"], "dstack-hw/list-checks/v1");
    let checks = document["checks"].as_array().unwrap();
    let ids: BTreeSet<&str> = checks.iter().map(|check| check["id"].as_str().unwrap()).collect();
    assert!(ids.len() >= 70 && ids.len() == checks.len(), "{}", ids.len());
    for check in checks {
        let id = check["id"].as_str().unwrap();
        assert!(id.starts_with(&format!("hw.{}.", check["layer"].as_str().unwrap())), "{id}");
        assert!(["hardware", "setting", "elsewhere"].contains(&check["barrier"].as_str().unwrap()), "{id}");
    }
    let text = world.run(&["list-checks"]);
    assert_eq!(text.lines().filter(|line| line.starts_with("hw.")).count(), ids.len());
}

#[test]
fn the_checks_of_a_profile_say_what_they_mean_there() {
    let world = World::new();
    snapshot!("build_host", world.run(&["list-checks", "--profile", "build-host"]));
    let document = world.json(&["list-checks", "--profile", "tdx-host", "--json"]);
    assert_eq!(document["profile"], "tdx-host");
    let checks = document["checks"].as_array().unwrap();
    assert!(
        checks.iter().all(|check| check["requirement"] == "required" || check["requirement"] == "advised")
    );
}

#[test]
fn the_profiles_are_listed() {
    let world = World::new();
    let listed = world.run(&["profiles"]);
    assert_eq!(listed, world.run(&["profile", "ls"]));
    for name in ["tdx-host", "tdx-host-with-kms", "gpu", "snp-host", "tdx-guest", "build-host"] {
        assert!(listed.contains(&format!("\n{name} ")), "{listed}");
    }
    let document = world.json(&["profiles", "--json"]);
    assert_eq!(document["schema"], "dstack-hw/profiles/v1");
    assert_eq!(document["profiles"][0]["name"], "tdx-host");
}

#[test]
fn a_profile_that_is_shown_can_be_changed_and_used() {
    let world = World::new();
    snapshot!("show_tdx_guest", world.run(&["profile", "show", "tdx-guest"]));
    let output = world.command(&["profile", "show", "tdx-guest"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    world.write("own.toml", text.replace("name = \"tdx-guest\"", "name = \"mine\""));
    let document = world.json(&["profile", "show", "./own.toml", "--json"]);
    assert_eq!(
        (document["schema"].as_str(), document["name"].as_str()),
        (Some("dstack-hw/profile/v1"), Some("mine"))
    );
    let built_in = world.json(&["profile", "show", "tdx-guest", "--json"]);
    assert_eq!(document["required"], built_in["required"]);
    assert_eq!(document["advised"], built_in["advised"]);
}
