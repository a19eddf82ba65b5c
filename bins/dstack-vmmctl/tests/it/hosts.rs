//! `hosts`, and which host is meant.

use crate::snapshot;
use crate::world::World;

fn project(world: &World, hosts: &str) {
    world.write("docker-compose.yaml", "services: {}\n");
    world.write(
        "dstack.toml",
        format!("schema = 1\nname = \"hello\"\ncompose = \"docker-compose.yaml\"\nimage = \"dstack-0.5.11\"\n{hosts}"),
    );
}

fn bare(world: &World, arguments: &[&str]) -> String {
    world.told(&world.bare(arguments).output().unwrap())
}

#[test]
fn nothing_is_known() {
    let world = World::new();
    snapshot!("ls", bare(&world, &["ls"]));
    snapshot!("hosts", bare(&world, &["hosts"]));
}

#[test]
fn a_vmm_that_runs_here_is_found() {
    let runtime_dir = tempfile::tempdir().unwrap();
    let directory = runtime_dir.path().join("dstack-vmm");
    let world = World::with(|builder| builder.discovery_dir(&directory));
    world.vm("web");
    let mut command = world.bare(&["ls", "-q"]);
    let output = command.env("XDG_RUNTIME_DIR", runtime_dir.path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
}

#[test]
fn hosts_of_a_project() {
    let world = World::new();
    let other = World::next();
    world.vm("web");
    let table =
        |name: &str, endpoint: &str| format!("[[hosts]]\nname = \"{name}\"\nendpoint = \"{endpoint}\"\n");
    let hosts = [
        table("tdx1", &world.endpoint()),
        table("tdx2", &other.endpoint()),
        table("tdx3", "unix:/nonexistent/vmm.sock"),
    ];
    project(&world, &hosts.concat());
    // Columns are as wide as the paths of this machine.
    let steady = |text: String| {
        let words =
            |line: &str| line.split("  ").filter(|word| !word.is_empty()).collect::<Vec<_>>().join("  ");
        text.replace(other.root().to_str().unwrap(), "[other]")
            .lines()
            .map(words)
            .collect::<Vec<_>>()
            .join("\n")
    };
    snapshot!("table", steady(bare(&world, &["hosts"])));
    snapshot!("all_are_listed", steady(bare(&world, &["ls"])));
    snapshot!("one_is_wanted", steady(bare(&world, &["info", "web"])));
    snapshot!("chosen", steady(bare(&world, &["--host", "tdx1", "ls"])));
    snapshot!("unknown", steady(bare(&world, &["--host", "tdx9", "ls"])));
    let mut everything = world.bare(&["hosts", "--json"]);
    let output = everything.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "one host that answers is enough");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["hosts"][2]["reachable"], false);
}

#[test]
fn a_host_that_is_down_keeps_no_other_from_being_shown() {
    let world = World::new();
    project(&world, "[[hosts]]\nname = \"gone\"\nendpoint = \"unix:/nonexistent/vmm.sock\"\n");
    snapshot!("all_down", bare(&world, &["hosts"]));
}

#[test]
fn the_token_of_a_host_is_its_own() {
    let token = "0123456789abcdef0123456789abcdef";
    let world = World::with(|builder| {
        builder.version(dstack_vmm_client::DstackVersion::Next).listen_tcp("127.0.0.1:0").token(token)
    });
    let endpoint =
        world.emulator.endpoints().find(|endpoint| endpoint.starts_with("http")).unwrap().to_owned();
    world.write_secret("token", token);
    project(
        &world,
        &format!("[[hosts]]\nname = \"tdx1\"\nendpoint = \"{endpoint}\"\ntoken_file = \"token\"\n"),
    );
    let listed = bare(&world, &["ls"]);
    assert!(listed.starts_with("code: 0\n"), "{listed}");
    // Another token in the environment is not for this host.
    let output = world.bare(&["ls"]).env("DSTACK_VMM_TOKEN", "of another host").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}
