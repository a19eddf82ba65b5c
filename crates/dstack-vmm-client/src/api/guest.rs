//! Messages of the guest agent's API as the VMM proxies it (upstream `guest-api/proto/guest_api.proto`).

use serde::{Deserialize, Serialize};

/// What the guest agent says about its app.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GuestInfo {
    /// Version of the agent.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub version: String,
    /// App id, 20 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "2"))]
    pub app_id: Vec<u8>,
    /// Instance id, 20 bytes, or empty.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "3"))]
    pub instance_id: Vec<u8>,
    /// RA-TLS certificate chain of the app, PEM.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub app_cert: String,
    /// Measurements and event log as a JSON text.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "5"))]
    pub tcb_info: String,
    /// Device id, 32 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "6"))]
    pub device_id: Vec<u8>,
}

/// A disk of the guest.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct DiskInfo {
    /// Device.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub name: String,
    /// Where it is mounted.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub mount_point: String,
    /// Size in bytes.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "3"))]
    pub total_size: u64,
    /// Free bytes.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "5"))]
    pub free_size: u64,
}

/// The guest as a machine.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct SystemInfo {
    /// Name of the operating system.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub os_name: String,
    /// Version of the operating system.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub os_version: String,
    /// Version of the kernel.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub kernel_version: String,
    /// CPU model.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub cpu_model: String,
    /// Number of CPUs.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "5"))]
    pub num_cpus: u32,
    /// Memory in bytes.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "6"))]
    pub total_memory: u64,
    /// Available memory in bytes.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "7"))]
    pub available_memory: u64,
    /// Used memory in bytes.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "8"))]
    pub used_memory: u64,
    /// Free memory in bytes.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "9"))]
    pub free_memory: u64,
    /// Swap in bytes.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "10"))]
    pub total_swap: u64,
    /// Used swap in bytes.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "11"))]
    pub used_swap: u64,
    /// Free swap in bytes.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "12"))]
    pub free_swap: u64,
    /// Seconds since boot.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "13"))]
    pub uptime: u64,
    /// Load average of one minute, times 100.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "14"))]
    pub loadavg_one: u32,
    /// Load average of five minutes, times 100.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "15"))]
    pub loadavg_five: u32,
    /// Load average of fifteen minutes, times 100.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "16"))]
    pub loadavg_fifteen: u32,
    /// Disks.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "17"))]
    pub disks: Vec<DiskInfo>,
}

/// An address with its prefix length.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct InterfaceAddress {
    /// IP address.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub address: String,
    /// Prefix length in bits.
    #[cfg_attr(feature = "protobuf", prost(uint32, tag = "2"))]
    pub prefix: u32,
}

/// A default gateway.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct Gateway {
    /// IP address.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub address: String,
}

/// A network interface of the guest.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct Interface {
    /// Name.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub name: String,
    /// Addresses.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "2"))]
    pub addresses: Vec<InterfaceAddress>,
    /// Bytes received.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "3"))]
    pub rx_bytes: u64,
    /// Bytes sent.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "4"))]
    pub tx_bytes: u64,
    /// Receive errors.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "5"))]
    pub rx_errors: u64,
    /// Send errors.
    #[cfg_attr(feature = "protobuf", prost(uint64, tag = "6"))]
    pub tx_errors: u64,
}

/// Networking of the guest.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct NetworkInformation {
    /// DNS servers.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "1"))]
    pub dns_servers: Vec<String>,
    /// Default gateways.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "2"))]
    pub gateways: Vec<Gateway>,
    /// Interfaces.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "3"))]
    pub interfaces: Vec<Interface>,
    /// Output of WireGuard about its tunnel to the gateway.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub wg_info: String,
}

/// A container in the guest.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct Container {
    /// Id.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub id: String,
    /// Names, each with a leading slash.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "2"))]
    pub names: Vec<String>,
    /// Image as the Compose file names it.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub image: String,
    /// Id of the image.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub image_id: String,
    /// When it was made, in seconds since the Unix epoch.
    #[cfg_attr(feature = "protobuf", prost(int64, tag = "6"))]
    pub created: i64,
    /// State, such as `running`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "7"))]
    pub state: String,
    /// State in words, such as `Up 3 minutes`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "8"))]
    pub status: String,
}

/// Answer of the guest method `ListContainers`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct ListContainersResponse {
    /// Containers.
    #[cfg_attr(feature = "protobuf", prost(message, repeated, tag = "1"))]
    pub containers: Vec<Container>,
}
