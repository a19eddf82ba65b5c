//! What a VMM would run with: every key of `vmm.toml` as a typed value.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use dstack_check::Finding;

use super::port_range::{PortRange, Protocol};
use super::read::Reader;
use super::tree::{Layer, Table};
use super::{AddressError, ApiToken, ConfigError, ListenAddress};

/// The configuration of a VMM.
///
/// Where a file sets a key to a value it cannot have, the default stands here and a finding says so; a VMM would refuse
/// to start.
///
/// ```
/// use dstack_vmm_client::config::VmmConfig;
///
/// let (config, findings) = VmmConfig::parse("address = \"127.0.0.1:9080\"\n[cvm]\ncid_start = 30000\n")?;
/// assert!(findings.is_empty());
/// assert_eq!(config.cvm.cid_start, 30000);
/// assert_eq!(config.cvm.cid_pool_size, 1000);
/// assert_eq!(config.listen().unwrap().endpoint("/".as_ref()), "http://127.0.0.1:9080");
/// # Ok::<(), dstack_vmm_client::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VmmConfig {
    /// Worker threads of the web server.
    pub workers: u64,
    /// Threads for blocking work.
    pub max_blocking: u64,
    /// The `Server` header.
    pub ident: String,
    /// Where uploads are kept meanwhile.
    pub temp_dir: PathBuf,
    /// Idle time of a connection in seconds. 0 switches it off.
    pub keep_alive: u32,
    /// The web server's log level.
    pub log_level: String,
    /// Where the external API listens, as written; [`VmmConfig::listen`] reads it.
    pub address: String,
    /// TCP port of the external API, instead of the one in `address`.
    pub port: Option<u16>,
    /// Take over an existing unix socket file.
    pub reuse: bool,
    /// The KMS asked for environment keys. Empty: none.
    pub kms_url: String,
    /// Guest events kept for each VM.
    pub event_buffer_size: u64,
    /// Name in the title of the console.
    pub node_name: String,
    /// The older key for [`ImageSection::path`]. [`VmmConfig::image_dir`] looks at both.
    pub image_path: Option<PathBuf>,
    /// Directory of the VMs, as written; [`VmmConfig::run_dir`] knows the default.
    pub run_path: Option<PathBuf>,
    /// Guest images.
    pub image: ImageSection,
    /// The VMs.
    pub cvm: CvmSection,
    /// The network daemon of next.
    pub netd: NetdSection,
    /// What the app URLs are made of.
    pub gateway: GatewaySection,
    /// Authentication of the external API.
    pub auth: AuthSection,
    /// The process that keeps the VMs.
    pub supervisor: SupervisorSection,
    /// The API for the guests.
    pub host_api: HostApi,
    /// The local key provider.
    pub key_provider: KeyProvider,
}

/// `[image]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageSection {
    /// Directory of the guest images, as written; [`VmmConfig::image_dir`] knows the default.
    pub path: Option<PathBuf>,
    /// Host and repository that images are pulled from. Empty: none.
    pub registry: String,
}

