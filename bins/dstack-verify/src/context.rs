//! What every command is given.

use cli_support::{CliError, ExitCode, Output, OutputArgs, Progress};

/// Output and talk.
pub(crate) struct Context {
    pub(crate) out: Output,
    pub(crate) progress: Progress,
}

/// A command.
pub(crate) trait Run {
    /// Runs it to its end.
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError>;
}

impl Context {
    pub(crate) fn new(output: &OutputArgs) -> Self {
        Self { out: Output::stdout(output), progress: Progress::stderr(output) }
    }

    /// Runs a command on a runtime of one thread: those that ask somebody wait far more than they compute.
    pub(crate) fn block_on(&mut self, command: impl Run) -> Result<ExitCode, CliError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::bug)?;
        runtime.block_on(command.run(self))
    }
}
