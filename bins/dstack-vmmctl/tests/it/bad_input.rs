//! Input that is wrong: what it is, where, and what to do. Nothing is sent and nothing is written.

use crate::snapshot;
use crate::world::{World, app_compose};

fn lint(world: &World, text: impl AsRef<[u8]>, version: &str) -> String {
    world.write("app.json", text);
    let report = world.json(&["compose", "lint", "app.json", "--dstack", version, "--json"]);
    let mut told = String::new();
    for finding in report["findings"].as_array().unwrap() {
        if !matches!(finding["status"].as_str(), Some("fail" | "warn")) {
            continue;
        }
        let place = finding["evidence"][0]["source"].as_str().unwrap_or("-");
        let word = |name: &str| finding[name].as_str().unwrap_or("-").to_owned();
        let fix = finding["fix"]["action"].as_str().unwrap_or("-");
        told.push_str(&format!(
            "{} {} {place}: {}\n  fix: {fix}\n",
            word("status"),
            word("id"),
            word("observed")
        ));
    }
    told
}

#[test]
fn app_composes() {
    let world = World::new();
    let small = app_compose("web");
    let cases = [
        ("unknown field", small.replace("\"public_logs\"", "\"public_log\""), "0.5"),
        ("duplicate key", small.replace("\"name\"", "\"name\": \"a\",\n \"name\""), "0.5"),
        ("crlf", small.replace("\\n", "\\r\\n"), "0.5"),
        ("bom", format!("\u{feff}{small}"), "0.5"),
        ("text for 0.5", small.replace("\"manifest_version\": 2", "\"manifest_version\": \"3\""), "0.5"),
        ("number for next", small.replace("\"manifest_version\": 2", "\"manifest_version\": 3"), "next"),
        ("name", small.replace("\"name\": \"web\"", "\"name\": \"web/1\""), "0.5"),
        (
            "allowed_envs",
            small.replace("\"public_logs\"", "\"allowed_envs\": [\"1A\"], \"public_logs\""),
            "0.5",
        ),
        ("too large", small.replace("nginx", &"x".repeat(300_000)), "0.5"),
        ("no json", "services: {}\n".to_owned(), "0.5"),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|(name, text, version)| format!("== {name}\n{}", lint(&world, text, version)))
        .collect();
    snapshot!(told.join("\n"));
}

#[test]
fn a_compose_file_that_is_too_large_for_a_guest() {
    let world = World::new();
    world.write("docker-compose.yaml", format!("services: {{}}\n# {}\n", "x".repeat(300_000)));
    snapshot!(world.run(&["compose", "build", "docker-compose.yaml", "--name", "big", "-o", "app.json"]));
    assert!(!world.work().join("app.json").exists());
}

#[test]
fn project_files() {
    let world = World::new();
    let head = "schema = 1\nname = \"hello\"\ncompose = \"docker-compose.yaml\"\nimage = \"dstack-0.5.11\"\n";
    world.write("docker-compose.yaml", "services: {}\n");
    let cases = [
        ("unknown key", format!("{head}memroy = \"2G\"\n")),
        ("two on a port", format!("{head}ports = [\"tcp:80:80\", \"tcp:80:81\"]\n")),
        ("port", format!("{head}ports = [\"tcp:80000:80\"]\n")),
        ("ipv6 without brackets", format!("{head}ports = [\"tcp:::1:80:80\"]\n")),
        ("relative socket", format!("{head}[[hosts]]\nname = \"a\"\nendpoint = \"unix:./vmm.sock\"\n")),
        ("env without kms", format!("{head}[env]\nfile = \".env\"\n")),
        ("env name", format!("{head}[kms]\nenabled = true\n[env]\nnames = [\"1A\"]\n")),
        ("no toml", "schema = \n".to_owned()),
        ("nothing", String::new()),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|(name, text)| {
            world.write("dstack.toml", text);
            format!("== {name}\n{}", world.run(&["plan"]))
        })
        .collect();
    snapshot!(told.join("\n"));
    assert!(!world.work().join(".dstack").exists());
}

#[test]
fn ipv6_ports_are_fine() {
    let world = World::new();
    world.write("docker-compose.yaml", "services: {}\n");
    world.write(
        "dstack.toml",
        "schema = 1\nname = \"hello\"\ncompose = \"docker-compose.yaml\"\nimage = \"dstack-0.5.11\"\nports = [\"tcp:[::1]:8443:443\"]\n",
    );
    let told = world.run(&["deploy", "--yes"]);
    assert!(told.starts_with("code: 0\n") && told.contains("tcp [::1]:8443 -> 443"), "{told}");
}

#[test]
fn environments() {
    let world = World::new();
    world.write("docker-compose.yaml", "services: {}\n");
    let project = |names: &str| {
        format!(
            "schema = 1\nname = \"hello\"\ncompose = \"docker-compose.yaml\"\nimage = \"dstack-0.5.11\"\n[kms]\nenabled = true\n[env]\nfile = \".env\"\n{names}"
        )
    };
    world.write("dstack.toml", project("names = [\"A\"]\n"));
    world.write_secret(".env", "A=1\nSECRET_B=2\n");
    snapshot!("outside_allowed", world.run(&["plan"]));
    world.write_secret(".env", "A=1\nB-2=3\n");
    snapshot!("name", world.run(&["plan"]));
    world.write_secret(".env", format!("A={}\n", "x".repeat(200_000)));
    snapshot!("value_too_long", world.run(&["plan"]));
    world.write(".env", "A=1\n");
    std::fs::set_permissions(world.work().join(".env"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    snapshot!("others_can_read", world.run(&["plan"]));
    std::fs::remove_file(world.work().join(".env")).unwrap();
    snapshot!("missing", world.run(&["plan"]));
}
