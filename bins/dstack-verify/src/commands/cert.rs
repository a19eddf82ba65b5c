//! `cert`: what does an RA-TLS certificate prove about who has its key?

use std::path::PathBuf;

use cli_support::{CliError, ExitCode};
use dstack_attestation::CertificateEvidence;

use crate::context::{Context, Run};
use crate::expect::AppArgs;
use crate::given::HostPort;
use crate::judge::JudgeArgs;
use crate::screen::{Question, ViewArgs};
use crate::{certificates, files, live, quotes};

/// Arguments of `cert`.
#[derive(Debug, clap::Args)]
pub(crate) struct Cert {
    /// The certificates, as PEM (the leaf first) or DER; - for standard input
    #[arg(value_name = "FILE", conflicts_with = "connect", required_unless_present = "connect")]
    file: Option<PathBuf>,
    /// Take them from the TLS server at this address
    #[arg(long, value_name = "HOST:PORT", help_heading = "Evidence")]
    connect: Option<HostPort>,
    /// The name to ask the server for, where it is not that of the address
    #[arg(long, value_name = "NAME", help_heading = "Evidence")]
    server_name: Option<String>,
    /// The certificate of the CA that the chain must lead to: a KMS's root CA, as PEM or DER
    #[arg(long, value_name = "FILE", help_heading = "What is expected")]
    root: Option<PathBuf>,
    /// The special usage that the certificate must have, such as kms:rpc
    #[arg(long, value_name = "USAGE", help_heading = "What is expected")]
    usage: Option<String>,
    /// The host name or IP address that the certificate must be for
    #[arg(long, value_name = "NAME", help_heading = "What is expected")]
    host: Option<String>,
    #[command(flatten)]
    expected: AppArgs,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    view: ViewArgs,
}

impl Run for Cert {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        if self.server_name.is_some() && self.connect.is_none() {
            return Err(CliError::usage("`--server-name` is for `--connect`: a file asks nobody"));
        }
        let mut judge = self.judge.judge()?;
        self.expected.add_to(&mut judge.policy)?;
        let mut evidence = CertificateEvidence::default();
        evidence.root = self.root.as_deref().map(certificates::one).transpose()?;
        evidence.usage = self.usage;
        evidence.host = self.host;
        let name = match (&self.connect, &self.file) {
            (Some(address), _) => {
                evidence.chain = live::chain(address, self.server_name.as_deref(), &judge, context).await?;
                address.to_string()
            }
            (None, Some(path)) => {
                evidence.chain = certificates::all(path)?;
                files::named(path)
            }
            (None, None) => return Err(CliError::usage("nothing was said about where the certificate is")),
        };
        judge.fetch_collateral(&quotes::of_chain(&evidence.chain), context).await?;
        let report = judge.noted(judge.verifier().certificate(&name, &evidence), &name);
        self.view.show(context, &report, Question::Proof)
    }
}
