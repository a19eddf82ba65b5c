//! Integration tests of `dstack-check`, one binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod hostile;
mod json;
mod sample;
mod schema;
mod views;

#[test]
fn every_file_here_is_a_module() {
    let main = include_str!("main.rs");
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let is_module = path.extension().is_some_and(|extension| extension == "rs") && stem != "main";
        assert!(!is_module || main.contains(&format!("mod {stem};")), "{stem}.rs is not compiled");
    }
}
