//! The way from what runs to what should, before anything is done.
//!
//! As JSON a [`Plan`] is one object with the fields of the struct under their own names and [`SCHEMA`] as `schema`. Variants
//! of [`Change`], [`Consequence`] and [`Step`] are objects with `kind` or `step`, in lower case with hyphens; diffs are lists
//! of hunks; hashes are hex; fields may be added within a version of the schema, not renamed or removed.

use std::collections::BTreeMap;

use dstack_check::{Finding, Status};
use serde::Serialize;

use super::change::{Change, Consequence};
use super::compare::{changes, field, new_vm_changes, sha256_hex};
use super::history::{DigestKey, History};
use super::journal::Journal;
use super::judge;
use super::observe::{NodeFacts, Observed, has_process, hash_of, status};
use super::resolve::Desired;
use super::select::select;
use crate::api::{VmConfiguration, VmInfo};
use crate::app_compose::ComposeHash;
use crate::vm::VmStatus;

/// What the `schema` field of a plan says.
pub const SCHEMA: &str = "dstack-vmm-client/plan/v1";

/// What a plan comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PlanKind {
    /// A VM is made.
    Create,
    /// A VM is changed or started.
    Update,
    /// Nothing changes on the host; a broken-off run is finished, or a VM that is right already is taken note of.
    Settle,
    /// Everything is as it should be.
    Nothing,
    /// Something stands in the way; the failed findings say what.
    Conflict,
}

/// Something a run does, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Makes the policy allow the compose hash.
    Authorize {
        /// The hash.
        hash: ComposeHash,
    },
    /// Gets the key of the app's environment, checks who signed it, and seals.
    SealEnv {
        /// Names of the variables.
        names: Vec<String>,
    },
    /// Stops the VM, so that it can be changed.
    Stop,
    /// Makes the VM.
    Create,
    /// Changes the VM, all at once.
    Update {
        /// What is changed.
        fields: Vec<&'static str>,
    },
    /// Starts the VM anew.
    Restart,
    /// Starts the VM.
    Start,
    /// Reads the VM back and compares.
    Verify,
    /// Waits until the app is up.
    WaitUp,
    /// Keeps the version.
    Record,
    /// Takes hashes that nothing needs any more out of the policy.
    Revoke,
}

/// Old and new compose hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HashChange {
    /// What runs; `None` when nothing does.
    pub old: Option<ComposeHash>,
    /// What should.
    pub new: ComposeHash,
}

/// What a run would do, why, and what stands in its way. Serialises as documented, versioned JSON.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Name of the host.
    pub host: String,
    /// Endpoint of its VMM.
    pub endpoint: String,
    /// Version of the VMM, as it says.
    pub server_version: String,
    /// Name of the app.
    pub name: String,
    /// What the plan comes to.
    pub kind: PlanKind,
    /// The VM; `None` when one is made.
    pub vm_id: Option<String>,
    /// Its status.
    pub vm_status: Option<String>,
    /// Compose hash, old and new.
    pub hash: HashChange,
    /// App id, 40 hex digits.
    pub app_id: String,
    /// What changes.
    pub changes: Vec<Change>,
    /// What follows.
    pub consequences: Vec<Consequence>,
    /// What was checked and is worth saying. A failed one stands in the way.
    pub findings: Vec<Finding>,
    /// What a run does.
    pub steps: Vec<Step>,
    /// SHA-256 over what the plan is about and the VM's whole configuration. A run is refused when it no longer comes out the
    /// same.
    pub fingerprint: String,
}

impl Plan {
    /// The findings that stand in the way.
    pub fn conflicts(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.status == Status::Fail)
    }

    /// Whether there is anything to do.
    pub fn is_nothing(&self) -> bool {
        self.kind == PlanKind::Nothing
    }
}

/// Which VM to plan for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target<'a> {
    /// The one that is the app's, else a new one.
    #[default]
    Auto,
    /// The one with this id.
    Vm(&'a str),
    /// A new one, whatever is there.
    New,
}

/// Whether the policy allows the new hash, and who can change that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyState {
    /// It is not known here: somebody else governs it.
    #[default]
    Unknown,
    /// It is known here and this run can change it.
    Managed {
        /// Whether it allows the hash for the app already. Of no meaning for an app without a KMS.
        allowed: bool,
    },
}

