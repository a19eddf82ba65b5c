//! `rollback`: a version that ran before runs again.

use cli_support::{Align, CliError, ExitCode, Table};
use dstack_vmm_client::client::VmmApi;
use dstack_vmm_client::deploy::{Authorizer, Entry, NoSuchVersion, Store, VersionRef, VmChoice, rollback};
use dstack_vmm_client::ids::AppId;

use crate::context::{Context, Run};
use crate::failure::IntoCli;
use crate::hosts::Host;
use crate::project;
use crate::rollout::{ApplyFlags, Job, PlanFlags, Rollout, from_deploy};

/// Arguments of `rollback`.
#[derive(Debug, clap::Args)]
pub(crate) struct Rollback {
    /// Version: previous, #NUMBER, or at least four digits of a compose hash
    #[arg(value_name = "VERSION", default_value = "previous")]
    version: VersionRef,
    /// List the versions that are kept
    #[arg(short, long, conflicts_with_all = ["version", "yes", "plan_only"])]
    list: bool,
    #[command(flatten)]
    flags: PlanFlags,
    #[command(flatten)]
    apply: ApplyFlags,
}

impl Run for Rollback {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let project = project::required(context.connect.project())?;
        let (store, authorizer) = (project.store(), project.authorizer());
        if self.list {
            return list(&store, context);
        }
        let authorizer = authorizer.as_ref().map(|file| file as &dyn Authorizer);
        let keep = project.project.authorization.keep_hashes;
        let mut jobs = Vec::new();
        for host in project.hosts(context)? {
            jobs.push(self.job(host, &store, authorizer, keep).await?);
        }
        Rollout { command: "rollback", store: &store, authorizer, jobs, one_by_one: false }
            .run(&self.apply, context)
            .await
    }
}

impl Rollback {
    async fn job(
        &self,
        host: Host,
        store: &Store,
        authorizer: Option<&dyn Authorizer>,
        keep: u32,
    ) -> Result<Job, CliError> {
        let history = store.history().map_err(|error| from_deploy(error.into()))?;
        let entry = history.find(&host.name, &self.version).map_err(no_such_version)?;
        let compose = store.compose(entry).map_err(|error| from_deploy(error.into()))?;
        let current = history.current(&host.name);
        let vm = match current {
            Some(current) => host.client.info(&current.vm_id).await.into_cli()?,
            None => None,
        };
        let allowed = match (authorizer, entry.app_id.parse::<AppId>()) {
            (Some(authorizer), Ok(app_id)) => authorizer.is_allowed(&app_id, &entry.hash).await.ok(),
            _ => None,
        };
        let now = vm.as_ref().and_then(|vm| vm.configuration.as_ref());
        let back = rollback::rollback(entry, compose, now, allowed, keep).map_err(|error| {
            CliError::no(error).context(format_args!("version #{} cannot run again", entry.seq))
        })?;
        // The VM that this directory has a record of; a removed one is made anew.
        let choice = vm.map_or(VmChoice::Auto, |vm| VmChoice::Vm(vm.id));
        let options = self.flags.options(&host, choice)?;
        Ok(Job { host, desired: back.desired, options, notes: back.findings })
    }
}

fn no_such_version(error: NoSuchVersion) -> CliError {
    CliError::no(error).hint("`dstack-vmmctl rollback --list` lists the versions that are kept")
}

fn list(store: &Store, context: &mut Context) -> Result<ExitCode, CliError> {
    let history = store.history().map_err(|error| from_deploy(error.into()))?;
    for damage in &history.damaged {
        context.progress.warning(format_args!("{}: {}", damage.path, damage.reason));
    }
    if context.out.is_json() {
        let document = serde_json::json!({
            "schema": "dstack-vmmctl/versions/v1",
            "versions": history.entries,
            "damaged": history.damaged,
        });
        context.out.json(&document)?;
        return Ok(ExitCode::Ok);
    }
    if history.entries.is_empty() {
        context.progress.note(format_args!("no version is kept in {} yet", store.dir().display()));
        return Ok(ExitCode::Ok);
    }
    let mut table =
        Table::new(["VERSION", "APPLIED", "HOST", "COMPOSE", "IMAGE", "UP", "STATE"]).align(0, Align::Right);
    for entry in &history.entries {
        let is_current = history.current(&entry.host).is_some_and(|current| current.seq == entry.seq);
        table.row([
            format!("#{}", entry.seq),
            when(entry),
            entry.host.clone(),
            entry.hash.short(),
            entry.image.clone(),
            match entry.booted {
                Some(true) => "yes",
                Some(false) => "no",
                None => "not seen",
            }
            .to_owned(),
            state(entry, is_current).to_owned(),
        ]);
    }
    context.out.table(&table)?;
    Ok(ExitCode::Ok)
}

fn when(entry: &Entry) -> String {
    let seconds = i64::try_from(entry.applied_at).ok();
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(String::new, |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

fn state(entry: &Entry, is_current: bool) -> &'static str {
    match (is_current, entry.removed, entry.restart_pending) {
        (_, true, _) => "removed",
        (true, _, true) => "current, waits for a restart",
        (true, _, false) => "current",
        _ => "",
    }
}
