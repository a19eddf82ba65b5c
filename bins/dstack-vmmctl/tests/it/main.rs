//! Integration tests of `dstack-vmmctl`, one binary: the real program against an emulated VMM.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bad_input;
mod check;
mod compose;
mod config;
mod deploy;
mod doctor;
mod env;
mod hosts;
mod lifecycle;
mod listing;
mod logs;
mod process;
mod reach;
mod update;
mod world;

#[test]
fn no_file_is_forgotten() {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    cli_support::testing::every_file_is_a_module(&package.join("tests/it"));
}
