//! What stands in the way of a plan, or should be known before it is carried out.

use std::net::Ipv4Addr;

use dstack_check::{Finding, Fix, Status};

use super::change::{Change, Consequence};
use super::checks;
use super::compare::{current_gpus, current_networking, current_ports, field, known_env};
use super::observe::{Observed, TakenPort, networking_of};
use super::plan::PlanContext;
use super::project::{GpuSelection, PortSpec};
use super::resolve::{Desired, DesiredEnv};
use crate::DstackVersion;
use crate::api::{VmConfiguration, VmInfo};
use crate::app_compose::{AppCompose, KeyProvider, lint};

/// Everything worth saying about the way from what runs to what should.
pub(super) fn findings(
    desired: &Desired,
    observed: &Observed,
    context: &PlanContext<'_>,
    vm: Option<&VmInfo>,
    changes: &[Change],
) -> Vec<Finding> {
    let old = vm.and_then(|vm| vm.configuration.as_ref());
    let mut findings = state(context, observed);
    let worth_saying = |finding: &Finding| !matches!(finding.status, Status::Pass | Status::NotApplicable);
    findings.extend(lint(desired.compose.bytes(), observed.version).into_iter().filter(worth_saying));
    findings.extend(image(desired, observed));
    findings.extend(fixed(desired, observed, vm));
    findings.extend(app_id(desired, observed, context, vm));
    findings.extend(ports(desired, observed, context, old));
    findings.extend(bridge(desired, observed, old));
    findings.extend(resources(desired, observed, old));
    findings.extend(gpus(desired, observed, old));
    findings.extend(services(desired, observed, old));
    findings.extend(env(desired, context, old, changes));
    findings.extend(user_config(desired, observed.version, old));
    findings.extend(data(desired, context, vm, changes));
    findings
}

fn state(context: &PlanContext<'_>, observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    if observed.version_is_a_guess {
        findings.push(
            checks::VERSION
                .warn()
                .observed(format!("the VMM says {:?}", observed.server.version))
                .expected(format!("0.5 or 0.6; it is treated as {}", observed.version)),
        );
    }
    if let Some(journal) = context.journal {
        findings.push(
            checks::JOURNAL
                .warn()
                .observed(format!("run {} was broken off at: {}", journal.run, journal.step))
                .expected("this run goes on from there"),
        );
    }
    for damage in &context.history.damaged {
        findings.push(checks::HISTORY.warn().observed(format!("{}: {}", damage.path, damage.reason)));
    }
    findings
}

fn image(desired: &Desired, observed: &Observed) -> Option<Finding> {
    match observed.images.iter().find(|image| image.name == desired.image) {
        Some(image) if image.is_dev => Some(checks::IMAGE.warn().observed(format!(
            "{} is a development image: whoever controls the host can log in",
            image.name
        ))),
        Some(_) => None,
        None => {
            let names: Vec<&str> = observed.images.iter().map(|image| image.name.as_str()).collect();
            let there = if names.is_empty() { "no image".to_owned() } else { names.join(", ") };
            Some(
                checks::IMAGE
                    .fail()
                    .observed(format!("the host does not have {}; it has {there}", desired.image))
                    .fix(Fix::new("name an image that is there, or have the host pull this one")),
            )
        }
    }
}

/// What an existing VM cannot get any more.
fn fixed(desired: &Desired, observed: &Observed, vm: Option<&VmInfo>) -> Vec<Finding> {
    let Some((vm, old)) = vm.and_then(|vm| Some((vm, vm.configuration.as_ref()?))) else { return Vec::new() };
    let mut findings = Vec::new();
    let mut differs = |what: &str, is: String, wanted: String| {
        if is != wanted {
            findings.push(
                checks::FIXED
                    .fail()
                    .observed(format!("{what} of VM {} is {is}", vm.id))
                    .expected(wanted)
                    .fix(Fix::new(format!("set {what} back, or make a new VM"))),
            );
        }
    };
    differs("name", vm.name.clone(), desired.name.clone());
    if let Some(app_id) = desired.app_id {
        differs("app_id", vm.app_id.to_ascii_lowercase(), app_id.to_string());
    }
    if let Some(hugepages) = desired.hugepages {
        differs("hugepages", old.hugepages.to_string(), hugepages.to_string());
    }
    if let Some(pin_numa) = desired.pin_numa {
        differs("pin_numa", old.pin_numa.to_string(), pin_numa.to_string());
    }
    if let Some(mode) =
        desired.networking.as_ref().filter(|_| !observed.version.capabilities().multiple_networks)
    {
        differs("networking", current_networking(old, observed), mode.clone());
    }
    findings
}

