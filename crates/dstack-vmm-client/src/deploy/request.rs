//! From what should run to the messages of the wire.

use super::change::Change;
use super::compare::current_ports;
use super::observe::NodeFacts;
use super::project::{GpuSelection, PortSpec};
use super::resolve::Desired;
use crate::api::{GpuConfig, GpuSpec, NetworkingConfig, PortMapping, UpdateVmRequest, VmConfiguration};

/// The request that makes the VM.
pub(super) fn create(desired: &Desired, sealed: &[u8], start: bool) -> VmConfiguration {
    VmConfiguration {
        name: desired.name.clone(),
        image: desired.image.clone(),
        compose_file: desired.compose_text().to_owned(),
        vcpu: desired.vcpu,
        memory: desired.memory_mib,
        disk_size: desired.disk_gib,
        ports: desired.ports.iter().map(PortSpec::to_mapping).collect(),
        encrypted_env: sealed.to_vec(),
        app_id: desired.app_id.map(|app_id| app_id.to_string()),
        user_config: desired.user_config.clone().unwrap_or_default(),
        hugepages: desired.hugepages.unwrap_or_default(),
        pin_numa: desired.pin_numa.unwrap_or_default(),
        gpus: desired.gpus.as_ref().map(gpu_config),
        kms_urls: desired.kms_urls.clone().unwrap_or_default(),
        gateway_urls: desired.gateway_urls.clone().unwrap_or_default(),
        stopped: !start,
        no_tee: desired.no_tee.unwrap_or_default(),
        networking: desired.networking.as_deref().map(network),
        ..VmConfiguration::default()
    }
}

/// The one request that makes all changes at once. What does not change is left out of it.
pub(super) fn update(
    id: &str,
    desired: &Desired,
    old: &VmConfiguration,
    changes: &[Change],
    sealed: &[u8],
    node: &NodeFacts,
) -> UpdateVmRequest {
    let mut request =
        UpdateVmRequest { id: id.to_owned(), encrypted_env: sealed.to_vec(), ..UpdateVmRequest::default() };
    for change in changes {
        match change {
            Change::ComposeText { .. }
            | Change::ComposeField { .. }
            | Change::AllowedEnvs { .. }
            | Change::ComposeLayout => request.compose_file = desired.compose_text().to_owned(),
            Change::Env(_) => {}
            Change::Ports { .. } => {
                request.update_ports = true;
                request.ports = ports(desired, old, node);
            }
            Change::UserConfig { .. } => {
                request.user_config = desired.user_config.clone().unwrap_or_default();
            }
            Change::Setting { name, .. } => setting(&mut request, name, desired),
        }
    }
    request
}

fn setting(request: &mut UpdateVmRequest, name: &str, desired: &Desired) {
    match name {
        "image" => request.image = Some(desired.image.clone()),
        "vcpu" => request.vcpu = Some(desired.vcpu),
        "memory" => request.memory = Some(desired.memory_mib),
        "disk" => request.disk_size = Some(desired.disk_gib),
        "gpus" => request.gpus = desired.gpus.as_ref().map(gpu_config),
        "no_tee" => request.no_tee = desired.no_tee,
        "kms_urls" => {
            request.update_kms_urls = true;
            request.kms_urls = desired.kms_urls.clone().unwrap_or_default();
        }
        "gateway_urls" => {
            request.update_gateway_urls = true;
            request.gateway_urls = desired.gateway_urls.clone().unwrap_or_default();
        }
        "networking" => {
            request.update_networking = true;
            request.networks = desired.networking.as_deref().map(network).into_iter().collect();
        }
        _ => {}
    }
}

/// `UpdateVm` takes no port without an address, so one that is not given is that of the mapping there is, else the node's
/// default as far as it is known, else what a node has as its default when nothing is set.
fn ports(desired: &Desired, old: &VmConfiguration, node: &NodeFacts) -> Vec<PortMapping> {
    let known = current_ports(old);
    let default = node.default_host_address.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into());
    let with_address = |port: &PortSpec| {
        let mut port = port.clone();
        if port.host_address.is_none() {
            let old = known.iter().find(|old| old.satisfies(&port)).and_then(|old| old.host_address);
            port.host_address = Some(old.unwrap_or(default));
        }
        port.to_mapping()
    };
    desired.ports.iter().map(with_address).collect()
}

fn network(mode: &str) -> NetworkingConfig {
    NetworkingConfig { mode: mode.to_owned(), ..NetworkingConfig::default() }
}

/// GPUs as the wire has them.
fn gpu_config(gpus: &GpuSelection) -> GpuConfig {
    match gpus {
        GpuSelection::All => GpuConfig { attach_mode: "all".to_owned(), ..GpuConfig::default() },
        GpuSelection::Listed(slots) => GpuConfig {
            attach_mode: "listed".to_owned(),
            gpus: slots.iter().map(|slot| GpuSpec { slot: slot.clone() }).collect(),
        },
    }
}
