//! `start`, `stop`, `shutdown` and `rm`.

use std::time::Duration;

use cli_support::{CliError, ExitCode, Step};
use dstack_vmm_client::api::VmInfo;
use dstack_vmm_client::client::{Condition, VmmApi};
use dstack_vmm_client::deploy::{AllowlistFile, DeployOptions, Deployment, Entry, History, Store};
use dstack_vmm_client::vm::VmStatus;
use serde::Serialize;

use crate::context::{Context, Run};
use crate::failure::IntoCli;
use crate::rollout::from_deploy;
use crate::{ask, project, vm_ref, waiting};

/// Which VMs, and whether to wait.
#[derive(Debug, clap::Args)]
struct Which {
    /// VMs by name, id, or the beginning of an id
    #[arg(required = true, value_name = "VM")]
    vms: Vec<String>,
    /// Return as soon as the VMM has taken the order
    #[arg(long)]
    no_wait: bool,
    /// How long to wait at most for each VM, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    wait_timeout: u64,
}

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    #[command(flatten)]
    which: Which,
}

/// Arguments of `stop`.
#[derive(Debug, clap::Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    which: Which,
}

/// Arguments of `shutdown`.
#[derive(Debug, clap::Args)]
pub(crate) struct Shutdown {
    #[command(flatten)]
    which: Which,
}

/// Arguments of `rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Also remove VMs that run; their guests are not asked to shut down
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy)]
enum Order {
    Start,
    Stop,
    Shutdown,
    Remove,
}

impl Order {
    const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Shutdown => "shutdown",
            Self::Remove => "rm",
        }
    }

    const fn doing(self) -> &'static str {
        match self {
            Self::Start => "starting",
            Self::Stop => "stopping",
            Self::Shutdown => "shutting down",
            Self::Remove => "removing",
        }
    }

    const fn reached(self) -> Condition {
        match self {
            Self::Start => Condition::Booted,
            Self::Stop | Self::Shutdown => Condition::Stopped,
            Self::Remove => Condition::Gone,
        }
    }

    /// Whether the VM is where the order leads already. v0.5 refuses to stop a VM that was never started, and a guest that
    /// does not run cannot be asked to shut down.
    fn is_done(self, vm: &VmInfo) -> bool {
        matches!(self, Self::Stop | Self::Shutdown) && vm.status == VmStatus::Stopped.as_str()
    }
}

/// What became of one VM; `--json` prints a list of these.
#[derive(Serialize)]
struct Outcome {
    id: String,
    name: String,
    /// What was reached, or `ordered` when nobody waited, or `failed`.
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Run for Start {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?.client;
        let meant = resolve(&host, &self.which).await?;
        carry_out(&host, meant, Order::Start, &self.which, None, context).await
    }
}

impl Run for Stop {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?.client;
        let meant = resolve(&host, &self.which).await?;
        carry_out(&host, meant, Order::Stop, &self.which, None, context).await
    }
}

impl Run for Shutdown {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?.client;
        let meant = resolve(&host, &self.which).await?;
        carry_out(&host, meant, Order::Shutdown, &self.which, None, context).await
    }
}

impl Run for Rm {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?.client;
        let meant = resolve(&host, &self.which).await?;
        let down = |vm: &&VmInfo| VmStatus::from(vm.status.as_str()) != VmStatus::Stopped;
        let up: Vec<&str> = meant.iter().filter(down).map(|vm| vm.name.as_str()).collect();
        if !up.is_empty() && !self.force {
            return Err(CliError::no(format!("not stopped: {}", up.join(", "))).hint(format!(
                "`dstack-vmmctl shutdown {}` first, or add `--force`",
                self.which.vms.join(" ")
            )));
        }
        let names: Vec<String> = meant.iter().map(|vm| format!("{} ({})", vm.name, vm.id)).collect();
        let question = format!("Remove {} and what is on the disk?", names.join(", "));
        if !self.yes && !ask::yes(&question, "removing VMs deletes their disks")? {
            return Err(CliError::no("nothing was removed"));
        }
        let ours = Ours::find(context);
        carry_out(&host, meant, Order::Remove, &self.which, ours.as_ref(), context).await
    }
}

/// What the project of this directory has a record of.
struct Ours {
    store: Store,
    authorizer: Option<AllowlistFile>,
    history: History,
}

