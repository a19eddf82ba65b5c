//! From the tree of a file to the typed configuration. Defaults come from the table of keys alone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::model::{
    AuthSection, AutoRestart, CvmSection, GatewaySection, GpuSection, HostApi, ImageSection, KeyProvider,
    LogRotation, NetdSection, NetworkFilter, Networking, PortMapping, SupervisorSection, VmmConfig,
};
use super::port_range::PortRange;
use super::tree::{Node, Table};
use super::value::{mismatch, parse_size};
use super::{ApiToken, ConfigValue, KEYS, KeyDef, key_def};

/// Reads values by path. A value that does not fit its key reads as the default.
pub(crate) struct Reader<'a> {
    tree: &'a Table,
    /// Which keys were asked for, so that a test can tell that none is forgotten.
    #[cfg(test)]
    asked: std::cell::RefCell<std::collections::BTreeSet<String>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(tree: &'a Table) -> Self {
        Self {
            tree,
            #[cfg(test)]
            asked: std::cell::RefCell::default(),
        }
    }

    fn key(&self, path: &str) -> Option<&'static KeyDef> {
        #[cfg(test)]
        self.asked.borrow_mut().insert(path.to_owned());
        let key = key_def(path);
        debug_assert!(key.is_some(), "{path} is no key");
        key
    }

    /// The fitting value a file has.
    fn node(&self, path: &str) -> Option<&'a Node> {
        let key = self.key(path)?;
        let entry = self.tree.at(path)?;
        mismatch(key.kind, key.secret, &entry.place, &entry.node).is_none().then_some(&entry.node)
    }

    fn value(&self, path: &str) -> Option<ConfigValue> {
        match self.node(path) {
            Some(node) => ConfigValue::from_node(node),
            None => ConfigValue::default_of(self.key(path)?),
        }
    }

    fn opt_text(&self, path: &str) -> Option<String> {
        match self.value(path) {
            Some(ConfigValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn text(&self, path: &str) -> String {
        self.opt_text(path).unwrap_or_default()
    }

    fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(self.text(path))
    }

    /// The path, where one is set; the VMM takes an empty one as unset.
    fn opt_path(&self, path: &str) -> Option<PathBuf> {
        self.opt_text(path).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    fn opt_flag(&self, path: &str) -> Option<bool> {
        match self.value(path) {
            Some(ConfigValue::Bool(flag)) => Some(flag),
            _ => None,
        }
    }

    fn flag(&self, path: &str) -> bool {
        self.opt_flag(path).unwrap_or_default()
    }

    fn opt_int<T: TryFrom<i64>>(&self, path: &str) -> Option<T> {
        match self.value(path) {
            Some(ConfigValue::Int(number)) => T::try_from(number).ok(),
            _ => None,
        }
    }

    fn int<T: TryFrom<i64> + Default>(&self, path: &str) -> T {
        self.opt_int(path).unwrap_or_default()
    }

    fn size(&self, path: &str) -> u64 {
        match self.value(path) {
            Some(ConfigValue::Int(number)) => u64::try_from(number).unwrap_or_default(),
            Some(ConfigValue::Text(text)) => parse_size(&text).unwrap_or_default(),
            _ => 0,
        }
    }

    fn texts(&self, path: &str) -> Vec<String> {
        match self.value(path) {
            Some(ConfigValue::Texts(texts)) => texts,
            _ => Vec::new(),
        }
    }

    fn ints(&self, path: &str) -> Vec<u32> {
        match self.value(path) {
            Some(ConfigValue::Ints(numbers)) => numbers,
            _ => Vec::new(),
        }
    }

    fn ip(&self, path: &str) -> IpAddr {
        self.text(path).parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The ranges that are ones; the others are left out, one by one.
    fn ranges(&self, path: &str) -> Vec<PortRange> {
        match self.node(path) {
            Some(Node::List(items)) => {
                items.iter().filter_map(|(_, node)| PortRange::from_node(node).ok()).collect()
            }
            _ => match self.value(path) {
                Some(ConfigValue::Ranges(ranges)) => ranges,
                _ => Vec::new(),
            },
        }
    }

    fn table_of_texts(&self, path: &str) -> BTreeMap<String, String> {
        let Some(Node::Table(table)) = self.node(path) else { return BTreeMap::new() };
        let texts = table.entries().iter().filter_map(|entry| match &entry.node {
            Node::Text(text) => Some((entry.key.clone(), text.clone())),
            _ => None,
        });
        texts.collect()
    }

    fn product(&self) -> BTreeMap<String, String> {
        KEYS.iter()
            .filter_map(|key| key.path.strip_prefix("cvm.product.").map(|name| (key.path, name)))
            .filter_map(|(path, name)| Some((name.to_owned(), self.opt_text(path)?)))
            .collect()
    }

    pub(crate) fn config(&self) -> VmmConfig {
        VmmConfig {
            workers: self.int("workers"),
            max_blocking: self.int("max_blocking"),
            ident: self.text("ident"),
            temp_dir: self.path("temp_dir"),
            keep_alive: self.int("keep_alive"),
            log_level: self.text("log_level"),
            address: self.text("address"),
            port: self.opt_int("port"),
            reuse: self.flag("reuse"),
            kms_url: self.text("kms_url"),
            event_buffer_size: self.int("event_buffer_size"),
            node_name: self.text("node_name"),
            image_path: self.opt_path("image_path"),
            run_path: self.opt_path("run_path"),
            image: ImageSection { path: self.opt_path("image.path"), registry: self.text("image.registry") },
            cvm: self.cvm(),
            netd: NetdSection {
                socket: self.path("netd.socket"),
                allowed_uids: self.ints("netd.allowed_uids"),
                libvirt_uri: self.text("netd.libvirt_uri"),
            },
            gateway: GatewaySection {
                base_domain: self.text("gateway.base_domain"),
                port: self.int("gateway.port"),
                agent_port: self.int("gateway.agent_port"),
            },
            auth: AuthSection {
                enabled: self.flag("auth.enabled"),
                tokens: self
                    .texts("auth.tokens")
                    .into_iter()
                    .filter(|token| !token.is_empty())
                    .map(ApiToken::new)
                    .collect(),
                htpasswd_file: self.path("auth.htpasswd_file"),
            },
            supervisor: SupervisorSection {
                exe: self.path("supervisor.exe"),
                sock: self.path("supervisor.sock"),
                pid_file: self.path("supervisor.pid_file"),
                log_file: self.path("supervisor.log_file"),
                detached: self.flag("supervisor.detached"),
                auto_start: self.flag("supervisor.auto_start"),
            },
            host_api: HostApi {
                ident: self.text("host_api.ident"),
                address: self.text("host_api.address"),
                port: self.int("host_api.port"),
            },
            key_provider: KeyProvider {
                enabled: self.flag("key_provider.enabled"),
                address: self.ip("key_provider.address"),
                port: self.int("key_provider.port"),
            },
        }
    }

    fn cvm(&self) -> CvmSection {
        let older_gateways = self.texts("cvm.tproxy_urls");
        let named = self.tree.at("cvm.gateway_urls").is_some() || older_gateways.is_empty();
        CvmSection {
            platform: self.text("cvm.platform"),
            qemu_path: self.path("cvm.qemu_path"),
            kms_urls: self.texts("cvm.kms_urls"),
            gateway_urls: if named { self.texts("cvm.gateway_urls") } else { older_gateways },
            pccs_url: self.text("cvm.pccs_url"),
            nvidia_attestation_proxy_url: self.opt_text("cvm.nvidia_attestation_proxy_url"),
            docker_registry: self.text("cvm.docker_registry"),
            volumes_dir: self.path("cvm.volumes_dir"),
            cid_start: self.int("cvm.cid_start"),
            cid_pool_size: self.int("cvm.cid_pool_size"),
            max_allocable_vcpu: self.int("cvm.max_allocable_vcpu"),
            max_allocable_memory_in_mb: self.int("cvm.max_allocable_memory_in_mb"),
            qmp_socket: self.flag("cvm.qmp_socket"),
            user: self.text("cvm.user"),
            instance_id: self.text("cvm.instance_id"),
            use_mrconfigid: self.flag("cvm.use_mrconfigid"),
            qemu_single_pass_add_pages: self.opt_flag("cvm.qemu_single_pass_add_pages"),
            qemu_pic: self.opt_flag("cvm.qemu_pic"),
            qemu_version: self.opt_text("cvm.qemu_version"),
            qemu_pci_hole64_size: self.size("cvm.qemu_pci_hole64_size"),
            qemu_hotplug_off: self.flag("cvm.qemu_hotplug_off"),
            tdx_attestation_variant: self.text("cvm.tdx_attestation_variant"),
            host_share_mode: self.text("cvm.host_share_mode"),
            qgs_port: self.opt_int("cvm.qgs_port"),
            has_tee_simulator: self.node("cvm.tee_simulator").is_some(),
            product: self.product(),
            networking: Networking {
                mode: self.text("cvm.networking.mode"),
                net: self.text("cvm.networking.net"),
                dhcp_start: self.text("cvm.networking.dhcp_start"),
                restrict: self.flag("cvm.networking.restrict"),
                bridge: self.text("cvm.networking.bridge"),
                mac_prefix: self.text("cvm.networking.mac_prefix"),
                netdev: self.text("cvm.networking.netdev"),
                forward_service_enabled: self.flag("cvm.networking.forward_service_enabled"),
            },
            network_filter: NetworkFilter {
                mode: self.text("cvm.network_filter.mode"),
                filter: self.text("cvm.network_filter.filter"),
                parameters: self.table_of_texts("cvm.network_filter.parameters"),
            },
            port_mapping: PortMapping {
                enabled: self.flag("cvm.port_mapping.enabled"),
                address: self.ip("cvm.port_mapping.address"),
                range: self.ranges("cvm.port_mapping.range"),
            },
            auto_restart: AutoRestart {
                enabled: self.flag("cvm.auto_restart.enabled"),
                interval: self.int("cvm.auto_restart.interval"),
                max_retries: self.int("cvm.auto_restart.max_retries"),
                initial_backoff: self.int("cvm.auto_restart.initial_backoff"),
                max_backoff: self.int("cvm.auto_restart.max_backoff"),
                reset_window: self.int("cvm.auto_restart.reset_window"),
            },
            log: LogRotation {
                max_bytes: self.size("cvm.log.max_bytes"),
                max_backups: self.int("cvm.log.max_backups"),
                check_interval_secs: self.int("cvm.log.check_interval_secs"),
            },
            gpu: GpuSection {
                enabled: self.flag("cvm.gpu.enabled"),
                listing: self.texts("cvm.gpu.listing"),
                exclude: self.texts("cvm.gpu.exclude"),
                include: self.texts("cvm.gpu.include"),
                allow_attach_all: self.flag("cvm.gpu.allow_attach_all"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KeyType;

    #[test]
    fn every_key_is_read_into_the_model() {
        let tree = Table::default();
        let reader = Reader::new(&tree);
        let _ = reader.config();
        let asked = reader.asked.borrow();
        let forgotten: Vec<&str> =
            KEYS.iter().map(|key| key.path).filter(|&path| !asked.contains(path)).collect();
        // The web server's own keys and nothing else.
        let web = [
            "ip_header",
            "proxy_proto_header",
            "log_format",
            "cli_colors",
            "limits",
            "shutdown",
            "tls",
            "secret_key",
        ];
        assert_eq!(forgotten, web);
    }

    #[test]
    fn every_default_fits_its_key() {
        for key in KEYS {
            if let Some(value) = ConfigValue::default_of(key) {
                let empty_path = matches!(key.kind, KeyType::Path);
                assert!(value.fits(key.kind) || empty_path, "{}", key.path);
            } else {
                assert_eq!(key.default, crate::config::KeyDefault::Unset, "{}", key.path);
            }
        }
    }

    #[test]
    fn without_a_file_the_defaults_stand() {
        insta::assert_debug_snapshot!(VmmConfig::default());
    }
}