/// Where the app id is another one than the reader may expect.
fn app_id(
    desired: &Desired,
    observed: &Observed,
    context: &PlanContext<'_>,
    vm: Option<&VmInfo>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let new = desired.new_app_id().to_string();
    if vm.is_none() && desired.app_id.is_none() {
        // What ran here before, or runs elsewhere, was made from another app-compose.
        let last =
            context.history.entries.iter().rev().find(|entry| entry.host == context.host || !entry.removed);
        if let Some(known) = last.filter(|known| !known.removed && known.app_id != new) {
            findings.push(
                checks::APP_ID
                    .warn()
                    .observed(format!(
                        "the new VM becomes app {new}; version #{} on {} is app {}",
                        known.seq, known.host, known.app_id
                    ))
                    .fix(Fix::new(format!(
                        "for the same keys as there, write app_id = \"{}\" into the project",
                        known.app_id
                    ))),
            );
        }
    }
    let claimed = vm.map_or(new, |vm| vm.app_id.to_ascii_lowercase());
    let measured = desired.compose.default_app_id().to_string();
    let capabilities = observed.version.capabilities();
    if !capabilities.explicit_app_id_always_measured && !desired.uses_kms() && claimed != measured {
        findings.push(checks::APP_ID.warn().observed(format!(
            "without a KMS dstack {} measures app id {measured}, whatever the VM is called by ({claimed})",
            observed.version
        )));
    }
    findings
}

fn ports(
    desired: &Desired,
    observed: &Observed,
    context: &PlanContext<'_>,
    old: Option<&VmConfiguration>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let default = context.node.default_host_address;
    if !desired.ports.is_empty() && !observed.port_mapping_enabled {
        findings.push(checks::PORTS.fail().observed("the node publishes no ports").fix(Fix::new(
            "set enabled = true in [cvm.port_mapping] of the node's vmm.toml, or publish none",
        )));
    }
    for (at, port) in desired.ports.iter().enumerate() {
        if let Some(other) = desired.ports[..at].iter().find(|other| other.clashes_with(port, default)) {
            findings
                .push(checks::PORTS.fail().observed(format!("{port} and {other} take the same host port")));
        }
        let ranges = context.node.port_ranges.as_deref().unwrap_or_default();
        if context.node.port_ranges.is_some() && !ranges.iter().any(|range| range.allows(port)) {
            let allowed: Vec<String> = ranges
                .iter()
                .map(|range| format!("{} {}-{}", range.protocol, range.from, range.to))
                .collect();
            findings.push(
                checks::PORTS
                    .fail()
                    .observed(format!("host port of {port} is outside the node's ranges"))
                    .expected(if allowed.is_empty() {
                        "no port is allowed".to_owned()
                    } else {
                        allowed.join(", ")
                    })
                    .fix(Fix::new(
                        "take a port in a range, or widen cvm.port_mapping.range in the node's vmm.toml",
                    )),
            );
        }
        findings.extend(taken(port, observed, context));
    }
    if let Some(old) = old {
        let known = current_ports(old);
        let guessed = desired
            .ports
            .iter()
            .filter(|port| port.host_address.is_none() && default.is_none())
            .find(|port| !known.iter().any(|old| old.satisfies(port)));
        if let Some(port) = guessed {
            findings.push(
                checks::PORTS
                    .warn()
                    .observed(format!(
                        "{port} has no address, and a VM that exists must be given one; 127.0.0.1 is used"
                    ))
                    .fix(Fix::new("write the address of the host into the port")),
            );
        }
    }
    findings
}

