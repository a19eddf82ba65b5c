//! Every key a VMM reads, with its type, its default and the versions that read it.
//!
//! Source: `vmm/vmm.toml` and `vmm/src/config.rs` of dstack, tag `v0.5.11` and branch `next` at `312dc605`.

use crate::DstackVersion;

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyType {
    /// `true` or `false`.
    Bool,
    /// An integer from 0 up to this.
    Int {
        /// The greatest value.
        max: u64,
    },
    /// A string.
    Text,
    /// A path of the host. The VMM does not expand `~`.
    Path,
    /// A URL, or an empty string for none.
    Url,
    /// An IPv4 or IPv6 address without port.
    Ip,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A list of strings.
    Texts,
    /// A list of URLs.
    Urls,
    /// A list of integers from 0 to 4294967295.
    Ints,
    /// A size in bytes: an integer, or a string with a unit such as `"4M"` (binary multiples).
    Size,
    /// A list of tables with `protocol` (`tcp` or `udp`), `from` and `to` (host ports, both included).
    Ranges,
    /// A table whose keys this crate does not list.
    Table,
    /// Anything.
    Any,
}

/// The value the VMM takes when no file sets the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyDefault {
    /// There is none; the key is optional.
    Unset,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(u64),
    /// A string.
    Text(&'static str),
    /// A list of strings.
    Texts(&'static [&'static str]),
    /// A list of port ranges.
    Ranges(&'static [(&'static str, u16, u16)]),
}

/// Which versions read a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readers {
    /// All that this crate knows.
    All,
    /// One alone; the others ignore the key.
    Only(DstackVersion),
}

/// One key of `vmm.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDef {
    /// The dotted path, such as `cvm.port_mapping.enabled`.
    pub path: &'static str,
    /// What values it takes.
    pub kind: KeyType,
    /// The value without it.
    pub default: KeyDefault,
    /// Which versions read it.
    pub readers: Readers,
    /// The key to use instead, where this one is only kept for old files.
    pub replaced_by: Option<&'static str>,
    /// The value is a secret and is never shown.
    pub secret: bool,
    /// What it is for, in a few words, with the unit.
    pub doc: &'static str,
}

impl KeyDef {
    const fn new(path: &'static str, kind: KeyType, default: KeyDefault, doc: &'static str) -> Self {
        Self { path, kind, default, readers: Readers::All, replaced_by: None, secret: false, doc }
    }

    const fn next(mut self) -> Self {
        self.readers = Readers::Only(DstackVersion::Next);
        self
    }

    const fn v0_5(mut self) -> Self {
        self.readers = Readers::Only(DstackVersion::V0_5);
        self
    }

