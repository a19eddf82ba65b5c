//! Memory: how much, on which DIMMs, in which mode, and how much of it is reserved as hugepages.

mod dimms;
pub mod smbios;

use serde::Serialize;

use super::HostSource;
use crate::Fact;

pub use dimms::{Dimm, Population, SocketPopulation};

/// The structure table of the firmware; only root may read it.
pub const DMI_TABLE: &str = "/sys/firmware/dmi/tables/DMI";

/// The most NUMA nodes that are looked at.
pub(super) const MAX_NODES: usize = 256;

/// Memory: how much, on which DIMMs, in which mode, and how much of it is reserved as hugepages.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Memory {
    /// `/proc/meminfo`.
    pub info: Fact<MemInfo>,
    /// The DIMM slots of the firmware's table ([`DMI_TABLE`], SMBIOS type 17).
    pub dimms: Fact<Population>,
    /// The NUMA nodes whose memory is cached by other memory (`memory_side_cache` of the node, which the kernel makes
    /// from ACPI HMAT): two-level memory (2LM), or HBM as a cache. Empty where no node has one.
    pub cached_nodes: Fact<Vec<u32>>,
    /// Hugepages, a node and size each.
    pub hugepages: Fact<Vec<Hugepages>>,
    /// Where a `hugetlbfs` is mounted, from `/proc/mounts`.
    pub hugetlbfs: Fact<Vec<String>>,
}

/// The lines of `/proc/meminfo` that are looked at. All in KiB (the file says kB and means 1024 bytes).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct MemInfo {
    /// Memory the kernel can use: what is installed without what firmware and kernel took at boot.
    pub total: u64,
    /// What could be given to a new program without swapping.
    pub available: Option<u64>,
    /// Swap, in use or not.
    pub swap: Option<u64>,
}

impl MemInfo {
    /// Reads the file. `None` where it has no `MemTotal`.
    pub fn parse(text: &str) -> Option<Self> {
        let kib = |name: &str| {
            text.lines().take(256).find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key.trim() == name).then(|| value.split_whitespace().next()?.parse::<u64>().ok())?
            })
        };
        Some(Self { total: kib("MemTotal")?, available: kib("MemAvailable"), swap: kib("SwapTotal") })
    }
}

/// The hugepages of one size on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Hugepages {
    /// The NUMA node.
    pub node: u32,
    /// The size of a page, in KiB: 2048 or 1048576.
    pub size: u64,
    /// How many are reserved.
    pub reserved: u64,
    /// How many of them nobody uses.
    pub free: u64,
}

impl Memory {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let nodes = node_numbers(source);
        Self {
            info: Fact::from(source.text("/proc/meminfo")).and_then(|text| {
                MemInfo::parse(&text).map_or_else(
                    || Fact::Unread(crate::Unread::Failed("/proc/meminfo has no MemTotal".to_owned())),
                    Fact::Known,
                )
            }),
            dimms: Fact::from(source.read(DMI_TABLE)).and_then(|table| {
                let population = Population::parse(&table);
                if population.slots.is_empty() { Fact::Absent } else { Fact::Known(population) }
            }),
            cached_nodes: nodes.as_ref().and_then(|nodes| cached_nodes(source, nodes)),
            hugepages: nodes.and_then(|nodes| hugepages(source, &nodes)),
            hugetlbfs: Fact::from(source.text("/proc/mounts")).map(|text| hugetlbfs(&text)),
        }
    }
}

/// The numbers of the folders `/sys/devices/system/node/nodeN`.
pub(super) fn node_numbers(source: &dyn HostSource) -> Fact<Vec<u32>> {
    Fact::from(source.list("/sys/devices/system/node")).map(|names| {
        let mut numbers: Vec<u32> =
            names.iter().filter_map(|name| name.strip_prefix("node")?.parse().ok()).take(MAX_NODES).collect();
        numbers.sort_unstable();
        numbers
    })
}

fn cached_nodes(source: &dyn HostSource, nodes: &[u32]) -> Fact<Vec<u32>> {
    let mut cached = Vec::new();
    for node in nodes {
        let folder = format!("/sys/devices/system/node/node{node}/memory_side_cache");
        match source.list(&folder) {
            Ok(names) if names.iter().any(|name| name.starts_with("index")) => cached.push(*node),
            Ok(_) | Err(crate::Unread::Absent) => {}
            Err(why) => return Fact::Unread(why),
        }
    }
    Fact::Known(cached)
}

