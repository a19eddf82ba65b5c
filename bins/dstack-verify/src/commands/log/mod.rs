//! `log`: what an event log comes to, and what its entries mean.

mod explain;
mod replay;

use clap::Subcommand;
use cli_support::{CliError, ExitCode};

use crate::context::{Context, Run};

/// Arguments of `log`.
#[derive(Debug, clap::Args)]
pub(crate) struct Log {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compute RTMR0 to RTMR3 from a log, and compare them with a quote
    Replay(replay::Replay),
    /// Say what each entry of a log is, and who measured it
    Explain(explain::Explain),
}

impl Run for Log {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Replay(command) => command.run(context),
            Command::Explain(command) => command.run(context),
        }
    }
}
