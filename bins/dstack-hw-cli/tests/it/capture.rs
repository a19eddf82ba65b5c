//! `capture`.

use std::os::unix::fs::PermissionsExt;

use crate::world::World;

#[test]
fn a_capture_is_written_for_its_owner_and_says_what_was_taken_out() {
    let world = World::new();
    let said = world.run(&["capture", "--offline", "--skip-qemu"]);
    assert!(said.contains("note: wrote dstack-hw-capture.json ("), "{said}");
    let mode = std::fs::metadata(world.work().join("dstack-hw-capture.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let document: serde_json::Value = serde_json::from_str(&world.read("dstack-hw-capture.json")).unwrap();
    assert_eq!(document["schema"], "dstack-hw/capture/v1");
}

#[test]
fn the_host_name_is_not_in_it() {
    let world = World::new();
    let output = world.command(&["capture", "--offline", "--skip-qemu", "-o", "-"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let name = name.trim();
    // A name such as `host` is a word of its own right.
    if name.len() > 5 && name != "localhost" {
        assert!(!text.contains(name), "{name}");
    }
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
}

#[test]
fn with_json_it_says_where_and_what() {
    let world = World::new();
    let document = world.json(&["capture", "--offline", "--skip-qemu", "--json", "-o", "c.json"]);
    assert_eq!(document["schema"], "dstack-hw/captured/v1");
    assert_eq!(document["file"], "c.json");
    assert_eq!(document["bytes"].as_u64().unwrap() as usize, world.read("c.json").len());
}

#[test]
fn a_place_that_cannot_be_written_is_said() {
    let world = World::new();
    let said = world.run(&["capture", "--offline", "--skip-qemu", "-o", "missing/c.json"]);
    assert!(said.starts_with("code: 3\n") && said.contains("cannot write missing/c.json"), "{said}");
}
