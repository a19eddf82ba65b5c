//! `dstack-hw`.

use cli_support::{CliError, ExitCode, OutputArgs};

/// Check whether this host can run confidential VMs.
#[derive(clap::Parser)]
#[command(name = "dstack-hw", version)]
pub struct Cli {
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs the program.
///
/// # Errors
/// What the program ends with other than an answer.
pub fn run(_cli: Cli) -> Result<ExitCode, CliError> {
    Ok(ExitCode::Ok)
}
