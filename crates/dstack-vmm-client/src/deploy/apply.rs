//! Looking at a host, planning, and carrying a plan out.
//!
//! The order is chosen so that a run can end anywhere: secrets are sealed before anything is touched, a hash is allowed
//! before a VM needs it, all edits of a VM go in one `UpdateVm`, a version is kept when it is known to run, and what nobody
//! needs any more is revoked last. A note is written before each step; the next run reads it and goes on.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dstack_check::Status;
use futures_util::StreamExt;
use serde::Serialize;

use super::authorize::Authorizer;
use super::error::DeployError;
use super::history::Entry;
use super::observe::{Interest, NodeFacts, Observed};
use super::plan::{Plan, PlanContext, PlanKind, PolicyState, Step, Target, app_id_of, plan};
use super::resolve::Desired;
use super::run::Run;
use super::store::{LockedStore, Store};
use crate::api::StatusRequest;
use crate::app_compose::ComposeHash;
use crate::client::{Listing, Progress, VmmApi, WaitOptions, list};
use crate::ids::AppId;

/// Which VM is meant. The owned form of [`Target`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VmChoice {
    /// The one that is the app's, else a new one.
    #[default]
    Auto,
    /// The one with this id.
    Vm(String),
    /// A new one, whatever is there.
    New,
}

/// How to plan and to apply.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeployOptions {
    /// Which VM.
    pub vm: VmChoice,
    /// Start the VM anew after a change, so that the change takes effect. A change of image, CPUs, memory or disk always does.
    pub restart: bool,
    /// Start the VM when it does not run.
    pub start: bool,
    /// Wait until the app is up.
    pub wait: bool,
    /// How to wait for that.
    pub wait_options: WaitOptions,
    /// How long a guest may take to power off before it is stopped by force; zero to do that at once.
    pub shutdown_grace: Duration,
    /// How long a VM is looked for whose making was answered by nothing.
    pub look_up: Duration,
    /// Go on although what is on the data disk will be lost.
    pub accept_data_loss: bool,
    /// Seal the environment to a key of any signer. For development.
    pub danger_accept_any_signer: bool,
    /// What is known of the node beyond its answers.
    pub node: NodeFacts,
    /// The time, in seconds since the Unix epoch.
    pub now: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Default for DeployOptions {
    fn default() -> Self {
        let now =
            || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            vm: VmChoice::Auto,
            restart: true,
            start: true,
            wait: true,
            wait_options: WaitOptions::default(),
            shutdown_grace: Duration::from_secs(60),
            look_up: Duration::from_secs(10),
            accept_data_loss: false,
            danger_accept_any_signer: false,
            node: NodeFacts::default(),
            now: Arc::new(now),
        }
    }
}

impl std::fmt::Debug for DeployOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeployOptions").field("vm", &self.vm).finish_non_exhaustive()
    }
}

/// Something that happens during a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A step begins.
    Started {
        /// The step.
        #[serde(flatten)]
        step: Step,
    },
    /// A step is done.
    Finished {
        /// The step.
        #[serde(flatten)]
        step: Step,
    },
    /// The VM comes along.
    Vm {
        /// What is new: its state, a boot step, an error of the guest.
        text: String,
    },
    /// Something worth knowing.
    Note {
        /// What.
        text: String,
    },
}

impl Event {
    pub(super) fn of_progress(progress: &Progress) -> Self {
        let text = match progress {
            Progress::Status(status) => status.to_string(),
            Progress::Step { step, .. } => step.as_str().to_owned(),
            Progress::BootError { error, .. } => format!("boot error: {error}"),
            Progress::Shutdown { step, .. } => format!("shutdown: {step}"),
            Progress::Event(event) => format!("{}: {}", event.event, event.body),
            Progress::Unreachable { error } => format!("no answer: {error}"),
            Progress::Reachable => "answers again".to_owned(),
        };
        Self::Vm { text }
    }
}

/// Whoever wants to know what happens. Called between steps; it should be quick.
pub type OnEvent<'a> = &'a (dyn Fn(&Event) + Send + Sync);

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Applied {
    /// Name of the host.
    pub host: String,
    /// What was to be done.
    pub kind: PlanKind,
    /// Id of the VM.
    pub vm_id: String,
    /// App id of the VM, 40 hex digits.
    pub app_id: String,
    /// Compose hash.
    pub hash: ComposeHash,
    /// The version that is current now.
    pub version: Option<Entry>,
    /// Whether the app was seen up; `None` when nobody waited.
    pub booted: Option<bool>,
    /// Hashes that were taken out of the policy.
    pub revoked: Vec<ComposeHash>,
}

/// One app on one host.
#[derive(Clone, Copy)]
pub struct Deployment<'a> {
    pub(super) host: &'a str,
    pub(super) vmm: &'a dyn VmmApi,
    pub(super) store: &'a Store,
    pub(super) authorizer: Option<&'a dyn Authorizer>,
    pub(super) options: &'a DeployOptions,
}

impl<'a> Deployment<'a> {
    /// The app whose versions are kept in `store`, on the host called `host` there.
    pub fn new(host: &'a str, vmm: &'a dyn VmmApi, store: &'a Store, options: &'a DeployOptions) -> Self {
        Self { host, vmm, store, authorizer: None, options }
    }

    /// Gives it the policy to keep in step.
    #[must_use]
    pub fn authorizer(mut self, authorizer: &'a dyn Authorizer) -> Self {
        self.authorizer = Some(authorizer);
        self
    }

    /// Compares what should run with what does. Changes nothing, here or there.
    ///
    /// # Errors
    /// When the host or the kept versions cannot be read.
    pub async fn plan(&self, desired: &Desired) -> Result<Plan, DeployError> {
        self.look(desired).await.map(|(plan, _)| plan)
    }

