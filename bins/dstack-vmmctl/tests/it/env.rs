//! `env`.

use crate::snapshot;
use crate::world::{World, app_compose};

const APP_ID: &str = "0000000000000000000000000000000000000000";

#[test]
fn check() {
    let world = World::new();
    world.write_secret("env", "TOKEN=s3cret\nHOST=$HOME\n");
    snapshot!("file", world.run(&["env", "check", "env"]));
    let compose =
        app_compose("web").replace("\"public_logs\"", "\"allowed_envs\": [\"TOKEN\"], \"public_logs\"");
    world.write("app.json", compose);
    snapshot!("names", world.run(&["env", "check", "env", "--compose", "app.json"]));
    world.write_secret("broken", "TOKEN='s3cret\n");
    snapshot!("broken", world.run(&["env", "check", "broken"]));
    world.write("open", "TOKEN=s3cret\n");
    snapshot!("open", world.run(&["env", "check", "open"]));
}

#[test]
fn seal_wants_a_signer() {
    let world = World::new();
    world.write_secret("env", "TOKEN=s3cret\n");
    snapshot!("not_pinned", world.run(&["env", "seal", "env", "--app-id", APP_ID]));
    let key = world.json(&["env", "key", "--app-id", APP_ID, "--danger-accept-any-signer", "--json"]);
    assert_eq!(key["signer_pinned"], false);
    let signer = key["signer"].as_str().unwrap();
    let sealed = world.run(&["env", "seal", "env", "--app-id", APP_ID, "--signer", signer, "-o", "sealed"]);
    assert!(sealed.starts_with("code: 0\n") && !sealed.contains("s3cret"), "{sealed}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(world.work().join("sealed")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    assert!(world.read("sealed").trim().bytes().all(|byte| byte.is_ascii_hexdigit()));
    snapshot!("key", world.run(&["env", "key", "--app-id", APP_ID, "--signer", signer]));
    snapshot!("app_id", world.run(&["env", "key", "--app-id", "0x00"]));
}
