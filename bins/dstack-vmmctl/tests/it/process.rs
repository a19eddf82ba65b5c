//! What every command has in common: help, completions, streams, exit codes.

use std::io::Read;
use std::process::Stdio;

use crate::snapshot;
use crate::world::World;

#[test]
fn help_pages() {
    let world = World::new();
    snapshot!("main", world.run(&["--help"]));
    snapshot!("deploy", world.run(&["deploy", "--help"]));
    snapshot!("update", world.run(&["update", "--help"]));
    let nothing = world.run(&[]);
    assert!(nothing.starts_with("code: 2\n"), "{nothing}");
}

#[test]
fn completions_and_man_pages() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = world.run(&["completions", shell]);
        assert!(script.starts_with("code: 0\n") && script.contains("rollback"), "{script}");
    }
    let page = world.run(&["man"]);
    assert!(page.contains(".TH dstack-vmmctl 1"), "{page}");
    let pages = world.run(&["man", "--dir", "pages"]);
    assert!(pages.starts_with("code: 0\n"));
    assert!(world.read("pages/dstack-vmmctl-logs.1").contains("follow"));
}

#[test]
fn the_command_line_is_sound() {
    dstack_vmmctl::command_line().debug_assert();
}

#[test]
fn every_option_has_a_help_text() {
    assert_eq!(cli_support::undocumented(&dstack_vmmctl::command_line()), [""; 0]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::new();
    let id = world.vm("web");
    for number in 0..5000 {
        world.emulator.append_log(&id, "stdout", &format!("{number} {}", "x".repeat(100))).unwrap();
    }
    let mut child = world
        .command(&["logs", "web", "-c", "stdout", "-n", "all"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn colour_is_a_choice() {
    let world = World::new();
    world.vm("web");
    let coloured = |arguments: &[&str]| world.run(arguments).contains('\x1b');
    assert!(!coloured(&["ls"]));
    assert!(coloured(&["ls", "--color", "always"]));
    let output = world.command(&["ls"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap();
    assert!(!output.stdout.contains(&0x1b));
}

#[test]
fn watching_goes_on_until_it_is_ended() {
    let world = World::new();
    world.vm("web");
    let mut child = world.command(&["ls", "--watch", "1", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    for _ in 0..2 {
        let document: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(document["hosts"][0]["vms"][0]["name"], "web");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_interrupt_ends_what_goes_on_by_the_signal() {
    use std::os::unix::process::ExitStatusExt;
    let world = World::new();
    let id = world.vm("web");
    world.emulator.append_log(&id, "stdout", "first").unwrap();
    let mut child =
        world.command(&["logs", "web", "-f", "-c", "stdout"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    // Shells show this as 130.
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}

/// Every form of JSON that the sources name is in the document about them.
#[test]
fn every_form_of_json_is_described() {
    fn look(directory: &std::path::Path, named: &mut std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, named);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for after in text.split("\"dstack-vmmctl/").skip(1) {
                named.extend(after.split_once("/v1\"").map(|(name, _)| name.to_owned()));
            }
        }
    }
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let described = std::fs::read_to_string(package.join("../../docs/cli/json.md")).unwrap();
    let mut named = std::collections::BTreeSet::new();
    look(&package.join("src"), &mut named);
    assert!(named.len() > 15, "{named:?}");
    let missing: Vec<&String> = named
        .iter()
        .filter(|name| !name.contains('{') && !described.contains(&format!("`dstack-vmmctl/{name}/v1`")))
        .collect();
    assert!(missing.is_empty(), "not in docs/cli/json.md: {missing:?}");
}