/// Another VM on the port. Next refuses it when the VM is made, v0.5 lets QEMU fail at start.
///
/// Where the node's default address is not known it is taken to be the one of a node that sets none.
fn taken(port: &PortSpec, observed: &Observed, context: &PlanContext<'_>) -> Option<Finding> {
    let default = context.node.default_host_address.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let mut others: Vec<&TakenPort> =
        observed.other_ports.iter().filter(|other| other.port.clashes_with(port, Some(default))).collect();
    others.sort_by_key(|other| !other.running);
    let other = others.first()?;
    let refused = observed.version.capabilities().port_conflicts_refused || other.running;
    let finding = if refused { checks::PORT_FREE.fail() } else { checks::PORT_FREE.warn() };
    let state = if other.running { "running" } else { "stopped" };
    let observed =
        format!("{port} is taken by VM {} ({}, {state}): {}", other.vm_id, other.vm_name, other.port);
    let finding = finding.observed(observed);
    Some(if refused {
        finding.fix(Fix::new("take another host port, or remove the port from the other VM"))
    } else {
        finding.fix(Fix::new("do not start both: the second one's QEMU fails"))
    })
}

fn bridge(desired: &Desired, observed: &Observed, old: Option<&VmConfiguration>) -> Option<Finding> {
    let mode = match (&desired.networking, old) {
        (Some(mode), _) => mode.clone(),
        (None, Some(old)) => current_networking(old, observed),
        (None, None) => networking_of(&[], &observed.meta),
    };
    if mode != "bridge" || desired.ports.is_empty() {
        return None;
    }
    let text = "published ports do nothing on a bridge, although the VMM goes on listing them";
    Some(match observed.version {
        DstackVersion::V0_5 => checks::BRIDGE.warn().observed(format!(
            "{text}, unless forward_service_enabled is set in the node's [cvm.networking]"
        )),
        _ => checks::BRIDGE.fail().observed(text).fix(Fix::new(
            "use networking = \"user\", or take the ports out and reach the VM by its own address",
        )),
    })
}

fn resources(desired: &Desired, observed: &Observed, old: Option<&VmConfiguration>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(old) = old.filter(|old| desired.disk_gib < old.disk_size) {
        findings.push(
            checks::DISK
                .fail()
                .observed(format!("the disk has {} GiB", old.disk_size))
                .expected(format!("at most {} GiB, as the project says", desired.disk_gib))
                .fix(Fix::new(format!("set disk = \"{}G\", or make a new VM", old.disk_size))),
        );
    }
    if let Some(limits) = &observed.meta.resources {
        let mut over = |what: &str, wanted: u32, limit: u32| {
            if limit > 0 && wanted > limit {
                findings.push(
                    checks::CAPACITY
                        .warn()
                        .observed(format!("{wanted} {what} are asked for"))
                        .expected(format!("at most {limit}, as the node says without enforcing it")),
                );
            }
        };
        over("virtual CPUs", desired.vcpu, limits.max_allocable_vcpu);
        over("MiB of memory", desired.memory_mib, limits.max_allocable_memory_in_mb);
    }
    findings
}

fn gpus(desired: &Desired, observed: &Observed, old: Option<&VmConfiguration>) -> Vec<Finding> {
    let (Some(wanted), Some(host)) = (&desired.gpus, &observed.gpus) else { return Vec::new() };
    let mine = old.map(current_gpus);
    let fail = |observed: String| checks::GPU.fail().observed(observed);
    match wanted {
        GpuSelection::All if host.gpus.is_empty() => vec![fail("the node offers no GPUs".to_owned())],
        GpuSelection::All if !host.allow_attach_all => {
            vec![fail("the node does not give all GPUs to one VM".to_owned()).fix(Fix::new("list the GPUs"))]
        }
        GpuSelection::All => Vec::new(),
        GpuSelection::Listed(slots) => {
            let judge = |slot: &String| {
                let is_mine = match &mine {
                    Some(GpuSelection::All) => true,
                    Some(GpuSelection::Listed(mine)) => mine.contains(slot),
                    None => false,
                };
                let there: Vec<&str> = host.gpus.iter().map(|gpu| gpu.slot.as_str()).collect();
                match host.gpus.iter().find(|gpu| gpu.slot == *slot) {
                    None if there.is_empty() => Some(fail("the node offers no GPUs".to_owned())),
                    None => Some(fail(format!("there is no GPU at {slot}")).expected(there.join(", "))),
                    Some(gpu) if !gpu.is_free && !is_mine => {
                        Some(fail(format!("the GPU at {slot} belongs to another VM")))
                    }
                    Some(_) => None,
                }
            };
            slots.iter().filter_map(judge).collect()
        }
    }
}

