//! `check`: is the app that runs the one that was deployed?

use std::path::PathBuf;

use cli_support::{CliError, ExitCode};
use dstack_attestation::quote::Collateral;
use dstack_attestation::{CvmEvidence, Id20, Policy, Verifier};
use dstack_vmm_client::client::VmmApi;

use crate::context::{Context, Run};
use crate::failure::IntoCli;
use crate::{files, vm_ref};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// VM by name, id, or the beginning of an id
    #[arg(value_name = "VM")]
    vm: String,
    /// The app-compose that should run; without it, the one the host says it deployed
    #[arg(long, value_name = "FILE")]
    compose: Option<PathBuf>,
    /// The answer of the guest agent's GetQuote, as JSON, for the checks that need a quote
    #[arg(long, value_name = "FILE")]
    quote: Option<PathBuf>,
    /// Collateral for the quote's platform, as JSON; without it no quote is found genuine. `dstack-verify` fetches it, and
    /// judges with policies
    #[arg(long, value_name = "FILE")]
    collateral: Option<PathBuf>,
    /// Let evidence of the emulator through with warnings. It proves nothing about any machine
    #[arg(long)]
    danger_accept_emulated: bool,
}

impl Run for Check {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?.client;
        let vm = vm_ref::resolve(&host, &self.vm).await?;
        let version = host.version().await.into_cli()?;
        let guest = host.guest_info(&vm.id).await.into_cli()?;

        let answer = serde_json::to_string(&guest).map_err(CliError::bug)?;
        let unusable = |error| CliError::new(ExitCode::No, error);
        let mut evidence = CvmEvidence::new()
            .read_info(&answer)
            .map_err(unusable)?
            .service_version(format!("{} {}", version.version, version.rev));
        if let Some(path) = &self.quote {
            evidence = evidence.read_quote(&files::read_text(path)?).map_err(unusable)?;
        }

        let mut policy = Policy::new().danger_accept_emulated(self.danger_accept_emulated);
        let compose = match (&self.compose, &vm.configuration) {
            (Some(path), _) => Some(files::read(path)?),
            (None, Some(made)) if !made.compose_file.is_empty() => {
                Some(made.compose_file.clone().into_bytes())
            }
            (None, _) => None,
        };
        if let Some(bytes) = compose {
            policy = policy.compose(bytes);
        }
        // Ids that cannot be read are left to the checks, which say so.
        if let Ok(id) = vm.app_id.parse::<Id20>() {
            policy = policy.app_id(id);
        }
        if let Some(Ok(id)) = vm.instance_id.as_deref().map(str::parse::<Id20>) {
            policy = policy.instance_id(id);
        }

        let mut verifier = Verifier::new(policy, std::time::SystemTime::now());
        if let Some(path) = &self.collateral {
            let collateral = Collateral::from_json(&files::read_text(path)?, path.display().to_string());
            verifier = verifier.collateral(collateral.map_err(|error| CliError::new(ExitCode::No, error))?);
        }
        let report = verifier
            .app(vm.name.as_str(), &evidence)
            .with_meta("host", host.endpoint())
            .with_meta("vm", vm.id.as_str());
        context.out.report(&report)
    }
}
