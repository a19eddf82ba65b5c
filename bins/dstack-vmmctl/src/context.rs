//! What every command is given.

use cli_support::{CliError, ExitCode, Output, OutputArgs, Progress};

use crate::hosts::{ConnectArgs, Host};

/// Output, talk, and how to reach hosts.
pub(crate) struct Context {
    pub(crate) out: Output,
    pub(crate) progress: Progress,
    pub(crate) connect: ConnectArgs,
}

/// A command that talks to hosts.
pub(crate) trait Run {
    /// Runs it to its end.
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError>;
}

impl Context {
    pub(crate) fn new(output: &OutputArgs, connect: ConnectArgs) -> Self {
        Self { out: Output::stdout(output), progress: Progress::stderr(output), connect }
    }

    /// The one host that is meant.
    pub(crate) fn one(&self) -> Result<Host, CliError> {
        self.connect.one(&self.progress)
    }

    /// All hosts that are meant.
    pub(crate) fn several(&self) -> Result<Vec<Host>, CliError> {
        self.connect.several(&self.progress)
    }

    /// Runs a command on a runtime of one thread: every command waits for the network far more than it computes.
    pub(crate) fn block_on(&mut self, command: impl Run) -> Result<ExitCode, CliError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::bug)?;
        runtime.block_on(command.run(self))
    }
}
