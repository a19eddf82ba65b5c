//! What an app-compose says, as typed fields.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The most init scripts a document may have (upstream `dstack-types`).
pub const MAX_INIT_SCRIPTS: usize = 5;

/// The newest manifest version a guest boots with.
pub const MAX_MANIFEST_VERSION: u32 = 3;

/// What runs the app in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Runner {
    /// `docker-compose`: Docker Compose runs `docker_compose_file`.
    DockerCompose,
    /// `nerdctl-compose`: nerdctl runs `docker_compose_file`. Next only; images must be there already.
    NerdctlCompose,
    /// `bash`: `bash_script` is the app.
    Bash,
}

impl Runner {
    /// Every runner.
    pub const ALL: [Self; 3] = [Self::DockerCompose, Self::NerdctlCompose, Self::Bash];

    /// The text in the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DockerCompose => "docker-compose",
            Self::NerdctlCompose => "nerdctl-compose",
            Self::Bash => "bash",
        }
    }

    /// The runner with this text. `None` for a text with which the guest does not start anything.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|runner| runner.as_str() == text)
    }
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the keys of the app come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyProvider {
    /// No key provider: disk keys are lost at shutdown, and the instance id changes with every boot.
    #[default]
    None,
    /// A dstack KMS.
    Kms,
    /// The SGX key provider of the host.
    Local,
    /// A TPM. The guest of 0.5 does not support it.
    Tpm,
}

impl KeyProvider {
    /// The text in the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kms => "kms",
            Self::Local => "local",
            Self::Tpm => "tpm",
        }
    }
}

impl fmt::Display for KeyProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The snapshotter of containerd, for the runner `nerdctl-compose` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Snapshotter {
    /// `overlayfs`.
    Overlayfs,
    /// `stargz`: images are fetched as they are read.
    Stargz,
}

impl Snapshotter {
    /// The text in the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overlayfs => "overlayfs",
            Self::Stargz => "stargz",
        }
    }
}

/// How the digests of the event log are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventLogVersion {
    /// Over the binary form: type, name and payload.
    #[default]
    V1,
    /// Over a canonical JSON form. Next only.
    V2,
}

impl EventLogVersion {
    /// The number in the document.
    pub const fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// What the gateway may do with one port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PortAttrs {
    /// Port of the app in the CVM.
    pub port: u16,
    /// Whether the gateway sends a PROXY protocol header on connections to it.
    #[serde(default)]
    pub pp: bool,
}

impl PortAttrs {
    /// A port without PROXY protocol.
    pub const fn new(port: u16) -> Self {
        Self { port, pp: false }
    }
}

/// Which ports the gateway forwards and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PortPolicy {
    /// Ports with attributes.
    #[serde(default)]
    pub ports: Vec<PortAttrs>,
    /// Whether ports that are not listed are refused.
    #[serde(default)]
    pub restrict_mode: bool,
}

/// What attached GPUs must prove before the boot goes on. Next only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GpuPolicy {
    /// Whether an attached GPU must pass attestation. On unless said otherwise.
    #[serde(default = "super::parse::yes")]
    pub attest_gpu: bool,
    /// A Rego policy over the GPU's claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rego: Option<String>,
    /// Allows DevTools mode, in which GPU memory is not confidential.
    #[serde(default)]
    pub allow_devtools: bool,
    /// Allows claims that say debugging is on.
    #[serde(default)]
    pub allow_debug: bool,
    /// Allows claims that do not assert secure boot.
    #[serde(default)]
    pub allow_insecure_boot: bool,
}

impl Default for GpuPolicy {
    fn default() -> Self {
        Self {
            attest_gpu: true,
            rego: None,
            allow_devtools: false,
            allow_debug: false,
            allow_insecure_boot: false,
        }
    }
}

/// What the guest insists on before it asks for keys. Next only, with manifest version `"3"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Requirements {
    /// Requirement on the version of the OS image, such as `>=0.6.0, <0.7.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Platforms the app may run on, such as `dstack-tdx`. Absent is any; an empty list is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platforms: Option<Vec<String>>,
    /// Whether ACPI tables must be measured (`true`) or must not (`false`). TDX only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tdx_measure_acpi_tables: Option<bool>,
    /// SHA-256 over the launch token with its domain prefix, as hex. See [`crate::ids::launch_token_hash`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_token_hash: Option<String>,
    /// What attached GPUs must prove.
    #[serde(skip_serializing_if = "is_default_gpu_policy")]
    pub gpu_policy: GpuPolicy,
}

fn is_default_gpu_policy(policy: &GpuPolicy) -> bool {
    policy == &GpuPolicy::default()
}

