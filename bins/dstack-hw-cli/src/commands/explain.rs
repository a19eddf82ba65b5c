//! `explain`.
use crate::context::Context;
use cli_support::{CliError, ExitCode};
/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {}
impl Explain {
    pub(crate) fn run(&self, _context: &mut Context) -> Result<ExitCode, CliError> {
        Ok(ExitCode::Ok)
    }
}
