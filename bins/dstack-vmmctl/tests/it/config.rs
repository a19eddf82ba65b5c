//! `config`.

use crate::snapshot;
use crate::world::World;

const TEXT: &str =
    "# the host\naddress = \"tcp:0.0.0.0:9080\"\n\n[cvm]\ncid_start = 1000 # see the other host\n";

#[test]
fn lint() {
    let world = World::new();
    world.write("vmm.toml", TEXT);
    snapshot!("findings", world.run(&["config", "lint", "vmm.toml", "--dstack", "next"]));
    world.write("broken.toml", "address = \"tcp:0.0.0.0:9080\n");
    let broken = world.run(&["config", "lint", "broken.toml"]);
    assert!(broken.starts_with("code: 1\n") && broken.contains("broken.toml:1"), "{broken}");
    snapshot!("not_there", world.run(&["config", "lint", "no.toml"]));
}

#[test]
fn set_and_unset() {
    let world = World::new();
    world.write("vmm.toml", TEXT);
    snapshot!("dry_run", world.run(&["config", "set", "vmm.toml", "cvm.cid_start", "30000", "--dry-run"]));
    assert_eq!(world.read("vmm.toml"), TEXT);
    snapshot!("set", world.run(&["config", "set", "vmm.toml", "cvm.cid_start", "30000"]));
    assert_eq!(world.read("vmm.toml"), TEXT.replace("1000", "30000"));
    snapshot!("set_again", world.run(&["config", "set", "vmm.toml", "cvm.cid_start", "30000"]));
    snapshot!("unset", world.run(&["config", "unset", "vmm.toml", "cvm.cid_start"]));
    snapshot!("unknown", world.run(&["config", "set", "vmm.toml", "cvm.cid_strat", "1"]));
    snapshot!("wrong_type", world.run(&["config", "set", "vmm.toml", "cvm.cid_start", "many"]));
    let json = world.json(&["config", "set", "vmm.toml", "cvm.cid_start", "7", "--json"]);
    assert_eq!((&json["after"], &json["written"]), (&"7".into(), &true.into()));
}

#[test]
fn a_secret_is_not_taken_from_the_command_line_and_not_shown() {
    let world = World::new();
    world.write_secret("vmm.toml", "address = \"unix:/run/dstack/vmm.sock\"\n");
    snapshot!("argument", world.run(&["config", "set", "vmm.toml", "auth.tokens", "hunter2hunter2hunter2"]));
    let file = world.write_secret("token", "hunter2hunter2hunter2");
    let told = world.run(&["config", "set", "vmm.toml", "auth.tokens", "--from", file.to_str().unwrap()]);
    assert!(told.starts_with("code: 0\n") && !told.contains("hunter2"), "{told}");
    assert!(world.read("vmm.toml").contains("hunter2hunter2hunter2"));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(world.work().join("vmm.toml")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn keys_are_listed() {
    let world = World::new();
    let keys = world.run(&["config", "keys"]);
    assert!(keys.contains("cvm.port_mapping.enabled"), "{keys}");
    let json = world.json(&["config", "keys", "--json"]);
    assert_eq!(json["schema"], "dstack-vmmctl/config-keys/v1");
}
