//! Policy files.

use crate::world::{World, status};

#[test]
fn the_template_is_a_policy() {
    let world = World::new();
    let said = world.run(&["policy", "init", "policy.toml"]);
    assert!(said.starts_with("code: 0\n"), "{said}");
    let said = world.run(&["policy", "check", "policy.toml"]);
    assert!(said.starts_with("code: 0\n--- stdout\npolicy.toml is a policy\n"), "{said}");
    let again = world.run(&["policy", "init", "policy.toml"]);
    assert!(again.starts_with("code: 2\n") && again.contains("--force"), "{again}");
    assert!(world.run(&["policy", "init", "policy.toml", "--force"]).starts_with("code: 0\n"));
    let printed = world.run(&["policy", "init"]);
    assert!(printed.contains(&world.read("policy.toml")), "{printed}");
}

#[test]
fn paths_begin_at_the_file() {
    let world = World::new();
    world.write("apps/app-compose.json", crate::world::APP_COMPOSE);
    world.write("apps/policy.toml", "version = 1\n[code]\ncompose_files = [\"app-compose.json\"]\n");
    let (code, document) = world.json(&["policy", "show", "apps/policy.toml"]);
    assert_eq!((code, document["schema"].as_str()), (Some(0), Some("dstack-verify/policy/v1")));
    let shown = document["policy"].as_str().unwrap();
    assert!(shown.contains("compose_hashes") && !shown.contains("compose_files"), "{shown}");
    let missing = world.write("policy.toml", "version = 1\n[code]\ncompose_files = [\"app-compose.json\"]\n");
    let said = world.run(&["policy", "check", missing.to_str().unwrap()]);
    assert!(said.starts_with("code: 2\n") && said.contains("app-compose.json"), "{said}");
}

#[test]
fn a_policy_decides() {
    let world = World::new();
    world.write_recorded();
    world.write(
        "policy.toml",
        "version = 1\n[code]\napp_ids = [\"5bb4ff9a3837357f19dc176407a5709c62eb6c56\"]\n",
    );
    world.write(
        "other.toml",
        "version = 1\n[code]\napp_ids = [\"0000000000000000000000000000000000000000\"]\n",
    );
    let app = |policy| world.report(&["app", "--evidence", "evidence", "--policy", policy]).1;
    assert_eq!(status(&app("policy.toml"), "app.id.app-id"), "pass");
    assert_eq!(status(&app("other.toml"), "app.id.app-id"), "fail");
    assert_eq!(app("other.toml").meta()["policy"], "other.toml");
}

#[test]
fn a_file_cannot_let_emulated_evidence_through() {
    let world = World::new();
    world.write("policy.toml", "version = 1\ndanger_accept_emulated = true\n");
    let said = world.run(&["policy", "check", "policy.toml"]);
    assert!(said.starts_with("code: 2\n") && said.contains("danger_accept_emulated"), "{said}");
}
