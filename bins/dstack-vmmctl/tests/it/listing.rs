//! `ls`, `info`, `images` and `gpus`.

use dstack_emulator::settings::Gpu;

use crate::snapshot;
use crate::world::{World, port};

#[test]
fn ls_of_nothing_says_what_makes_one() {
    snapshot!(World::new().run(&["ls"]));
}

#[test]
fn ls_as_a_table() {
    let world = World::new();
    world.vm("web");
    world.vm("database");
    snapshot!("table", world.run(&["ls"]));
    snapshot!("filtered", world.run(&["ls", "data"]));
    snapshot!("long", world.run(&["ls", "--long", "web"]));
    snapshot!("quiet", world.run(&["ls", "-q"]));
}

#[test]
fn ls_as_json() {
    let world = World::new();
    let id = world.vm("web");
    let json = world.json(&["ls", "--json"]);
    assert_eq!(json["schema"], "dstack-vmmctl/ls/v1");
    assert_eq!(json["hosts"][0]["vms"][0]["id"], id.as_str());
    assert_eq!(json["hosts"][0]["endpoint"], world.endpoint().as_str());
}

#[test]
fn ls_reads_every_page() {
    let world = World::with(|builder| builder.configure(|settings| settings.cid_pool_size = 1000));
    for number in 0..205 {
        world.create(&format!("vm-{number}"), |vm| vm.stopped = true);
    }
    let listed = world.command(&["ls", "-q"]).output().unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 205);
}

#[test]
fn info_of_a_vm() {
    let world = World::new();
    let id = world.vm_with("web", |vm| vm.ports = vec![port(8080, 80)]);
    snapshot!("text", world.run(&["info", "web"]));
    snapshot!("guest", world.run(&["info", &id[..8], "--guest"]));
    let json = world.json(&["info", "web", "--json"]);
    assert_eq!(json["schema"], "dstack-vmmctl/info/v1");
    assert_eq!(json["vm"]["id"], id.as_str());
    assert_eq!(json["compose_hash"].as_str().unwrap().len(), 64);
}

#[test]
fn a_name_that_is_none_and_one_that_is_two() {
    let world = World::new();
    world.vm("web");
    snapshot!("no_such_vm", world.run(&["info", "wbe"]));
    world.vm("web");
    snapshot!("two_vms", world.run(&["info", "web"]));
}

#[test]
fn images_of_the_host_and_of_its_registry() {
    let world = World::with(|builder| {
        builder.configure(|settings| settings.registry = "registry.example.com/dstack".to_owned())
    });
    snapshot!("local", world.run(&["images"]));
    snapshot!("registry", world.run(&["images", "registry"]));
    snapshot!("pulled", world.run(&["images", "pull", "0.6.0"]));
    snapshot!("unknown_tag", world.run(&["images", "pull", "9.9.9"]));
    snapshot!("removed", world.run(&["images", "rm", "dstack-0.6.0"]));
    snapshot!("not_there", world.run(&["images", "rm", "dstack-0.6.0"]));
    assert_eq!(world.json(&["images", "--json"])["schema"], "dstack-vmmctl/images/v1");
}

#[test]
fn gpus_of_the_host() {
    snapshot!("no_gpus", World::new().run(&["gpus"]));
    let world = World::with(|builder| {
        builder.configure(|settings| {
            settings.gpu_enabled = true;
            settings.gpus = vec![Gpu::new("18:00.0", "10de:2335", "H200")];
        })
    });
    snapshot!("gpus", world.run(&["gpus"]));
    assert_eq!(world.json(&["gpus", "--json"])["gpus"][0]["slot"], "18:00.0");
}

#[test]
fn the_app_that_runs_is_checked() {
    let world = World::new();
    world.vm("web");
    // Nothing of an emulator proves anything, unless that is asked for.
    let strict = world.run(&["check", "web"]);
    assert!(strict.starts_with("code: 1\n") && strict.contains("EMULATED"), "{strict}");
    snapshot!("checked", world.run(&["check", "web", "--danger-accept-emulated"]));
    world.write("other.json", crate::world::app_compose("other"));
    let other = world.run(&["check", "web", "--danger-accept-emulated", "--compose", "other.json"]);
    assert!(other.starts_with("code: 1\n") && other.contains("app.compose.deployed"), "{other}");
}