    const fn replaced_by(mut self, path: &'static str) -> Self {
        self.replaced_by = Some(path);
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Whether this version reads the key.
    pub fn is_read_by(&self, version: DstackVersion) -> bool {
        match self.readers {
            Readers::All => true,
            Readers::Only(only) => only == version,
        }
    }
}

use KeyDefault as D;
use KeyType as T;

const PORT: KeyType = T::Int { max: u16::MAX as u64 };
const U32: KeyType = T::Int { max: u32::MAX as u64 };
// TOML integers are signed.
const COUNT: KeyType = T::Int { max: i64::MAX as u64 };
const NONE: KeyDefault = D::Unset;
const EMPTY: KeyDefault = D::Text("");

const fn key(path: &'static str, kind: KeyType, default: KeyDefault, doc: &'static str) -> KeyDef {
    KeyDef::new(path, kind, default, doc)
}

/// Every key, in the order in which the upstream file has them.
pub static KEYS: &[KeyDef] = &[
    key("workers", COUNT, D::Int(8), "worker threads of the web server"),
    key("max_blocking", COUNT, D::Int(64), "threads for blocking work"),
    key("ident", T::Text, D::Text("dstack VMM"), "the Server header"),
    key("temp_dir", T::Path, D::Text("/tmp"), "where uploads are kept meanwhile"),
    key("keep_alive", U32, D::Int(10), "idle time of a connection, seconds; 0 switches it off"),
    key("log_level", T::Text, D::Text("debug"), "the web server's log level"),
    key("address", T::Text, D::Text("unix:./vmm.sock"), "where the external API listens"),
    key("port", PORT, NONE, "TCP port of the external API, instead of the one in address"),
    key("reuse", T::Bool, D::Bool(true), "take over an existing unix socket file"),
    key("kms_url", T::Url, D::Text("http://127.0.0.1:8081"), "the KMS asked for environment keys"),
    key("event_buffer_size", COUNT, D::Int(20), "guest events kept for each VM"),
    key("node_name", T::Text, EMPTY, "name in the title of the console"),
    key("image_path", T::Path, NONE, "directory of the guest images").replaced_by("image.path"),
    key("run_path", T::Path, NONE, "directory of the VMs; ~/.dstack-vmm/vm without it"),
    key("image.path", T::Path, NONE, "directory of the guest images; ~/.dstack-vmm/image without it"),
    key("image.registry", T::Text, EMPTY, "host/repository that images are pulled from"),
    key("cvm.platform", T::OneOf(&["auto", "tdx", "amd-sev-snp"]), D::Text("auto"), "the TEE").next(),
    key("cvm.qemu_path", T::Path, EMPTY, "the QEMU program; searched for when empty"),
    key("cvm.kms_urls", T::Urls, D::Texts(&["http://127.0.0.1:8081"]), "the KMSs the guests use"),
    key(
        "cvm.gateway_urls",
        T::Urls,
        D::Texts(&["http://127.0.0.1:8082"]),
        "the gateways the guests register with",
    ),
    key("cvm.tproxy_urls", T::Urls, NONE, "older name of gateway_urls").replaced_by("cvm.gateway_urls"),
    key("cvm.pccs_url", T::Url, EMPTY, "the PCCS that guests verify quotes with"),
    key("cvm.nvidia_attestation_proxy_url", T::Url, NONE, "cache for GPU attestation").next(),
    key("cvm.docker_registry", T::Text, EMPTY, "registry mirror of the guests"),
    key("cvm.volumes_dir", T::Path, EMPTY, "directory of attachable volumes").next(),
    key("cvm.cid_start", U32, D::Int(1000), "first vsock context id given to a VM"),
    key("cvm.cid_pool_size", U32, D::Int(1000), "how many context ids there are, and so how many VMs"),
    key("cvm.max_allocable_vcpu", U32, D::Int(20), "vCPUs to give away; shown, not enforced"),
    key(
        "cvm.max_allocable_memory_in_mb",
        U32,
        D::Int(100_000),
        "memory to give away, MB; shown, not enforced",
    ),
    key("cvm.qmp_socket", T::Bool, D::Bool(false), "open QEMU's control socket"),
    key("cvm.user", T::Text, EMPTY, "user that QEMU runs as; the VMM's own when empty"),
    key("cvm.instance_id", T::Text, EMPTY, "name of this VMM among several on a host").next(),
    key("cvm.use_mrconfigid", T::Bool, D::Bool(true), "measure the app into MRCONFIGID"),
    key("cvm.qemu_single_pass_add_pages", T::Bool, NONE, "how QEMU adds pages; detected without it"),
    key("cvm.qemu_pic", T::Bool, NONE, "QEMU's interrupt controller; detected without it"),
    key("cvm.qemu_version", T::Text, NONE, "QEMU's version; detected without it"),
    key("cvm.qemu_pci_hole64_size", T::Size, D::Int(0), "64-bit PCI window, bytes; 0 leaves QEMU's"),
    key("cvm.qemu_hotplug_off", T::Bool, D::Bool(false), "switch PCI hotplug off"),
    key(
        "cvm.tdx_attestation_variant",
        T::OneOf(&["legacy", "lite", "auto"]),
        D::Text("auto"),
        "how TDX guests are measured",
    )
    .next(),
    key("cvm.host_share_mode", T::OneOf(&["9p", "vhd", "vvfat"]), D::Text("9p"), "how files reach the guest"),
    key("cvm.qgs_port", U32, D::Int(4050), "vsock port of the quote generation service"),
    key("cvm.tee_simulator", T::Table, NONE, "keys and collateral of simulated TEEs").next().secret(),
    key("cvm.product.bios_vendor", T::Text, NONE, "SMBIOS type 0"),
    key("cvm.product.bios_version", T::Text, NONE, "SMBIOS type 0"),
    key("cvm.product.bios_date", T::Text, NONE, "SMBIOS type 0"),
    key("cvm.product.bios_release", T::Text, NONE, "SMBIOS type 0"),
    key("cvm.product.sys_vendor", T::Text, D::Text("dstack"), "SMBIOS type 1"),
    key("cvm.product.product_name", T::Text, D::Text("dstack"), "SMBIOS type 1"),
    key("cvm.product.product_version", T::Text, NONE, "SMBIOS type 1"),
    key("cvm.product.product_serial", T::Text, NONE, "SMBIOS type 1"),
    key("cvm.product.product_uuid", T::Text, NONE, "SMBIOS type 1"),
    key("cvm.product.product_family", T::Text, NONE, "SMBIOS type 1"),
    key("cvm.product.product_sku", T::Text, NONE, "SMBIOS type 1"),
    key("cvm.product.board_vendor", T::Text, NONE, "SMBIOS type 2"),
    key("cvm.product.board_name", T::Text, NONE, "SMBIOS type 2"),
    key("cvm.product.board_version", T::Text, NONE, "SMBIOS type 2"),
    key("cvm.product.board_serial", T::Text, NONE, "SMBIOS type 2"),
    key("cvm.product.board_asset_tag", T::Text, NONE, "SMBIOS type 2"),
    key("cvm.product.chassis_vendor", T::Text, NONE, "SMBIOS type 3"),
    key("cvm.product.chassis_version", T::Text, NONE, "SMBIOS type 3"),
    key("cvm.product.chassis_serial", T::Text, NONE, "SMBIOS type 3"),
    key("cvm.product.chassis_asset_tag", T::Text, NONE, "SMBIOS type 3"),
    key(
        "cvm.networking.mode",
        T::OneOf(&["user", "bridge", "custom"]),
        D::Text("user"),
        "how VMs reach the network",
    ),
    key("cvm.networking.net", T::Text, D::Text("10.0.2.0/24"), "network of the guests in user mode"),
    key("cvm.networking.dhcp_start", T::Text, D::Text("10.0.2.10"), "first guest address in user mode"),
    key("cvm.networking.restrict", T::Bool, D::Bool(false), "shut guests in user mode off from the network"),
    key("cvm.networking.bridge", T::Text, EMPTY, "the bridge in bridge mode"),
    key("cvm.networking.mac_prefix", T::Text, EMPTY, "first bytes of the guests' MAC addresses"),
    key("cvm.networking.netdev", T::Text, EMPTY, "QEMU's netdev argument in custom mode"),
    key("cvm.networking.forward_service_enabled", T::Bool, D::Bool(false), "forward ports to bridged VMs")
        .v0_5(),
    key("cvm.network_filter.mode", T::OneOf(&["none", "libvirt"]), D::Text("none"), "filter of bridged VMs")
        .next(),
    key("cvm.network_filter.filter", T::Text, D::Text("clean-traffic"), "name of the filter").next(),
    key("cvm.network_filter.parameters", T::Table, NONE, "parameters of the filter").next(),
    key("netd.socket", T::Path, D::Text("/run/dstack/netd.sock"), "socket of the network daemon").next(),
    key("netd.allowed_uids", T::Ints, NONE, "users that may ask the network daemon").next(),
    key("netd.libvirt_uri", T::Text, D::Text("qemu:///system"), "libvirt of the network daemon").next(),
    key("cvm.port_mapping.enabled", T::Bool, D::Bool(false), "VMs may publish host ports"),
    key("cvm.port_mapping.address", T::Ip, D::Text("127.0.0.1"), "host address of a mapping that names none"),
    key(
        "cvm.port_mapping.range",
        T::Ranges,
        D::Ranges(&[("tcp", 1, 20000)]),
        "host ports that may be published",
    ),
    key("cvm.auto_restart.enabled", T::Bool, D::Bool(true), "restart VMs that ended by themselves"),
    key("cvm.auto_restart.interval", COUNT, D::Int(20), "time between looks, seconds"),
    key("cvm.auto_restart.max_retries", U32, D::Int(5), "restarts in a row").next(),
    key("cvm.auto_restart.initial_backoff", COUNT, D::Int(5), "wait before the first restart, seconds")
        .next(),
    key("cvm.auto_restart.max_backoff", COUNT, D::Int(300), "longest wait between restarts, seconds").next(),
    key("cvm.auto_restart.reset_window", COUNT, D::Int(300), "healthy time that clears the count, seconds")
        .next(),
    key("cvm.log.max_bytes", T::Size, D::Text("4M"), "size at which a serial log is rotated, bytes; 0 never")
        .next(),
    key("cvm.log.max_backups", COUNT, D::Int(3), "rotated logs that are kept").next(),
    key("cvm.log.check_interval_secs", COUNT, D::Int(5), "time between looks at a log, seconds").next(),
    key("cvm.gpu.enabled", T::Bool, D::Bool(false), "VMs may have GPUs"),
    key("cvm.gpu.listing", T::Texts, D::Texts(&["10de:2335"]), "PCI product ids that count as GPUs"),
    key("cvm.gpu.exclude", T::Texts, D::Texts(&[]), "PCI addresses never given away"),
    key("cvm.gpu.include", T::Texts, D::Texts(&[]), "PCI addresses given away; all when empty"),
    key("cvm.gpu.allow_attach_all", T::Bool, D::Bool(true), "a VM may take every GPU"),
    key("gateway.base_domain", T::Text, D::Text("localhost"), "domain of the app URLs"),
    key("gateway.port", PORT, D::Int(8082), "port of the app URLs"),
    key("gateway.agent_port", PORT, D::Int(8090), "port of the guest agent in app URLs"),
    key("auth.enabled", T::Bool, D::Bool(false), "ask for credentials"),
    key("auth.tokens", T::Texts, D::Texts(&[]), "tokens that are accepted").secret(),
    key("auth.htpasswd_file", T::Path, EMPTY, "htpasswd file with bcrypt hashes").next(),
    key("supervisor.exe", T::Path, D::Text("./supervisor"), "the supervisor program"),
    key("supervisor.sock", T::Path, D::Text("./run/supervisor.sock"), "its socket"),
    key("supervisor.pid_file", T::Path, D::Text("./run/supervisor.pid"), "its pid file"),
    key("supervisor.log_file", T::Path, D::Text("./run/supervisor.log"), "its log"),
    key("supervisor.detached", T::Bool, D::Bool(false), "it outlives the VMM"),
    key("supervisor.auto_start", T::Bool, D::Bool(true), "the VMM starts it"),
    key("host_api.ident", T::Text, D::Text("dstack VMM"), "the Server header towards guests"),
    key("host_api.address", T::Text, D::Text("vsock:2"), "where guests reach the host; vsock alone"),
    key("host_api.port", U32, D::Int(10000), "vsock port"),
    key("key_provider.enabled", T::Bool, D::Bool(true), "pass sealing key requests of guests on"),
    key("key_provider.address", T::Ip, D::Text("127.0.0.1"), "address of the local key provider"),
    key("key_provider.port", PORT, D::Int(3443), "TCP port of the local key provider"),
    // The web server's own, which the VMM hands through (Rocket's configuration).
    key("ip_header", T::Any, NONE, "header with the client's address, from a proxy"),
    key("proxy_proto_header", T::Any, NONE, "header with the client's scheme, from a proxy"),
    key("log_format", T::Any, NONE, "the web server's log format"),
    key("cli_colors", T::Any, NONE, "colour in the web server's log"),
    key("limits", T::Table, NONE, "size limits of the web server"),
    key("shutdown", T::Table, NONE, "how the web server ends"),
    key("tls", T::Table, NONE, "certificate of the web server"),
    key("secret_key", T::Any, NONE, "cookie key of the web server").secret(),
];

/// The definition of a key.
///
/// ```
/// use dstack_vmm_client::config::{KeyDefault, key_def};
///
/// assert_eq!(key_def("cvm.cid_start").unwrap().default, KeyDefault::Int(1000));
/// assert!(key_def("vmm.api_port").is_none());
/// ```
pub fn key_def(path: &str) -> Option<&'static KeyDef> {
    KEYS.iter().find(|key| key.path == path)
}

