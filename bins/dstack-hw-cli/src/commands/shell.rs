//! `completions` and `man`.

use cli_support::completions::{CompletionsArgs, ManArgs};
use cli_support::{CliError, ExitCode};

use crate::context::Context;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    #[command(flatten)]
    args: CompletionsArgs,
}

impl Completions {
    pub(crate) fn run(
        &self,
        context: &mut Context,
        command_line: &clap::Command,
    ) -> Result<ExitCode, CliError> {
        self.args.run(command_line, &mut context.out)
    }
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    #[command(flatten)]
    args: ManArgs,
}

impl Man {
    pub(crate) fn run(
        &self,
        context: &mut Context,
        command_line: &clap::Command,
    ) -> Result<ExitCode, CliError> {
        self.args.run(command_line, &mut context.out)
    }
}
