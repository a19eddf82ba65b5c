//! Packages, CPUs and NUMA nodes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::HostSource;
use super::memory::node_numbers;
use crate::{Fact, Unread};

/// The highest CPU number that is believed.
const MAX_CPU: u32 = 65_535;

/// Packages, CPUs and NUMA nodes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Topology {
    /// CPUs that are online.
    pub online: Fact<BTreeSet<u32>>,
    /// CPUs that are plugged in, online or not.
    pub present: Fact<BTreeSet<u32>>,
    /// The CPUs of each package (socket) that are online, by its number, from `/proc/cpuinfo`. A package of which no CPU
    /// is online is not in it.
    pub packages: Fact<BTreeMap<u32, BTreeSet<u32>>>,
    /// The NUMA nodes. Absent on a kernel without NUMA.
    pub nodes: Fact<Vec<Node>>,
    /// Hyper-threading.
    pub smt: Fact<Smt>,
}

/// A NUMA node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Node {
    /// Its number.
    pub number: u32,
    /// Its CPUs that are online.
    pub cpus: BTreeSet<u32>,
    /// Its memory in KiB.
    pub memory: Option<u64>,
}

/// Hyper-threading, from `/sys/devices/system/cpu/smt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Smt {
    /// Are sibling threads online?
    pub active: bool,
    /// `on`, `off`, `forceoff`, `notsupported`, `notimplemented`.
    pub control: String,
}

impl Topology {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let set = |name: &str| {
            Fact::from(source.text(&format!("/sys/devices/system/cpu/{name}"))).and_then(|text| {
                parse_cpu_list(text.trim()).map_or_else(
                    || Fact::Unread(Unread::Failed(format!("`{name}` is not a list of CPUs"))),
                    Fact::Known,
                )
            })
        };
        let packages = Fact::from(source.text("/proc/cpuinfo")).and_then(|text| {
            let packages = packages(&text);
            if packages.is_empty() {
                Fact::Unread(Unread::Failed("/proc/cpuinfo names no packages".to_owned()))
            } else {
                Fact::Known(packages)
            }
        });
        Self {
            online: set("online"),
            present: set("present"),
            packages,
            nodes: nodes(source),
            smt: smt(source),
        }
    }

    /// The CPUs that are there and not online.
    pub fn offline(&self) -> Fact<BTreeSet<u32>> {
        let present = self.present.as_ref();
        present.and_then(|present| {
            self.online.as_ref().map(|online| present.difference(online).copied().collect())
        })
    }
}

/// Reads a list of CPUs as sysfs writes it: `0-127,130`. `None` for anything else, and for numbers that no kernel has.
pub fn parse_cpu_list(text: &str) -> Option<BTreeSet<u32>> {
    let mut cpus = BTreeSet::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        if first > last || last > MAX_CPU {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// The packages of `/proc/cpuinfo`: the line `physical id` of each entry.
fn packages(cpuinfo: &str) -> BTreeMap<u32, BTreeSet<u32>> {
    let mut packages: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut cpu = None;
    for line in cpuinfo.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key.trim() {
            "processor" => cpu = value.trim().parse().ok().filter(|cpu| *cpu <= MAX_CPU),
            "physical id" => {
                if let (Some(cpu), Ok(package)) = (cpu, value.trim().parse()) {
                    packages.entry(package).or_default().insert(cpu);
                }
            }
            _ => {}
        }
    }
    packages
}

fn nodes(source: &dyn HostSource) -> Fact<Vec<Node>> {
    node_numbers(source).and_then(|numbers| {
        let mut nodes = Vec::new();
        for number in numbers {
            let file = |name: &str| source.text(&format!("/sys/devices/system/node/node{number}/{name}"));
            // A node whose CPUs cannot be read must not look like one without any.
            let cpus = match file("cpulist") {
                Ok(text) => parse_cpu_list(text.trim()).unwrap_or_default(),
                Err(Unread::Absent) => BTreeSet::new(),
                Err(why) => return Fact::Unread(why),
            };
            nodes.push(Node {
                number,
                cpus,
                memory: file("meminfo").ok().and_then(|text| node_memory(&text)),
            });
        }
        if nodes.is_empty() { Fact::Absent } else { Fact::Known(nodes) }
    })
}

/// `Node 0 MemTotal:       263780284 kB`, in KiB.
fn node_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().take(64).find(|line| line.contains(" MemTotal:"))?;
    line.split_once("MemTotal:")?.1.split_whitespace().next()?.parse().ok()
}

fn smt(source: &dyn HostSource) -> Fact<Smt> {
    let file = |name: &str| Fact::from(source.text(&format!("/sys/devices/system/cpu/smt/{name}")));
    file("active").map(|active| Smt {
        active: active.trim() == "1",
        control: file("control").known().map(|text| text.trim().to_owned()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Readings;

    #[test]
    fn lists_of_cpus() {
        let list = |text| parse_cpu_list(text).map(|cpus| cpus.into_iter().collect::<Vec<_>>());
        assert_eq!(list("0-3,8"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(list(""), Some(Vec::new()));
        assert_eq!((list("3-1"), list("0-4294967295"), list("x")), (None, None, None));
    }

    #[test]
    fn two_packages_and_two_nodes() {
        let node = "/sys/devices/system/node";
        let host = Readings::empty_host()
            .file("/proc/cpuinfo", "processor\t: 0\nphysical id\t: 0\n\nprocessor\t: 1\nphysical id\t: 1\n")
            .file("/sys/devices/system/cpu/online", "0-1\n")
            .file("/sys/devices/system/cpu/present", "0-3\n")
            .file("/sys/devices/system/cpu/smt/active", "1\n")
            .file("/sys/devices/system/cpu/smt/control", "on\n")
            .file(format!("{node}/node0/cpulist"), "0\n")
            .file(format!("{node}/node0/meminfo"), "Node 0 MemTotal:       263780284 kB\n")
            .file(format!("{node}/node1/cpulist"), "1\n");
        let topology = Topology::collect(&host);
        assert_eq!(topology.packages.known().unwrap().len(), 2);
        assert_eq!(topology.offline(), Fact::Known(BTreeSet::from([2, 3])));
        let nodes = topology.nodes.known().unwrap();
        assert_eq!((nodes.len(), nodes[0].memory, nodes[1].memory), (2, Some(263_780_284), None));
        assert!(topology.smt.known().unwrap().active);
    }

    #[test]
    fn what_is_not_known() {
        let topology = Topology::collect(&Readings::nothing_known());
        assert_eq!(topology.offline(), Fact::Unread(Unread::NotRecorded));
        assert_eq!(topology.nodes, Fact::Unread(Unread::NotRecorded));
    }

    proptest! {
        #[test]
        fn a_list_is_read_back(cpus in prop::collection::btree_set(0u32..400, 0..50)) {
            let text = cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            prop_assert_eq!(parse_cpu_list(&text), Some(cpus));
        }

        #[test]
        fn no_text_is_too_odd(text in "[0-9,: a-z\\n-]{0,200}") {
            let _ = (parse_cpu_list(&text), packages(&text), node_memory(&text));
        }
    }
}
