//! Messages about VMs (upstream `vmm/rpc/proto/vmm_rpc.proto`).
//!
//! Field names, JSON forms and protobuf tags are those of the wire. A missing field reads as its default; an unknown one is
//! ignored, as the server does. `bytes` are hex in JSON.

use serde::{Deserialize, Serialize};

/// The id of a VM, an image name or a supervisor process, whichever the method asks for.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct Id {
    /// The id.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub id: String,
}

/// No fields. In JSON a reply without fields is `null`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct Empty {}

/// A port of the VM published on its host.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct PortMapping {
    /// `tcp` or `udp`, lower case.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub protocol: String,
    /// Port on the host, 1 to 65535.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "2"))]
    pub host_port: u32,
    /// Port in the VM, 1 to 65535.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "3"))]
    pub vm_port: u32,
    /// Address on the host, an IP literal. Empty means the node's default on `CreateVm` and is refused on `UpdateVm`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub host_address: String,
}

/// One PCI device.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GpuSpec {
    /// PCI address, such as `18:00.0`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub slot: String,
}

/// Which GPUs a VM gets.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GpuConfig {
    /// The devices, where `attach_mode` is `listed`.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "1"))]
    pub gpus: Vec<GpuSpec>,
    /// `listed` or `all`. Empty is refused.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub attach_mode: String,
}

/// How one network interface of a VM is connected.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct NetworkingConfig {
    /// `user`, `bridge`, or (v0.5 only) `custom`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub mode: String,
    /// Name of the bridge on the host. Next only; empty means the node default.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub bridge_name: String,
}

/// What a VM is made of: the request of `CreateVm` and the echo in [`VmInfo`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct VmConfiguration {
    /// Label. ASCII letters, digits, space and ``-_.@~!$^()``; not unique.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub name: String,
    /// Name of the guest image directory on the host.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub image: String,
    /// The whole app-compose as text. Its SHA-256 is the compose hash, so the text is never re-serialised.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub compose_file: String,
    /// Number of virtual CPUs.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "4"))]
    pub vcpu: u32,
    /// Memory in MiB.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "5"))]
    pub memory: u32,
    /// Size of the data disk in GiB.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "6"))]
    pub disk_size: u32,
    /// Ports published on the host.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "7"))]
    pub ports: Vec<PortMapping>,
    /// The sealed environment (see the `env` module), empty for none.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "8"))]
    pub encrypted_env: Vec<u8>,
    /// App id, 40 hex digits. Absent: the first 20 bytes of the compose hash.
    #[cfg_attr(feature = "protobuf", prost(string, optional, tag = "9"))]
    pub app_id: Option<String>,
    /// Text handed to the guest as it is. Not measured.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "10"))]
    pub user_config: String,
    /// Back the memory with huge pages.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "11"))]
    pub hugepages: bool,
    /// Pin the VM to one NUMA node.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "12"))]
    pub pin_numa: bool,
    /// GPUs to attach.
    #[cfg_attr(feature = "protobuf", prost(message, optional, tag = "13"))]
    pub gpus: Option<GpuConfig>,
    /// KMS URLs for the guest. Empty: the node default at start.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "14"))]
    pub kms_urls: Vec<String>,
    /// Gateway URLs for the guest. Empty: the node default at start.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "15"))]
    pub gateway_urls: Vec<String>,
    /// Make the VM without starting it.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "16"))]
    pub stopped: bool,
    /// A plain VM, without TDX.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "17"))]
    pub no_tee: bool,
    /// One network that replaces the node default.
    #[cfg_attr(feature = "protobuf", prost(message, optional, tag = "18"))]
    pub networking: Option<NetworkingConfig>,
    /// Networks, one interface each; wins over `networking`. Next only.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "19"))]
    pub networks: Vec<NetworkingConfig>,
    /// Simulated TEE variant for development, such as `dstack-tdx`. Next only.
    #[cfg_attr(feature = "protobuf", prost(string, optional, tag = "21"))]
    pub simulated_tee: Option<String>,
}

