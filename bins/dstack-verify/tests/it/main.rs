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

/// Every file beside this one is a module of it: one that is forgotten would never run.
#[test]
fn no_file_is_forgotten() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(directory.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(&directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") else { continue };
        assert!(main.contains(&format!("mod {module};")), "{name} is not a module");
    }
}
