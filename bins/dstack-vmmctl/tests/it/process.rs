//! What every command has in common: help, completions, streams, exit codes.

use std::io::Read;
use std::process::Stdio;

use cli_support::testing;

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
    World::new().has_completions_and_man_pages("dstack-vmmctl", "logs", "follow");
}

#[test]
fn the_command_line_is_sound_and_documented() {
    testing::is_sound_and_documented(dstack_vmmctl::command_line());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::new();
    let id = world.vm("web");
    for number in 0..5000 {
        world.emulator.append_log(&id, "stdout", &format!("{number} {}", "x".repeat(100))).unwrap();
    }
    testing::bears_a_reader_that_goes_away(world.command(&["logs", "web", "-c", "stdout", "-n", "all"]));
}

#[test]
fn colour_is_a_choice() {
    let world = World::new();
    world.vm("web");
    testing::has_colours_on_request(|| world.command(&["ls"]));
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
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = [package.join("src")];
    let document = package.join("../../docs/cli/json.md");
    assert!(testing::forms_of_json_described(&document, "dstack-vmmctl", &sources) >= 16);
}
