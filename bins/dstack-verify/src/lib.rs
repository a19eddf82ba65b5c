//! `dstack-verify` says what evidence about a dstack CVM proves, and what it does not.
//!
//! One file a command under `commands/`; what commands share is here: evidence out of files (`evidence.rs`, `kind.rs`)
//! and from whoever has it (`live.rs`), how it is judged (`judge.rs`, `expect.rs`), and how the answer is shown
//! (`screen.rs`). Nothing is verified here: that is the library's.

mod certificates;
mod commands;
mod context;
mod evidence;
mod expect;
mod files;
mod given;
mod judge;
mod kind;
mod live;
mod policy_file;
mod quotes;
mod screen;
mod vm;

use clap::{CommandFactory, Parser, Subcommand};
use cli_support::completions::{CompletionsArgs, ManArgs};
use cli_support::{CliError, EXIT_CODES_HELP, ExitCode, OutputArgs};

use commands::{
    app, cert, collateral, compose, gateway, image, ingress, kms, list_checks, log, nonce, policy, quote,
};
use context::Context;

/// Verify what a dstack app, KMS, gateway, ingress, quote, certificate or OS image proves.
///
/// Works offline, on files, unless a source or a PCCS is named. Exit code 0 says that everything required is shown.
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
    /// What does the evidence about an app prove?
    App(Box<app::App>),
    /// Were the keys of a KMS made inside a genuine CVM?
    Kms(Box<kms::Kms>),
    /// Are the keys of a gateway's certificates held by genuine CVMs?
    Gateway(Box<gateway::Gateway>),
    /// Was the key of a custom domain's certificate made inside a genuine CVM?
    Ingress(Box<ingress::Ingress>),
    /// Is a quote genuine, and what does it say?
    Quote(Box<quote::Quote>),
    /// Replay and explain event logs
    Log(log::Log),
    /// What does an RA-TLS certificate prove about who has its key?
    Cert(Box<cert::Cert>),
    /// Is a directory the OS image with that hash?
    Image(image::Image),
    /// Does an app-compose have that hash, and belong to that app?
    Compose(compose::Compose),
    /// Fetch and show Intel's collateral for a platform
    Collateral(collateral::Collateral),
    /// Write, check and show policy files
    Policy(policy::Policy),
    /// Print a challenge that nobody could foresee
    Nonce(nonce::Nonce),
    /// List every check
    ListChecks(list_checks::ListChecks),
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
        Command::App(command) => context.block_on(*command),
        Command::Kms(command) => context.block_on(*command),
        Command::Gateway(command) => context.block_on(*command),
        Command::Ingress(command) => context.block_on(*command),
        Command::Quote(command) => context.block_on(*command),
        Command::Log(command) => context.block_on(command),
        Command::Cert(command) => context.block_on(*command),
        Command::Image(command) => context.block_on(command),
        Command::Compose(command) => context.block_on(command),
        Command::Collateral(command) => context.block_on(command),
        Command::Policy(command) => context.block_on(command),
        Command::Nonce(command) => command.run(&mut context),
        Command::ListChecks(command) => command.run(&mut context),
        Command::Completions(command) => command.run(&Cli::command(), &mut context.out),
        Command::Man(command) => command.run(&Cli::command(), &mut context.out),
    }
}

/// The whole command line as clap knows it: for the CLI reference, completions and man pages.
pub fn command_line() -> clap::Command {
    Cli::command()
}
