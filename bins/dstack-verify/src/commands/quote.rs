//! `quote`: is this quote genuine, and what does it say?

use std::path::PathBuf;

use cli_support::{CliError, ExitCode};

use crate::context::{Context, Run};
use crate::evidence;
use crate::expect::FreshArgs;
use crate::files;
use crate::judge::JudgeArgs;
use crate::screen::{Question, ViewArgs};

/// Arguments of `quote`.
#[derive(Debug, clap::Args)]
pub(crate) struct Quote {
    /// The quote, binary or hex, or a document with one in it; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    fresh: FreshArgs,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    view: ViewArgs,
}

impl Run for Quote {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let mut judge = self.judge.judge()?;
        self.fresh.add_to(&mut judge.policy)?;
        let bytes = files::read(&self.file)?;
        let named = files::named(&self.file);
        let quote = evidence::quote_of_bytes(&bytes).map_err(|error| error.context(&named))?;
        judge.fetch_collateral(std::slice::from_ref(&quote), context).await?;
        let report = judge.noted(judge.verifier().quote(&named, &quote), &named);
        self.view.show(context, &report, Question::Proof)
    }
}
