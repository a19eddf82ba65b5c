//! `cargo xtask test`.

use std::process::ExitCode;

use crate::process::{Failure, Layers, cargo, output, root, run};
use crate::{doc, generate, lint};

/// Runs every test.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Only the tests of the code: no lints, docs, packages or demo.
    #[arg(long)]
    quick: bool,
}

/// The packages that are made to be published.
const PUBLISHED: &[&str] = &[
    "dstack-check",
    "dstack-hw",
    "dstack-vmm-client",
    "dstack-attestation",
    "dstack-emulator",
    "dstack-examples",
];

/// Crates in the tree of the VMM client: without features, and with the default ones.
const PURE_TREE_BELOW: usize = 40;
const DEFAULT_TREE_BELOW: usize = 100;

impl Test {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let mut layers = Layers::default();
        layers.run("tests", || {
            run(&mut cargo(["nextest", "run", "--workspace", "--all-features", "--profile", "ci"]))
        });
        layers.run("doc tests", || {
            run(&mut cargo(["test", "--workspace", "--all-features", "--doc", "--quiet"]))
        });
        if !self.quick {
            layers.run("pure half without IO", pure_half);
            layers.run("size of the dependency tree", dependency_tree);
            layers.run("fuzz corpora", || {
                run(cargo(["test", "--quiet", "--locked"]).current_dir(root().join("fuzz")))
            });
            lint::all(&mut layers);
            layers.run("generated files", generate::check);
            layers.run("API documentation", || doc::build(false));
            layers.run("packages", packages);
            layers.run("demo", || {
                run(&mut cargo(["run", "--quiet", "--package", "xtask", "--", "demo", "--once"]))
            });
        }
        layers.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn pure_half() -> Result<(), Failure> {
    run(&mut cargo(["check", "--package", "dstack-vmm-client", "--no-default-features", "--quiet"]))
}

fn dependency_tree() -> Result<(), Failure> {
    let pure = tree(&["--no-default-features"])?;
    let default = tree(&[])?;
    crate::process::say(&format!(
        "dstack-vmm-client: {pure} crates without features (bar {PURE_TREE_BELOW}), \
         {default} with default features (bar {DEFAULT_TREE_BELOW})"
    ));
    if pure < PURE_TREE_BELOW && default < DEFAULT_TREE_BELOW {
        Ok(())
    } else {
        Err("the dependency tree has grown past its bar".into())
    }
}

/// Distinct crates that `dstack-vmm-client` brings to a program, without itself.
pub(crate) fn tree(flags: &[&str]) -> Result<usize, Failure> {
    let mut command = cargo(["tree", "--package", "dstack-vmm-client", "--edges", "normal"]);
    command.args(["--prefix", "none", "--format", "{p}", "--no-dedupe"]).args(flags);
    let listed = output(&mut command)?;
    let mut crates: Vec<&str> = listed.lines().filter_map(|line| line.split(" (").next()).collect();
    crates.sort_unstable();
    crates.dedup();
    Ok(crates.iter().filter(|line| !line.is_empty() && !line.starts_with("dstack-vmm-client ")).count())
}

fn packages() -> Result<(), Failure> {
    let mut command = cargo(["package", "--allow-dirty", "--no-verify", "--quiet"]);
    for name in PUBLISHED {
        command.args(["--package", name]);
    }
    run(&mut command)
}
