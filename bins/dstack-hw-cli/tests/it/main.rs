//! Integration tests of `dstack-hw`, one binary: the real program with nothing from the environment of the tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bad_input;
mod capture;
mod check;
mod explain;
mod facts;
mod listing;
mod live;
mod process;
mod state;
mod world;

#[test]
fn no_file_is_forgotten() {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    cli_support::testing::every_file_is_a_module(&package.join("tests/it"));
}