    pub(super) async fn look(&self, desired: &Desired) -> Result<(Plan, Observed), DeployError> {
        let history = self.store.history()?;
        let journal = self.store.journal(self.host)?;
        let digest_key = self.store.digest_key()?;
        let target = match &self.options.vm {
            VmChoice::Auto => Target::Auto,
            VmChoice::Vm(id) => Target::Vm(id),
            VmChoice::New => Target::New,
        };
        let named = match target {
            Target::Vm(id) => Some(id),
            _ => None,
        };
        let interest = Interest::new(&desired.name, self.host, &history, journal.as_ref(), named);
        let observed = observe(self.vmm, &interest, desired.gpus.is_some()).await?;
        let mut context = PlanContext::new(self.host, self.vmm.endpoint(), &history);
        context.journal = journal.as_ref();
        context.digest_key = digest_key.as_ref();
        context.node = self.options.node.clone();
        context.target = target;
        context.restart = self.options.restart;
        context.start = self.options.start;
        context.wait = self.options.wait;
        context.accept_data_loss = self.options.accept_data_loss;
        context.danger_accept_any_signer = self.options.danger_accept_any_signer;
        if self.authorizer.is_some() && !desired.uses_kms() {
            // Nothing has to be allowed; what once was may have to go.
            context.policy = PolicyState::Managed { allowed: true };
        }
        if let Some(authorizer) = self.authorizer.filter(|_| desired.uses_kms()) {
            let app_id = app_id_of(desired, &observed, &context);
            let asked = match app_id.parse::<AppId>() {
                Ok(app_id) => authorizer.is_allowed(&app_id, &desired.hash()).await,
                // An app id that cannot be read is in no policy.
                Err(_) => Ok(false),
            };
            let allowed = asked.map_err(|source| DeployError::Policy {
                action: "look",
                policy: authorizer.describe(),
                source,
            })?;
            context.policy = PolicyState::Managed { allowed };
        }
        Ok((plan(desired, &observed, &context), observed))
    }

    /// Carries a plan out. With nothing to do it does nothing; what a broken-off run left is finished first of all.
    ///
    /// The future may be dropped at any point: the next run goes on from there.
    ///
    /// # Errors
    /// See [`DeployError`]. After [`Blocked`](DeployError::Blocked) and [`Outdated`](DeployError::Outdated) nothing was done.
    pub async fn apply(
        &self,
        lock: &LockedStore,
        desired: &Desired,
        planned: &Plan,
        on_event: OnEvent<'_>,
    ) -> Result<Applied, DeployError> {
        self.apply_fingerprint(lock, desired, &planned.fingerprint, on_event).await
    }

    /// As [`apply`](Self::apply), for a plan of which only the [fingerprint](Plan::fingerprint) was kept: one that was printed as
    /// JSON, looked at and agreed to elsewhere.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub async fn apply_fingerprint(
        &self,
        lock: &LockedStore,
        desired: &Desired,
        fingerprint: &str,
        on_event: OnEvent<'_>,
    ) -> Result<Applied, DeployError> {
        let (now, observed) = self.look(desired).await?;
        if now.fingerprint != fingerprint {
            return Err(DeployError::Outdated { host: self.host.to_owned(), now: Box::new(now) });
        }
        if now.kind == PlanKind::Conflict {
            let findings =
                now.findings.into_iter().filter(|finding| finding.status == Status::Fail).collect();
            return Err(DeployError::Blocked { findings });
        }
        if now.kind == PlanKind::Nothing {
            let history = self.store.history()?;
            return Ok(Applied {
                host: self.host.to_owned(),
                kind: now.kind,
                vm_id: now.vm_id.unwrap_or_default(),
                app_id: now.app_id,
                hash: desired.hash(),
                version: history.current(self.host).cloned(),
                booted: None,
                revoked: Vec::new(),
            });
        }
        Run::new(*self, lock, desired, &now, &observed, on_event)?.carry_out().await
    }

    /// Removes the app's VM and its disk, waits until it is gone, and revokes what was allowed for it from here.
    ///
    /// # Errors
    /// See [`DeployError`]. [`Gone`](DeployError::Gone) when there is no VM to remove.
    pub async fn remove(
        &self,
        lock: &LockedStore,
        vm_id: &str,
        on_event: OnEvent<'_>,
    ) -> Result<Vec<ComposeHash>, DeployError> {
        super::retire::remove(self, lock, vm_id, on_event).await
    }
}

/// Asks a host everything a plan needs.
///
/// # Errors
/// When one of the questions is not answered.
pub async fn observe(vmm: &dyn VmmApi, interest: &Interest, gpus: bool) -> Result<Observed, DeployError> {
    let call = |action: &'static str| move |source: crate::Error| DeployError::Vmm { action, source };
    let server = vmm.version().await.map_err(call("ask for the version"))?;
    let meta = vmm.meta().await.map_err(call("ask what the node offers"))?;
    let images = vmm.list_images().await.map_err(call("list the images"))?;
    let mut observed = Observed::new(server, meta, images);
    if gpus {
        observed.gpus = Some(vmm.list_gpus().await.map_err(call("list the GPUs"))?);
    }
    let first = StatusRequest { brief: true, page: 1, page_size: 1, ..StatusRequest::default() };
    observed.port_mapping_enabled =
        vmm.status(&first).await.map_err(call("list the VMs"))?.port_mapping_enabled;
    let mut vms = std::pin::pin!(list(vmm, Listing::default()));
    while let Some(vm) = vms.next().await {
        observed.add_vms(interest, [vm.map_err(call("list the VMs"))?]);
    }
    Ok(observed)
}
