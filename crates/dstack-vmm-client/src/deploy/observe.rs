//! What runs on a host, as far as a plan needs it.

use std::net::IpAddr;

use super::history::History;
use super::journal::Journal;
use super::project::{PortSpec, Protocol};
use crate::DstackVersion;
use crate::api::{GetMetaResponse, ImageInfo, ListGpusResponse, NetworkingConfig, VersionResponse, VmInfo};
use crate::app_compose::ComposeHash;
use crate::vm::VmStatus;

/// What a host answered. Made from replies, by [`observe`](super::apply::observe) or by hand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Observed {
    /// What the VMM says it is.
    pub server: VersionResponse,
    /// The version it is treated as.
    pub version: DstackVersion,
    /// Whether that is a guess, because the VMM's version is not known to this crate.
    pub version_is_a_guess: bool,
    /// What the node offers.
    pub meta: GetMetaResponse,
    /// Guest images on the host.
    pub images: Vec<ImageInfo>,
    /// GPUs of the host; `None` when they were not asked for.
    pub gpus: Option<ListGpusResponse>,
    /// Whether the node publishes ports.
    pub port_mapping_enabled: bool,
    /// The VMs that may be the app's, whole.
    pub candidates: Vec<VmInfo>,
    /// The ports that all other VMs publish.
    pub other_ports: Vec<TakenPort>,
}

/// A host port of another VM.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakenPort {
    /// Id of the VM.
    pub vm_id: String,
    /// Its name.
    pub vm_name: String,
    /// Whether it has a process.
    pub running: bool,
    /// The port.
    pub port: PortSpec,
}

/// Which VMs may be an app's: those of its name, and those known by id.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Interest {
    /// Name of the app, and the one it had in a run that was broken off.
    pub names: Vec<String>,
    /// Ids that this directory or the caller knows.
    pub ids: Vec<String>,
}

impl Interest {
    /// What to look for: the app's name, the VM that the history and the journal name on this host, and the one that the
    /// caller names.
    pub fn new(
        name: &str,
        host: &str,
        history: &History,
        journal: Option<&Journal>,
        vm: Option<&str>,
    ) -> Self {
        let ids = [
            history.current(host).map(|entry| entry.vm_id.as_str()),
            journal.and_then(|journal| journal.vm_id.as_deref()),
            vm,
        ];
        let names = [Some(name), journal.map(|journal| journal.name.as_str())];
        let owned = |texts: &[Option<&str>]| texts.iter().flatten().map(|text| (*text).to_owned()).collect();
        Self { names: owned(&names), ids: owned(&ids) }
    }

    fn includes(&self, vm: &VmInfo) -> bool {
        self.names.contains(&vm.name) || self.ids.contains(&vm.id)
    }
}

impl Observed {
    /// An observation with nothing on the host.
    pub fn new(server: VersionResponse, meta: GetMetaResponse, images: Vec<ImageInfo>) -> Self {
        let known = DstackVersion::from_server(&server.version);
        Self {
            version: known.unwrap_or(DstackVersion::Next),
            version_is_a_guess: known.is_none(),
            server,
            meta,
            images,
            gpus: None,
            port_mapping_enabled: false,
            candidates: Vec::new(),
            other_ports: Vec::new(),
        }
    }

    /// Adds VMs of a listing with configurations. Only those of interest are kept whole.
    pub fn add_vms(&mut self, interest: &Interest, vms: impl IntoIterator<Item = VmInfo>) {
        for vm in vms {
            if self.candidates.iter().any(|known| known.id == vm.id) {
                continue;
            }
            if interest.includes(&vm) {
                self.candidates.push(vm);
                continue;
            }
            let running = has_process(&vm);
            let ports = vm.configuration.map(|configuration| configuration.ports).unwrap_or_default();
            for port in ports.iter().filter_map(|port| PortSpec::from_mapping(port).ok()) {
                let (vm_id, vm_name) = (vm.id.clone(), vm.name.clone());
                self.other_ports.push(TakenPort { vm_id, vm_name, running, port });
            }
        }
    }

    /// The candidate with this id.
    pub fn candidate(&self, id: &str) -> Option<&VmInfo> {
        self.candidates.iter().find(|vm| vm.id == id)
    }
}

/// Whether a VM has a process, or is about to get one.
pub(crate) fn has_process(vm: &VmInfo) -> bool {
    matches!(status(vm), VmStatus::Running | VmStatus::Exited | VmStatus::Stopping)
}

pub(crate) fn status(vm: &VmInfo) -> VmStatus {
    VmStatus::from(vm.status.as_str())
}

/// Compose hash of a VM, as its configuration is listed.
pub(crate) fn hash_of(vm: &VmInfo) -> Option<ComposeHash> {
    vm.configuration.as_ref().map(|configuration| ComposeHash::of(configuration.compose_file.as_bytes()))
}

/// How a VM is connected: the modes of its interfaces, or the node's default.
pub(crate) fn networking_of(networks: &[NetworkingConfig], meta: &GetMetaResponse) -> String {
    match networks.first() {
        Some(network) => network.mode.clone(),
        None => {
            meta.networking.as_ref().map(|networking| networking.default_mode.clone()).unwrap_or_default()
        }
    }
}

/// Host ports that a node publishes, from `cvm.port_mapping.range` of its `vmm.toml`. No RPC tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortRange {
    /// Transport.
    pub protocol: Protocol,
    /// First port.
    pub from: u16,
    /// Last port.
    pub to: u16,
}

impl PortRange {
    /// A range with both ends in it.
    pub const fn new(protocol: Protocol, from: u16, to: u16) -> Self {
        Self { protocol, from, to }
    }

    /// Whether the port may be published.
    pub fn allows(&self, port: &PortSpec) -> bool {
        self.protocol == port.protocol && (self.from..=self.to).contains(&port.host_port)
    }
}

/// What a plan may know about a node beyond its answers, for instance from its `vmm.toml`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NodeFacts {
    /// `cvm.port_mapping.address`, which an address that is not given stands for.
    pub default_host_address: Option<IpAddr>,
    /// `cvm.port_mapping.range`; `None` when it is not known.
    pub port_ranges: Option<Vec<PortRange>>,
}
