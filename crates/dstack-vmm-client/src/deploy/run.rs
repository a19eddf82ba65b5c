//! One run: the steps of a plan, and what becomes of it when one fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;

use super::apply::{Applied, Deployment, Event, OnEvent};
use super::change::Change;
use super::error::DeployError;
use super::history::{Entry, EnvRecord};
use super::journal::{self, Journal};
use super::observe::{Observed, has_process, hash_of, status};
use super::plan::{Plan, PlanContext, Step, changes, field, sha256_hex};
use super::request;
use super::resolve::{Desired, DesiredEnv};
use super::store::{LockedStore, StoreError};
use crate::api::{StatusRequest, VmInfo};
use crate::app_compose::ComposeHash;
use crate::client::{Condition, WaitOptions, wait_for};
use crate::env::{SignaturePolicy, seal, verify_env_key};
use crate::error::ApiFailure;
use crate::ids::AppId;
use crate::vm::VmStatus;

/// How long a VM that was told to stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// A run of a plan.
pub(super) struct Run<'r> {
    deployment: Deployment<'r>,
    lock: &'r LockedStore,
    desired: &'r Desired,
    plan: &'r Plan,
    observed: &'r Observed,
    on_event: OnEvent<'r>,
    journal: Journal,
    /// The VM as it was before; of one that is made here nothing.
    vm: Option<VmInfo>,
    /// The sealed environment, once it is.
    sealed: Vec<u8>,
    booted: Option<bool>,
    recorded: Option<Entry>,
    revoked: Vec<ComposeHash>,
}

impl<'r> Run<'r> {
    pub(super) fn new(
        deployment: Deployment<'r>,
        lock: &'r LockedStore,
        desired: &'r Desired,
        plan: &'r Plan,
        observed: &'r Observed,
        on_event: OnEvent<'r>,
    ) -> Result<Self, DeployError> {
        let before = deployment.store.journal(deployment.host)?;
        let vm = plan.vm_id.as_deref().and_then(|id| observed.candidate(id)).cloned();
        let pending = deployment.store.history()?.current(deployment.host).is_some_and(|entry| entry.restart_pending);
        let journal = Journal {
            schema: journal::SCHEMA.to_owned(),
            run: run_id()?,
            host: deployment.host.to_owned(),
            started_at: (deployment.options.now)(),
            step: String::new(),
            name: desired.name.clone(),
            hash: desired.hash(),
            app_id: plan.app_id.clone(),
            vm_id: plan.vm_id.clone(),
            // As long as no VM is known, one may still turn up that an earlier run asked for.
            known_ids: before.as_ref().filter(|_| vm.is_none()).and_then(|before| before.known_ids.clone()),
            env: before.as_ref().and_then(|before| before.env.clone()),
            restart_due: vm.is_some() && (pending || before.is_some_and(|before| before.restart_due)),
        };
        Ok(Self {
            deployment,
            lock,
            desired,
            plan,
            observed,
            on_event,
            journal,
            vm,
            sealed: Vec::new(),
            booted: None,
            recorded: None,
            revoked: Vec::new(),
        })
    }

    pub(super) async fn carry_out(mut self) -> Result<Applied, DeployError> {
        for step in &self.plan.steps {
            self.journal.step = step.to_string();
            self.lock.write_journal(&self.journal)?;
            (self.on_event)(&Event::Started { step: step.clone() });
            self.step(step).await?;
            (self.on_event)(&Event::Finished { step: step.clone() });
        }
        self.lock.clear_journal(self.deployment.host)?;
        Ok(Applied {
            host: self.deployment.host.to_owned(),
            kind: self.plan.kind,
            vm_id: self.vm_id().to_owned(),
            app_id: self.plan.app_id.clone(),
            hash: self.desired.hash(),
            version: self.recorded,
            booted: self.booted,
            revoked: self.revoked,
        })
    }

