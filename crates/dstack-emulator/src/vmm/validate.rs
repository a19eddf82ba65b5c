//! What a VMM refuses, and in which words (upstream `vmm/src/main_service.rs`).

use std::net::IpAddr;

use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::{GpuConfig, NetworkingConfig, PortMapping};

use crate::manifest::{GpuSlot, Gpus, Network, PortMap};
use crate::rpc::RpcError;
use crate::settings::Settings;

type Checked<T> = Result<T, RpcError>;

fn refuse<T>(words: impl Into<String>) -> Checked<T> {
    Err(RpcError::text(words))
}

/// A label of a VM: ASCII letters, digits and a few marks. It may be empty.
pub(crate) fn name(name: &str) -> Checked<()> {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "-_. @~!$^()".contains(c)) {
        Ok(())
    } else {
        refuse(format!("Invalid name: {name}"))
    }
}

/// The name of an image directory.
pub(crate) fn image_name(name: &str) -> Checked<()> {
    let chars = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if !name.is_empty() && name.len() <= 64 && chars && !name.contains("..") {
        Ok(())
    } else {
        refuse("Invalid image name")
    }
}

/// An app id as it is kept: without `0x`, in lower case. Its length is the guest's business.
pub(crate) fn app_id(given: &str) -> String {
    given.trim_start_matches("0x").to_ascii_lowercase()
}

/// Ports of a new VM: they must lie in the node's ranges, and an empty address is the node's.
pub(crate) fn new_ports(ports: &[PortMapping], settings: &Settings) -> Checked<Vec<PortMap>> {
    if !ports.is_empty() && !settings.port_mapping_enabled {
        return refuse("Port mapping is disabled");
    }
    ports
        .iter()
        .map(|port| {
            let host = number(port.host_port, "Invalid host port")?;
            let allowed = settings
                .port_ranges
                .iter()
                .any(|range| range.protocol == port.protocol && (range.from..=range.to).contains(&host));
            if !allowed {
                return refuse(format!("Port mapping is not allowed for {}:{host}", port.protocol));
            }
            let default = settings.port_mapping_address;
            let address = if port.host_address.is_empty() { default } else { address(&port.host_address)? };
            published(port, host, address)
        })
        .collect()
}

/// Ports of a VM that exists: the ranges are not looked at, but each needs an address.
pub(crate) fn changed_ports(ports: &[PortMapping]) -> Checked<Vec<PortMap>> {
    ports
        .iter()
        .map(|port| {
            let host = number(port.host_port, "Invalid host port")?;
            published(port, host, address(&port.host_address)?)
        })
        .collect()
}

fn published(port: &PortMapping, host: u16, address: IpAddr) -> Checked<PortMap> {
    if !matches!(port.protocol.as_str(), "tcp" | "udp") {
        return refuse("Invalid protocol");
    }
    Ok(PortMap {
        address: address.to_string(),
        protocol: port.protocol.clone(),
        from: host,
        to: number(port.vm_port, "Invalid vm port")?,
    })
}

fn number(port: u32, attempted: &str) -> Checked<u16> {
    u16::try_from(port).map_err(|error| RpcError::text(format!("{attempted}: {error}")))
}

fn address(text: &str) -> Checked<IpAddr> {
    text.parse().map_err(|error| RpcError::text(format!("Invalid host address: {error}")))
}

/// Whether two published ports get into each other's way on the host.
fn clash(a: &PortMap, b: &PortMap) -> bool {
    let anywhere =
        |port: &PortMap| port.address.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    a.protocol == b.protocol && a.from == b.from && (a.address == b.address || anywhere(a) || anywhere(b))
}

/// Ports of one request against each other.
pub(crate) fn distinct_ports(ports: &[PortMap]) -> Checked<()> {
    for (at, port) in ports.iter().enumerate() {
        if ports.iter().take(at).any(|earlier| clash(earlier, port)) {
            return refuse(format!("duplicate host port mapping: {}", shown(port)));
        }
    }
    Ok(())
}

