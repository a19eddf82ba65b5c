//! Planning a change on some hosts, showing it, asking, carrying it out. What `deploy`, `plan`, `update` and `rollback` share.

mod failure;
mod live;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use cli_support::{CliError, ExitCode};
use dstack_check::Finding;
use dstack_vmm_client::client::VmmApi;
use dstack_vmm_client::config::{self, VmmConfig};
use dstack_vmm_client::deploy::{
    Applied, Authorizer, DeployOptions, Deployment, Desired, LockedStore, NodeFacts, Plan, PlanKind,
    PortRange, Protocol, Store, VmChoice,
};
use futures_util::{StreamExt, stream};

use crate::context::Context;
use crate::hosts::Host;
use crate::{ask, files};

pub(crate) use failure::from_deploy;

/// Hosts that are worked on at the same time.
const CONCURRENT: usize = 8;

/// What a plan is made under.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Deployment")]
pub(crate) struct PlanFlags {
    /// Leave the VM running as it was; the change takes effect when it is next started
    #[arg(long)]
    no_restart: bool,
    /// Do not start a VM that does not run
    #[arg(long)]
    no_start: bool,
    /// Do not wait until the app is up
    #[arg(long)]
    no_wait: bool,
    /// Go on although what is on the data disk will be lost
    #[arg(long)]
    accept_data_loss: bool,
    /// Seal the environment to a key of any signer: the host then decides who can read it
    #[arg(long)]
    danger_accept_any_signer: bool,
    /// vmm.toml of the host, to check ports against its ranges [default: that of a VMM on this machine, where it says]
    #[arg(long, value_name = "FILE")]
    node_config: Option<PathBuf>,
}

/// How a plan is carried out.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Deployment")]
pub(crate) struct ApplyFlags {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show the plan and do nothing
    #[arg(long)]
    plan_only: bool,
    /// How long to wait for the app at most, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait_timeout: u64,
}

impl PlanFlags {
    /// The options of a deployment on a host.
    ///
    /// # Errors
    /// The configuration of the node cannot be read.
    pub(crate) fn options(&self, host: &Host, vm: VmChoice) -> Result<DeployOptions, CliError> {
        let mut options = DeployOptions::default();
        options.vm = vm;
        options.restart = !self.no_restart;
        options.start = !self.no_start;
        options.wait = !self.no_wait;
        options.accept_data_loss = self.accept_data_loss;
        options.danger_accept_any_signer = self.danger_accept_any_signer;
        options.node = self.node(host)?;
        Ok(options)
    }

    fn node(&self, host: &Host) -> Result<NodeFacts, CliError> {
        let parse = |text: &str| VmmConfig::parse(text).map(|(config, _)| facts(&config));
        if let Some(path) = &self.node_config {
            let text = files::read_text(path)?;
            return parse(&text)
                .map_err(|error| CliError::new(ExitCode::Usage, error).context(path.display()));
        }
        // A file that this user may not read, or that is wrong, only means that less is known.
        let text = host.config_file.as_deref().and_then(|path| files::read_text(path).ok());
        Ok(text.and_then(|text| parse(&text).ok()).unwrap_or_default())
    }
}

fn facts(config: &VmmConfig) -> NodeFacts {
    let mapping = &config.cvm.port_mapping;
    let mut facts = NodeFacts::default();
    facts.default_host_address = Some(mapping.address);
    facts.port_ranges = Some(
        mapping
            .range
            .iter()
            .map(|range| {
                let protocol = match range.protocol {
                    config::Protocol::Udp => Protocol::Udp,
                    _ => Protocol::Tcp,
                };
                PortRange::new(protocol, range.from, range.to)
            })
            .collect(),
    );
    facts
}

/// What should run on one host.
pub(crate) struct Job {
    /// The host.
    pub(crate) host: Host,
    /// What should run.
    pub(crate) desired: Desired,
    /// How.
    pub(crate) options: DeployOptions,
    /// What to know before.
    pub(crate) notes: Vec<Finding>,
}

/// A change on some hosts.
pub(crate) struct Rollout<'a> {
    /// The command, for the schema of its JSON.
    pub(crate) command: &'static str,
    /// Where versions are kept.
    pub(crate) store: &'a Store,
    /// The policy that is kept in step.
    pub(crate) authorizer: Option<&'a dyn Authorizer>,
    /// One a host.
    pub(crate) jobs: Vec<Job>,
    /// One host after the other.
    pub(crate) one_by_one: bool,
}

/// What came of one host.
struct Outcome<'a> {
    job: &'a Job,
    plan: Option<Plan>,
    applied: Option<Applied>,
    error: Option<CliError>,
}

impl Outcome<'_> {
    fn kind(&self) -> Option<PlanKind> {
        self.plan.as_ref().map(|plan| plan.kind)
    }

    /// Whether there is something to carry out.
    fn is_due(&self) -> bool {
        self.error.is_none()
            && matches!(self.kind(), Some(PlanKind::Create | PlanKind::Update | PlanKind::Settle))
    }

    fn exit_code(&self) -> ExitCode {
        match (&self.error, self.kind()) {
            (Some(error), _) => error.kind(),
            (None, Some(PlanKind::Conflict)) => ExitCode::Conflict,
            (None, _) => ExitCode::Ok,
        }
    }
}

