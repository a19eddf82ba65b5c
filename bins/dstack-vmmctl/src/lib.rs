//! `dstack-vmmctl` deploys, updates, watches and checks confidential apps on dstack VMM hosts.
//!
//! One file a command under `commands/`; what commands share is here: which hosts are meant ([`hosts`]), which VM is meant
//! ([`vm_ref`]), and how a boot looks as text ([`timeline`]).

mod ask;
pub mod checks;
mod commands;
mod context;
mod failure;
mod files;
pub mod hosts;
mod project;
mod rollout;
pub mod timeline;
pub mod vm_ref;
mod waiting;

use clap::{CommandFactory, Parser, Subcommand};
use cli_support::completions::{CompletionsArgs, ManArgs};
use cli_support::{CliError, EXIT_CODES_HELP, ExitCode, OutputArgs};

use commands::{
    check, compose, config, deploy, doctor, env, gpus, hosts as hosts_command, images, info, init, lifecycle,
    logs, ls, plan, rollback, update, wait,
};
use context::Context;

/// Deploy, update, watch and check confidential apps on dstack VMM hosts.
#[derive(Debug, Parser)]
#[command(name = "dstack-vmmctl", version, after_help = EXIT_CODES_HELP, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten, next_help_heading = "Output")]
    output: OutputArgs,
    #[command(flatten)]
    connect: hosts::ConnectArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List VMs
    Ls(ls::Ls),
    /// Show one VM: state, boot timeline, resources, ports
    Info(info::Info),
    /// Write a first dstack.toml
    Init(init::Init),
    /// Bring what runs in line with dstack.toml
    Deploy(deploy::Deploy),
    /// Show what deploy would do
    Plan(plan::Plan),
    /// Change a VM without a project file
    Update(Box<update::Update>),
    /// Go back to a version that was deployed before
    Rollback(rollback::Rollback),
    /// Start VMs
    Start(lifecycle::Start),
    /// Stop VMs at once, without asking the guest
    Stop(lifecycle::Stop),
    /// Ask the guests of VMs to power off
    Shutdown(lifecycle::Shutdown),
    /// Remove VMs and their disks
    Rm(lifecycle::Rm),
    /// Show the log of a VM or of a container in it
    Logs(logs::Logs),
    /// Wait until a VM has reached a state
    Wait(wait::Wait),
    /// Check that the app which runs is the one that was deployed
    Check(check::Check),
    /// Guest images of a host and of its registry
    Images(images::Images),
    /// GPUs of a host
    Gpus(gpus::Gpus),
    /// Hosts that are known here, and whether they answer
    Hosts(hosts_command::Hosts),
    /// Build, hash, show and compare app-compose documents
    Compose(compose::Compose),
    /// Seal environments and check what they are sealed to
    Env(env::Env),
    /// Check and change a vmm.toml
    Config(config::Config),
    /// Check whether hosts can be worked with, and whether the project could be deployed
    Doctor(doctor::Doctor),
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
    let mut context = Context::new(&cli.output, cli.connect);
    match cli.command {
        Command::Ls(command) => context.block_on(command),
        Command::Info(command) => context.block_on(command),
        Command::Init(command) => context.block_on(command),
        Command::Deploy(command) => context.block_on(command),
        Command::Plan(command) => context.block_on(command),
        Command::Update(command) => context.block_on(*command),
        Command::Rollback(command) => context.block_on(command),
        Command::Start(command) => context.block_on(command),
        Command::Stop(command) => context.block_on(command),
        Command::Shutdown(command) => context.block_on(command),
        Command::Rm(command) => context.block_on(command),
        Command::Logs(command) => context.block_on(command),
        Command::Wait(command) => context.block_on(command),
        Command::Check(command) => context.block_on(command),
        Command::Images(command) => context.block_on(command),
        Command::Gpus(command) => context.block_on(command),
        Command::Hosts(command) => context.block_on(command),
        Command::Env(command) => context.block_on(command),
        Command::Compose(command) => context.block_on(command),
        Command::Config(command) => command.run(&mut context),
        Command::Doctor(command) => context.block_on(command),
        Command::Completions(command) => command.run(&Cli::command(), &mut context.out),
        Command::Man(command) => command.run(&Cli::command(), &mut context.out),
    }
}

/// The whole command line as clap knows it: for the CLI reference, completions and man pages.
pub fn command_line() -> clap::Command {
    Cli::command()
}