/// URLs come from the project, else from the VM, else from the node. Where all are silent the guest has none.
fn services(desired: &Desired, observed: &Observed, old: Option<&VmConfiguration>) -> Vec<Finding> {
    let node_kms = observed.meta.kms.as_ref().map(|kms| kms.urls.as_slice()).unwrap_or_default();
    let node_gateway =
        observed.meta.gateway.as_ref().map(|gateway| gateway.urls.as_slice()).unwrap_or_default();
    let kms = desired.kms_urls.as_deref().or(old.map(|old| old.kms_urls.as_slice())).unwrap_or_default();
    let gateway =
        desired.gateway_urls.as_deref().or(old.map(|old| old.gateway_urls.as_slice())).unwrap_or_default();
    let mut findings = Vec::new();
    let mut need = |used: bool, what: &str, section: &str, own: &[String], node: &[String]| {
        if used && own.is_empty() && node.is_empty() {
            findings.push(
                checks::SERVICES
                    .warn()
                    .observed(format!("the app uses a {what}, and neither the project nor the node names one"))
                    .fix(Fix::new(format!("write urls into [{section}] of the project, or cvm.{section}_urls into the node's vmm.toml"))),
            );
        }
    };
    need(desired.uses_kms(), "KMS", "kms", kms, node_kms);
    need(desired.compose.fields().uses_gateway(), "gateway", "gateway", gateway, node_gateway);
    findings
}

fn env(
    desired: &Desired,
    context: &PlanContext<'_>,
    old: Option<&VmConfiguration>,
    changes: &[Change],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let sealed = old.map(|old| old.encrypted_env.as_slice()).unwrap_or_default();
    match &desired.env {
        DesiredEnv::Set(env) if env.is_empty() && !sealed.is_empty() => findings.push(
            checks::ENV
                .fail()
                .observed("the VM has an environment, and a VMM cannot take one away")
                .fix(Fix::new("keep at least one variable in the file, or make a new VM")),
        ),
        DesiredEnv::Set(env) if !env.is_empty() && !desired.uses_kms() => findings.push(
            checks::ENV
                .fail()
                .observed("the app-compose uses no KMS, and nobody else can open a sealed environment")
                .fix(Fix::new(
                    "enable the KMS in the app-compose, or pass what is not secret in the Compose file",
                )),
        ),
        DesiredEnv::Keep if !sealed.is_empty() => {
            let known = known_env(sealed, context);
            let allowed = &desired.compose.fields().allowed_envs;
            let dropped: Vec<&str> = known
                .map(|record| record.digests.keys().map(String::as_str))
                .into_iter()
                .flatten()
                .filter(|name| !allowed.iter().any(|allowed| allowed == name))
                .collect();
            if !dropped.is_empty() {
                findings.push(
                    checks::ENV
                        .warn()
                        .observed(format!("allowed_envs leaves out what the VM has: {}", dropped.join(", "))),
                );
            }
        }
        DesiredEnv::Set(_) | DesiredEnv::Keep => {}
    }
    // A new VM gets no values from anywhere else.
    let no_values = old.is_none() && matches!(desired.env, DesiredEnv::Keep);
    let without_value =
        if no_values { &desired.compose.fields().allowed_envs } else { &desired.env_without_value };
    if !without_value.is_empty() {
        let names = without_value.join(", ");
        findings.push(checks::ENV.warn().observed(format!("allowed and without a value: {names}")));
    }
    for note in &desired.env_notes {
        findings.push(checks::ENV.warn().observed(note.to_string()));
    }
    let seals = changes.iter().any(|change| matches!(change, Change::Env(_)));
    if seals && desired.uses_kms() && desired.signers.is_empty() {
        let finding = if context.danger_accept_any_signer {
            checks::ENV_SIGNER
                .warn()
                .observed("any signer is accepted, so that whoever controls the VMM can read the environment")
        } else {
            checks::ENV_SIGNER
                .fail()
                .observed("no signer is pinned, so that whoever controls the VMM could read the environment")
                .fix(Fix::new("write the public key of the KMS into signers of [kms]; it is k256_pubkey in the answer of the KMS's GetMeta"))
        };
        findings.push(finding);
    }
    findings
}

