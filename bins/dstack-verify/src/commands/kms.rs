//! `kms`: were the keys of this KMS made inside a genuine CVM?

use std::path::PathBuf;

use cli_support::{CliError, ExitCode};
use dstack_attestation::{CvmEvidence, EnvKeyEvidence, KmsEvidence};

use crate::context::{Context, Run};
use crate::expect::AppArgs;
use crate::given::{Fixed, Hex};
use crate::judge::JudgeArgs;
use crate::screen::{Question, ViewArgs};
use crate::{evidence, files, live, quotes};

/// Arguments of `kms`.
#[derive(Debug, clap::Args)]
pub(crate) struct Kms {
    /// The answer to Onboard.Bootstrap, or bootstrap-info.json
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    bootstrap: Option<PathBuf>,
    /// The answer to KMS.GetMeta
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    meta: Option<PathBuf>,
    /// Ask this KMS: https://kms.example.com:8000
    #[arg(long, value_name = "URL", help_heading = "Evidence", conflicts_with = "meta")]
    url: Option<String>,
    /// Judge the key to which the environment of the app with this id is sealed; --url asks the KMS for it
    #[arg(long, value_name = "APP_ID", help_heading = "Evidence")]
    env_key_of: Option<Fixed<20>>,
    /// The answer to KMS.GetAppEnvEncryptPubKey for that app
    #[arg(long, value_name = "FILE", help_heading = "Evidence", requires = "env_key_of")]
    env_key: Option<PathBuf>,
    /// What else is known about the KMS's CVM, such as its guest agent's Info
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Evidence")]
    evidence: Vec<PathBuf>,
    /// The k256 root public key that is registered for it, such as in its contract
    #[arg(long, value_name = "HEX", help_heading = "What is expected")]
    registered_k256: Option<Hex>,
    /// The root CA's public key that is registered for it (SubjectPublicKeyInfo)
    #[arg(long, value_name = "HEX", help_heading = "What is expected")]
    registered_ca: Option<Hex>,
    #[command(flatten)]
    expected: AppArgs,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    view: ViewArgs,
}

impl Run for Kms {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let mut judge = self.judge.judge()?;
        self.expected.add_to(&mut judge.policy)?;
        let mut sources = Vec::new();
        let mut kms = match &self.url {
            Some(url) => {
                sources.push(url.clone());
                let asked = self.env_key_of.filter(|_| self.env_key.is_none());
                live::kms(url, asked.map(|id| id.0), &judge, context).await?
            }
            None => KmsEvidence::new(),
        };
        if let Some(path) = &self.bootstrap {
            sources.push(files::named(path));
            kms.bootstrap = Some(files::read_text(path)?);
        }
        if let Some(path) = &self.meta {
            sources.push(files::named(path));
            kms.meta = Some(files::read_text(path)?);
        }
        if let (Some(id), Some(path)) = (self.env_key_of, &self.env_key) {
            sources.push(files::named(path));
            kms.env_key = Some(EnvKeyEvidence::new(id.0, files::read_text(path)?));
        }
        if self.env_key_of.is_some() && kms.env_key.is_none() {
            return Err(CliError::usage("the app's environment key is not there to be judged")
                .hint("`--env-key FILE` reads it, `--url URL` asks the KMS for it"));
        }
        if sources.is_empty() {
            return Err(CliError::usage("nothing was said about where the evidence is")
                .hint("`--bootstrap FILE` and `--meta FILE` read files, `--url URL` asks the KMS"));
        }
        if !self.evidence.is_empty() {
            kms.cvm = evidence::with_files(CvmEvidence::new(), &self.evidence)?;
            sources.extend(self.evidence.iter().map(|path| files::named(path)));
        }
        kms.registered_k256 = self.registered_k256.map(|key| key.0);
        kms.registered_ca = self.registered_ca.map(|key| key.0);
        let texts = [kms.bootstrap.as_deref(), kms.meta.as_deref()];
        let mut found: Vec<Vec<u8>> = texts.into_iter().flatten().flat_map(quotes::of_json).collect();
        found.extend(quotes::of_chain(&kms.tls_chain));
        judge.fetch_collateral(&found, context).await?;
        let name = self.url.as_deref().unwrap_or("KMS");
        let report = judge.noted(judge.verifier().kms(name, &kms), &sources.join(", "));
        self.view.show(context, &report, Question::Proof)
    }
}
