//! SGX as the kernel has it: enclave memory by node, device nodes, drivers.
//!
//! What the CPU says of SGX is in [`cpu`](super::cpu), what the firmware set in [`msr`](super::msr).

use serde::Serialize;

use super::HostSource;
use crate::source::FileMeta;
use crate::{Fact, Unread};

/// The most NUMA nodes whose EPC is read.
const MAX_NODES: usize = 1024;

/// What the kernel has made of SGX.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Sgx {
    /// EPC by NUMA node, as the kernel counts it (`/sys/devices/system/node/nodeN/x86/sgx_total_bytes`, Linux 5.18).
    pub node_epc: Fact<Vec<NodeEpc>>,
    /// `/dev/sgx_enclave`: enclaves can be made.
    pub enclave_device: Fact<FileMeta>,
    /// `/dev/sgx_provision`: an enclave may ask for the provisioning key, which quoting enclaves do.
    pub provision_device: Fact<FileMeta>,
    /// `/dev/sgx_vepc`: EPC for virtual machines. dstack does not use it; it tells apart what KVM got and native code did not.
    pub vepc_device: Fact<FileMeta>,
    /// `/dev/isgx`: the first out-of-tree driver.
    pub isgx_device: Fact<FileMeta>,
    /// `/dev/sgx/enclave`: the out-of-tree DCAP driver, or a link that the Intel packages make to the in-kernel one.
    pub dcap_device: Fact<FileMeta>,
    /// Out-of-tree modules that are loaded (`isgx`, `intel_sgx`). The in-kernel driver is built in and is no module.
    pub out_of_tree_modules: Fact<Vec<String>>,
}

/// The EPC of one NUMA node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct NodeEpc {
    /// Number of the node.
    pub node: u32,
    /// Bytes of EPC.
    pub bytes: u64,
}

impl Sgx {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let device = |path: &str| Fact::from(source.stat(path));
        Self {
            node_epc: node_epc(source),
            enclave_device: device("/dev/sgx_enclave"),
            provision_device: device("/dev/sgx_provision"),
            vepc_device: device("/dev/sgx_vepc"),
            isgx_device: device("/dev/isgx"),
            dcap_device: device("/dev/sgx/enclave"),
            out_of_tree_modules: Fact::from(source.text("/proc/modules")).map(|text| out_of_tree(&text)),
        }
    }

    /// EPC of all nodes in bytes, as the kernel counts it.
    pub fn node_epc_bytes(&self) -> Fact<u64> {
        self.node_epc
            .as_ref()
            .map(|nodes| nodes.iter().fold(0, |sum: u64, node| sum.saturating_add(node.bytes)))
    }
}

fn node_epc(source: &dyn HostSource) -> Fact<Vec<NodeEpc>> {
    const NODES: &str = "/sys/devices/system/node";
    let names = match source.list(NODES) {
        Ok(names) => names,
        Err(why) => return Fact::from(Err(why)),
    };
    let numbers =
        names.iter().filter_map(|name| name.strip_prefix("node")?.parse::<u32>().ok()).take(MAX_NODES);
    let mut nodes = Vec::new();
    let mut unread = None;
    for node in numbers {
        match source.text(&format!("{NODES}/node{node}/x86/sgx_total_bytes")) {
            Ok(text) => match text.trim().parse() {
                Ok(bytes) => nodes.push(NodeEpc { node, bytes }),
                Err(_) => {
                    unread = Some(Unread::Failed(format!("sgx_total_bytes of node {node} is not a number")));
                }
            },
            // A node without EPC has no such file.
            Err(Unread::Absent) => {}
            Err(why) => unread = Some(why),
        }
    }
    nodes.sort_by_key(|node| node.node);
    match unread {
        Some(why) if nodes.is_empty() => Fact::Unread(why),
        _ if nodes.is_empty() => Fact::Absent,
        _ => Fact::Known(nodes),
    }
}

/// Names of out-of-tree SGX drivers in `/proc/modules`.
fn out_of_tree(modules: &str) -> Vec<String> {
    modules
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| matches!(*name, "isgx" | "intel_sgx"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Readings;

    #[test]
    fn the_kernel_counts_by_node() {
        let host = Readings::nothing_known()
            .folder("/sys/devices/system/node", ["node0", "node1", "possible"])
            .file("/sys/devices/system/node/node0/x86/sgx_total_bytes", "2115186688\n")
            .file_reading("/sys/devices/system/node/node1/x86/sgx_total_bytes", Err(Unread::Absent));
        assert_eq!(Sgx::collect(&host).node_epc_bytes(), Fact::Known(2_115_186_688));
    }

    #[test]
    fn only_out_of_tree_drivers_are_modules() {
        assert_eq!(
            out_of_tree("kvm_intel 1 0 - Live\nintel_sgx 2 1 - Live\nisgx_helper 1 0 - Live\n"),
            ["intel_sgx"]
        );
    }
}
