//! Input that cannot be used: exit code 2, and words that help.

use cli_support::testing;

use crate::snapshot;
use crate::world::World;

#[test]
fn profiles_and_ids_that_do_not_exist() {
    let world = World::new();
    world.write("gpu.txt", "");
    world.write("mine", "");
    world.write("bad.toml", "name = \"bad\"\nrequired = [\n  \"hw.cpu.vxm\",\n]\n");
    let said = [
        vec!["check", "--profile", "tdx-hots"],
        vec!["check", "--profile", "mine"],
        vec!["check", "--profile", "./missing.toml"],
        vec!["check", "--profile", "bad.toml"],
        vec!["check", "--ignore", "hw.kvm.tdx,hw.kvm.tbx"],
        vec!["check", "--ignore", "nothing-like-it"],
        vec!["list-checks", "--profile", "nowhere"],
        vec!["profile", "show", "nowhere"],
    ]
    .map(|arguments| format!("$ dstack-hw {}\n{}", arguments.join(" "), world.run(&arguments)));
    for text in &said {
        assert!(text.contains("\ncode: 2\n"), "{text}");
    }
    snapshot!(said.join("\n"));
}

#[test]
fn captures_that_cannot_be_used() {
    let world = World::new();
    world.write("newer.json", "{\"schema\": \"dstack-hw/capture/v9\"}");
    world.write("other.json", "{\"schema\": \"dstack-check/report/v1\"}");
    world.write("truncated.json", "{\"schema\": \"dstack-hw/capture/v1\", \"readings\": {");
    world.write("text.json", "this is no JSON\n");
    world.write("deep.json", "[".repeat(100_000));
    world.write("folder/file", "");
    let said =
        ["newer.json", "other.json", "truncated.json", "text.json", "deep.json", "missing.json", "folder"]
            .map(|name| {
                format!("$ dstack-hw check --from {name}\n{}", world.run(&["check", "--from", name]))
            });
    for text in &said {
        assert!(text.contains("\ncode: 2\n"), "{text}");
    }
    snapshot!(said.join("\n"));
}

#[test]
fn an_error_in_json_mode_is_one_line_of_json() {
    let world = World::new();
    let error = testing::error_in_json(world.command(&["check", "--json", "--profile", "tdx-hots"]));
    assert_eq!(error["message"], "there is no profile `tdx-hots`");
    assert!(error["hints"][0].as_str().unwrap().contains("tdx-host"));
}

#[test]
fn sources_exclude_each_other() {
    let world = World::new();
    world.write("a", "");
    for arguments in [
        &["check", "--from", "a", "--dmesg", "a"][..],
        &["check", "--from", "a", "--root", "."],
        &["check", "--root", ".", "--cpuinfo", "a"],
        &["check", "--dmesg", "-", "--cpuinfo", "-"],
        &["check", "--json", "--md"],
    ] {
        let said = world.run(arguments);
        assert!(said.starts_with("code: 2\n--- stdout\n--- stderr\n"), "{said}");
        assert!(said.contains("cannot"), "{said}");
    }
}
