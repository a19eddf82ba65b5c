//! Integration tests of `dstack-verify`, one binary: the real program with nothing from the environment of the tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bad_input;
mod files;
mod live;
mod log;
mod policy;
mod process;
mod signed;
mod world;

// The authority that plays Intel in the tests of the library.
#[path = "../../../../crates/dstack-attestation/tests/it/authority/mod.rs"]
mod authority;

#[test]
fn no_file_is_forgotten() {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    cli_support::testing::every_file_is_a_module(&package.join("tests/it"));
}
