//! `deploy`: what runs becomes what dstack.toml says.

use cli_support::{CliError, ExitCode};
use dstack_vmm_client::deploy::{Authorizer, VmChoice};

use crate::context::{Context, Run};
use crate::project::{self, LoadedProject};
use crate::rollout::{ApplyFlags, Job, PlanFlags, Rollout};
use crate::vm_ref;

/// Arguments of `deploy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    flags: PlanFlags,
    #[command(flatten)]
    apply: ApplyFlags,
    /// One host after the other instead of several at once
    #[arg(long, help_heading = "Deployment")]
    one_by_one: bool,
}

/// Which VM is the app's.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The VM to change, by name, id, or the beginning of an id [default: the one that is the app's]
    #[arg(long, value_name = "VM", conflicts_with = "new")]
    vm: Option<String>,
    /// Make a new VM, whatever is there
    #[arg(long)]
    new: bool,
}

impl Run for Deploy {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let project = project::required(context.connect.project())?;
        let jobs = jobs(&project, &self.which, &self.flags, context).await?;
        let (store, authorizer) = (project.store(), project.authorizer());
        let rollout = Rollout {
            command: "deploy",
            store: &store,
            authorizer: authorizer.as_ref().map(|file| file as &dyn Authorizer),
            jobs,
            one_by_one: self.one_by_one,
        };
        rollout.run(&self.apply, context).await
    }
}

impl Deploy {
    /// Shows what a deployment would do.
    pub(super) async fn plan_only(
        which: &Which,
        flags: &PlanFlags,
        context: &mut Context,
    ) -> Result<ExitCode, CliError> {
        let project = project::required(context.connect.project())?;
        let jobs = jobs(&project, which, flags, context).await?;
        let (store, authorizer) = (project.store(), project.authorizer());
        let rollout = Rollout {
            command: "plan",
            store: &store,
            authorizer: authorizer.as_ref().map(|file| file as &dyn Authorizer),
            jobs,
            one_by_one: false,
        };
        rollout.plan_only(context).await
    }
}

async fn jobs(
    project: &LoadedProject,
    which: &Which,
    flags: &PlanFlags,
    context: &Context,
) -> Result<Vec<Job>, CliError> {
    let desired = project.resolve()?;
    let hosts = project.hosts(context)?;
    if which.vm.is_some() && hosts.len() > 1 {
        let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        return Err(CliError::usage(format!(
            "--vm names a VM of one host, and there are {}: {}",
            names.len(),
            names.join(", ")
        ))
        .hint(format!("choose one, such as `--host {}`", names[0])));
    }
    let mut jobs = Vec::new();
    for host in hosts {
        let vm = match &which.vm {
            Some(vm) => VmChoice::Vm(vm_ref::resolve(&host.client, vm).await?.id),
            None if which.new => VmChoice::New,
            None => VmChoice::Auto,
        };
        let options = flags.options(&host, vm)?;
        jobs.push(Job { host, desired: desired.clone(), options, notes: Vec::new() });
    }
    Ok(jobs)
}
