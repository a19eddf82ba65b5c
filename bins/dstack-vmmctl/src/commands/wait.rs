//! `wait`: until a VM is as wanted.

use std::time::Duration;

use cli_support::{CliError, ExitCode};
use dstack_vmm_client::client::{Condition, VmmApi};
use dstack_vmm_client::vm::{BootStep, VmStatus};

use crate::context::{Context, Run};
use crate::{vm_ref, waiting};

/// Arguments of `wait`.
#[derive(Debug, clap::Args)]
pub(crate) struct Wait {
    /// VM by name, id, or the beginning of an id
    #[arg(value_name = "VM")]
    vm: String,
    /// What to wait for: booted, running, stopped, exited, gone, or step:NAME for a boot step
    #[arg(long = "for", value_name = "CONDITION", default_value = "booted", value_parser = condition)]
    condition: Condition,
    /// How long to wait at most, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait_timeout: u64,
}

fn condition(text: &str) -> Result<Condition, String> {
    if let Some(step) = text.strip_prefix("step:") {
        let step = BootStep::from(step);
        if step.position().is_none() {
            let known: Vec<String> =
                BootStep::known().map(|step| step.to_string()).filter(|step| !step.is_empty()).collect();
            return Err(format!(
                "there is no boot step {:?}; the steps are: {}",
                step.as_str(),
                known.join(", ")
            ));
        }
        return Ok(Condition::Step(step));
    }
    match text {
        "booted" => Ok(Condition::Booted),
        "stopped" => Ok(Condition::Stopped),
        "gone" => Ok(Condition::Gone),
        "running" => Ok(Condition::Status(VmStatus::Running)),
        "exited" => Ok(Condition::Status(VmStatus::Exited)),
        _ => Err("expected booted, running, stopped, exited, gone or step:NAME".to_owned()),
    }
}

impl Run for Wait {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?.client;
        let vm = match vm_ref::resolve(&host, &self.vm).await {
            // What is gone already cannot be looked up by name, and is what was waited for.
            Err(error) if self.condition == Condition::Gone && error.kind() == ExitCode::No => {
                context.progress.note(format_args!("no VM {:?} is there", self.vm));
                return done(context, None, &self.condition);
            }
            other => other?,
        };
        let mut step = context.progress.step(format_args!("waiting for {} ({})", vm.name, vm.id));
        let limit = Duration::from_secs(self.wait_timeout);
        let reached = waiting::until(&host as &dyn VmmApi, &vm.id, &self.condition, limit, &mut step).await?;
        step.done(&self.condition);
        done(context, reached.as_ref().or(Some(&vm)), &self.condition)
    }
}

fn done(
    context: &mut Context,
    vm: Option<&dstack_vmm_client::api::VmInfo>,
    condition: &Condition,
) -> Result<ExitCode, CliError> {
    if context.out.is_json() {
        let document = serde_json::json!({
            "schema": "dstack-vmmctl/wait/v1",
            "condition": condition.to_string(),
            "id": vm.map(|vm| &vm.id),
            "name": vm.map(|vm| &vm.name),
            "status": match condition {
                Condition::Gone => None,
                _ => vm.map(|vm| &vm.status),
            },
        });
        context.out.json(&document)?;
    }
    Ok(ExitCode::Ok)
}