/// Changes to an existing VM. What is absent or empty stays as it is.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct UpdateVmRequest {
    /// Id of the VM.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub id: String,
    /// New app-compose; empty keeps the old one.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub compose_file: String,
    /// New sealed environment; empty keeps the old one. It cannot be cleared.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "3"))]
    pub encrypted_env: Vec<u8>,
    /// New user config; empty keeps the old one. It cannot be cleared.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub user_config: String,
    /// Whether `ports` replaces the list.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "5"))]
    pub update_ports: bool,
    /// All ports, where `update_ports` is set. Each needs a `host_address` here.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "7"))]
    pub ports: Vec<PortMapping>,
    /// Whether `kms_urls` replaces the list.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "8"))]
    pub update_kms_urls: bool,
    /// All KMS URLs, where `update_kms_urls` is set.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "9"))]
    pub kms_urls: Vec<String>,
    /// Whether `gateway_urls` replaces the list.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "10"))]
    pub update_gateway_urls: bool,
    /// All gateway URLs, where `update_gateway_urls` is set.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "11"))]
    pub gateway_urls: Vec<String>,
    /// New GPUs. To detach all: `listed` with no devices.
    #[cfg_attr(feature = "protobuf", prost(message, optional, tag = "13"))]
    pub gpus: Option<GpuConfig>,
    /// New number of virtual CPUs. The VM must be stopped.
    #[cfg_attr(feature = "protobuf", prost(uint32, optional, tag = "14"))]
    pub vcpu: Option<u32>,
    /// New memory in MiB. The VM must be stopped.
    #[cfg_attr(feature = "protobuf", prost(uint32, optional, tag = "15"))]
    pub memory: Option<u32>,
    /// New disk size in GiB, not smaller than the old. The VM must be stopped.
    #[cfg_attr(feature = "protobuf", prost(uint32, optional, tag = "16"))]
    pub disk_size: Option<u32>,
    /// New guest image. The VM must be stopped.
    #[cfg_attr(feature = "protobuf", prost(string, optional, tag = "17"))]
    pub image: Option<String>,
    /// Whether it is a plain VM.
    #[cfg_attr(feature = "protobuf", prost(bool, optional, tag = "18"))]
    pub no_tee: Option<bool>,
    /// Whether `networks` replaces the list. Next only.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "19"))]
    pub update_networking: bool,
    /// All networks, where `update_networking` is set; empty returns to the node default. Next only.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "20"))]
    pub networks: Vec<NetworkingConfig>,
}

/// Request of the deprecated `ResizeVm`. The VM must be stopped.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct ResizeVmRequest {
    /// Id of the VM.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub id: String,
    /// New number of virtual CPUs.
    #[cfg_attr(feature = "protobuf", prost(uint32, optional, tag = "2"))]
    pub vcpu: Option<u32>,
    /// New memory in MiB.
    #[cfg_attr(feature = "protobuf", prost(uint32, optional, tag = "3"))]
    pub memory: Option<u32>,
    /// New disk size in GiB.
    #[cfg_attr(feature = "protobuf", prost(uint32, optional, tag = "4"))]
    pub disk_size: Option<u32>,
    /// New guest image.
    #[cfg_attr(feature = "protobuf", prost(string, optional, tag = "5"))]
    pub image: Option<String>,
}

/// Something the guest told the VMM while booting or shutting down.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GuestEvent {
    /// `boot.progress`, `boot.error`, `shutdown.progress`, `instance.info`, or another name.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub event: String,
    /// Its text.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub body: String,
    /// When the VMM received it, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "3"))]
    pub timestamp: u64,
}

/// One network interface of a VM. Next only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct NetworkInterfaceStatus {
    /// `user`, `bridge` or `custom`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub mode: String,
    /// `slirp`, `tap_bridge` or `custom`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub backend: String,
    /// MAC address.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub mac: String,
    /// Bridge on the host.
    #[cfg_attr(feature = "protobuf", prost(string, optional, tag = "4"))]
    pub bridge_name: Option<String>,
    /// QEMU's name of the device, such as `net0`.
    #[cfg_attr(feature = "protobuf", prost(string, optional, tag = "5"))]
    pub netdev_id: Option<String>,
}