/// Ports of a request against those of another VM, whether it runs or not.
pub(crate) fn free_ports(ports: &[PortMap], other_id: &str, others: &[PortMap]) -> Checked<()> {
    match ports.iter().find(|port| others.iter().any(|other| clash(port, other))) {
        Some(port) => refuse(format!("host port mapping conflicts with VM {other_id}: {}", shown(port))),
        None => Ok(()),
    }
}

/// The first of some ports that is among others, or among those before it.
pub(crate) fn first_taken<'a>(
    ports: &[PortMap],
    others: impl Iterator<Item = &'a PortMap>,
) -> Option<String> {
    if ports.is_empty() {
        return None;
    }
    let others: Vec<&PortMap> = others.collect();
    let mut wanted = ports.iter().enumerate();
    let taken = wanted.find(|(at, port)| {
        others.iter().copied().chain(ports.iter().take(*at)).any(|other| clash(other, port))
    });
    taken.map(|(_, port)| shown(port))
}

fn shown(port: &PortMap) -> String {
    match port.address.parse() {
        Ok(IpAddr::V6(address)) => format!("{} [{address}]:{}", port.protocol, port.from),
        _ => format!("{} {}:{}", port.protocol, port.address, port.from),
    }
}

/// GPUs of a VM. `None` is no GPU at all.
pub(crate) fn gpus(config: Option<&GpuConfig>, settings: &Settings) -> Checked<Gpus> {
    let Some(config) = config else { return Ok(Gpus::default()) };
    let all = config.attach_mode == "all";
    if !settings.gpu_enabled && (all || !config.gpus.is_empty()) {
        return refuse("GPU is not enabled");
    }
    match config.attach_mode.as_str() {
        "listed" => {}
        "all" if settings.gpu_allow_attach_all => {}
        "all" => return refuse("Attaching all GPUs is not allowed"),
        other => return refuse(format!("Invalid GPU attach mode: {other}")),
    }
    let slots = config.gpus.iter().map(|gpu| GpuSlot { slot: gpu.slot.clone() }).collect();
    let every = settings.gpus.iter().map(|gpu| GpuSlot { slot: gpu.slot.clone() }).collect();
    Ok(Gpus {
        attach_mode: config.attach_mode.clone(),
        gpus: if all { every } else { slots },
        bridges: Vec::new(),
    })
}

/// Networks of a VM: `networks` wins over `networking`. v0.5 knows the latter alone and takes any mode.
pub(crate) fn networks(
    networking: Option<&NetworkingConfig>,
    networks: &[NetworkingConfig],
    version: DstackVersion,
    settings: &Settings,
) -> Checked<Vec<Network>> {
    if version == DstackVersion::V0_5 {
        return Ok(networking
            .map(|network| Network { mode: network.mode.clone(), ..Network::default() })
            .into_iter()
            .collect());
    }
    if !networks.is_empty() {
        return networks
            .iter()
            .map(|network| match network.mode.as_str() {
                "" => refuse("networking mode is required"),
                _ => one_network(network, settings),
            })
            .collect();
    }
    match networking {
        // Without a mode the node's default holds, as if nothing had been asked for.
        Some(network) if network.mode.is_empty() && network.bridge_name.is_empty() => Ok(Vec::new()),
        Some(network) => Ok(vec![one_network(network, settings)?]),
        None => Ok(Vec::new()),
    }
}

fn one_network(network: &NetworkingConfig, settings: &Settings) -> Checked<Network> {
    match network.mode.as_str() {
        "custom" => refuse("custom networking mode is manifest-only"),
        "user" if network.bridge_name.is_empty() => {
            Ok(Network { mode: network.mode.clone(), ..Network::default() })
        }
        "user" => refuse("bridge_name is only valid for bridge networking"),
        "bridge" => {
            let bridge = if network.bridge_name.is_empty() { &settings.bridge } else { &network.bridge_name };
            // The only bridge of the pretended host is the configured one.
            if bridge.is_empty() || *bridge != settings.bridge {
                return refuse(format!("bridge interface '{bridge}' does not exist"));
            }
            Ok(Network { mode: network.mode.clone(), bridge_name: network.bridge_name.clone() })
        }
        other => refuse(format!("unsupported networking mode: {other}")),
    }
}

