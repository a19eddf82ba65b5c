//! `start`, `stop`, `shutdown` and `rm`.

use std::time::Duration;

use cli_support::{CliError, ExitCode, Step};
use dstack_vmm_client::api::VmInfo;
use dstack_vmm_client::client::{Condition, VmmApi};
use serde::Serialize;

use crate::context::{Context, Run};
use crate::failure::IntoCli;
use crate::{vm_ref, waiting};

/// Which VMs, and whether to wait.
#[derive(Debug, clap::Args)]
struct Which {
    /// VMs by name, id, or the beginning of an id
    #[arg(required = true, value_name = "VM")]
    vms: Vec<String>,
    /// Return as soon as the VMM has taken the order
    #[arg(long)]
    no_wait: bool,
    /// How long to wait at most, in seconds
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
    /// Do it without asking; needed where there is no terminal to ask on
    #[arg(long)]
    yes: bool,
    /// Stop a VM that runs. Without it, only VMs that do not run are removed
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
}

/// What became of one VM; `--json` prints a list of these.
#[derive(Serialize)]
struct Outcome {
    id: String,
    name: String,
    order: &'static str,
    waited: bool,
}

impl Run for Start {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        each(self.which, Order::Start, context).await
    }
}

impl Run for Stop {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        each(self.which, Order::Stop, context).await
    }
}

impl Run for Shutdown {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        each(self.which, Order::Shutdown, context).await
    }
}

impl Run for Rm {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?.client;
        let mut meant = Vec::new();
        for text in &self.which.vms {
            meant.push(vm_ref::resolve(&host, text).await?);
        }
        let running: Vec<&str> =
            meant.iter().filter(|vm| vm.status == "running").map(|vm| vm.name.as_str()).collect();
        if !running.is_empty() && !self.force {
            return Err(CliError::no(format!("still running: {}", running.join(", ")))
                .hint("`dstack-vmmctl shutdown` them first, or add `--force`"));
        }
        if !self.yes && !confirm(&meant)? {
            return Err(CliError::no("nothing was removed"));
        }
        each(self.which, Order::Remove, context).await
    }
}

/// Asks on the terminal. Removing deletes the data disk, and a name typed is not typed by accident.
fn confirm(meant: &[VmInfo]) -> Result<bool, CliError> {
    use std::io::{BufRead, IsTerminal, Write};
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage("removing VMs deletes their disks, and there is no terminal to ask on")
            .hint("add `--yes` if that is what you want"));
    }
    let names: Vec<String> = meant.iter().map(|vm| format!("{} ({})", vm.name, vm.id)).collect();
    let mut stderr = std::io::stderr();
    let question = format!("Remove {} and delete the disk? Type yes to go on: ", names.join(", "));
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(CliError::unreachable)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(CliError::unreachable)?;
    Ok(answer.trim() == "yes")
}

async fn each(which: Which, order: Order, context: &mut Context) -> Result<ExitCode, CliError> {
    let host = context.one()?.client;
    // All are looked up before anything is done: a wrong name in a list changes nothing.
    let mut meant = Vec::new();
    for text in &which.vms {
        meant.push(vm_ref::resolve(&host, text).await?);
    }
    let mut outcomes = Vec::new();
    for vm in meant {
        let mut step = context.progress.step(format_args!("{} {} ({})", order.doing(), vm.name, vm.id));
        match one(&host, &vm, order, &which, &mut step).await {
            Ok(()) if which.no_wait => step.done("ordered"),
            Ok(()) => step.done(order.reached()),
            Err(error) => {
                step.failed("see below");
                return Err(error.context(format_args!("{} {}", order.doing(), vm.name)));
            }
        }
        outcomes.push(Outcome { id: vm.id, name: vm.name, order: order.doing(), waited: !which.no_wait });
    }
    if context.out.is_json() {
        context.out.json(&serde_json::json!({ "schema": "dstack-vmmctl/order/v1", "vms": outcomes }))?;
    }
    Ok(ExitCode::Ok)
}

async fn one(
    host: &dyn VmmApi,
    vm: &VmInfo,
    order: Order,
    which: &Which,
    step: &mut Step,
) -> Result<(), CliError> {
    match order {
        Order::Start => host.start_vm(&vm.id).await,
        Order::Stop => host.stop_vm(&vm.id).await,
        Order::Shutdown => host.shutdown_vm(&vm.id).await,
        Order::Remove => host.remove_vm(&vm.id).await,
    }
    .into_cli()?;
    if which.no_wait {
        return Ok(());
    }
    waiting::until(host, &vm.id, &order.reached(), Duration::from_secs(which.wait_timeout), step).await.map(|_| ())
}
