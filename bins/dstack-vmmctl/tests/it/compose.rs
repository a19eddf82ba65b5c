//! `compose`.

use crate::snapshot;
use crate::world::{World, app_compose};

const YAML: &str = "services:\n  web:\n    image: nginx:1.27\n";

#[test]
fn build_and_hash_agree() {
    let world = World::new();
    world.write("docker-compose.yaml", YAML);
    snapshot!(
        "built",
        world.run(&["compose", "build", "docker-compose.yaml", "--name", "demo", "-o", "app.json"])
    );
    snapshot!("text", world.read("app.json"));
    snapshot!("hash", world.run(&["compose", "hash", "app.json"]));
    let built = world.json(&["compose", "build", "docker-compose.yaml", "--name", "demo", "--json"]);
    let hashed = world.json(&["compose", "hash", "app.json", "--json"]);
    assert_eq!(built["compose_hash"], hashed["compose_hash"]);
    snapshot!("no_name", world.run(&["compose", "build", "docker-compose.yaml"]));
    snapshot!("a_compose_file_is_none", world.run(&["compose", "hash", "docker-compose.yaml"]));
}

#[test]
fn options_of_a_build() {
    let world = World::new();
    world.write("run.sh", "echo hello\n");
    world.write("pre.sh", "echo before\n");
    world.write_secret("env", "TOKEN=s3cret\nUSER=me\n");
    let options = [
        "compose",
        "build",
        "run.sh",
        "--name",
        "demo",
        "--runner",
        "bash",
        "--key-provider",
        "kms",
        "--gateway",
        "--env-file",
        "env",
        "--allow-env",
        "EXTRA",
        "--swap",
        "4G",
        "--pre-launch-script",
        "pre.sh",
        "--layout",
        "compact",
    ];
    snapshot!(world.run(&options));
    assert!(!world.run(&options).contains("s3cret"));
}

#[test]
fn a_flag_without_a_file_is_refused() {
    let world = World::new();
    let told = world.run(&["compose", "build", "--gateway"]);
    assert!(told.starts_with("code: 2\n"), "{told}");
}

#[test]
fn show_gives_the_bytes_of_a_vm_untouched() {
    let world = World::new();
    let odd = app_compose("web").replace("\"runner\"", "\"x-odd\" :  [1,2],\n\t\"runner\"");
    world.vm_with("web", |vm| vm.compose_file.clone_from(&odd));
    let output = world.command(&["compose", "show", "vm:web"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), odd);
    let inner = world.command(&["compose", "show", "vm:web", "--inner"]).output().unwrap();
    assert_eq!(String::from_utf8(inner.stdout).unwrap(), YAML);
    snapshot!("unknown_fields", world.run(&["compose", "hash", "vm:web"]));
}

#[test]
fn diff_of_files_and_vms() {
    let world = World::new();
    world.vm("web");
    world.write("same.json", app_compose("web"));
    world.write("other.json", app_compose("web").replace("1.27", "1.28").replace("true", "false"));
    world.write("layout.json", app_compose("web").replace(", ", ","));
    snapshot!("same", world.run(&["compose", "diff", "vm:web", "same.json"]));
    snapshot!("other", world.run(&["compose", "diff", "vm:web", "other.json"]));
    snapshot!("layout", world.run(&["compose", "diff", "vm:web", "layout.json"]));
    let json = world.json(&["compose", "diff", "vm:web", "other.json", "--json"]);
    assert_eq!((&json["schema"], &json["same"]), (&"dstack-vmmctl/compose-diff/v1".into(), &false.into()));
}

#[test]
fn from_stdin() {
    let world = World::new();
    let mut child = world
        .command(&["compose", "hash", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), app_compose("web").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    world.write("app.json", app_compose("web"));
    let of_file = world.command(&["compose", "hash", "app.json"]).output().unwrap();
    assert_eq!(output.stdout, of_file.stdout);
}