impl Ours {
    /// A project that cannot be read is none here: VMs are removed by name, whatever the directory.
    fn find(context: &Context) -> Option<Self> {
        let project = project::find(context.connect.project()).ok()??;
        let store = project.store();
        let history = store.history().ok()?;
        Some(Self { authorizer: project.authorizer(), store, history })
    }

    /// The name of the host under which a VM is the current one.
    fn host_of(&self, vm: &VmInfo) -> Option<&str> {
        let of_vm =
            |entry: &&Entry| entry.vm_id == vm.id && self.history.current(&entry.host) == Some(*entry);
        self.history.entries.iter().find(of_vm).map(|entry| entry.host.as_str())
    }

    /// Removes a VM, notes that in its record, and revokes what was allowed for it from here.
    async fn remove(
        &self,
        host: &dyn VmmApi,
        name: &str,
        vm: &VmInfo,
        limit: Duration,
        step: &mut Step,
    ) -> Result<String, CliError> {
        let mut options = DeployOptions::default();
        options.wait_options.timeout = limit;
        let mut deployment = Deployment::new(name, host, &self.store, &options);
        if let Some(authorizer) = &self.authorizer {
            deployment = deployment.authorizer(authorizer);
        }
        let lock = self.store.lock().map_err(|error| from_deploy(error.into()))?;
        let revoked = deployment.remove(&lock, &vm.id, &|_| {}).await.map_err(from_deploy)?;
        for hash in &revoked {
            step.line(format_args!("revoked {hash}"));
        }
        Ok("gone, and noted so in the project".to_owned())
    }
}

/// All are looked up before anything is done: a wrong name in a list changes nothing.
async fn resolve(host: &dyn VmmApi, which: &Which) -> Result<Vec<VmInfo>, CliError> {
    let mut meant: Vec<VmInfo> = Vec::new();
    for text in &which.vms {
        let vm = vm_ref::resolve(host, text).await?;
        if !meant.iter().any(|known| known.id == vm.id) {
            meant.push(vm);
        }
    }
    Ok(meant)
}

/// One VM after the other; one that fails keeps no other from its turn.
async fn carry_out(
    host: &dyn VmmApi,
    meant: Vec<VmInfo>,
    order: Order,
    which: &Which,
    ours: Option<&Ours>,
    context: &mut Context,
) -> Result<ExitCode, CliError> {
    let count = meant.len();
    let mut outcomes = Vec::new();
    let mut errors = Vec::new();
    for vm in meant {
        let mut step = context.progress.step(format_args!("{} {} ({})", order.doing(), vm.name, vm.id));
        let (outcome, error) = match one(host, &vm, order, which, ours, &mut step).await {
            Ok(outcome) => {
                step.done(&outcome);
                (outcome, None)
            }
            Err(error) => {
                let text = error.to_string();
                // The only one is the program's own failure and told at its end.
                if count > 1 {
                    step.failed(&text);
                }
                errors.push(error);
                ("failed".to_owned(), Some(text))
            }
        };
        outcomes.push(Outcome { id: vm.id, name: vm.name, outcome, error });
    }
    if context.out.is_json() {
        let schema = format!("dstack-vmmctl/{}/v1", order.name());
        context.out.json(&serde_json::json!({ "schema": schema, "vms": outcomes }))?;
    }
    let failed = errors.len();
    match errors.into_iter().next() {
        None => Ok(ExitCode::Ok),
        Some(error) if count == 1 => Err(error),
        Some(first) => Err(first.context(format_args!("{failed} of {count} VMs failed, the first"))),
    }
}

async fn one(
    host: &dyn VmmApi,
    vm: &VmInfo,
    order: Order,
    which: &Which,
    ours: Option<&Ours>,
    step: &mut Step,
) -> Result<String, CliError> {
    let limit = Duration::from_secs(which.wait_timeout);
    if let (Order::Remove, false, Some(ours)) = (order, which.no_wait, ours)
        && let Some(name) = ours.host_of(vm)
    {
        return ours.remove(host, name, vm, limit, step).await;
    }
    if order.is_done(vm) {
        return Ok("stopped already".to_owned());
    }
    match order {
        Order::Start => host.start_vm(&vm.id).await,
        Order::Stop => host.stop_vm(&vm.id).await,
        Order::Shutdown => host.shutdown_vm(&vm.id).await,
        Order::Remove => host.remove_vm(&vm.id).await,
    }
    .into_cli()?;
    if which.no_wait {
        return Ok("ordered".to_owned());
    }
    let reached = order.reached();
    waiting::until(host, &vm.id, &reached, limit, step).await?;
    Ok(reached.to_string())
}
