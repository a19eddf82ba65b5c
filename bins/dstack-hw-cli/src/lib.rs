//! `dstack-hw` says whether a host can run confidential VMs with dstack, and if not, exactly why.
//!
//! One file a command under `commands/`; what commands share is here: where readings come from (`source.rs`), which
//! profile is meant (`profiles.rs`), and how errors of the library end (`failure.rs`).

mod commands;
mod context;
mod failure;
mod files;
mod profiles;
mod source;

use clap::{CommandFactory, Parser, Subcommand};
use cli_support::completions::{CompletionsArgs, ManArgs};
use cli_support::{CliError, EXIT_CODES_HELP, ExitCode, OutputArgs};

use commands::{capture, check, diff, explain, facts, list_checks, profile, snapshot};
use context::Context;

/// Check whether this host can run confidential VMs with dstack, and if not, exactly why.
///
/// Nothing it does changes the host.
#[derive(Debug, Parser)]
#[command(name = "dstack-hw", version, after_help = EXIT_CODES_HELP, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten, next_help_heading = "Output")]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Is this host ready, and if not, what stands in the way?
    Check(check::Check),
    /// Show what was read, without judging it
    Facts(facts::Facts),
    /// Record everything the checks look at into one file, without serial numbers, addresses and names
    Capture(capture::Capture),
    /// Explain an error code, a line of a log, or a check
    Explain(explain::Explain),
    /// Record how the host is set up: packages, files, units, users, ports
    Snapshot(snapshot::Snapshot),
    /// Compare two snapshots: what differs, and does it matter?
    Diff(diff::Diff),
    /// List every check
    ListChecks(list_checks::ListChecks),
    /// What a host can be wanted for
    #[command(visible_alias = "profiles")]
    Profile(profile::Profile),
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
    let mut context = Context::new(&cli.output);
    match cli.command {
        Command::Check(command) => command.run(&mut context),
        Command::Facts(command) => command.run(&mut context),
        Command::Capture(command) => command.run(&mut context),
        Command::Explain(command) => command.run(&mut context),
        Command::Snapshot(command) => command.run(&mut context),
        Command::Diff(command) => command.run(&mut context),
        Command::ListChecks(command) => command.run(&mut context),
        Command::Profile(command) => command.run(&mut context),
        Command::Completions(command) => command.run(&Cli::command(), &mut context.out),
        Command::Man(command) => command.run(&Cli::command(), &mut context.out),
    }
}

/// The whole command line as clap knows it: for the CLI reference, completions and man pages.
pub fn command_line() -> clap::Command {
    Cli::command()
}
