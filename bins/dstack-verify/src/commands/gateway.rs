//! `gateway`: are the keys of a gateway's certificates held by genuine CVMs?

use std::path::PathBuf;

use cli_support::{CliError, ExitCode};
use dstack_attestation::GatewayEvidence;

use crate::context::{Context, Run};
use crate::expect::AppArgs;
use crate::judge::JudgeArgs;
use crate::screen::{Question, ViewArgs};
use crate::{certificates, files, live, quotes};

/// Arguments of `gateway`.
#[derive(Debug, clap::Args)]
pub(crate) struct Gateway {
    /// The answer to AcmeInfo
    #[arg(long, value_name = "FILE", help_heading = "Evidence", conflicts_with = "url")]
    acme_info: Option<PathBuf>,
    /// Ask this gateway: https://gateway.example.com
    #[arg(long, value_name = "URL", help_heading = "Evidence")]
    url: Option<String>,
    /// The certificates that the gateway shows for its domain, as PEM or DER; with --url they are taken from it
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    certificate: Option<PathBuf>,
    /// A host name that the certificate must be for
    #[arg(long, value_name = "NAME", help_heading = "What is expected")]
    domain: Option<String>,
    #[command(flatten)]
    expected: AppArgs,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    view: ViewArgs,
}

impl Run for Gateway {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let mut judge = self.judge.judge()?;
        self.expected.add_to(&mut judge.policy)?;
        let (mut gateway, name) = match (&self.url, &self.acme_info) {
            (Some(url), _) => (live::gateway(url, &judge, context).await?, url.clone()),
            (None, Some(path)) => {
                let mut gateway = GatewayEvidence::new();
                gateway.acme_info = Some(files::read_text(path)?);
                (gateway, files::named(path))
            }
            (None, None) => {
                return Err(CliError::usage("nothing was said about where the evidence is")
                    .hint("`--acme-info FILE` reads a file, `--url URL` asks the gateway"));
            }
        };
        if let Some(path) = &self.certificate {
            gateway.tls_chain = certificates::all(path)?;
        }
        if self.domain.is_some() {
            gateway.domain = self.domain;
        }
        let found = gateway.acme_info.as_deref().map(quotes::of_json).unwrap_or_default();
        judge.fetch_collateral(&found, context).await?;
        let set = judge.noted_set(&judge.verifier().gateway(&name, &gateway), &name)?;
        self.view.show_set(context, &set, Question::Proof)
    }
}
