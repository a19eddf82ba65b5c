//! What a node is configured with, from its `vmm.toml` or from a test.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dstack_vmm_client::config::VmmConfig;

/// Where the key for sealing environments comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KmsSource {
    /// The emulator's own KMS, with real keys.
    #[default]
    BuiltIn,
    /// A KMS at this URL. The emulator is no HTTP client: it looks whether something listens there and fails with the
    /// words of the VMM, either way.
    Url(String),
}

/// Host ports that VMs may publish.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortRange {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// First port.
    pub from: u16,
    /// Last port, inclusive.
    pub to: u16,
}

impl PortRange {
    /// The ports `from` to `to` of a protocol, both inclusive.
    pub fn new(protocol: &str, from: u16, to: u16) -> Self {
        Self { protocol: protocol.to_owned(), from, to }
    }
}

/// A GPU that the node pretends to have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gpu {
    /// PCI address, such as `18:00.0`.
    pub slot: String,
    /// PCI ids, such as `10de:2335`.
    pub product_id: String,
    /// Description.
    pub description: String,
}

impl Gpu {
    /// A GPU at a PCI address.
    pub fn new(slot: &str, product_id: &str, description: &str) -> Self {
        Self { slot: slot.to_owned(), product_id: product_id.to_owned(), description: description.to_owned() }
    }
}

/// The settings of a node. Names and meanings are those of `vmm.toml`.
///
/// The defaults are the VMM's, except that port mapping is on, the KMS is the built-in one and no KMS or gateway URL is
/// handed to guests: an embedded emulator should work without a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Directory of guest images; `None` for the one image that the emulator pretends to have.
    pub image_path: Option<PathBuf>,
    /// Registry of guest images; empty for none.
    pub registry: String,
    /// Tags that the pretended registry offers, where `registry` is set.
    pub registry_tags: Vec<String>,
    /// Where `GetAppEnvEncryptPubKey` gets its answer.
    pub kms: KmsSource,
    /// KMS URLs given to guests.
    pub kms_urls: Vec<String>,
    /// Gateway URLs given to guests.
    pub gateway_urls: Vec<String>,
    /// Domain under which apps are reached.
    pub gateway_base_domain: String,
    /// Port of the gateway.
    pub gateway_port: u16,
    /// Port of the guest agent in app URLs.
    pub gateway_agent_port: u16,
    /// First CID.
    pub cid_start: u32,
    /// Number of CIDs, which is the number of VMs.
    pub cid_pool_size: u32,
    /// Advisory limit of virtual CPUs.
    pub max_allocable_vcpu: u32,
    /// Advisory limit of memory in MiB.
    pub max_allocable_memory_in_mb: u32,
    /// `user`, `bridge` or `custom`.
    pub networking_mode: String,
    /// Default bridge.
    pub bridge: String,
    /// Leading bytes of MAC addresses, at most three, as in `02:42`.
    pub mac_prefix: String,
    /// Whether VMs may publish ports.
    pub port_mapping_enabled: bool,
    /// Address on which ports are published without another wish.
    pub port_mapping_address: IpAddr,
    /// Ports that may be published.
    pub port_ranges: Vec<PortRange>,
    /// Whether VMs that exit are started again.
    pub auto_restart_enabled: bool,
    /// Time between two looks at exited VMs.
    pub auto_restart_interval: Duration,
    /// How often the coming version restarts a VM before it gives up.
    pub auto_restart_max_retries: u32,
    /// First wait of the coming version before it restarts; it doubles each time.
    pub auto_restart_initial_backoff: Duration,
    /// Longest wait of the coming version before it restarts.
    pub auto_restart_max_backoff: Duration,
    /// Size in bytes at which the coming version rotates a log file.
    pub log_max_bytes: u64,
    /// Rotated log files that are kept.
    pub log_max_backups: u32,
    /// Whether VMs may have GPUs.
    pub gpu_enabled: bool,
    /// Whether a VM may take all of them.
    pub gpu_allow_attach_all: bool,
    /// GPUs that the node pretends to have.
    pub gpus: Vec<Gpu>,
    /// Events kept a VM.
    pub event_buffer_size: usize,
    /// Name of the node.
    pub node_name: String,
    /// Whether the API asks for credentials.
    pub auth_enabled: bool,
    /// Tokens that it accepts.
    pub auth_tokens: Vec<String>,
    /// File of users with bcrypt hashes, which the coming version accepts too.
    pub auth_htpasswd_file: Option<PathBuf>,
    /// How long an idle connection stays open.
    pub keep_alive: Duration,
    /// Whether the TEE simulator of the coming version is configured.
    pub tee_simulator: bool,
    /// Whether verity volumes have a directory.
    pub volumes_dir: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            image_path: None,
            registry: String::new(),
            registry_tags: vec!["0.5.11".to_owned(), "0.6.0".to_owned()],
            kms: KmsSource::BuiltIn,
            kms_urls: Vec::new(),
            gateway_urls: Vec::new(),
            gateway_base_domain: "localhost".to_owned(),
            gateway_port: 8082,
            gateway_agent_port: 8090,
            cid_start: 1000,
            cid_pool_size: 1000,
            max_allocable_vcpu: 20,
            max_allocable_memory_in_mb: 100_000,
            networking_mode: "user".to_owned(),
            bridge: String::new(),
            mac_prefix: String::new(),
            port_mapping_enabled: true,
            port_mapping_address: IpAddr::from([127, 0, 0, 1]),
            port_ranges: vec![PortRange::new("tcp", 1, 20_000)],
            auto_restart_enabled: true,
            auto_restart_interval: Duration::from_secs(20),
            auto_restart_max_retries: 5,
            auto_restart_initial_backoff: Duration::from_secs(5),
            auto_restart_max_backoff: Duration::from_secs(300),
            log_max_bytes: 4 * 1024 * 1024,
            log_max_backups: 3,
            gpu_enabled: false,
            gpu_allow_attach_all: true,
            gpus: Vec::new(),
            event_buffer_size: 20,
            node_name: String::new(),
            auth_enabled: false,
            auth_tokens: Vec::new(),
            auth_htpasswd_file: None,
            keep_alive: Duration::from_secs(10),
            tee_simulator: false,
            volumes_dir: None,
        }
    }
}