    async fn step(&mut self, step: &Step) -> Result<(), DeployError> {
        match step {
            Step::SealEnv { .. } => {
                let sealed = self.seal_env().await;
                self.undo_unless(sealed).await
            }
            Step::Authorize { .. } => {
                let allowed = self.ensure_allowed().await;
                self.undo_unless(allowed).await
            }
            Step::Stop => self.stop().await,
            Step::Create => self.create().await,
            Step::Update { .. } => self.update().await,
            Step::Restart => {
                self.ensure_allowed().await?;
                self.stop().await?;
                self.start().await
            }
            Step::Start => {
                self.ensure_allowed().await?;
                self.start().await
            }
            Step::Verify => self.verify().await,
            Step::WaitUp => self.wait_up().await,
            Step::Record => self.record(),
            Step::Revoke => self.revoke().await,
        }
    }

    fn vm_id(&self) -> &str {
        self.journal.vm_id.as_deref().unwrap_or_default()
    }

    fn note(&self, text: impl Into<String>) {
        (self.on_event)(&Event::Note { text: text.into() });
    }

    fn app_id(&self) -> Result<AppId, DeployError> {
        self.plan.app_id.parse().map_err(|_| DeployError::AppId {
            vm_id: self.vm_id().to_owned(),
            app_id: self.plan.app_id.clone(),
        })
    }

    /// Nothing was touched on the host yet: after an error the policy is put back and the note removed.
    async fn undo_unless(&mut self, outcome: Result<(), DeployError>) -> Result<(), DeployError> {
        if outcome.is_err() && !self.journal.restart_due && self.journal.known_ids.is_none() {
            self.undo().await;
        }
        outcome
    }

    /// Forgets this run: it left nothing on the host.
    async fn undo(&mut self) {
        let cleared = self.lock.clear_journal(self.deployment.host);
        let revoked = self.revoke().await;
        if cleared.is_err() || revoked.is_err() {
            self.note("the policy may still allow the new hash; the next run looks after it");
        }
    }

    async fn seal_env(&mut self) -> Result<(), DeployError> {
        let DesiredEnv::Set(environment) = &self.desired.env else { return Ok(()) };
        let app_id = self.app_id()?;
        let answer = self.deployment.vmm.app_env_encrypt_pub_key(app_id.as_bytes()).await;
        let answer = answer.map_err(|source| DeployError::Vmm { action: "get the key of the environment", source })?;
        let mut policy = self.desired.signature_policy();
        if self.deployment.options.danger_accept_any_signer && self.desired.signers.is_empty() {
            policy = SignaturePolicy::danger_accept_any_signer();
            if self.desired.legacy_signature {
                policy = policy.allow_legacy_without_freshness();
            }
        }
        let verified = verify_env_key(&answer, &app_id, (self.deployment.options.now)(), &policy)
            .map_err(|source| DeployError::Untrusted { app_id: app_id.to_string(), source })?;
        self.sealed = seal(environment, &verified.key).map_err(DeployError::Seal)?;
        self.journal.env = Some(EnvRecord {
            sealed_sha256: Some(sha256_hex(&self.sealed)),
            digests: self.lock.digest_key_or_new()?.digests(environment),
        });
        Ok(())
    }

    /// Makes the policy allow the new hash, if there is a policy to keep and it does not yet.
    async fn ensure_allowed(&self) -> Result<(), DeployError> {
        let Some(authorizer) = self.deployment.authorizer.filter(|_| self.desired.uses_kms()) else { return Ok(()) };
        let app_id = self.app_id()?;
        let error = |action| {
            move |source| DeployError::Policy { action, policy: authorizer.describe(), source }
        };
        let hash = self.desired.hash();
        let _turn = self.lock.policy_turn.lock().await;
        if !authorizer.is_allowed(&app_id, &hash).await.map_err(error("look"))? {
            // Noted first: a hash that is allowed and not noted would never be revoked.
            self.lock.claim(&self.plan.app_id, hash)?;
            authorizer.allow(&app_id, &hash).await.map_err(error("allow the compose hash"))?;
        }
        Ok(())
    }

