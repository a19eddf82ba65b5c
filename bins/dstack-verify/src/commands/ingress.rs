//! `ingress`: was the key of a custom domain's certificate made inside a genuine CVM?

use std::path::{Path, PathBuf};

use cli_support::{CliError, ExitCode};
use dstack_attestation::IngressEvidence;

use crate::context::{Context, Run};
use crate::judge::JudgeArgs;
use crate::screen::{Question, ViewArgs};
use crate::{certificates, evidence, files, live, quotes};

/// The most files that are read of a directory of evidence.
const MAX_FILES: usize = 64;

/// Arguments of `ingress`.
#[derive(Debug, clap::Args)]
pub(crate) struct Ingress {
    /// The directory of evidence: quote.json, sha256sum.txt and the files named in it
    #[arg(value_name = "DIR", conflicts_with = "url", required_unless_present = "url")]
    directory: Option<PathBuf>,
    /// Ask this host: https://app.example.com, which has the files under /evidences/
    #[arg(long, value_name = "URL", help_heading = "Evidence")]
    url: Option<String>,
    /// The certificates that the host shows, as PEM or DER; with --url they are taken from it
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    certificate: Option<PathBuf>,
    /// What else is known about the CVM, such as its guest agent's Info
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Evidence")]
    evidence: Vec<PathBuf>,
    /// The host name that the certificate must be for
    #[arg(long, value_name = "NAME", help_heading = "What is expected")]
    domain: Option<String>,
    #[command(flatten)]
    expected: crate::expect::AppArgs,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    view: ViewArgs,
}

impl Run for Ingress {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let mut judge = self.judge.judge()?;
        self.expected.add_to(&mut judge.policy)?;
        let (mut ingress, name) = match (&self.url, &self.directory) {
            (Some(url), _) => (live::ingress(url, &judge, context).await?, url.clone()),
            (None, Some(directory)) => (of_directory(directory)?, files::named(directory)),
            (None, None) => return Err(CliError::usage("nothing was said about where the evidence is")),
        };
        if let Some(path) = &self.certificate {
            ingress.tls_chain = certificates::all(path)?;
        }
        if self.domain.is_some() {
            ingress.domain = self.domain;
        }
        if !self.evidence.is_empty() {
            ingress.cvm = evidence::with_files(ingress.cvm, &self.evidence)?;
        }
        let quote = ingress.files.get("quote.json").and_then(|bytes| std::str::from_utf8(bytes).ok());
        judge.fetch_collateral(&quote.map(quotes::of_json).unwrap_or_default(), context).await?;
        let report = judge.noted(judge.verifier().ingress(&name, &ingress), &name);
        self.view.show(context, &report, Question::Proof)
    }
}

/// The regular files of a directory.
fn of_directory(path: &Path) -> Result<IngressEvidence, CliError> {
    let unreadable = |error| files::unreadable(path, error);
    let mut evidence = IngressEvidence::new();
    let mut count = 0;
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A name that is not UTF-8 cannot be in the list of checksums.
        let (Ok(name), true) = (entry.file_name().into_string(), entry.path().is_file()) else { continue };
        count += 1;
        if count > MAX_FILES {
            return Err(CliError::usage(format!(
                "{} has more than {MAX_FILES} files, which is no directory of evidence",
                files::named(path)
            )));
        }
        evidence = evidence.file(name, files::read(&entry.path())?);
    }
    if evidence.files.is_empty() {
        return Err(CliError::usage(format!("there is no file in {}", files::named(path))));
    }
    Ok(evidence)
}
