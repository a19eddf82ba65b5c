//! `dstack-verify` says what evidence about a dstack CVM proves, and what it does not.

use clap::{CommandFactory, Parser, Subcommand};
use cli_support::completions::{CompletionsArgs, ManArgs};
use cli_support::{CliError, EXIT_CODES_HELP, ExitCode, Output, OutputArgs};

/// Verify what a dstack app, KMS, gateway, ingress, quote, certificate or OS image proves.
#[derive(Debug, Parser)]
#[command(name = "dstack-verify", version, after_help = EXIT_CODES_HELP, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten, next_help_heading = "Output")]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
        Command::Completions(command) => command.run(&Cli::command(), &mut out),
        Command::Man(command) => command.run(&Cli::command(), &mut out),
    }
}

/// The whole command line as clap knows it: for the CLI reference, completions and man pages.
pub fn command_line() -> clap::Command {
    Cli::command()
}