/// `[cvm]`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CvmSection {
    /// The TEE: `auto`, `tdx` or `amd-sev-snp`. Read by next.
    pub platform: String,
    /// The QEMU program. Empty: searched for.
    pub qemu_path: PathBuf,
    /// The KMSs the guests use.
    pub kms_urls: Vec<String>,
    /// The gateways the guests register with.
    pub gateway_urls: Vec<String>,
    /// The PCCS that guests verify quotes with. Empty: none.
    pub pccs_url: String,
    /// Cache for GPU attestation. Read by next.
    pub nvidia_attestation_proxy_url: Option<String>,
    /// Registry mirror of the guests. Empty: none.
    pub docker_registry: String,
    /// Directory of attachable volumes. Empty: none. Read by next.
    pub volumes_dir: PathBuf,
    /// First vsock context id given to a VM.
    pub cid_start: u32,
    /// How many context ids there are, and so how many VMs.
    pub cid_pool_size: u32,
    /// vCPUs to give away; shown, not enforced.
    pub max_allocable_vcpu: u32,
    /// Memory to give away in MB; shown, not enforced.
    pub max_allocable_memory_in_mb: u32,
    /// Open QEMU's control socket.
    pub qmp_socket: bool,
    /// User that QEMU runs as. Empty: the VMM's own.
    pub user: String,
    /// Name of this VMM among several on a host. Read by next.
    pub instance_id: String,
    /// Measure the app into MRCONFIGID.
    pub use_mrconfigid: bool,
    /// How QEMU adds pages. `None`: detected.
    pub qemu_single_pass_add_pages: Option<bool>,
    /// QEMU's interrupt controller. `None`: detected.
    pub qemu_pic: Option<bool>,
    /// QEMU's version. `None`: detected.
    pub qemu_version: Option<String>,
    /// 64-bit PCI window in bytes. 0 leaves QEMU's.
    pub qemu_pci_hole64_size: u64,
    /// Switch PCI hotplug off.
    pub qemu_hotplug_off: bool,
    /// How TDX guests are measured: `legacy`, `lite` or `auto`. Read by next.
    pub tdx_attestation_variant: String,
    /// How files reach the guest: `9p`, `vhd` or `vvfat`.
    pub host_share_mode: String,
    /// vsock port of the quote generation service.
    pub qgs_port: Option<u32>,
    /// There is a `tee_simulator` table. Its content is secret. Read by next.
    pub has_tee_simulator: bool,
    /// SMBIOS fields by their names, such as `sys_vendor`.
    pub product: BTreeMap<String, String>,
    /// How VMs reach the network.
    pub networking: Networking,
    /// Filter of bridged VMs. Read by next.
    pub network_filter: NetworkFilter,
    /// Host ports of VMs.
    pub port_mapping: PortMapping,
    /// Restarting of VMs that ended by themselves.
    pub auto_restart: AutoRestart,
    /// Rotation of serial logs. Read by next.
    pub log: LogRotation,
    /// GPUs.
    pub gpu: GpuSection,
}

/// `[cvm.networking]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Networking {
    /// `user`, `bridge` or `custom`.
    pub mode: String,
    /// Network of the guests in user mode.
    pub net: String,
    /// First guest address in user mode.
    pub dhcp_start: String,
    /// Shut guests in user mode off from the network.
    pub restrict: bool,
    /// The bridge in bridge mode.
    pub bridge: String,
    /// First bytes of the guests' MAC addresses, as `02:ab`.
    pub mac_prefix: String,
    /// QEMU's netdev argument in custom mode.
    pub netdev: String,
    /// Forward ports to bridged VMs. Read by v0.5.
    pub forward_service_enabled: bool,
}

/// `[cvm.network_filter]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkFilter {
    /// `none` or `libvirt`.
    pub mode: String,
    /// Name of the filter.
    pub filter: String,
    /// Parameters of the filter that are strings.
    pub parameters: BTreeMap<String, String>,
}

/// `[netd]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetdSection {
    /// Socket of the network daemon.
    pub socket: PathBuf,
    /// Users that may ask it.
    pub allowed_uids: Vec<u32>,
    /// Its libvirt.
    pub libvirt_uri: String,
}

/// `[cvm.port_mapping]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortMapping {
    /// VMs may publish host ports.
    pub enabled: bool,
    /// Host address of a mapping that names none.
    pub address: IpAddr,
    /// Host ports that may be published.
    pub range: Vec<PortRange>,
}

impl PortMapping {
    /// Whether a VM may publish this host port.
    pub fn allows(&self, protocol: Protocol, port: u16) -> bool {
        self.enabled && self.range.iter().any(|r| r.protocol == protocol && (r.from..=r.to).contains(&port))
    }
}

/// `[cvm.auto_restart]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutoRestart {
    /// Restart VMs that ended by themselves.
    pub enabled: bool,
    /// Time between looks in seconds.
    pub interval: u64,
    /// Restarts in a row. Read by next.
    pub max_retries: u32,
    /// Wait before the first restart in seconds. Read by next.
    pub initial_backoff: u64,
    /// Longest wait between restarts in seconds. Read by next.
    pub max_backoff: u64,
    /// Healthy time that clears the count, in seconds. Read by next.
    pub reset_window: u64,
}

/// `[cvm.log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRotation {
    /// Size in bytes at which a serial log is rotated. 0: never.
    pub max_bytes: u64,
    /// Rotated logs that are kept.
    pub max_backups: u64,
    /// Time between looks at a log in seconds.
    pub check_interval_secs: u64,
}

