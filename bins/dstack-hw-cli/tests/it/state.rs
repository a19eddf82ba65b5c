//! `snapshot` and `diff`.

use std::os::unix::fs::PermissionsExt;

use crate::snapshot;
use crate::world::World;

/// A small tree of a host, and the arguments to look at it.
fn host(world: &World) {
    world.write("host/etc/os-release", "ID=ubuntu\nVERSION_ID=\"24.04\"\n");
    world.write("host/etc/default/grub", "GRUB_CMDLINE_LINUX=\"nohibernate\"\n");
    world.write("host/etc/qgs.conf", "port = 4050\n");
    world.write(
        "host/var/lib/dpkg/status",
        "Package: tdx-qgs\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.21\n\n",
    );
    mode(world, 0o644);
}

fn mode(world: &World, mode: u32) {
    for name in ["etc/os-release", "etc/default/grub", "etc/qgs.conf", "var/lib/dpkg/status"] {
        let path = world.work().join("host").join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn take(world: &World, file: &str) {
    let said = world.run(&["snapshot", "--root", "host", "--label", file, "-o", file]);
    assert!(said.starts_with("code: 0\n--- stdout\n--- stderr\nnote: wrote "), "{said}");
}

#[test]
fn two_of_one_host_do_not_differ_and_a_change_is_named() {
    let world = World::new();
    host(&world);
    take(&world, "a.json");
    take(&world, "b.json");
    let same = world.json(&["diff", "a.json", "b.json", "--json"]);
    assert_eq!(same["schema"], "dstack-hw/diff/v1");
    assert_eq!(same["differences"].as_array().unwrap().len(), 0, "{same:#}");

    world.write("host/etc/qgs.conf", "port = 4051\n");
    let grub = world.work().join("host/etc/default/grub");
    std::fs::set_permissions(grub, std::fs::Permissions::from_mode(0o666)).unwrap();
    world.write(
        "host/var/lib/dpkg/status",
        "Package: tdx-qgs\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.22\n\n",
    );
    take(&world, "c.json");
    let text = world.run(&["diff", "a.json", "c.json"]);
    assert!(text.starts_with("code: 1\n"), "{text}");
    for named in ["/etc/qgs.conf", "/etc/default/grub", "tdx-qgs", "0644 -> 0666", "\nDIFFERENT: "] {
        assert!(text.contains(named), "{named}: {text}");
    }
    let markdown = world.run(&["diff", "--md", "a.json", "c.json"]);
    assert!(markdown.contains("**DIFFERENT**: ") && markdown.contains("| what | why |"), "{markdown}");
    let document = world.json(&["diff", "a.json", "c.json", "--json"]);
    assert_eq!(document["outcome"], "different");
}

#[test]
fn a_snapshot_is_for_its_owner_and_has_no_secret_in_it() {
    let world = World::new();
    host(&world);
    world.write("host/etc/dstack/vmm-auth-token", "planted-secret-4711\n");
    take(&world, "a.json");
    let mode = std::fs::metadata(world.work().join("a.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!world.read("a.json").contains("planted-secret"));
    let document = world.json(&["snapshot", "--root", "host", "--json", "-o", "b.json"]);
    assert_eq!(document["schema"], "dstack-hw/snapshot-taken/v1");
    let output = world.command(&["snapshot", "--root", "host", "-o", "-"]).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "dstack-hw/snapshot/v1");
}

#[test]
fn documents_that_cannot_be_used() {
    let world = World::new();
    host(&world);
    take(&world, "a.json");
    world.write("newer.json", "{\"schema\": \"dstack-hw/snapshot/v9\"}");
    let text = world.read("a.json");
    world.write("cut.json", &text[..text.len() / 2]);
    world.write("rules.toml", "schema = 3\n");
    world.write("spec.toml", "files = \"all\"\n");
    let said = [
        vec!["diff", "a.json", "newer.json"],
        vec!["diff", "missing.json", "a.json"],
        vec!["diff", "a.json", "a.json", "--rules", "rules.toml"],
        vec!["snapshot", "--root", "host", "--spec", "spec.toml"],
        vec!["snapshot", "--root", "nowhere"],
    ]
    .map(|arguments| format!("$ dstack-hw {}\n{}", arguments.join(" "), world.run(&arguments)));
    for text in &said {
        assert!(text.contains("\ncode: 2\n"), "{text}");
    }
    snapshot!(said.join("\n"));
    let cut = world.run(&["diff", "a.json", "cut.json"]);
    assert!(cut.starts_with("code: 2\n") && cut.contains("line "), "{cut}");
}
