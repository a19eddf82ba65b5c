//! The workspace's own commands: `cargo xtask demo`, `test`, `lint`, `gen`, `doc`, `bench`.

mod bench;
mod demo;
mod doc;
mod generate;
mod lint;
mod process;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The workspace's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// From a Compose file to a running, checked app, on the emulator or on a real host.
    Demo(demo::Demo),
    /// Every test: unit, integration, doc, lint, generated files, docs, packages, the demo.
    Test(test::Test),
    /// Format, clippy, file rules and licences.
    Lint(lint::Lint),
    /// Write what is generated: CLI reference, JSON Schemas, list of checks.
    Gen(generate::Gen),
    /// The API documentation, with warnings as errors.
    Doc(doc::Doc),
    /// Measure what docs/benchmarks.md states.
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let result = match Xtask::parse().command {
        Command::Demo(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Lint(command) => command.run(),
        Command::Gen(command) => command.run(),
        Command::Doc(command) => command.run(),
        Command::Bench(command) => command.run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            process::say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