/// A VM as the VMM sees it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct VmInfo {
    /// Id of the VM, a random UUID.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub id: String,
    /// Its label.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub name: String,
    /// `running`, `stopped`, `exited`, `stopping` or `removing`. See [`crate::vm::VmStatus`].
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub status: String,
    /// Time since the last start in whole units (`1h 2m 3s`), counted also when it no longer runs; `never` if it never started.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub uptime: String,
    /// URL of the app through the gateway, once the instance id is known.
    #[cfg_attr(feature = "protobuf", prost(string, optional, tag = "5"))]
    pub app_url: Option<String>,
    /// App id given or derived at creation, 40 hex digits.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "6"))]
    pub app_id: String,
    /// Instance id, once the guest has reported it. 40 hex digits.
    #[cfg_attr(feature = "protobuf", prost(string, optional, tag = "7"))]
    pub instance_id: Option<String>,
    /// What it is made of; absent in brief listings.
    #[cfg_attr(feature = "protobuf", prost(message, optional, tag = "8"))]
    pub configuration: Option<VmConfiguration>,
    /// How long ago it exited (`2s`), or `never`. Not a point in time.
    #[cfg_attr(feature = "protobuf", prost(string, optional, tag = "9"))]
    pub exited_at: Option<String>,
    /// Last boot step reported. See [`crate::vm::BootStep`].
    #[cfg_attr(feature = "protobuf", prost(string, tag = "10"))]
    pub boot_progress: String,
    /// Boot error, empty for none. A VM can carry one and still be up.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "11"))]
    pub boot_error: String,
    /// Last shutdown step reported.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "12"))]
    pub shutdown_progress: String,
    /// Version of the guest image.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "13"))]
    pub image_version: String,
    /// The last events from the guest, oldest first; lost when the VMM restarts.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "14"))]
    pub events: Vec<GuestEvent>,
    /// Network interfaces. Next only.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "15"))]
    pub interfaces: Vec<NetworkInterfaceStatus>,
}

/// Which VMs to list. Filters are joined with *and*.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct StatusRequest {
    /// Only these VMs; empty for all.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "1"))]
    pub ids: Vec<String>,
    /// Leave out the configurations.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "2"))]
    pub brief: bool,
    /// Only VMs whose name, id, app id or image contains this text; case counts.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub keyword: String,
    /// Page from 1; 0 for everything.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "4"))]
    pub page: u32,
    /// VMs a page; 0 for everything.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "5"))]
    pub page_size: u32,
}

/// VMs, oldest first.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct StatusResponse {
    /// The page asked for.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "1"))]
    pub vms: Vec<VmInfo>,
    /// Whether the node publishes ports.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "2"))]
    pub port_mapping_enabled: bool,
    /// Number of VMs that match, on all pages.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "3"))]
    pub total: u32,
}

/// Answer of `GetInfo`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GetInfoResponse {
    /// Whether there is such a VM.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "1"))]
    pub found: bool,
    /// The VM.
    #[cfg_attr(feature = "protobuf", prost(message, optional, tag = "2"))]
    pub info: Option<VmInfo>,
}

/// Request of `GetAppEnvEncryptPubKey`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct AppId {
    /// App id, 20 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub app_id: Vec<u8>,
}

/// Key that an environment is sealed to, and the KMS signatures over it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct PublicKeyResponse {
    /// X25519 public key, 32 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub public_key: Vec<u8>,
    /// Legacy signature without a time, 65 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "2"))]
    pub signature: Vec<u8>,
    /// When it was signed, in seconds since the Unix epoch; 0 from a KMS that knows no v1 signature.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "3"))]
    pub timestamp: u64,
    /// Signature over key and time, 65 bytes; empty from an old KMS.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "4"))]
    pub signature_v1: Vec<u8>,
}

/// Answer of `GetComposeHash`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct ComposeHash {
    /// SHA-256 of the compose file, 64 hex digits.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub hash: String,
}
