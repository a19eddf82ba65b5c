//! `init`, `plan`, `deploy` and `rollback`.

use std::process::Stdio;
use std::time::Duration;

use dstack_emulator::BootProfile;

use crate::snapshot;
use crate::world::World;

const YAML: &str = "services:\n  web:\n    image: nginx:1.27\n";

/// A project of an app that is deployed to one host called `tdx1`.
fn project(world: &World, more: &str) {
    world.write("docker-compose.yaml", YAML);
    let text = format!(
        "schema = 1\nname = \"hello\"\ncompose = \"docker-compose.yaml\"\nimage = \"dstack-0.5.11\"\nports = [\"tcp:8080:80\"]\n{more}\n\
         [[hosts]]\nname = \"tdx1\"\nendpoint = \"{}\"\n",
        world.endpoint()
    );
    world.write("dstack.toml", text);
}

fn bare(world: &World, arguments: &[&str]) -> String {
    world.told(&world.bare(arguments).output().unwrap())
}

#[test]
fn from_nothing_to_a_running_app_and_back() {
    let world = World::new();
    world.write("docker-compose.yaml", YAML);
    snapshot!("init", world.run(&["init", "hello", "--port", "tcp:8080:80", "--host-name", "tdx1"]));
    snapshot!("project", world.steady(&world.read("dstack.toml")));
    snapshot!("init_again", world.run(&["init"]));
    snapshot!("plan", bare(&world, &["plan"]));
    snapshot!("nobody_to_ask", bare(&world, &["deploy"]));
    snapshot!("deploy", bare(&world, &["deploy", "--yes"]));
    snapshot!("nothing_to_do", bare(&world, &["deploy", "--yes"]));

    world.write("docker-compose.yaml", YAML.replace("1.27", "1.28"));
    snapshot!("changed_plan", bare(&world, &["deploy", "--plan-only"]));
    snapshot!("changed", bare(&world, &["deploy", "--yes"]));
    snapshot!("versions", bare(&world, &["rollback", "--list"]));
    snapshot!("rollback", bare(&world, &["rollback", "--yes"]));
    let shown = bare(&world, &["compose", "show", "vm:hello", "--inner"]);
    assert!(shown.contains("nginx:1.27"), "{shown}");
    snapshot!("no_such_version", bare(&world, &["rollback", "#9"]));

    snapshot!("rm", bare(&world, &["rm", "hello", "--yes", "--force"]));
    snapshot!("versions_after_rm", bare(&world, &["rollback", "--list"]));
}

#[test]
fn as_json() {
    let world = World::new();
    project(&world, "");
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_slice(&world.bare(arguments).output().unwrap().stdout).unwrap()
    };
    let plan = json(&["plan", "--json"]);
    assert_eq!(
        (&plan["schema"], &plan["hosts"][0]["plan"]["kind"]),
        (&"dstack-vmmctl/plan/v1".into(), &"create".into())
    );
    let deployed = json(&["deploy", "--yes", "--json"]);
    assert_eq!(deployed["hosts"][0]["applied"]["booted"], true);
    assert_eq!(json(&["rollback", "--list", "--json"])["versions"][0]["seq"], 1);
}

#[test]
fn secrets_are_sealed_and_never_shown() {
    let world = World::new();
    let signer =
        world.json(&["env", "key", "--app-id", &"0".repeat(40), "--danger-accept-any-signer", "--json"]);
    let signer = signer["signer"].as_str().unwrap().to_owned();
    world.write_secret(".env", "TOKEN=hunter2-and-more\n");
    project(&world, &format!("[env]\nfile = \".env\"\n[kms]\nsigners = [\"{signer}\"]"));
    let all = [
        bare(&world, &["plan"]),
        bare(&world, &["deploy", "--yes"]),
        bare(&world, &["info", "hello", "--json"]),
        bare(&world, &["rollback", "--list", "--json"]),
        bare(&world, &["doctor"]),
    ];
    assert!(all.iter().all(|told| !told.contains("hunter2")), "{all:?}");
    snapshot!("first", &all[1]);
    world.write_secret(".env", "TOKEN=another\nMORE=1\n");
    snapshot!("changed_names", bare(&world, &["plan"]));
    // Everything the directory keeps, too.
    let kept = std::process::Command::new("grep")
        .args(["-r", "hunter2", ".dstack"])
        .current_dir(world.work())
        .output()
        .unwrap();
    assert_eq!(kept.status.code(), Some(1));
}