/// A read-only volume whose content is pinned by its dm-verity root. Next only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerityVolume {
    /// File name of the image in the node's volume directory.
    pub source: String,
    /// Root hash.
    #[serde(with = "super::parse::hex32")]
    pub verity_root: [u8; 32],
    /// Absolute path where it is mounted.
    #[serde(deserialize_with = "super::parse::absolute_path")]
    pub target: String,
}

impl VerityVolume {
    /// The volume in the image `source`, with this root hash, mounted at the absolute path `target`.
    pub fn new(source: impl Into<String>, verity_root: [u8; 32], target: impl Into<String>) -> Self {
        Self { source: source.into(), verity_root, target: target.into() }
    }
}

/// What an app-compose says, as the server of one version of dstack reads it.
///
/// [`AppCompose::parse_as_server`] makes one. Fields that the version does not know are in [`AppCompose::other`], not in
/// the typed field: the server ignores them, and so must whoever predicts what it does. Source: upstream
/// `dstack-types/src/lib.rs`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AppCompose {
    /// Version of the format, 1 and up.
    pub manifest_version: u32,
    /// Name of the app.
    pub name: String,
    /// Deprecated switches; `tproxy-net` counts as `gateway_enabled`.
    pub features: Vec<String>,
    /// What runs the app, see [`Runner`]. Any text is accepted here and fails in the guest.
    pub runner: String,
    /// Snapshotter for the runner `nerdctl-compose`.
    pub snapshotter: Option<Snapshotter>,
    /// Text of the Compose file, YAML.
    pub docker_compose_file: Option<String>,
    /// The app of the runner `bash`. The server does not look at it.
    pub bash_script: Option<String>,
    /// Script that the guest sources before the containers start. The server does not look at it.
    pub pre_launch_script: Option<String>,
    /// Scripts that run early in the boot, at most [`MAX_INIT_SCRIPTS`].
    pub init_scripts: Vec<String>,
    /// Whether anyone may read the containers' logs.
    pub public_logs: bool,
    /// Whether anyone may read the system's metrics.
    pub public_sysinfo: bool,
    /// Whether anyone may read measurements and VM configuration. On unless said otherwise.
    pub public_tcbinfo: bool,
    /// The flag `kms_enabled`; see [`AppCompose::key_provider_kind`] for what it comes to.
    pub kms_enabled: bool,
    /// Either of the flags `gateway_enabled` and `tproxy_enabled`.
    pub gateway_enabled: bool,
    /// The flag `local_key_provider_enabled`.
    pub local_key_provider_enabled: bool,
    /// The key provider, where it is named.
    pub key_provider: Option<KeyProvider>,
    /// Pins the key provider: public key of the KMS root CA (DER), or the measurement of the SGX provider.
    pub key_provider_id: Vec<u8>,
    /// Names of the variables that the guest takes out of the encrypted environment.
    pub allowed_envs: Vec<String>,
    /// Whether instances have no id of their own.
    pub no_instance_id: bool,
    /// Whether the guest waits for authenticated time. On unless said otherwise.
    pub secure_time: bool,
    /// File system of the data disk, `zfs` or `ext4`.
    pub storage_fs: Option<String>,
    /// Swap, in bytes.
    pub swap_size: u64,
    /// Which ports the gateway forwards and how.
    pub port_policy: PortPolicy,
    /// How the digests of the event log are made.
    pub event_log_version: EventLogVersion,
    /// What the guest insists on.
    pub requirements: Option<Requirements>,
    /// Read-only volumes.
    pub verity_volumes: Vec<VerityVolume>,
    /// Hash of the app's launch token at the top level: a convention between tools and apps that the platform ignores.
    pub launch_token_hash: Option<String>,
    /// Everything else in the document, by name. It is hashed like the rest.
    pub other: BTreeMap<String, serde_json::Value>,
}

impl AppCompose {
    /// The runner, `None` where the guest knows none of that name.
    pub fn runner_kind(&self) -> Option<Runner> {
        Runner::from_text(&self.runner)
    }

    /// The key provider that the guest uses: the named one, else what the older flags come to.
    pub fn key_provider_kind(&self) -> KeyProvider {
        match self.key_provider {
            Some(named) => named,
            None if self.kms_enabled => KeyProvider::Kms,
            None if self.local_key_provider_enabled => KeyProvider::Local,
            None => KeyProvider::None,
        }
    }

    /// Whether the app is registered with a gateway, by flag or by the deprecated feature.
    pub fn uses_gateway(&self) -> bool {
        self.gateway_enabled || self.features.iter().any(|feature| feature == "tproxy-net")
    }
}
