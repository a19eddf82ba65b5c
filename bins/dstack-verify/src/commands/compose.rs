//! `compose`: does this app-compose have that hash, and belong to that app?

use std::path::PathBuf;

use cli_support::{CliError, ExitCode};
use dstack_attestation::ComposeClaim;
use dstack_vmm_client::app_compose::ComposeHash;

use crate::context::{Context, Run};
use crate::files;
use crate::given::Fixed;
use crate::judge::JudgeArgs;
use crate::screen::{Question, ViewArgs};

/// Arguments of `compose`.
///
/// The compose hash is SHA-256 of the bytes of the file as they are; the app id is its first 20 bytes unless the app
/// was registered under another.
#[derive(Debug, clap::Args)]
pub(crate) struct Compose {
    /// The app-compose, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The compose hash it must have
    #[arg(long, value_name = "HEX")]
    hash: Option<Fixed<32>>,
    /// The app id it must belong to
    #[arg(long, value_name = "HEX")]
    app_id: Option<Fixed<20>>,
    /// The MRCONFIGID, from a quote, it must give
    #[arg(long, value_name = "HEX")]
    mr_config_id: Option<Fixed<48>>,
    #[command(flatten)]
    view: ViewArgs,
}

impl Run for Compose {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let judge = JudgeArgs::default().judge()?;
        let bytes = files::read(&self.file)?;
        let mut claim = ComposeClaim::default();
        claim.hash = self.hash.map(|hash| hash.0);
        claim.app_id = self.app_id.map(|id| id.0);
        claim.mr_config_id = self.mr_config_id.map(|value| value.0);
        let named = files::named(&self.file);
        let hash = ComposeHash::of(&bytes);
        let report =
            judge.verifier().compose(&named, &bytes, &claim).with_meta("compose hash", hash.to_string());
        self.view.show(context, &judge.dated(report, &named), Question::Match)
    }
}