fn hugepages(source: &dyn HostSource, nodes: &[u32]) -> Fact<Vec<Hugepages>> {
    let mut found = Vec::new();
    for &node in nodes {
        let folder = format!("/sys/devices/system/node/node{node}/hugepages");
        let sizes = match source.list(&folder) {
            Ok(sizes) => sizes,
            Err(crate::Unread::Absent) => continue,
            Err(why) => return Fact::Unread(why),
        };
        for name in sizes.iter().take(8) {
            let size = name.strip_prefix("hugepages-").and_then(|rest| rest.strip_suffix("kB"));
            let Some(size) = size.and_then(|size| size.parse().ok()) else { continue };
            let count = |file: &str| match source.text(&format!("{folder}/{name}/{file}")) {
                Ok(text) => Ok(text.trim().parse::<u64>().ok()),
                Err(crate::Unread::Absent) => Ok(None),
                Err(why) => Err(why),
            };
            match (count("nr_hugepages"), count("free_hugepages")) {
                (Ok(Some(reserved)), Ok(Some(free))) => found.push(Hugepages { node, size, reserved, free }),
                (Ok(_), Ok(_)) => {}
                // A node whose pages cannot be counted must not look like one without any.
                (Err(why), _) | (_, Err(why)) => return Fact::Unread(why),
            }
        }
    }
    Fact::Known(found)
}

/// The mount points of file system type `hugetlbfs`.
fn hugetlbfs(mounts: &str) -> Vec<String> {
    let point = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let point = words.next()?;
        (words.next()? == "hugetlbfs").then(|| point.to_owned())
    };
    mounts.lines().filter_map(point).take(64).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Unread;
    use crate::source::Readings;

    #[test]
    fn meminfo() {
        let text =
            "MemTotal:       1056421232 kB\nMemFree: 1 kB\nMemAvailable:   1040000000 kB\nSwapTotal: 0 kB\n";
        let info = MemInfo::parse(text).unwrap();
        assert_eq!(info, MemInfo { total: 1_056_421_232, available: Some(1_040_000_000), swap: Some(0) });
        assert_eq!(MemInfo::parse("MemFree: 1 kB\n"), None);
        assert_eq!(MemInfo::parse("MemTotal: lots\n"), None);
    }

    #[test]
    fn hugepages_of_two_nodes() {
        let base = "/sys/devices/system/node";
        let page = |host: Readings, node: u32, reserved: &str, free: &str| {
            let folder = format!("{base}/node{node}/hugepages/hugepages-1048576kB");
            host.file(format!("{folder}/nr_hugepages"), reserved)
                .file(format!("{folder}/free_hugepages"), free)
        };
        let host = page(page(Readings::empty_host(), 0, "16\n", "4\n"), 1, "0\n", "0\n");
        let memory = Memory::collect(&host);
        let found = memory.hugepages.known().unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], Hugepages { node: 0, size: 1_048_576, reserved: 16, free: 4 });
        assert_eq!(memory.cached_nodes, Fact::Known(Vec::new()));
        assert_eq!(memory.hugetlbfs, Fact::Absent);
    }

    #[test]
    fn a_memory_side_cache_is_two_level_memory() {
        let host = Readings::empty_host()
            .file("/sys/devices/system/node/node1/memory_side_cache/index1/size", "1\n")
            .file("/sys/devices/system/node/node0/meminfo", "");
        assert_eq!(Memory::collect(&host).cached_nodes, Fact::Known(vec![1]));
    }

    #[test]
    fn a_table_that_only_root_may_read() {
        let host = Readings::empty_host().file_reading(DMI_TABLE, Err(Unread::NotPermitted));
        assert_eq!(Memory::collect(&host).dimms, Fact::Unread(Unread::NotPermitted));
    }

    #[test]
    fn mounts() {
        let text = "tmpfs /run tmpfs rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\nodd\n";
        assert_eq!(hugetlbfs(text), ["/dev/hugepages"]);
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "(MemTotal: ?)?[ -~\\n]{0,120}") {
            let _ = (MemInfo::parse(&text), hugetlbfs(&text));
        }
    }
}
