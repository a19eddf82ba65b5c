//! What every command is given.

use cli_support::{Output, OutputArgs, Progress};

/// Output and talk.
pub(crate) struct Context {
    pub(crate) out: Output,
    pub(crate) progress: Progress,
}

impl Context {
    pub(crate) fn new(output: &OutputArgs) -> Self {
        Self { out: Output::stdout(output), progress: Progress::stderr(output) }
    }
}
