//! `cargo xtask lint`.

use std::process::ExitCode;

use crate::process::{Failure, Layers, cargo, output, root, run};

/// Checks format, clippy, the rules for files, and licences where cargo-deny is installed.
#[derive(clap::Args)]
pub(crate) struct Lint {}

impl Lint {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let mut layers = Layers::default();
        all(&mut layers);
        layers.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Every lint, each a layer of its own.
pub(crate) fn all(layers: &mut Layers) {
    layers.run("format", || {
        run(&mut cargo(["fmt", "--all", "--check"]))?;
        run(cargo(["fmt", "--check"]).current_dir(root().join("fuzz")))
    });
    layers.run("clippy", || {
        run(&mut cargo(["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]))
    });
    layers.run("files", files);
    if cargo(["deny", "--version"]).output().is_ok_and(|output| output.status.success()) {
        layers.run("licences", || run(&mut cargo(DENY)));
    } else {
        layers.not_run("licences", "cargo-deny is not installed");
    }
}

/// Without advisories: their database may be out of reach.
const DENY: [&str; 7] =
    ["deny", "--all-features", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];

/// Rules for the files of the project that no compiler knows.
fn files() -> Result<(), Failure> {
    let listed = output(std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(root()))?;
    let mut found = Vec::new();
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        // Recorded material and fuzz corpora are kept as they are.
        let recorded = name.contains("/fixtures/") || name.starts_with("fuzz/corpus/") || name == "LICENSE";
        let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue };
        if recorded {
            continue;
        }
        check_text(name, &text, &mut found);
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n").into()) }
}

fn check_text(name: &str, text: &str, found: &mut Vec<String>) {
    let snapshot = name.ends_with(".snap");
    for (index, line) in text.lines().enumerate() {
        let at = index + 1;
        if line.ends_with([' ', '\t']) && !snapshot {
            found.push(format!("{name}:{at}: white space at the end of the line"));
        }
        // Split, so that this file does not find itself.
        for marker in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")] {
            if line.contains(marker) {
                found.push(format!("{name}:{at}: {marker} left in the text"));
            }
        }
    }
    if name.ends_with(".rs") && text.lines().count() > 900 {
        found.push(format!("{name}: more than 900 lines, which is more than one trade"));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        found.push(format!("{name}: no line end at the end of the file"));
    }
}

#[cfg(test)]
mod tests {
    use super::check_text;

    fn check(name: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        check_text(name, text, &mut found);
        found
    }

    #[test]
    fn a_plain_file_passes() {
        assert_eq!(check("a.md", "one\ntwo\n"), Vec::<String>::new());
    }

    #[test]
    fn each_rule_names_file_and_line() {
        assert_eq!(check("a.md", "one \n"), ["a.md:1: white space at the end of the line"]);
        assert_eq!(check("a.md", "one"), ["a.md: no line end at the end of the file"]);
        let marker = concat!("one\n// TO", "DO later\n");
        assert_eq!(check("a.rs", marker), [concat!("a.rs:2: TO", "DO left in the text")]);
    }
}
