//! What a VM is made of, as the VMM writes it to disk.

use dstack_vmm_client::api;
use serde::{Deserialize, Serialize};

/// One published port in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PortMap {
    pub(crate) address: String,
    pub(crate) protocol: String,
    pub(crate) from: u16,
    pub(crate) to: u16,
}

/// One network in a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) mode: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) bridge_name: String,
}

/// One GPU in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GpuSlot {
    pub(crate) slot: String,
}

/// GPUs in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gpus {
    pub(crate) attach_mode: String,
    #[serde(default)]
    pub(crate) gpus: Vec<GpuSlot>,
    #[serde(default)]
    pub(crate) bridges: Vec<GpuSlot>,
}

impl Default for Gpus {
    fn default() -> Self {
        Self { attach_mode: "listed".to_owned(), gpus: Vec::new(), bridges: Vec::new() }
    }
}

/// What a VM is made of, without its compose, environment and user config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) app_id: String,
    pub(crate) vcpu: u32,
    pub(crate) memory: u32,
    pub(crate) disk_size: u32,
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) port_map: Vec<PortMap>,
    pub(crate) created_at_ms: u64,
    #[serde(default)]
    pub(crate) hugepages: bool,
    #[serde(default)]
    pub(crate) pin_numa: bool,
    #[serde(default)]
    pub(crate) gpus: Gpus,
    #[serde(default)]
    pub(crate) kms_urls: Vec<String>,
    #[serde(default)]
    pub(crate) gateway_urls: Vec<String>,
    #[serde(default)]
    pub(crate) no_tee: bool,
    #[serde(default)]
    pub(crate) networking: Option<Network>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) networks: Vec<Network>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) simulated_tee: Option<String>,
}

/// The files that a VM shares with its guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) compose: String,
    pub(crate) encrypted_env: Vec<u8>,
    pub(crate) user_config: String,
}

/// What the guest reported about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstanceInfo {
    #[serde(default)]
    pub(crate) instance_id_seed: String,
    #[serde(default)]
    pub(crate) instance_id: String,
    #[serde(default)]
    pub(crate) app_id: String,
}

/// The pretended process of a VM, as the supervisor would keep it while the VMM is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) started_at_ms: u64,
    /// When it ended, where it has.
    pub(crate) ended_at_ms: Option<u64>,
    /// Exit code, where it ended by itself.
    pub(crate) exit_code: Option<i32>,
}

impl Process {
    pub(crate) fn running(&self) -> bool {
        self.ended_at_ms.is_none()
    }

    /// In the words of the supervisor.
    pub(crate) fn status(&self) -> String {
        match (self.ended_at_ms, self.exit_code) {
            (None, _) => "running".to_owned(),
            (Some(_), None) => "stopped".to_owned(),
            (Some(_), Some(code)) => format!("exited({code})"),
        }
    }
}

impl From<&PortMap> for api::PortMapping {
    fn from(port: &PortMap) -> Self {
        let mut out = Self::default();
        out.protocol.clone_from(&port.protocol);
        out.host_port = port.from.into();
        out.vm_port = port.to.into();
        out.host_address.clone_from(&port.address);
        out
    }
}

impl From<&Network> for api::NetworkingConfig {
    fn from(network: &Network) -> Self {
        let mut out = Self::default();
        out.mode.clone_from(&network.mode);
        out.bridge_name.clone_from(&network.bridge_name);
        out
    }
}