/// The TEE that a plain VM pretends to be.
pub(crate) fn simulated_tee(variant: Option<&str>, settings: &Settings) -> Checked<()> {
    const VARIANTS: [&str; 5] = [
        "dstack-tdx",
        "dstack-gcp-tdx",
        "dstack-amd-sev-snp",
        "dstack-nitro-enclave",
        "dstack-aws-nitro-tpm",
    ];
    match variant {
        Some(variant) if !VARIANTS.contains(&variant) => {
            refuse(format!("unsupported TEE variant: {variant}"))
        }
        Some(_) if !settings.tee_simulator => {
            refuse("tee simulator credentials are not configured on this VMM")
        }
        _ => Ok(()),
    }
}

/// Resources of the coming version's `ResizeVm`.
pub(crate) fn resize(
    vcpu: Option<u32>,
    memory: Option<u32>,
    disk: Option<u32>,
    image: Option<&str>,
) -> Checked<()> {
    if vcpu.is_none() && memory.is_none() && disk.is_none() && image.is_none() {
        return refuse("resize request contains no updates");
    }
    for (value, what) in [(vcpu, "vcpu"), (memory, "memory"), (disk, "disk_size")] {
        if value == Some(0) {
            return refuse(format!("{what} must be greater than zero"));
        }
    }
    if image.is_some_and(str::is_empty) { refuse("image must not be empty") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(protocol: &str, host: u32, vm: u32, address: &str) -> PortMapping {
        let mut port = PortMapping::default();
        port.protocol = protocol.to_owned();
        port.host_port = host;
        port.vm_port = vm;
        port.host_address = address.to_owned();
        port
    }

    fn words<T: std::fmt::Debug>(checked: Checked<T>) -> String {
        let RpcError::Text(words) = checked.unwrap_err();
        words
    }

    #[test]
    fn names_may_be_odd_but_not_paths() {
        for good in ["", "demo", "a b", "-_. @~!$^()"] {
            name(good).unwrap();
        }
        assert_eq!(words(name("a/b")), "Invalid name: a/b");
        assert_eq!(words(name("é")), "Invalid name: é");
        for bad in ["", "../x", "a/b", "a..b", &"x".repeat(65)] {
            assert_eq!(words(image_name(bad)), "Invalid image name", "{bad}");
        }
    }

    #[test]
    fn new_ports_keep_to_the_ranges() {
        let mut settings = Settings::default();
        let refused = |p: PortMapping, settings: &Settings| words(new_ports(&[p], settings));
        for (port, words) in [
            (port("tcp", 30_000, 80, ""), "Port mapping is not allowed for tcp:30000"),
            (port("sctp", 80, 80, ""), "Port mapping is not allowed for sctp:80"),
            (
                port("tcp", 70_000, 80, ""),
                "Invalid host port: out of range integral type conversion attempted",
            ),
            (port("tcp", 80, 70_000, ""), "Invalid vm port: out of range integral type conversion attempted"),
            (port("tcp", 80, 80, "localhost"), "Invalid host address: invalid IP address syntax"),
        ] {
            assert_eq!(refused(port, &settings), words);
        }
        let ok = new_ports(&[port("tcp", 80, 8080, "")], &settings).unwrap();
        assert_eq!(ok[0].address, "127.0.0.1");
        settings.port_mapping_enabled = false;
        assert_eq!(refused(port("tcp", 80, 80, ""), &settings), "Port mapping is disabled");
        assert_eq!(new_ports(&[], &settings).unwrap(), []);
    }

    #[test]
    fn changed_ports_need_an_address_and_no_range() {
        assert_eq!(
            words(changed_ports(&[port("tcp", 1, 1, "")])),
            "Invalid host address: invalid IP address syntax"
        );
        assert_eq!(words(changed_ports(&[port("sctp", 1, 1, "::")])), "Invalid protocol");
        assert_eq!(changed_ports(&[port("tcp", 60_000, 1, "::1")]).unwrap()[0].address, "::1");
    }

    #[test]
    fn ports_clash_on_one_address_or_on_any() {
        let at = |protocol, host, address| changed_ports(&[port(protocol, host, 80, address)]).unwrap();
        let taken = at("tcp", 80, "127.0.0.1");
        for free in [at("udp", 80, "127.0.0.1"), at("tcp", 81, "127.0.0.1"), at("tcp", 80, "127.0.0.2")] {
            free_ports(&free, "x", &taken).unwrap();
        }
        for clash in [at("tcp", 80, "127.0.0.1"), at("tcp", 80, "0.0.0.0"), at("tcp", 80, "::")] {
            assert!(
                words(free_ports(&clash, "x", &taken))
                    .starts_with("host port mapping conflicts with VM x: tcp")
            );
        }
    }

    #[test]
    fn gpus_need_a_mode_and_permission() {
        let mut settings = Settings::default();
        let config = |mode: &str, slots: &[&str]| {
            let mut config = GpuConfig::default();
            config.attach_mode = mode.to_owned();
            for slot in slots {
                let mut gpu = dstack_vmm_client::api::GpuSpec::default();
                gpu.slot = (*slot).to_owned();
                config.gpus.push(gpu);
            }
            config
        };
        let refused = |c: &GpuConfig, settings: &Settings| words(gpus(Some(c), settings));
        assert_eq!(gpus(None, &settings).unwrap(), Gpus::default());
        assert_eq!(refused(&config("listed", &["18:00.0"]), &settings), "GPU is not enabled");
        assert_eq!(refused(&config("", &[]), &settings), "Invalid GPU attach mode: ");
        settings.gpu_enabled = true;
        settings.gpus = vec![crate::settings::Gpu::new("18:00.0", "10de:2335", "pretended")];
        assert_eq!(gpus(Some(&config("all", &[])), &settings).unwrap().gpus.len(), 1);
        settings.gpu_allow_attach_all = false;
        assert_eq!(refused(&config("all", &[]), &settings), "Attaching all GPUs is not allowed");
    }

    #[test]
    fn networks_of_the_coming_version_are_checked() {
        let settings = Settings { bridge: "br0".to_owned(), ..Settings::default() };
        let network = |mode: &str, bridge: &str| {
            let mut network = NetworkingConfig::default();
            network.mode = mode.to_owned();
            network.bridge_name = bridge.to_owned();
            network
        };
        let next = |list: &[NetworkingConfig]| networks(None, list, DstackVersion::Next, &settings);
        assert_eq!(words(next(&[network("", "")])), "networking mode is required");
        assert_eq!(words(next(&[network("custom", "")])), "custom networking mode is manifest-only");
        assert_eq!(words(next(&[network("host", "")])), "unsupported networking mode: host");
        assert!(next(&[network("user", "br0")]).is_err());
        assert!(next(&[network("bridge", "br1")]).is_err());
        assert_eq!(next(&[network("bridge", ""), network("user", "")]).unwrap().len(), 2);
        let old = networks(Some(&network("custom", "x")), &[], DstackVersion::V0_5, &settings).unwrap();
        assert_eq!(old, [Network { mode: "custom".to_owned(), bridge_name: String::new() }]);
    }

    #[test]
    fn tee_variants_are_a_closed_list() {
        let mut settings = Settings::default();
        simulated_tee(None, &settings).unwrap();
        assert_eq!(words(simulated_tee(Some("sgx"), &settings)), "unsupported TEE variant: sgx");
        assert!(words(simulated_tee(Some("dstack-tdx"), &settings)).contains("not configured"));
        settings.tee_simulator = true;
        simulated_tee(Some("dstack-tdx"), &settings).unwrap();
    }
}
