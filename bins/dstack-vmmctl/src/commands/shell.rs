//! `completions` and `man`.

use std::path::PathBuf;

use cli_support::completions::{self, CompletionsArgs};
use cli_support::{CliError, ExitCode};

use crate::context::Context;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    #[command(flatten)]
    args: CompletionsArgs,
}

impl Completions {
    pub(crate) fn run(self, context: &mut Context, command_line: &clap::Command) -> Result<ExitCode, CliError> {
        context.out.text(&completions::script(command_line, self.args.shell))?;
        Ok(ExitCode::Ok)
    }
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Folder to write one page a command into; without it the main page goes to stdout
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, context: &mut Context, command_line: &clap::Command) -> Result<ExitCode, CliError> {
        match self.dir {
            Some(dir) => {
                let written = completions::write_man_pages(command_line, &dir)?;
                context.progress.note(format_args!("wrote {written} pages into {}", dir.display()));
            }
            None => context.out.text(&completions::man_page(command_line)?)?,
        }
        Ok(ExitCode::Ok)
    }
}
