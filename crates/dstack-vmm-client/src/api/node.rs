//! Messages about a node: images, GPUs, settings, supervisor (upstream `vmm/rpc/proto/vmm_rpc.proto`).

use serde::{Deserialize, Serialize};

/// Answer of `Version`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct VersionResponse {
    /// Version of the server, such as `0.5.11`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub version: String,
    /// Revision it was built from, such as `git:40eaf35e6b3f112998d0`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub rev: String,
}

/// A guest image on the host.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct ImageInfo {
    /// Name of its directory.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub name: String,
    /// Text of the image's `metadata.json`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub description: String,
    /// Version.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub version: String,
    /// Whether it is a development image, which allows a login.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "4"))]
    pub is_dev: bool,
}

/// Answer of `ListImages`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct ListImagesResponse {
    /// Images on the host, in directory order.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "1"))]
    pub images: Vec<ImageInfo>,
}

/// A guest image in the registry that the node uses.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct RegistryImageInfo {
    /// Tag.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub tag: String,
    /// Whether it is on the host already.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "2"))]
    pub local: bool,
    /// Whether it is being pulled.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "3"))]
    pub pulling: bool,
    /// Error of the last pull, empty for none.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub error: String,
}

/// Answer of `ListRegistryImages`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct ListRegistryImagesResponse {
    /// Images in the registry; empty where the node has none configured.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "1"))]
    pub images: Vec<RegistryImageInfo>,
}

/// Request of `PullRegistryImage`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct PullRegistryImageRequest {
    /// Tag to pull.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub tag: String,
}

/// KMS settings of a node.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct KmsMeta {
    /// First of `urls`, or empty.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub url: String,
    /// URLs given to guests by default.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "2"))]
    pub urls: Vec<String>,
}

/// Gateway settings of a node.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GatewayMeta {
    /// First of `urls`, or empty.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub url: String,
    /// Domain under which apps are reached.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub base_domain: String,
    /// Port of the gateway.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "3"))]
    pub port: u32,
    /// Port of the guest agent in app URLs.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "4"))]
    pub agent_port: u32,
    /// URLs given to guests by default.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "5"))]
    pub urls: Vec<String>,
}

/// Advisory limits of a node; it does not enforce them.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct ResourcesMeta {
    /// Number of CVMs (the size of its CID pool).
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "1"))]
    pub max_cvm_number: u32,
    /// Virtual CPUs.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "2"))]
    pub max_allocable_vcpu: u32,
    /// Memory in MiB.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "3"))]
    pub max_allocable_memory_in_mb: u32,
}

/// Networking of a node. Next only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct NetworkingMeta {
    /// Modes a request may ask for.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "1"))]
    pub supported_modes: Vec<String>,
    /// Mode without a request; empty for a custom one.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub default_mode: String,
    /// Default bridge, or empty.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub default_bridge: String,
}

/// What a node offers.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GetMetaResponse {
    /// KMS settings.
    #[cfg_attr(feature = "protobuf", prost(message, optional, tag = "1"))]
    pub kms: Option<KmsMeta>,
    /// Gateway settings.
    #[cfg_attr(feature = "protobuf", prost(message, optional, tag = "2"))]
    pub gateway: Option<GatewayMeta>,
    /// Advisory limits.
    #[cfg_attr(feature = "protobuf", prost(message, optional, tag = "3"))]
    pub resources: Option<ResourcesMeta>,
    /// Networking. Next only.
    #[cfg_attr(feature = "protobuf", prost(message, optional, tag = "4"))]
    pub networking: Option<NetworkingMeta>,
}

/// A GPU of the host.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GpuInfo {
    /// PCI address.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub slot: String,
    /// PCI ids, such as `10de:2335`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub product_id: String,
    /// Description.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub description: String,
    /// Whether no VM uses it.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "4"))]
    pub is_free: bool,
}

/// Answer of `ListGpus`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct ListGpusResponse {
    /// GPUs; empty where GPUs are switched off.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "1"))]
    pub gpus: Vec<GpuInfo>,
    /// Whether `attach_mode` may be `all`.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "2"))]
    pub allow_attach_all: bool,
}

/// Answer of `ReloadVms`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct ReloadVmsResponse {
    /// VMs found on disk and not known before.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "1"))]
    pub loaded: u32,
    /// VMs read again.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "2"))]
    pub updated: u32,
    /// VMs no longer on disk.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "3"))]
    pub removed: u32,
}

/// A process of the node's supervisor.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct SvProcessInfo {
    /// Id; for a CVM the id of the VM.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub id: String,
    /// Label.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub name: String,
    /// `running`, `stopped`, `exited(<code>)` or `error(<message>)`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub status: String,
    /// Process id.
    #[cfg_attr(feature = "protobuf", prost(uint32, optional, tag = "4"))]
    pub pid: Option<u32>,
    /// Program.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "5"))]
    pub command: String,
    /// JSON of the VMM about it.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "6"))]
    pub note: String,
}

/// Answer of `SvList`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct SvListResponse {
    /// Processes.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "1"))]
    pub processes: Vec<SvProcessInfo>,
}

/// Request of `ReportDhcpLease`. v0.5 only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct ReportDhcpLeaseRequest {
    /// MAC address.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub mac: String,
    /// IP address.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub ip: String,
}