/// `[cvm.gpu]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuSection {
    /// VMs may have GPUs.
    pub enabled: bool,
    /// PCI product ids that count as GPUs, as `10de:2335`.
    pub listing: Vec<String>,
    /// PCI addresses never given away.
    pub exclude: Vec<String>,
    /// PCI addresses given away. Empty: all.
    pub include: Vec<String>,
    /// A VM may take every GPU.
    pub allow_attach_all: bool,
}

/// `[gateway]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewaySection {
    /// Domain of the app URLs.
    pub base_domain: String,
    /// Port of the app URLs.
    pub port: u16,
    /// Port of the guest agent in app URLs.
    pub agent_port: u16,
}

/// `[auth]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthSection {
    /// Ask for credentials. What they guard depends on the version:
    /// [`Capabilities::auth_covers_rpc`](crate::Capabilities::auth_covers_rpc).
    pub enabled: bool,
    /// Tokens that are accepted, without empty ones, which never are.
    pub tokens: Vec<ApiToken>,
    /// htpasswd file with bcrypt hashes. Empty: none. Read by next.
    pub htpasswd_file: PathBuf,
}

/// `[supervisor]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SupervisorSection {
    /// The program.
    pub exe: PathBuf,
    /// Its socket.
    pub sock: PathBuf,
    /// Its pid file.
    pub pid_file: PathBuf,
    /// Its log.
    pub log_file: PathBuf,
    /// It outlives the VMM.
    pub detached: bool,
    /// The VMM starts it.
    pub auto_start: bool,
}

/// `[host_api]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostApi {
    /// The `Server` header towards guests.
    pub ident: String,
    /// Where guests reach the host. Must be a vsock address.
    pub address: String,
    /// vsock port.
    pub port: u32,
}

/// `[key_provider]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyProvider {
    /// Pass sealing key requests of guests on.
    pub enabled: bool,
    /// Address of the local key provider.
    pub address: IpAddr,
    /// Its TCP port.
    pub port: u16,
}

impl Default for VmmConfig {
    /// What a VMM runs with when no file sets anything.
    fn default() -> Self {
        Reader::new(&Table::default()).config()
    }
}

impl VmmConfig {
    /// Reads one `vmm.toml` over the built-in defaults. The findings are what is wrong with single keys: wrong types,
    /// impossible port ranges, keys that no version reads. [`lint`](super::lint) asks for more than that.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] with line and column when the text is not TOML.
    pub fn parse(text: &str) -> Result<(Self, Vec<Finding>), ConfigError> {
        Self::from_layers(&[Layer::toml("vmm.toml", text)])
    }

    /// Reads several files, each laid over those before it. Findings name the file.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] for the first file that cannot be read.
    pub fn from_layers(layers: &[Layer<'_>]) -> Result<(Self, Vec<Finding>), ConfigError> {
        let mut tree = Table::default();
        for layer in layers {
            tree.merge(Table::parse(layer)?);
        }
        Ok((Reader::new(&tree).config(), super::lint::structure(&tree)))
    }

    /// Where the external API listens, from `address` and `port`.
    ///
    /// # Errors
    /// [`AddressError`] when the address has no form the VMM can listen on.
    pub fn listen(&self) -> Result<ListenAddress, AddressError> {
        ListenAddress::parse(&self.address, self.port)
    }

    /// Directory of the VMs: `run_path`, or `.dstack-vmm/vm` in the home directory of the user that runs the VMM.
    ///
    /// The VMM does not expand `~`: `~/vm` is the directory `~` in its working directory, and stays so here.
    pub fn run_dir(&self, home: &Path) -> PathBuf {
        self.run_path.clone().unwrap_or_else(|| home.join(".dstack-vmm/vm"))
    }

    /// Directory of the guest images: `image.path`, else `image_path`, else `.dstack-vmm/image` in the home directory.
    pub fn image_dir(&self, home: &Path) -> PathBuf {
        let set = self.image.path.as_ref().or(self.image_path.as_ref());
        set.cloned().unwrap_or_else(|| home.join(".dstack-vmm/image"))
    }
}
