//! `start`, `stop`, `shutdown`, `rm` and `wait`.

use std::time::Duration;

use dstack_emulator::BootProfile;

use crate::snapshot;
use crate::world::World;

#[test]
fn down_and_up_again() {
    let world = World::new();
    let id = world.vm("web");
    snapshot!("shutdown", world.run(&["shutdown", "web"]));
    assert_eq!(world.info(&id).unwrap().status, "stopped");
    snapshot!("stop_of_a_stopped_one", world.run(&["stop", "web"]));
    snapshot!("start", world.run(&["start", "web"]));
    assert_eq!(world.info(&id).unwrap().boot_progress, "done");
    snapshot!("stop", world.run(&["stop", "web"]));
    snapshot!("rm", world.run(&["rm", "web", "--yes"]));
    assert!(world.info(&id).is_none());
}

#[test]
fn a_wrong_name_in_a_list_changes_nothing() {
    let world = World::new();
    let id = world.vm("web");
    snapshot!(world.run(&["stop", "web", "nope"]));
    assert_eq!(world.info(&id).unwrap().status, "running");
}

#[test]
fn several_at_once_as_json() {
    let world = World::new();
    world.vm("web");
    world.vm("db");
    let json = world.json(&["stop", "web", "db", "--json"]);
    assert_eq!(json["schema"], "dstack-vmmctl/stop/v1");
    assert_eq!(json["vms"][1]["outcome"], "stopped");
}

#[test]
fn nothing_is_removed_by_accident() {
    let world = World::new();
    let id = world.vm("web");
    snapshot!("runs", world.run(&["rm", "web", "--yes"]));
    world.run(&["stop", "web"]);
    snapshot!("nobody_to_ask", world.run(&["rm", "web"]));
    assert!(world.info(&id).is_some());
    world.run(&["start", "web"]);
    snapshot!("forced", world.run(&["rm", "web", "--yes", "--force"]));
    assert!(world.info(&id).is_none());
}

#[test]
fn a_boot_that_fails_says_where_and_why() {
    let world = World::new();
    world.vm("web");
    world.run(&["stop", "web"]);
    world
        .emulator
        .set_boot(BootProfile::crashes_at("requesting app keys").step_time(Duration::from_millis(5)));
    snapshot!("crash", world.run(&["start", "web", "--wait-timeout", "1"]));
    world.run(&["stop", "web"]);
    world.emulator.set_boot(BootProfile::hangs_at("setting up docker").step_time(Duration::from_millis(5)));
    snapshot!("hang", world.run(&["start", "web", "--wait-timeout", "1"]));
}

#[test]
fn orders_without_waiting() {
    let world = World::new();
    world.vm("web");
    snapshot!(world.run(&["stop", "web", "--no-wait"]));
}

#[test]
fn waiting() {
    let world = World::new();
    world.create("web", |_| {});
    let booted = world.run(&["wait", "web"]);
    assert!(booted.starts_with("code: 0\n"), "{booted}");
    snapshot!("step", world.run(&["wait", "web", "--for", "step:done"]));
    snapshot!("too_long", world.run(&["wait", "web", "--for", "stopped", "--wait-timeout", "1"]));
    snapshot!("gone", world.run(&["wait", "nope", "--for", "gone"]));
    snapshot!("unknown_condition", world.run(&["wait", "web", "--for", "happy"]));
    snapshot!("unknown_step", world.run(&["wait", "web", "--for", "step:happy"]));
    assert_eq!(world.json(&["wait", "web", "--json"])["condition"], "booted");
}