    async fn revoke(&mut self) -> Result<(), DeployError> {
        let Some(authorizer) = self.deployment.authorizer else { return Ok(()) };
        let app_id = self.app_id()?;
        let keep = self.desired.keep_hashes;
        let revoked = revoke_unneeded(self.lock, authorizer, &app_id, keep).await?;
        self.revoked.extend(revoked);
        Ok(())
    }

    /// Stops the VM: politely, then by force.
    async fn stop(&mut self) -> Result<(), DeployError> {
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
                    Err(_) => self.note(format!("the guest did not power off within {grace:?} and is stopped by force")),
                },
                Ok(Err(error)) => self.note(format!("the guest cannot be asked to power off ({error}); it is stopped by force")),
                Err(_) => self.note(format!("the guest did not answer within {grace:?} and is stopped by force")),
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

    async fn start(&mut self) -> Result<(), DeployError> {
        let id = self.vm_id().to_owned();
        let started = self.deployment.vmm.start_vm(&id).await;
        started.map_err(|source| DeployError::Vmm { action: "start the VM", source })?;
        self.journal.restart_due = false;
        Ok(())
    }

    async fn create(&mut self) -> Result<(), DeployError> {
        let named = |vm: &&VmInfo| vm.name == self.desired.name;
        let known: Vec<String> = self.observed.candidates.iter().filter(named).map(|vm| vm.id.clone()).collect();
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
                    _ => return Err(DeployError::Ambiguous { ids, source: lost }),
                }
            }
            if begun.elapsed() >= self.deployment.options.look_up {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if reached {
            // It does not seem to have been made. The note stays in case it turns up later; the permission goes.
            let revoked = self.revoke_without_journal().await;
            if revoked.is_err() {
                self.note("the policy may still allow the new hash; the next run looks after it");
            }
        }
        Err(DeployError::Vmm { action: "make the VM", source: lost })
    }

    /// Revokes what nobody needs, this run included, and keeps the note.
    async fn revoke_without_journal(&mut self) -> Result<(), DeployError> {
        self.lock.clear_journal(self.deployment.host)?;
        let revoked = self.revoke().await;
        self.lock.write_journal(&self.journal)?;
        revoked
    }

    async fn update(&mut self) -> Result<(), DeployError> {
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
        let Ok(now) = self.info(&id).await else { return Err(DeployError::Vmm { action: "change the VM", source }) };
        let missing = self.missing(&now);
        let planned: BTreeSet<&'static str> = self.plan.changes.iter().map(field).collect();
        let done: Vec<&'static str> = planned.iter().copied().filter(|name| !missing.contains(name)).collect();
        if missing.is_empty() {
            self.note(format!("UpdateVm failed ({source}), yet everything is as it should be"));
            return Ok(());
        }
        if done.is_empty() {
            // Nothing was changed: back to what was.
            if self.plan.has(|step| *step == Step::Stop) && self.deployment.vmm.start_vm(&id).await.is_err() {
                self.note(format!("VM {id} was stopped for the change and could not be started again"));
                return Err(DeployError::Vmm { action: "change the VM", source });
            }
            self.journal.restart_due = false;
            self.undo().await;
            return Err(DeployError::Vmm { action: "change the VM", source });
        }
        Err(DeployError::HalfDone { vm_id: id, done, missing: missing.into_iter().collect(), source })
    }

    /// What a VM does not have as it should.
    fn missing(&self, vm: &VmInfo) -> BTreeSet<&'static str> {
        let Some(now) = &vm.configuration else { return BTreeSet::from(["configuration"]) };
        let history = super::history::History::default();
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
    async fn verify(&mut self) -> Result<(), DeployError> {
        let id = self.vm_id().to_owned();
        let now = self.info(&id).await?;
        let missing = self.missing(&now);
        if !missing.is_empty() {
            return Err(DeployError::Dropped { vm_id: id, fields: missing.into_iter().collect() });
        }
        Ok(())
    }

    async fn wait_up(&mut self) -> Result<(), DeployError> {
        let id = self.vm_id().to_owned();
        let options = self.deployment.options.wait_options;
        let on_event = self.on_event;
        let mut report = |progress: &crate::client::Progress| on_event(&Event::of_progress(progress));
        let waited = wait_for(self.deployment.vmm, &id, &Condition::Booted, &options, &mut report).await;
        waited.map_err(|source| DeployError::Wait { vm_id: id, wanted: "up", source })?;
        self.booted = Some(true);
        Ok(())
    }

    fn record(&mut self) -> Result<(), DeployError> {
        let history = self.lock.history()?;
        let current = history.current(self.deployment.host);
        let id = self.vm_id().to_owned();
        let mut entry = Entry {
            seq: 0,
            hash: self.desired.hash(),
            host: self.deployment.host.to_owned(),
            endpoint: self.deployment.vmm.endpoint().to_owned(),
            vm_id: id,
            app_id: self.plan.app_id.clone(),
            name: self.desired.name.clone(),
            applied_at: (self.deployment.options.now)(),
            run: self.journal.run.clone(),
            image: self.desired.image.clone(),
            vcpu: self.desired.vcpu,
            memory_mib: self.desired.memory_mib,
            disk_gib: self.desired.disk_gib,
            ports: self.desired.ports.iter().map(ToString::to_string).collect(),
            env: self.journal.env.clone().unwrap_or_else(|| self.known_env(current)),
            booted: self.booted,
            restart_pending: self.journal.restart_due,
            removed: false,
        };
        let same = current.filter(|current| {
            let now = Entry {
                seq: current.seq,
                applied_at: current.applied_at,
                run: current.run.clone(),
                booted: current.booted,
                restart_pending: current.restart_pending,
                ..entry.clone()
            };
            now == **current
        });
        self.recorded = Some(match same {
            // Nothing new about it but that it was started, or seen up.
            Some(current) => {
                let amended =
                    Entry { booted: entry.booted.or(current.booted), restart_pending: entry.restart_pending, ..current.clone() };
                self.lock.amend(&amended)?;
                amended
            }
            None => {
                entry = self.lock.record(entry, self.desired.compose.bytes())?;
                entry
            }
        });
        Ok(())
    }

    /// What is known of an environment that this run did not set.
    fn known_env(&self, current: Option<&Entry>) -> EnvRecord {
        let sealed = self.vm.as_ref().and_then(|vm| vm.configuration.as_ref()).map(|old| sha256_hex(&old.encrypted_env));
        let known = current.map(|current| &current.env).filter(|env| env.sealed_sha256.is_some() && env.sealed_sha256 == sealed);
        known.cloned().unwrap_or(EnvRecord { sealed_sha256: None, digests: BTreeMap::new() })
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
        waited.map(drop).map_err(|source| DeployError::Wait { vm_id: id.to_owned(), wanted: "stopped", source })
    }
}

/// Takes out of the policy what was put there from this directory and what no host, no unfinished run and no kept version
/// needs.
pub(super) async fn revoke_unneeded(
    lock: &LockedStore,
    authorizer: &dyn super::authorize::Authorizer,
    app_id: &AppId,
    keep: u32,
) -> Result<Vec<ComposeHash>, DeployError> {
    let _turn = lock.policy_turn.lock().await;
    let name = app_id.to_string();
    let Some(ours) = lock.allowed()?.remove(&name) else { return Ok(Vec::new()) };
    let mut needed = lock.history()?.needed_hashes(&name, keep);
    needed.extend(lock.journals()?.iter().filter(|journal| journal.app_id == name).map(|journal| journal.hash));
    let mut revoked = Vec::new();
    for hash in ours.difference(&needed) {
        authorizer.revoke(app_id, hash).await.map_err(|source| DeployError::Policy {
            action: "revoke a compose hash",
            policy: authorizer.describe(),
            source,
        })?;
        lock.disclaim(&name, *hash)?;
        revoked.push(*hash);
    }
    Ok(revoked)
}

fn run_id() -> Result<String, StoreError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| StoreError::Random)?;
    Ok(hex::encode(bytes))
}