/// The keys whose spelling is closest to a path, best first, at most three. Empty when none is near.
///
/// Where no spelling is near, keys with the same last name in another table are: settings are often put in the wrong
/// table. A name that many tables have, such as `enabled`, says nothing.
pub fn nearest_keys(path: &str) -> Vec<&'static str> {
    let current = || KEYS.iter().map(|key| key.path).filter(|&known| known != path && is_current(known));
    let most = 2.max(path.chars().count() / 6);
    let mut near: Vec<(usize, &'static str)> =
        current().map(|known| (edit_distance(path, known), known)).filter(|(far, _)| *far <= most).collect();
    near.sort();
    near.truncate(3);
    if !near.is_empty() {
        return near.into_iter().map(|(_, known)| known).collect();
    }
    let leaf = last_name(path);
    let same: Vec<&str> = current().filter(|known| last_name(known) == leaf).collect();
    if same.len() <= 3 { same } else { Vec::new() }
}

fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn is_current(path: &str) -> bool {
    key_def(path).is_some_and(|key| key.replaced_by.is_none())
}

/// How many characters must be added, removed or replaced to make one text the other.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unique_and_no_key_is_a_table_of_another() {
        for (at, key) in KEYS.iter().enumerate() {
            for other in &KEYS[at + 1..] {
                assert_ne!(key.path, other.path);
                for (a, b) in [(key, other), (other, key)] {
                    assert!(!b.path.starts_with(&format!("{}.", a.path)), "{} is inside {}", b.path, a.path);
                }
            }
            if let Some(replacement) = key.replaced_by {
                assert!(key_def(replacement).is_some(), "{replacement}");
            }
        }
    }

    #[test]
    fn nearest() {
        assert_eq!(nearest_keys("cvm.port_maping.enabled"), ["cvm.port_mapping.enabled"]);
        assert_eq!(nearest_keys("adress"), ["address"]);
        assert_eq!(nearest_keys("pccs_url"), ["cvm.pccs_url"]);
        assert_eq!(nearest_keys("server.base_domain"), ["gateway.base_domain"]);
        assert!(nearest_keys("vmm.enabled").is_empty());
        assert!(nearest_keys("storage_backend_of_something").is_empty());
    }

    #[test]
    fn distance() {
        for (a, b, d) in [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("äb", "ab", 1)] {
            assert_eq!(edit_distance(a, b), d);
            assert_eq!(edit_distance(b, a), d);
        }
    }
}
