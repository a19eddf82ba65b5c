//! `plan`: what `deploy` would do.

use cli_support::{CliError, ExitCode};

use super::deploy::{Deploy, Which};
use crate::context::{Context, Run};
use crate::rollout::PlanFlags;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    flags: PlanFlags,
}

impl Run for Plan {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        Deploy::plan_only(&self.which, &self.flags, context).await
    }
}
