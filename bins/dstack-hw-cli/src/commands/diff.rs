//! `diff`.
use crate::context::Context;
use cli_support::{CliError, ExitCode};
/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct Diff {}
impl Diff {
    pub(crate) fn run(&self, _context: &mut Context) -> Result<ExitCode, CliError> {
        Ok(ExitCode::Ok)
    }
}
