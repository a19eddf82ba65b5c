//! What every command has in common: help, completions, streams, exit codes.

use cli_support::testing;

use crate::snapshot;
use crate::world::World;

#[test]
fn help_pages() {
    let world = World::new();
    snapshot!("main", world.run(&["--help"]));
    snapshot!("app", world.run(&["app", "--help"]));
    let nothing = world.run(&[]);
    assert!(nothing.starts_with("code: 2\n"), "{nothing}");
}

#[test]
fn completions_and_man_pages() {
    World::new().has_completions_and_man_pages("dstack-verify", "app", "danger");
}

#[test]
fn the_command_line_is_sound_and_documented() {
    testing::is_sound_and_documented(dstack_verify::command_line());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    testing::bears_a_reader_that_goes_away(World::new().command(&["list-checks", "--json"]));
}

#[test]
fn colour_is_a_choice() {
    let world = World::new();
    world.write_recorded();
    testing::has_colours_on_request(|| world.command(&["app", "--evidence", "evidence"]));
}

#[test]
fn without_a_utf_8_locale_it_is_plain_ascii() {
    let world = World::new();
    world.write_recorded();
    testing::is_plain_ascii_without_utf_8(world.command(&["app", "--evidence", "evidence"]));
}

#[test]
fn a_challenge_is_another_each_time() {
    let world = World::new();
    let (code, first) = world.json(&["nonce"]);
    let (_, second) = world.json(&["nonce"]);
    assert_eq!((code, first["schema"].as_str()), (Some(0), Some("dstack-verify/nonce/v1")));
    assert_eq!(first["nonce"].as_str().unwrap().len(), 64);
    assert_ne!(first["nonce"], second["nonce"]);
}

/// Every form of JSON that the sources name is in the document about them.
#[test]
fn every_form_of_json_is_described() {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = [package.join("src")];
    let document = package.join("../../docs/cli/json.md");
    assert!(testing::forms_of_json_described(&document, "dstack-verify", &sources) >= 6);
}
