//! What every command has in common: help, completions, streams, exit codes.

use std::io::Read;
use std::process::Stdio;

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
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = world.run(&["completions", shell]);
        assert!(script.starts_with("code: 0\n") && script.contains("list-checks"), "{script}");
    }
    let page = world.run(&["man"]);
    assert!(page.contains(".TH dstack-verify 1"), "{page}");
    let pages = world.run(&["man", "--dir", "pages"]);
    assert!(pages.starts_with("code: 0\n"));
    assert!(world.read("pages/dstack-verify-app.1").contains("danger"));
}

#[test]
fn the_command_line_is_sound() {
    dstack_verify::command_line().debug_assert();
}

#[test]
fn every_command_and_option_is_documented() {
    assert_eq!(cli_support::undocumented(&dstack_verify::command_line()), [""; 0]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::new();
    let mut child = world
        .command(&["list-checks", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn colour_is_a_choice() {
    let world = World::new();
    world.write_recorded();
    let app = ["app", "--evidence", "evidence"];
    let coloured = |more: &[&str]| world.run(&[&app, more].concat()).contains('\x1b');
    assert!(!coloured(&[]));
    assert!(coloured(&["--color", "always"]));
    let output = world.command(&app).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap();
    assert!(!output.stdout.contains(&0x1b));
}

#[test]
fn without_a_utf_8_locale_it_is_plain_ascii() {
    let world = World::new();
    world.write_recorded();
    let output = world.command(&["app", "--evidence", "evidence"]).env("LANG", "C").output().unwrap();
    assert!(output.stdout.is_ascii(), "{}", String::from_utf8_lossy(&output.stdout));
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
    fn look(directory: &std::path::Path, named: &mut std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, named);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for after in text.split("\"dstack-verify/").skip(1) {
                named.extend(after.split_once("/v1\"").map(|(name, _)| name.to_owned()));
            }
        }
    }
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let described = std::fs::read_to_string(package.join("../../docs/cli/json.md")).unwrap();
    let mut named = std::collections::BTreeSet::new();
    look(&package.join("src"), &mut named);
    named.retain(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    assert!(named.len() >= 6, "{named:?}");
    let missing: Vec<&String> =
        named.iter().filter(|name| !described.contains(&format!("`dstack-verify/{name}/v1`"))).collect();
    assert!(missing.is_empty(), "not in docs/cli/json.md: {missing:?}");
}