impl<'a> Rollout<'a> {
    fn deployment(&'a self, job: &'a Job) -> Deployment<'a> {
        let deployment = Deployment::new(&job.host.name, &job.host.client, self.store, &job.options);
        match self.authorizer {
            Some(authorizer) => deployment.authorizer(authorizer),
            None => deployment,
        }
    }

    fn concurrent(&self) -> usize {
        if self.one_by_one { 1 } else { CONCURRENT }
    }

    async fn plans(&self) -> Vec<Outcome<'_>> {
        let one = async |job| {
            let (plan, error) = match self.deployment(job).plan(&job.desired).await {
                Ok(plan) => (Some(plan), None),
                Err(error) => (None, Some(from_deploy(error))),
            };
            Outcome { job, plan, applied: None, error }
        };
        stream::iter(&self.jobs).map(one).buffered(self.concurrent()).collect().await
    }

    /// Shows what would be done.
    ///
    /// # Errors
    /// The only host cannot be planned for.
    pub(crate) async fn plan_only(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let outcomes = self.plans().await;
        show::plans(&outcomes, context)?;
        self.conclude(outcomes, context)
    }

    /// Shows what would be done, asks, and does it.
    ///
    /// # Errors
    /// The only host failed, or nobody can be asked.
    pub(crate) async fn run(
        mut self,
        flags: &ApplyFlags,
        context: &mut Context,
    ) -> Result<ExitCode, CliError> {
        if flags.plan_only {
            return self.plan_only(context).await;
        }
        for job in &mut self.jobs {
            job.options.wait_options.timeout = Duration::from_secs(flags.wait_timeout);
        }
        let mut outcomes = self.plans().await;
        show::plans(&outcomes, context)?;
        let due: Vec<&str> = outcomes
            .iter()
            .filter(|outcome| outcome.is_due())
            .map(|outcome| outcome.job.host.name.as_str())
            .collect();
        if due.is_empty() {
            return self.conclude(outcomes, context);
        }
        let question = format!("Carry this out on {}?", due.join(", "));
        if !flags.yes && !ask::yes(&question, "this changes what runs")? {
            return Err(CliError::no("nothing was changed"));
        }
        let lock = self.store.lock().map_err(|error| from_deploy(error.into()))?;
        outcomes = self.apply(outcomes, &lock, context).await;
        drop(lock);
        show::results(&outcomes, context).await?;
        self.conclude(outcomes, context)
    }

    async fn apply<'b>(
        &'b self,
        outcomes: Vec<Outcome<'b>>,
        lock: &LockedStore,
        context: &Context,
    ) -> Vec<Outcome<'b>> {
        let several = self.jobs.len() > 1;
        let one = async |mut outcome: Outcome<'b>| {
            let Some(plan) = outcome.plan.as_ref().filter(|_| outcome.is_due()) else { return outcome };
            let live = live::Live::new(outcome.job, several, &context.progress);
            let on_event = |event: &_| live.tell(event);
            match self.deployment(outcome.job).apply(lock, &outcome.job.desired, plan, &on_event).await {
                Ok(applied) => {
                    live.done();
                    outcome.applied = Some(applied);
                }
                Err(error) => {
                    live.failed(several, &error);
                    let again = !error.is_conflict();
                    let error = from_deploy(error);
                    outcome.error = Some(if again {
                        error.hint("the same command goes on from where it stopped")
                    } else {
                        error
                    });
                }
            }
            outcome
        };
        stream::iter(outcomes).map(one).buffered(self.concurrent()).collect().await
    }

    /// The document, and the exit code: that of the only host, or the worst of several.
    fn conclude(&self, outcomes: Vec<Outcome<'_>>, context: &mut Context) -> Result<ExitCode, CliError> {
        if context.out.is_json() {
            show::document(self.command, &outcomes, context)?;
        }
        let mut outcomes = outcomes;
        if let [only] = outcomes.as_mut_slice() {
            if let Some(error) = only.error.take() {
                return Err(error);
            }
            if only.kind() == Some(PlanKind::Conflict) {
                return Err(CliError::conflict("nothing was changed, because something stands in the way"));
            }
            return Ok(ExitCode::Ok);
        }
        let code =
            outcomes.iter().map(Outcome::exit_code).max_by_key(|code| code.code()).unwrap_or(ExitCode::Ok);
        for outcome in outcomes {
            if let Some(error) = outcome.error {
                context.progress.warning(format_args!("{}: {error}", outcome.job.host.name));
                for hint in error.hints() {
                    context.progress.note(format_args!("{}: {hint}", outcome.job.host.name));
                }
            }
        }
        Ok(code)
    }
}

/// The endpoint of a job's host.
fn endpoint(job: &Job) -> &str {
    job.host.client.endpoint()
}
