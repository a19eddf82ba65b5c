//! `dstack-emulator` stands in for a dstack VMM with its guests and a KMS. Nothing in it runs in a TEE.

mod serve;

use clap::{CommandFactory, Parser, Subcommand};
use cli_support::completions::{CompletionsArgs, ManArgs};
use cli_support::{CliError, EXIT_CODES_HELP, ExitCode, Output, OutputArgs};

/// A dstack VMM, its guests and a KMS without a TEE, for development and tests.
///
/// It speaks the wire protocol of a real node and reads its vmm.toml. Everything that it says about measurements is
/// marked EMULATED and proves nothing.
#[derive(Debug, Parser)]
#[command(name = "dstack-emulator", version, after_help = EXIT_CODES_HELP)]
pub struct Cli {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    serve: serve::Serve,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node, which is also what happens without a command
    Serve,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write man pages
    Man(ManArgs),
}

/// Runs a command to its end.
///
/// # Errors
/// What the command could not do, with its exit code and hints.
pub fn run(cli: Cli) -> Result<ExitCode, CliError> {
    let mut out = Output::stdout(&cli.output);
    match cli.command {
        None | Some(Command::Serve) => cli.serve.run(&mut out),
        Some(Command::Completions(args)) => args.run(&command_line(), &mut out),
        Some(Command::Man(args)) => args.run(&command_line(), &mut out),
    }
}

/// The whole command line as clap knows it: for the CLI reference, completions and man pages.
pub fn command_line() -> clap::Command {
    Cli::command()
}