#[test]
fn without_a_pinned_signer_nothing_is_sealed() {
    let world = World::new();
    world.write_secret(".env", "TOKEN=hunter2\n");
    project(&world, "[env]\nfile = \".env\"\n[kms]\nenabled = true");
    snapshot!(bare(&world, &["deploy", "--yes"]));
    assert_eq!(world.json(&["ls", "--json"])["hosts"][0]["vms"].as_array().unwrap().len(), 0);
}

#[test]
fn several_hosts_and_one_that_is_down() {
    let world = World::new();
    let other = World::new();
    project(&world, "");
    let text = world.read("dstack.toml")
        + &format!("[[hosts]]\nname = \"tdx2\"\nendpoint = \"{}\"\n", other.endpoint())
        + "[[hosts]]\nname = \"tdx3\"\nendpoint = \"unix:/nonexistent/vmm.sock\"\n";
    world.write("dstack.toml", text);
    let steady = |text: String| text.replace(other.root().to_str().unwrap(), "[other]");
    // One after the other, so that the lines come in one order.
    snapshot!(steady(bare(&world, &["deploy", "--yes", "--one-by-one"])));
    assert_eq!(other.json(&["ls", "--json"])["hosts"][0]["vms"][0]["name"], "hello");
}

#[test]
fn what_stands_in_the_way_is_said_before_anything_is_done() {
    let world = World::next();
    world.vm_with("other", |vm| vm.ports = vec![crate::world::port(8080, 80)]);
    project(&world, "");
    let text = world.read("dstack.toml").replace("dstack-0.5.11", "dstack-9.9.9");
    world.write("dstack.toml", text);
    world.write(
        "vmm.toml",
        "[cvm.port_mapping]\nenabled = true\nrange = [{ protocol = \"tcp\", from = 9000, to = 9999 }]\n",
    );
    snapshot!(bare(&world, &["deploy", "--yes", "--node-config", "vmm.toml"]));
    assert_eq!(world.json(&["ls", "--json"])["hosts"][0]["vms"].as_array().unwrap().len(), 1);
}

#[test]
fn a_lost_reply_makes_no_second_vm() {
    let world = World::new();
    project(&world, "");
    world.emulator.faults().once("CreateVm", dstack_emulator::Fault::DropAfter);
    let told = bare(&world, &["deploy", "--yes"]);
    assert!(told.starts_with("code: 0\n"), "{told}");
    assert_eq!(world.json(&["ls", "--json"])["hosts"][0]["vms"].as_array().unwrap().len(), 1);
}

#[test]
fn a_run_that_was_broken_off_is_finished_by_the_next() {
    let world = World::new();
    project(&world, "");
    world.emulator.set_boot(BootProfile::new().step_time(Duration::from_millis(200)));
    let mut child =
        world.bare(&["deploy", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let vms = || world.json(&["ls", "--json"])["hosts"][0]["vms"].as_array().unwrap().len();
    world.wait_until("the VM is made", || vms() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(world.work().join(".dstack/journal-tdx1.json").exists());
    let told = bare(&world, &["deploy", "--yes"]);
    assert!(told.starts_with("code: 0\n") && told.contains("was broken off"), "{told}");
    assert_eq!(vms(), 1);
    assert!(!world.work().join(".dstack/journal-tdx1.json").exists());
    let versions = bare(&world, &["rollback", "--list"]);
    assert!(versions.contains("#1") && !versions.contains("#2"), "{versions}");
}

#[test]
fn an_allow_list_is_kept_in_step() {
    let world = World::new();
    world.write("allow.json", "{\n  \"apps\": {}\n}\n");
    project(&world, "[kms]\nenabled = true\n[authorization]\nkind = \"file\"\npath = \"allow.json\"");
    bare(&world, &["deploy", "--yes"]);
    let first = bare(&world, &["compose", "hash"]);
    let hash = first.lines().find_map(|line| line.strip_prefix("compose hash  ")).unwrap().to_owned();
    assert!(world.read("allow.json").contains(&hash));
    bare(&world, &["rm", "hello", "--yes", "--force"]);
    assert!(!world.read("allow.json").contains(&hash));
}

#[test]
fn without_a_project() {
    let world = World::new();
    snapshot!(world.run(&["deploy"]));
}
