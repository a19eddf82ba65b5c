//! `snapshot`.
use crate::context::Context;
use cli_support::{CliError, ExitCode};
/// Arguments of `snapshot`.
#[derive(Debug, clap::Args)]
pub(crate) struct Snapshot {}
impl Snapshot {
    pub(crate) fn run(&self, _context: &mut Context) -> Result<ExitCode, CliError> {
        Ok(ExitCode::Ok)
    }
}
