//! `app`: what does the evidence about an app prove?

use std::path::PathBuf;

use cli_support::{CliError, ExitCode, SecretSource};
use dstack_attestation::report_data::{self, ReportData};
use dstack_attestation::{CvmEvidence, Policy};

use super::nonce;
use crate::context::{Context, Run};
use crate::expect::{AppArgs, FreshArgs};
use crate::judge::{Judge, JudgeArgs};
use crate::live::{self, Agent};
use crate::screen::{Question, ViewArgs};
use crate::{evidence, files};

/// Arguments of `app`.
///
/// Evidence comes from files, from the app's guest agent, from the VMM, or from a URL. Files can be added to each of the
/// others for what these do not hand out.
#[derive(Debug, clap::Args)]
pub(crate) struct App {
    /// Documents about the app, recognised by their content, or directories with quote.json, info.json, app-compose.json
    #[arg(long, short, value_name = "FILE", num_args = 1.., help_heading = "Evidence")]
    evidence: Vec<PathBuf>,
    /// Ask this guest agent: unix:/var/run/dstack.sock inside the CVM, http://HOST:8090 from outside
    #[arg(long, value_name = "ENDPOINT", help_heading = "Evidence", conflicts_with_all = ["vmm", "url"])]
    agent: Option<String>,
    /// Ask this VMM for what the guest tells it: unix:/path/to/vmm.sock, http://HOST:PORT or https://HOST
    #[arg(long, value_name = "ENDPOINT", help_heading = "Evidence", requires = "vm", conflicts_with = "url")]
    vmm: Option<String>,
    /// The VM on that VMM, by name or id
    #[arg(long, value_name = "VM", help_heading = "Evidence", requires = "vmm")]
    vm: Option<String>,
    /// Where the API token of that VMM is: a file, env:NAME, or - for stdin
    #[arg(long, value_name = "SOURCE", help_heading = "Evidence", requires = "vmm")]
    token_from: Option<SecretSource>,
    /// Fetch a document from this URL, such as the /quote.json that an app shows
    #[arg(long, value_name = "URL", help_heading = "Evidence")]
    url: Option<String>,
    /// Name of the app in the report
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    expected: AppArgs,
    #[command(flatten)]
    fresh: FreshArgs,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    view: ViewArgs,
}

impl Run for App {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let mut judge = self.judge.judge()?;
        self.expected.add_to(&mut judge.policy)?;
        self.fresh.add_to(&mut judge.policy)?;

        let mut sources = Vec::new();
        let fetched = self.fetched(&mut judge, &mut sources, context).await?;
        let evidence = evidence::with_files(fetched, &self.evidence)?;
        sources.extend(self.evidence.iter().map(|path| files::named(path)));
        if sources.is_empty() {
            return Err(CliError::usage("nothing was said about where the evidence is").hint(
                "`--evidence FILE...` reads files, `--agent ENDPOINT`, `--vmm ENDPOINT --vm NAME` and `--url URL` ask",
            ));
        }
        let quote: Vec<Vec<u8>> = evidence.quote.iter().cloned().collect();
        judge.fetch_collateral(&quote, context).await?;

        let name = self.name.or(self.vm).unwrap_or_else(|| "app".to_owned());
        let report = judge.noted(judge.verifier().app(name, &evidence), &sources.join(", "));
        self.view.show(context, &report, Question::Proof)
    }
}

impl App {
    /// What the source that was named hands out; nothing where only files are.
    async fn fetched(
        &self,
        judge: &mut Judge,
        sources: &mut Vec<String>,
        context: &Context,
    ) -> Result<CvmEvidence, CliError> {
        let source = if let Some(endpoint) = &self.agent {
            sources.push(endpoint.clone());
            Agent::of(endpoint)?
        } else if let (Some(endpoint), Some(vm)) = (&self.vmm, &self.vm) {
            sources.push(format!("{vm} through {endpoint}"));
            return live::guest(endpoint, vm, self.token_from.as_ref(), judge, context).await;
        } else if let Some(url) = &self.url {
            sources.push(url.clone());
            return live::document(url, judge, context).await;
        } else {
            return Ok(CvmEvidence::new());
        };
        // Only where the answer can be over a challenge is one required: an answer without would then be no yes.
        let challenge =
            if source.takes_a_challenge() { challenge(&mut judge.policy)? } else { ReportData::default() };
        source.ask(&challenge, judge, context).await
    }
}

/// The report data to ask for: what the policy wants to see, else something nobody could foresee, which is then wanted.
fn challenge(policy: &mut Policy) -> Result<ReportData, CliError> {
    if let Some(data) = policy.report_data {
        return Ok(data);
    }
    let data = report_data::padded(&nonce::fresh()?).map_err(CliError::bug)?;
    *policy = std::mem::take(policy).report_data(data);
    Ok(data)
}
