//! One run: the steps of a plan, and what becomes of it when one fails.

mod vm;

use std::collections::BTreeMap;

use ring::rand::{SecureRandom, SystemRandom};

use crate::api::VmInfo;
use crate::app_compose::ComposeHash;
use crate::deploy::apply::{Applied, Deployment, Event, OnEvent};
use crate::deploy::compare::sha256_hex;
use crate::deploy::error::DeployError;
use crate::deploy::history::{Entry, EnvRecord};
use crate::deploy::journal::{self, Journal};
use crate::deploy::observe::Observed;
use crate::deploy::plan::{Plan, Step};
use crate::deploy::resolve::{Desired, DesiredEnv};
use crate::deploy::store::{LockedStore, StoreError};
use crate::env::{SignaturePolicy, seal, verify_env_key};
use crate::ids::AppId;

/// A run of a plan.
pub(in crate::deploy) struct Run<'r> {
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
    pub(in crate::deploy) fn new(
        deployment: Deployment<'r>,
        lock: &'r LockedStore,
        desired: &'r Desired,
        plan: &'r Plan,
        observed: &'r Observed,
        on_event: OnEvent<'r>,
    ) -> Result<Self, DeployError> {
        let before = deployment.store.journal(deployment.host)?;
        let vm = plan.vm_id.as_deref().and_then(|id| observed.candidate(id)).cloned();
        let pending =
            deployment.store.history()?.current(deployment.host).is_some_and(|entry| entry.restart_pending);
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

    pub(in crate::deploy) async fn carry_out(mut self) -> Result<Applied, DeployError> {
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
            Step::Revoke => self.revoke(Leaving::Nothing).await,
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
        // Without a note nobody would look after the policy, so the note goes last.
        if self.put_policy_back().await && self.lock.clear_journal(self.deployment.host).is_err() {
            self.note("the note of this run could not be removed; the next run does it");
        }
    }

    /// Revokes what nobody but this run needs. Returns whether that went well.
    async fn put_policy_back(&mut self) -> bool {
        let revoked = self.revoke(Leaving::Run { host: self.deployment.host }).await;
        if revoked.is_err() {
            self.note("the policy may still allow the new hash; the next run looks after it");
        }
        revoked.is_ok()
    }

    async fn seal_env(&mut self) -> Result<(), DeployError> {
        let DesiredEnv::Set(environment) = &self.desired.env else { return Ok(()) };
        let app_id = self.app_id()?;
        let answer = self.deployment.vmm.app_env_encrypt_pub_key(app_id.as_bytes()).await;
        let answer =
            answer.map_err(|source| DeployError::Vmm { action: "get the key of the environment", source })?;
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
        let Some(authorizer) = self.deployment.authorizer.filter(|_| self.desired.uses_kms()) else {
            return Ok(());
        };
        let app_id = self.app_id()?;
        let error =
            |action| move |source| DeployError::Policy { action, policy: authorizer.describe(), source };
        let hash = self.desired.hash();
        let _turn = self.lock.policy_turn.lock().await;
        if !authorizer.is_allowed(&app_id, &hash).await.map_err(error("look"))? {
            // Noted first: a hash that is allowed and not noted would never be revoked.
            self.lock.claim(&self.plan.app_id, hash)?;
            authorizer.allow(&app_id, &hash).await.map_err(error("allow the compose hash"))?;
        }
        Ok(())
    }

    async fn revoke(&mut self, leaving: Leaving<'_>) -> Result<(), DeployError> {
        let Some(authorizer) = self.deployment.authorizer else { return Ok(()) };
        let app_id = self.app_id()?;
        let keep = self.desired.keep_hashes;
        let revoked = revoke_unneeded(self.lock, authorizer, &app_id, keep, leaving).await?;
        self.revoked.extend(revoked);
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
                let amended = Entry {
                    booted: entry.booted.or(current.booted),
                    restart_pending: entry.restart_pending,
                    ..current.clone()
                };
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
        let sealed = self
            .vm
            .as_ref()
            .and_then(|vm| vm.configuration.as_ref())
            .map(|old| sha256_hex(&old.encrypted_env));
        let known = current
            .map(|current| &current.env)
            .filter(|env| env.sealed_sha256.is_some() && env.sealed_sha256 == sealed);
        known.cloned().unwrap_or(EnvRecord { sealed_sha256: None, digests: BTreeMap::new() })
    }
}

/// Whose needs no longer count when hashes are revoked.
#[derive(Clone, Copy)]
pub(in crate::deploy) enum Leaving<'a> {
    /// Everybody's count.
    Nothing,
    /// Not those of the unfinished run of a host.
    Run {
        /// Name of the host.
        host: &'a str,
    },
    /// Not those of a VM that is gone.
    Vm {
        /// Name of the host.
        host: &'a str,
        /// Id of the VM.
        id: &'a str,
    },
}

/// Takes out of the policy what was put there from this directory and what no host, no unfinished run and no kept version
/// needs.
pub(in crate::deploy) async fn revoke_unneeded(
    lock: &LockedStore,
    authorizer: &dyn crate::deploy::authorize::Authorizer,
    app_id: &AppId,
    keep: u32,
    leaving: Leaving<'_>,
) -> Result<Vec<ComposeHash>, DeployError> {
    let _turn = lock.policy_turn.lock().await;
    let name = app_id.to_string();
    let Some(ours) = lock.allowed()?.remove(&name) else { return Ok(Vec::new()) };
    let mut history = lock.history()?;
    if let Leaving::Vm { host, id } = leaving {
        history.entries.retain(|entry| entry.host != host || entry.vm_id != id);
    }
    let mut needed = history.needed_hashes(&name, keep);
    let unfinished = lock.journals()?;
    let counts = |journal: &&Journal| match leaving {
        Leaving::Nothing => true,
        Leaving::Run { host } | Leaving::Vm { host, .. } => journal.host != host,
    };
    needed.extend(unfinished.iter().filter(counts).filter(|run| run.app_id == name).map(|run| run.hash));
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