fn user_config(desired: &Desired, version: DstackVersion, old: Option<&VmConfiguration>) -> Option<Finding> {
    let new = desired.user_config.as_ref()?;
    let limit = version.capabilities().max_user_config_bytes;
    if new.len() > limit {
        let observed = format!("the user config has {} bytes", new.len());
        return Some(
            checks::USER_CONFIG
                .fail()
                .observed(observed)
                .expected(format!("at most {limit} bytes, or the guest does not boot")),
        );
    }
    let cleared = new.is_empty() && old.is_some_and(|old| !old.user_config.is_empty());
    cleared.then(|| {
        checks::USER_CONFIG
            .fail()
            .observed("the VM has a user config, and a VMM cannot take one away")
            .fix(Fix::new("put something harmless into the file, such as {}, or make a new VM"))
    })
}

const EMPTY_DISK_EVERY_BOOT: &str = "without a key provider every boot begins with an empty disk";

/// What a change does to keys and data, by the key provider (upstream `dstack-util/src/system_setup.rs`).
pub(super) fn lost_keys(desired: &Desired, vm: Option<&VmInfo>, fields: &[&str]) -> Vec<Consequence> {
    let Some(old) = vm.and_then(|vm| vm.configuration.as_ref()) else { return Vec::new() };
    let new_provider = desired.compose.fields().key_provider_kind();
    let old_provider = match AppCompose::parse_as_server(&old.compose_file, DstackVersion::Next)
        .or_else(|_| AppCompose::parse_as_server(&old.compose_file, DstackVersion::V0_5))
    {
        Ok(old) => old.key_provider_kind(),
        // Whoever cannot be read cannot be compared.
        Err(_) => new_provider,
    };
    let mut found = Vec::new();
    if old_provider != new_provider {
        let because = "the key provider is another one";
        found.push(Consequence::NewKeys { because });
        found.push(Consequence::DataLost { because });
        return found;
    }
    let measured =
        |name: &&str| matches!(*name, "app-compose" | "image" | "vcpu" | "memory" | "gpus" | "networking");
    match new_provider {
        KeyProvider::Local if fields.iter().any(measured) => {
            let because = "the local key provider seals to the measurements, which change";
            found.push(Consequence::NewKeys { because });
            found.push(Consequence::DataLost { because });
        }
        KeyProvider::None if !fields.is_empty() => {
            let because = EMPTY_DISK_EVERY_BOOT;
            found.push(Consequence::NewInstanceId);
            found.push(Consequence::DataLost { because });
        }
        _ => {}
    }
    found
}

fn data(
    desired: &Desired,
    context: &PlanContext<'_>,
    vm: Option<&VmInfo>,
    changes: &[Change],
) -> Option<Finding> {
    let fields: Vec<&str> = changes.iter().map(field).collect();
    let because = lost_keys(desired, vm, &fields).into_iter().find_map(|found| match found {
        Consequence::DataLost { because } => Some(because),
        _ => None,
    })?;
    // A disk that is made anew at every boot holds nothing to lose, and an accepted loss stands in the way of nothing; the
    // consequences name both.
    let holds_nothing =
        desired.compose.fields().key_provider_kind() == KeyProvider::None && because == EMPTY_DISK_EVERY_BOOT;
    if holds_nothing || context.accept_data_loss {
        return None;
    }
    Some(
        checks::DATA
            .fail()
            .observed(because)
            .fix(Fix::new("keep what you need elsewhere, then say that the loss is accepted; or use a KMS")),
    )
}
