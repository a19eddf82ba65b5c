//! What every command has in common: help, completions, streams, exit codes.

use cli_support::testing;

use crate::snapshot;
use crate::world::World;

#[test]
fn help_pages() {
    let world = World::new();
    snapshot!("main", world.run(&["--help"]));
    snapshot!("check", world.run(&["check", "--help"]));
    let nothing = world.run(&[]);
    assert!(nothing.starts_with("code: 2\n"), "{nothing}");
}

#[test]
fn completions_and_man_pages() {
    World::new().has_completions_and_man_pages("dstack-hw", "check", "ignore");
}

#[test]
fn the_command_line_is_sound_and_documented() {
    testing::is_sound_and_documented(dstack_hw_cli::command_line());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    testing::bears_a_reader_that_goes_away(World::new().command(&["list-checks", "--json"]));
}

/// A check with something to say.
fn of_a_log(world: &World) -> std::process::Command {
    world.write("dmesg", "[    0.000000] x86/tme: not enabled by BIOS\n");
    world.command(&["check", "--dmesg", "dmesg"])
}

#[test]
fn colour_is_a_choice() {
    let world = World::new();
    testing::has_colours_on_request(|| of_a_log(&world));
}

#[test]
fn without_a_utf_8_locale_it_is_plain_ascii() {
    let world = World::new();
    testing::is_plain_ascii_without_utf_8(of_a_log(&world));
}

/// Every form of JSON that the sources name is in the document about them.
#[test]
fn every_form_of_json_is_described() {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = [package.join("src"), package.join("../../crates/dstack-hw/src")];
    let document = package.join("../../docs/cli/json.md");
    assert!(testing::forms_of_json_described(&document, "dstack-hw", &sources) >= 7);
}
