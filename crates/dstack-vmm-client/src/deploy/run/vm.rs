//! What a run does to the VM: stopping, starting, making, changing, reading back, waiting.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::Run;
use crate::api::{StatusRequest, VmInfo};
use crate::client::{Condition, WaitOptions, wait_for};
use crate::deploy::apply::Event;
use crate::deploy::change::Change;
use crate::deploy::compare::{changes, field};
use crate::deploy::error::DeployError;
use crate::deploy::history::History;
use crate::deploy::observe::{has_process, hash_of, status};
use crate::deploy::plan::{PlanContext, Step};
use crate::deploy::request;
use crate::error::ApiFailure;
use crate::vm::VmStatus;

/// How long a VM that was told to stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(60);

impl Run<'_> {
    /// Stops the VM: politely, then by force.
    pub(super) async fn stop(&mut self) -> Result<(), DeployError> {
        let id = self.vm_id().to_owned();
        // Whatever happens from here on, it has to be started again.
        self.journal.restart_due = true;
        self.lock.write_journal(&self.journal)?;
        let (vmm, options) = (self.deployment.vmm, self.deployment.options);
        let vm = self.info(&id).await?;
        if !has_process(&vm) {
            return Ok(());
        }
        let grace = options.shutdown_grace;
        if status(&vm) == VmStatus::Running && !grace.is_zero() {
            match tokio::time::timeout(grace, vmm.shutdown_vm(&id)).await {
                Ok(Ok(())) => match self.wait(&id, Condition::Stopped, grace).await {
                    Ok(()) => return Ok(()),
                    Err(_) => self.note(format!(
                        "the guest did not power off within {grace:?} and is stopped by force"
                    )),
                },
                Ok(Err(error)) => self.note(format!(
                    "the guest cannot be asked to power off ({error}); it is stopped by force"
                )),
                Err(_) => {
                    self.note(format!("the guest did not answer within {grace:?} and is stopped by force"));
                }
            }
        }
        match vmm.stop_vm(&id).await {
            Ok(()) => {}
            // v0.5 answers so when there is no process, and has marked the VM as stopped by then.
            Err(error) if error.api_failure() == Some(ApiFailure::ProcessNotFound) => {}
            Err(source) => return Err(DeployError::Vmm { action: "stop the VM", source }),
        }
        self.wait(&id, Condition::Stopped, STOP_WITHIN).await
    }

    pub(super) async fn start(&mut self) -> Result<(), DeployError> {
        let id = self.vm_id().to_owned();
        let started = self.deployment.vmm.start_vm(&id).await;
        started.map_err(|source| DeployError::Vmm { action: "start the VM", source })?;
        self.journal.restart_due = false;
        Ok(())
    }

    pub(super) async fn create(&mut self) -> Result<(), DeployError> {
        let named = |vm: &&VmInfo| vm.name == self.desired.name;
        let known: Vec<String> =
            self.observed.candidates.iter().filter(named).map(|vm| vm.id.clone()).collect();
        // An earlier run may have asked for the VM already; what it knew stays, so that its VM is found, too.
        self.journal.known_ids.get_or_insert(known);
        self.lock.write_journal(&self.journal)?;
        self.ensure_allowed().await?;
        let configuration = request::create(self.desired, &self.sealed, self.deployment.options.start);
        let made = self.deployment.vmm.create_vm(&configuration).await;
        let id = match made {
            Ok(id) => id,
            Err(lost) if lost.may_have_happened() => self.look_up(lost).await?,
            Err(source) => {
                self.journal.known_ids = None;
                self.undo().await;
                return Err(DeployError::Vmm { action: "make the VM", source });
            }
        };
        self.journal.vm_id = Some(id);
        self.journal.known_ids = None;
        self.lock.write_journal(&self.journal)?;
        Ok(())
    }

    /// Looks for the VM that a `CreateVm` without an answer may have made: one of this name, app and hash that was not there
    /// before.
    async fn look_up(&mut self, lost: crate::Error) -> Result<String, DeployError> {
        self.note(format!("the reply to CreateVm was lost ({lost}); looking for the VM"));
        let known: BTreeSet<String> = self.journal.known_ids.iter().flatten().cloned().collect();
        let hash = self.desired.hash();
        let begun = Instant::now();
        let mut reached = false;
        loop {
            let by_name = StatusRequest { keyword: self.desired.name.clone(), ..StatusRequest::default() };
            if let Ok(listing) = self.deployment.vmm.status(&by_name).await {
                reached = true;
                let ours = |vm: &&VmInfo| {
                    vm.name == self.desired.name
                        && vm.app_id.eq_ignore_ascii_case(&self.plan.app_id)
                        && hash_of(vm) == Some(hash)
                        && !known.contains(&vm.id)
                };
                let ids: Vec<String> = listing.vms.iter().filter(ours).map(|vm| vm.id.clone()).collect();
                match &ids[..] {
                    [] => {}
                    [id] => {
                        self.note(format!("it was made: {id}"));
                        return Ok(id.clone());
                    }
                    _ => return Err(DeployError::Ambiguous { ids, source: Box::new(lost) }),
                }
            }
            if begun.elapsed() >= self.deployment.options.look_up {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if reached {
            // It does not seem to have been made. The note stays in case it turns up later; the permission goes.
            self.put_policy_back().await;
        }
        Err(DeployError::Vmm { action: "make the VM", source: lost })
    }

    pub(super) async fn update(&mut self) -> Result<(), DeployError> {
        let id = self.vm_id().to_owned();
        let Some(old) = self.vm.as_ref().and_then(|vm| vm.configuration.clone()) else {
            return Err(DeployError::Gone { vm_id: id });
        };
        let runs = self.vm.as_ref().is_some_and(has_process);
        self.journal.restart_due |= runs;
        self.lock.write_journal(&self.journal)?;
        self.ensure_allowed().await?;
        let node = &self.deployment.options.node;
        let request = request::update(&id, self.desired, &old, &self.plan.changes, &self.sealed, node);
        let mut outcome = self.deployment.vmm.update_vm(&request).await;
        if outcome.as_ref().is_err_and(crate::Error::may_have_happened) {
            // It says what everything should be, so that a second time does no harm.
            self.note("the reply to UpdateVm was lost; it is sent again");
            outcome = self.deployment.vmm.update_vm(&request).await;
        }
        let Err(source) = outcome else { return Ok(()) };
        let Ok(now) = self.info(&id).await else {
            return Err(DeployError::Vmm { action: "change the VM", source });
        };
        let missing = self.missing(&now);
        let planned: BTreeSet<&'static str> = self.plan.changes.iter().map(field).collect();
        let done: Vec<&'static str> =
            planned.iter().copied().filter(|name| !missing.contains(name)).collect();
        if missing.is_empty() {
            self.note(format!("UpdateVm failed ({source}), yet everything is as it should be"));
            return Ok(());
        }
        if done.is_empty() {
            // Nothing was changed: back to what was.
            if self.plan.steps.contains(&Step::Stop) && self.deployment.vmm.start_vm(&id).await.is_err() {
                self.note(format!("VM {id} was stopped for the change and could not be started again"));
                return Err(DeployError::Vmm { action: "change the VM", source });
            }
            self.journal.restart_due = false;
            self.undo().await;
            return Err(DeployError::Vmm { action: "change the VM", source });
        }
        Err(DeployError::HalfDone {
            vm_id: id,
            done,
            missing: missing.into_iter().collect(),
            source: Box::new(source),
        })
    }

    /// What a VM does not have as it should.
    fn missing(&self, vm: &VmInfo) -> BTreeSet<&'static str> {
        let Some(now) = &vm.configuration else { return BTreeSet::from(["configuration"]) };
        let history = History::default();
        let context = PlanContext::new(self.deployment.host, "", &history);
        let left = changes(self.desired, now, self.observed, &context);
        // The environment is compared byte for byte.
        let mut missing: BTreeSet<&'static str> =
            left.iter().filter(|change| !matches!(change, Change::Env(_))).map(field).collect();
        if !self.sealed.is_empty() && now.encrypted_env != self.sealed {
            missing.insert("environment");
        }
        missing
    }

    /// Reads the VM back: an edit that was dropped without a word is an error here.
    pub(super) async fn verify(&mut self) -> Result<(), DeployError> {
        let id = self.vm_id().to_owned();
        let now = self.info(&id).await?;
        let missing = self.missing(&now);
        if !missing.is_empty() {
            return Err(DeployError::Dropped { vm_id: id, fields: missing.into_iter().collect() });
        }
        Ok(())
    }

    pub(super) async fn wait_up(&mut self) -> Result<(), DeployError> {
        let id = self.vm_id().to_owned();
        let options = self.deployment.options.wait_options;
        let on_event = self.on_event;
        let mut report = |progress: &crate::client::Progress| on_event(&Event::of_progress(progress));
        let waited = wait_for(self.deployment.vmm, &id, &Condition::Booted, &options, &mut report).await;
        waited.map_err(|source| DeployError::Wait { vm_id: id, wanted: "up", source: Box::new(source) })?;
        self.booted = Some(true);
        Ok(())
    }

    async fn info(&self, id: &str) -> Result<VmInfo, DeployError> {
        let info = self.deployment.vmm.info(id).await;
        let info = info.map_err(|source| DeployError::Vmm { action: "look at the VM", source })?;
        info.ok_or_else(|| DeployError::Gone { vm_id: id.to_owned() })
    }

    async fn wait(&self, id: &str, condition: Condition, within: Duration) -> Result<(), DeployError> {
        let mut options: WaitOptions = self.deployment.options.wait_options;
        options.timeout = within;
        let on_event = self.on_event;
        let mut report = |progress: &crate::client::Progress| on_event(&Event::of_progress(progress));
        let waited = wait_for(self.deployment.vmm, id, &condition, &options, &mut report).await;
        waited.map(drop).map_err(|source| DeployError::Wait {
            vm_id: id.to_owned(),
            wanted: "stopped",
            source: Box::new(source),
        })
    }
}