/// What a plan is made under, beside what should run and what does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlanContext<'a> {
    /// Name of the host.
    pub host: &'a str,
    /// Endpoint of its VMM.
    pub endpoint: &'a str,
    /// Kept versions.
    pub history: &'a History,
    /// What a broken-off run left.
    pub journal: Option<&'a Journal>,
    /// Key of the digests of environment values; without it an environment always counts as changed.
    pub digest_key: Option<&'a DigestKey>,
    /// What else is known of the node.
    pub node: NodeFacts,
    /// Which VM.
    pub target: Target<'a>,
    /// What is known of the policy.
    pub policy: PolicyState,
    /// Start the VM anew after a change, so that the change takes effect. True unless said otherwise.
    pub restart: bool,
    /// Start the VM when it does not run. True unless said otherwise.
    pub start: bool,
    /// Wait until the app is up. True unless said otherwise.
    pub wait: bool,
    /// Go on although what is on the data disk will be lost.
    pub accept_data_loss: bool,
    /// Seal the environment to a key of any signer. For development.
    pub danger_accept_any_signer: bool,
}

impl<'a> PlanContext<'a> {
    /// A context with the usual choices.
    pub fn new(host: &'a str, endpoint: &'a str, history: &'a History) -> Self {
        Self {
            host,
            endpoint,
            history,
            journal: None,
            digest_key: None,
            node: NodeFacts::default(),
            target: Target::Auto,
            policy: PolicyState::Unknown,
            restart: true,
            start: true,
            wait: true,
            accept_data_loss: false,
            danger_accept_any_signer: false,
        }
    }
}

/// Plans the way from what runs to what should. The same arguments give the same plan.
pub fn plan(desired: &Desired, observed: &Observed, context: &PlanContext<'_>) -> Plan {
    let selected = select(desired, observed, context);
    let vm = selected.vm;
    let old = vm.and_then(|vm| vm.configuration.as_ref());
    let mut findings = selected.findings;

    let changes = match old {
        Some(old) => changes(desired, old, observed, context),
        None => new_vm_changes(desired),
    };
    findings.extend(judge::findings(desired, observed, context, vm, &changes));
    let conflict = findings.iter().any(|finding| finding.status == Status::Fail);

    let runs = vm.is_some_and(has_process);
    let restart_due = vm.is_some()
        && (context.journal.is_some_and(|journal| journal.restart_due)
            || context.history.current(context.host).is_some_and(|entry| entry.restart_pending));
    let start = vm.is_some_and(|vm| status(vm) == VmStatus::Stopped) && context.start;
    let recorded = context
        .history
        .current(context.host)
        .is_some_and(|entry| vm.is_some_and(|vm| vm.id == entry.vm_id) && entry.hash == desired.hash());
    let kind = if conflict {
        PlanKind::Conflict
    } else if vm.is_none() {
        PlanKind::Create
    } else if !changes.is_empty() || start || (restart_due && context.restart) {
        PlanKind::Update
    } else if context.journal.is_some() || !recorded {
        PlanKind::Settle
    } else {
        PlanKind::Nothing
    };

    let app_id = match vm {
        Some(vm) => vm.app_id.clone(),
        None => desired.new_app_id().to_string(),
    };
    let moves = Moves {
        stop_first: runs && changes.iter().any(needs_stop),
        restart: runs && context.restart && (!changes.is_empty() || restart_due),
        start: start || (restart_due && !runs && context.start),
    };
    let consequences = consequences(desired, context, vm, &changes, moves);
    let steps = match kind {
        PlanKind::Conflict | PlanKind::Nothing => Vec::new(),
        _ => steps(desired, context, vm, &changes, moves),
    };
    let mut plan = Plan {
        schema: SCHEMA,
        host: context.host.to_owned(),
        endpoint: context.endpoint.to_owned(),
        server_version: observed.server.version.clone(),
        name: desired.name.clone(),
        kind,
        vm_id: vm.map(|vm| vm.id.clone()),
        vm_status: None,
        hash: HashChange { old: vm.and_then(hash_of), new: desired.hash() },
        app_id,
        changes,
        consequences,
        findings,
        steps,
        fingerprint: String::new(),
    };
    plan.fingerprint = fingerprint(&plan, runs, old);
    // Left out of the fingerprint, too: a VM that crashes and is started again goes through several.
    plan.vm_status = vm.map(|vm| vm.status.clone());
    plan
}

/// The app id that a plan is about: that of the VM, else that of a VM made now. It is what a policy has to be asked for before
/// the plan is made.
pub fn app_id_of(desired: &Desired, observed: &Observed, context: &PlanContext<'_>) -> String {
    match select(desired, observed, context).vm {
        Some(vm) => vm.app_id.clone(),
        None => desired.new_app_id().to_string(),
    }
}