impl Settings {
    /// The settings that a `vmm.toml` comes to. `home` stands for the home directory of the VMM's user, which some defaults
    /// are in.
    ///
    /// The `kms_url` that the VMM falls back to means the built-in KMS. Which GPUs there are is no matter of the file.
    pub fn from_config(config: &VmmConfig, home: &Path) -> Self {
        let cvm = &config.cvm;
        let range = |range: &dstack_vmm_client::config::PortRange| {
            PortRange::new(&range.protocol.to_string(), range.from, range.to)
        };
        let some_path = |path: &PathBuf| (!path.as_os_str().is_empty()).then(|| path.clone());
        Self {
            image_path: Some(config.image_dir(home)),
            registry: config.image.registry.clone(),
            kms: if config.kms_url == VmmConfig::default().kms_url {
                KmsSource::BuiltIn
            } else {
                KmsSource::Url(config.kms_url.clone())
            },
            kms_urls: cvm.kms_urls.clone(),
            gateway_urls: cvm.gateway_urls.clone(),
            gateway_base_domain: config.gateway.base_domain.clone(),
            gateway_port: config.gateway.port,
            gateway_agent_port: config.gateway.agent_port,
            cid_start: cvm.cid_start,
            cid_pool_size: cvm.cid_pool_size,
            max_allocable_vcpu: cvm.max_allocable_vcpu,
            max_allocable_memory_in_mb: cvm.max_allocable_memory_in_mb,
            networking_mode: cvm.networking.mode.clone(),
            bridge: cvm.networking.bridge.clone(),
            mac_prefix: cvm.networking.mac_prefix.clone(),
            port_mapping_enabled: cvm.port_mapping.enabled,
            port_mapping_address: cvm.port_mapping.address,
            port_ranges: cvm.port_mapping.range.iter().map(range).collect(),
            auto_restart_enabled: cvm.auto_restart.enabled,
            auto_restart_interval: Duration::from_secs(cvm.auto_restart.interval),
            auto_restart_max_retries: cvm.auto_restart.max_retries,
            auto_restart_initial_backoff: Duration::from_secs(cvm.auto_restart.initial_backoff),
            auto_restart_max_backoff: Duration::from_secs(cvm.auto_restart.max_backoff),
            log_max_bytes: cvm.log.max_bytes,
            log_max_backups: u32::try_from(cvm.log.max_backups).unwrap_or(u32::MAX),
            gpu_enabled: cvm.gpu.enabled,
            gpu_allow_attach_all: cvm.gpu.allow_attach_all,
            event_buffer_size: usize::try_from(config.event_buffer_size).unwrap_or(usize::MAX),
            node_name: config.node_name.clone(),
            auth_enabled: config.auth.enabled,
            auth_tokens: config.auth.tokens.iter().map(|token| token.expose().to_owned()).collect(),
            auth_htpasswd_file: some_path(&config.auth.htpasswd_file),
            keep_alive: Duration::from_secs(config.keep_alive.into()),
            tee_simulator: cvm.has_tee_simulator,
            volumes_dir: some_path(&cvm.volumes_dir),
            ..Self::default()
        }
    }
}
