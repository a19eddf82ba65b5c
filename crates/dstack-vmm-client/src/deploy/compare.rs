//! The differences between a VM's configuration and what should run.

use ring::digest::{SHA256, digest};

use super::change::{Change, EnvChange, compose_changes};
use super::history::EnvRecord;
use super::observe::{Observed, networking_of};
use super::plan::PlanContext;
use super::project::{GpuSelection, PortSpec};
use super::resolve::{Desired, DesiredEnv};
use crate::api::VmConfiguration;

/// The name of what a change changes, as steps and the check afterwards call it.
pub(super) fn field(change: &Change) -> &'static str {
    match change {
        Change::ComposeText { .. }
        | Change::ComposeField { .. }
        | Change::AllowedEnvs { .. }
        | Change::ComposeLayout => "app-compose",
        Change::Env(_) => "environment",
        Change::Setting { name, .. } => name,
        Change::Ports { .. } => "ports",
        Change::UserConfig { .. } => "user_config",
    }
}

pub(super) fn changes(
    desired: &Desired,
    old: &VmConfiguration,
    observed: &Observed,
    context: &PlanContext<'_>,
) -> Vec<Change> {
    let mut changes = compose_changes(&old.compose_file, desired.compose_text());
    changes.extend(env_change(desired, old, context).map(Change::Env));
    let mut setting = |name: &'static str, old: String, new: String| {
        if old != new {
            changes.push(Change::Setting { name, old, new });
        }
    };
    setting("image", old.image.clone(), desired.image.clone());
    setting("vcpu", old.vcpu.to_string(), desired.vcpu.to_string());
    setting("memory", format!("{} MiB", old.memory), format!("{} MiB", desired.memory_mib));
    setting("disk", format!("{} GiB", old.disk_size), format!("{} GiB", desired.disk_gib));
    if let Some(gpus) = &desired.gpus {
        setting("gpus", gpu_text(&current_gpus(old)), gpu_text(gpus));
    }
    if let Some(mode) = &desired.networking {
        setting("networking", current_networking(old, observed), mode.clone());
    }
    if let Some(no_tee) = desired.no_tee {
        setting("no_tee", old.no_tee.to_string(), no_tee.to_string());
    }
    let urls = |urls: &[String]| if urls.is_empty() { "node default".to_owned() } else { urls.join(", ") };
    if let Some(kms_urls) = &desired.kms_urls {
        setting("kms_urls", urls(&old.kms_urls), urls(kms_urls));
    }
    if let Some(gateway_urls) = &desired.gateway_urls {
        setting("gateway_urls", urls(&old.gateway_urls), urls(gateway_urls));
    }
    changes.extend(port_change(desired, old));
    if let Some(new) = desired.user_config.as_ref().filter(|new| **new != old.user_config) {
        changes.push(Change::UserConfig { old_bytes: old.user_config.len(), new_bytes: new.len() });
    }
    changes
}

/// For a new VM only what the reader may not expect from the project file: the names of its environment.
pub(super) fn new_vm_changes(desired: &Desired) -> Vec<Change> {
    match &desired.env {
        DesiredEnv::Set(env) if !env.is_empty() => {
            let added = env.names().map(str::to_owned).collect();
            vec![Change::Env(EnvChange { added, ..EnvChange::default() })]
        }
        _ => Vec::new(),
    }
}

fn env_change(desired: &Desired, old: &VmConfiguration, context: &PlanContext<'_>) -> Option<EnvChange> {
    let DesiredEnv::Set(env) = &desired.env else { return None };
    let names = || env.names().map(str::to_owned).collect::<Vec<_>>();
    if old.encrypted_env.is_empty() {
        return (!env.is_empty()).then(|| EnvChange { added: names(), ..EnvChange::default() });
    }
    // An environment cannot be taken away; the findings say so.
    if env.is_empty() {
        return None;
    }
    let change = match (known_env(&old.encrypted_env, context), context.digest_key) {
        (Some(known), Some(key)) => EnvChange::between(&known.digests, &key.digests(env)),
        _ => EnvChange { changed: names(), unknown: true, ..EnvChange::default() },
    };
    (!change.is_empty()).then_some(change)
}

/// What this directory knows of the environment that a VM has.
pub(super) fn known_env<'a>(sealed: &[u8], context: &'a PlanContext<'_>) -> Option<&'a EnvRecord> {
    let sha256 = sha256_hex(sealed);
    let pending = context.journal.and_then(|journal| journal.env.as_ref());
    pending
        .filter(|record| record.sealed_sha256.as_deref() == Some(sha256.as_str()))
        .or_else(|| context.history.env(&sha256))
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

/// The ports of a VM. What cannot be read as one (it was set by other means) counts as another port.
pub(super) fn current_ports(old: &VmConfiguration) -> Vec<PortSpec> {
    old.ports.iter().filter_map(|port| PortSpec::from_mapping(port).ok()).collect()
}

fn port_change(desired: &Desired, old: &VmConfiguration) -> Option<Change> {
    let mut left = current_ports(old);
    let unreadable = old.ports.len() - left.len();
    let mut added = Vec::new();
    for wanted in &desired.ports {
        match left.iter().position(|port| port.satisfies(wanted)) {
            Some(at) => drop(left.remove(at)),
            None => added.push(wanted.to_string()),
        }
    }
    let mut removed: Vec<String> = left.iter().map(ToString::to_string).collect();
    if unreadable > 0 {
        removed.push(format!("{unreadable} that cannot be read"));
    }
    (!added.is_empty() || !removed.is_empty()).then_some(Change::Ports { added, removed })
}

pub(super) fn current_networking(old: &VmConfiguration, observed: &Observed) -> String {
    let networks = match &old.networking {
        Some(network) if old.networks.is_empty() => std::slice::from_ref(network),
        _ => old.networks.as_slice(),
    };
    let mode = networking_of(networks, &observed.meta);
    // v0.5 does not say what its default is.
    if mode.is_empty() { "node default".to_owned() } else { mode }
}

pub(super) fn current_gpus(old: &VmConfiguration) -> GpuSelection {
    match &old.gpus {
        Some(gpus) if gpus.attach_mode == "all" => GpuSelection::All,
        Some(gpus) => GpuSelection::Listed(gpus.gpus.iter().map(|gpu| gpu.slot.clone()).collect()),
        None => GpuSelection::Listed(Vec::new()),
    }
}

fn gpu_text(gpus: &GpuSelection) -> String {
    match gpus {
        GpuSelection::All => "all".to_owned(),
        GpuSelection::Listed(slots) if slots.is_empty() => "none".to_owned(),
        GpuSelection::Listed(slots) => {
            let mut slots = slots.clone();
            slots.sort();
            slots.join(", ")
        }
    }
}