/// How a VM gets from running with the old to running with the new.
#[derive(Clone, Copy)]
struct Moves {
    stop_first: bool,
    restart: bool,
    start: bool,
}

/// Whether the VMM makes this change only to a stopped VM.
fn needs_stop(change: &Change) -> bool {
    matches!(change, Change::Setting { name: "image" | "vcpu" | "memory" | "disk", .. })
}

fn consequences(
    desired: &Desired,
    context: &PlanContext<'_>,
    vm: Option<&VmInfo>,
    changes: &[Change],
    moves: Moves,
) -> Vec<Consequence> {
    let mut found = Vec::new();
    let hash = desired.hash();
    let new_hash = vm.and_then(hash_of) != Some(hash);
    if vm.is_none() {
        found.push(Consequence::NewVm);
    } else if moves.stop_first {
        found.push(Consequence::StopFirst);
    } else if moves.restart {
        found.push(Consequence::Restart);
    } else if moves.start {
        found.push(Consequence::Start);
    } else if !changes.is_empty() && vm.is_some_and(has_process) {
        found.push(Consequence::RestartLater);
    }
    if desired.uses_kms() {
        match context.policy {
            PolicyState::Managed { allowed: false } => found.push(Consequence::NewAllowListEntry { hash }),
            PolicyState::Unknown if new_hash => found.push(Consequence::AllowListEntryNeeded { hash }),
            PolicyState::Managed { allowed: true } | PolicyState::Unknown => {}
        }
    }
    let fields: Vec<&str> = changes.iter().map(field).collect();
    let lost = judge::lost_keys(desired, vm, &fields);
    if vm.is_some() && new_hash && desired.uses_kms() && lost.is_empty() {
        found.push(Consequence::SameKeys);
    }
    found.extend(lost);
    found
}

fn steps(
    desired: &Desired,
    context: &PlanContext<'_>,
    vm: Option<&VmInfo>,
    changes: &[Change],
    moves: Moves,
) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(env) = changes.iter().find_map(|change| match change {
        Change::Env(env) => Some(env),
        _ => None,
    }) {
        let mut names: Vec<String> =
            [&env.added, &env.changed, &env.unchanged].into_iter().flatten().cloned().collect();
        names.sort();
        steps.push(Step::SealEnv { names });
    }
    if desired.uses_kms() && context.policy == (PolicyState::Managed { allowed: false }) {
        steps.push(Step::Authorize { hash: desired.hash() });
    }
    let mut waits = context.wait;
    if vm.is_none() {
        steps.push(Step::Create);
        waits &= context.start;
    } else {
        if moves.stop_first {
            steps.push(Step::Stop);
        }
        if !changes.is_empty() {
            let fields: BTreeMap<&'static str, ()> =
                changes.iter().map(|change| (field(change), ())).collect();
            steps.push(Step::Update { fields: fields.into_keys().collect() });
        }
        let restarted = if moves.stop_first {
            // It ran before, so it runs after, whatever was said about restarts: leaving it down would be worse.
            steps.push(Step::Start);
            true
        } else if moves.restart {
            steps.push(Step::Restart);
            true
        } else if moves.start {
            steps.push(Step::Start);
            true
        } else {
            vm.is_some_and(has_process)
        };
        waits &= restarted;
    }
    if !changes.is_empty() || vm.is_none() {
        steps.push(Step::Verify);
    }
    if waits {
        steps.push(Step::WaitUp);
    }
    steps.push(Step::Record);
    if context.policy != PolicyState::Unknown {
        steps.push(Step::Revoke);
    }
    steps
}

/// A digest of what the plan is about and of the configuration that it was made against.
///
/// Whether the policy allows the hash is left out: of several hosts that are planned together one makes it so for all.
fn fingerprint(plan: &Plan, runs: bool, old: Option<&VmConfiguration>) -> String {
    let conflicts: Vec<&Finding> = plan.conflicts().collect();
    let about = (
        (&plan.host, &plan.endpoint, &plan.name, plan.kind, &plan.vm_id, &plan.hash, &plan.app_id),
        (&plan.changes, conflicts, runs, old),
    );
    // All of it is texts, numbers and lists, which always have a JSON form.
    sha256_hex(&serde_json::to_vec(&about).unwrap_or_default())
}
