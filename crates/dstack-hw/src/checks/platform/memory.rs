//! Memory: size, DIMMs, mode, hugepages.

use dstack_check::{CheckDef, Finding, Fix};

use super::{is_amd, logged};
use crate::facts::memory::{DMI_TABLE, Dimm, Population};
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::{Fact, HostFacts};

const GIB: u64 = 1 << 20; // in KiB

/// What dstack's deployment guide asks for: 16 GB. Firmware and kernel take a part before the kernel counts.
const ADVISED: u64 = 15 * GIB;

/// Below this nothing is left for a CVM beside the host itself.
const MINIMUM: u64 = 4 * GIB;

pub(super) fn size(check: &CheckDef, facts: &HostFacts) -> Finding {
    let info = match &facts.memory.info {
        Fact::Known(info) => info,
        Fact::Absent => return check.unknown("there is no /proc/meminfo"),
        Fact::Unread(why) => return check.unknown(format!("/proc/meminfo: {}", why.why())),
    };
    let mut observed = format!("{:.1} GiB", gib(info.total));
    if let Some(available) = info.available {
        observed.push_str(&format!(", {:.1} GiB of it available", gib(available)));
    }
    let evidence = format!("MemTotal: {} kB", info.total);
    let expected = "16 GB or more, as dstack's deployment guide asks for";
    let finding = if info.total < MINIMUM {
        check.fail().fix(Fix::new("take a host with more memory")).expected(expected)
    } else if info.total < ADVISED {
        check.warn().fix(Fix::new("add memory, or keep to few and small CVMs")).expected(expected)
    } else {
        check.pass()
    };
    finding.observed(observed).evidence("/proc/meminfo", evidence)
}

pub(super) fn population(check: &CheckDef, facts: &HostFacts) -> Finding {
    if is_amd(facts) {
        return check.not_applicable().observed("the rule is Intel's, this is an AMD host");
    }
    let proof = super::tdx_is_up(facts);
    match &facts.memory.dimms {
        Fact::Known(population) if population.populated().next().is_some() => {
            let summary = summary(population);
            let oddities = oddities(population);
            let finding = if oddities.is_empty() {
                check.pass().observed(summary)
            } else if let Some((source, line)) = &proof {
                check
                    .pass()
                    .observed(format!(
                        "{summary}; {}; the firmware has accepted it, since TDX is up",
                        oddities.join("; ")
                    ))
                    .evidence(*source, line.clone())
            } else {
                check
                    .warn()
                    .observed(format!("{summary}; {}", oddities.join("; ")))
                    .expected("identical DIMMs, the same number in the same slots of every socket")
                    .fix(rule())
            };
            finding.evidence(format!("{DMI_TABLE} (SMBIOS type 17)"), slots(population))
        }
        dimms => from_elsewhere(check, facts, dimms, proof),
    }
}

/// Where the firmware's table was not read: what the kernel log says of it, or what follows from TDX being up.
fn from_elsewhere(
    check: &CheckDef,
    facts: &HostFacts,
    dimms: &Fact<Population>,
    proof: Option<(&'static str, String)>,
) -> Finding {
    if let Some((source, line)) = proof {
        return check
            .pass()
            .observed("implied: the firmware has accepted the memory, since TDX is up")
            .evidence(source, line);
    }
    let counted = logged(facts, |text| text.ends_with("memory slots populated (from DMI)"));
    let packages = facts.topology.packages.known().map(std::collections::BTreeMap::len);
    if let Some((message, (populated, slots))) =
        counted.and_then(|message| Some((message, slots_in_log(&message.text)?)))
    {
        let observed = format!("{populated} of {slots} slots are populated; their sizes are not in the log");
        let uneven = packages.filter(|packages| *packages > 0 && populated % packages != 0);
        let few = populated / packages.unwrap_or(1).max(1) < 2;
        let finding = if uneven.is_some() || few {
            check.warn().expected("the same number of DIMMs at every socket, two or more").fix(rule())
        } else {
            check.pass()
        };
        return finding.observed(observed).evidence("kernel log", message.line.clone());
    }
    match dimms {
        Fact::Unread(why) => check.unknown(format!("{DMI_TABLE}: {}", why.why())),
        Fact::Known(_) => check.unknown("the firmware's table names no slot that is populated"),
        Fact::Absent => check.unknown("there is no firmware table of the DIMM slots (SMBIOS type 17)"),
    }
}

/// `i2c i2c-0: 16/32 memory slots populated (from DMI)`: populated, slots.
fn slots_in_log(text: &str) -> Option<(usize, usize)> {
    let counts = text.split_whitespace().find(|word| word.contains('/'))?;
    let (populated, slots) = counts.split_once('/')?;
    Some((populated.parse().ok()?, slots.parse().ok()?)).filter(|(populated, slots)| populated <= slots)
}

fn rule() -> Fix {
    Fix::new(
        "populate every socket alike, with identical DIMMs in the slots that the board's manual names for TDX \
         (guides ask for 2 to 8 or more a socket, the first slot of every channel)",
    )
    .command("sudo dmidecode -t memory")
    .only_a_hint()
}

fn summary(population: &Population) -> String {
    let populated: Vec<&Dimm> = population.populated().collect();
    let total: u64 = populated.iter().map(|dimm| dimm.size).fold(0, u64::saturating_add);
    let sockets = population.sockets();
    let mut text =
        format!("{} of {} slots populated, {} GiB", populated.len(), population.slots.len(), total / 1024);
    if !sockets.is_empty() {
        let counts: Vec<String> = sockets.values().map(|socket| socket.populated.to_string()).collect();
        text.push_str(&format!(" ({} by socket)", counts.join(" and ")));
    }
    text
}

/// What is uneven, in words.
fn oddities(population: &Population) -> Vec<String> {
    let mut odd = Vec::new();
    let mut differ = |what: &str, values: Vec<String>| {
        let mut values = values;
        values.sort();
        values.dedup();
        if values.len() > 1 {
            values.truncate(6);
            odd.push(format!("{what} differ ({})", values.join(", ")));
        }
    };
    differ("sizes", population.populated().map(|dimm| format!("{} GiB", dimm.size / 1024)).collect());
    differ("part numbers", population.populated().filter_map(|dimm| dimm.part.clone()).collect());
    differ("ranks", population.populated().filter_map(|dimm| dimm.ranks).map(|it| it.to_string()).collect());
    differ(
        "speeds",
        population.populated().filter_map(|dimm| dimm.speed).map(|it| format!("{it} MT/s")).collect(),
    );
    let sockets = population.sockets();
    if sockets.values().any(|socket| sockets.values().any(|other| other.sizes != socket.sizes)) {
        odd.push("the sockets are not populated alike".to_owned());
    }
    if population.processors > 1 && !sockets.is_empty() && sockets.len() < population.processors {
        odd.push(format!("DIMMs at {} of {} sockets", sockets.len(), population.processors));
    }
    if sockets.values().any(|socket| socket.populated == 1) {
        odd.push("a socket with a single DIMM".to_owned());
    }
    odd
}

/// The populated slots, one a line.
fn slots(population: &Population) -> String {
    let line = |dimm: &Dimm| {
        let mut line = format!("{}: {} GiB", dimm.locator, dimm.size / 1024);
        if let Some(speed) = dimm.speed {
            line.push_str(&format!(", {speed} MT/s"));
        }
        if let Some(part) = &dimm.part {
            line.push_str(&format!(", {part}"));
        }
        line
    };
    population.populated().take(64).map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn mode(check: &CheckDef, facts: &HostFacts) -> Finding {
    let cached = match &facts.memory.cached_nodes {
        Fact::Known(nodes) => nodes,
        Fact::Absent => return check.pass().observed("the kernel knows no NUMA nodes, and so no tiers"),
        Fact::Unread(why) => return check.unknown(format!("/sys/devices/system/node: {}", why.why())),
    };
    if !cached.is_empty() {
        return check
            .warn()
            .observed(format!(
                "the memory of node {} is cached by faster memory: two levels (2LM)",
                list(cached)
            ))
            .expected("one level of memory (1LM)")
            .evidence("/sys/devices/system/node/nodeN/memory_side_cache", "present")
            .fix(fix_for(Setting::VolatileMemoryMode, &facts.firmware));
    }
    let alone: Vec<u32> = facts
        .topology
        .nodes
        .known()
        .into_iter()
        .flatten()
        .filter(|node| node.cpus.is_empty() && node.memory.is_some_and(|memory| memory > 0))
        .map(|node| node.number)
        .collect();
    let offline = facts.topology.offline();
    if !alone.is_empty() && offline.known().is_some_and(std::collections::BTreeSet::is_empty) {
        return check
            .warn()
            .observed(format!("node {} has memory and no CPU: CXL, persistent or high-bandwidth memory", list(&alone)))
            .expected("DRAM of the packages alone")
            .evidence("/sys/devices/system/node/nodeN/cpulist", "empty, while meminfo has a MemTotal")
            .fix(
                Fix::new("leave such memory out of the system's memory: TDs cannot use it, and memory that is added after boot is refused while TDX is on")
                    .command("daxctl list")
                    .only_a_hint(),
            );
    }
    check
        .pass()
        .observed("one level of memory")
        .evidence("/sys/devices/system/node", "no node has a memory_side_cache")
}

fn list(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn hugepages(check: &CheckDef, facts: &HostFacts) -> Finding {
    let pages = match &facts.memory.hugepages {
        Fact::Known(pages) => pages,
        Fact::Absent => return check.not_applicable().observed("the kernel has no NUMA nodes in sysfs"),
        Fact::Unread(why) => return check.unknown(format!("/sys/devices/system/node: {}", why.why())),
    };
    let reserved: Vec<_> = pages.iter().filter(|page| page.reserved > 0).collect();
    if reserved.is_empty() {
        return check
            .not_applicable()
            .observed("none are reserved; dstack uses them only for a CVM that is deployed with hugepages");
    }
    let evidence = reserved
        .iter()
        .map(|page| {
            format!("node{}: {} of {} pages of {} kB free", page.node, page.free, page.reserved, page.size)
        })
        .collect::<Vec<_>>()
        .join("\n");
    let with = |finding: Finding| finding.evidence("/sys/devices/system/node/nodeN/hugepages", evidence);
    if facts.memory.hugetlbfs.known().is_some_and(Vec::is_empty) {
        return with(
            check
                .warn()
                .observed(
                    "hugepages are reserved, and no hugetlbfs is mounted that QEMU could take them from",
                )
                .expected("hugetlbfs on /dev/hugepages")
                .fix(Fix::new("mount hugetlbfs").command("sudo systemctl enable --now dev-hugepages.mount")),
        );
    }
    let nodes = facts
        .topology
        .nodes
        .known()
        .map_or(1, |nodes| nodes.iter().filter(|node| !node.cpus.is_empty()).count().max(1));
    let served: std::collections::BTreeSet<u32> = reserved.iter().map(|page| page.node).collect();
    if served.len() < nodes {
        return with(
            check
                .warn()
                .observed(format!("reserved on {} of {nodes} nodes", served.len()))
                .expected("hugepages on every node that a CVM may be placed on")
                .fix(
                    Fix::new("reserve them on every node, early after boot")
                        .command("echo N | sudo tee /sys/devices/system/node/nodeN/hugepages/hugepages-1048576kB/nr_hugepages"),
                ),
        );
    }
    let sum = |count: fn(&crate::facts::memory::Hugepages) -> u64| {
        reserved.iter().map(|page| count(page).saturating_mul(page.size)).fold(0, u64::saturating_add)
    };
    let (all, free) = (sum(|page| page.reserved), sum(|page| page.free));
    let observed = format!("{:.1} GiB reserved, {:.1} GiB of it free", gib(all), gib(free));
    if free == 0 {
        return with(
            check
                .warn()
                .observed(observed)
                .expected("free hugepages for the next CVM")
                .fix(Fix::new("reserve more, or stop a CVM that uses them")),
        );
    }
    with(check.pass().observed(observed))
}

fn gib(kib: u64) -> f64 {
    kib as f64 / GIB as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_as_the_log_counts_them() {
        assert_eq!(slots_in_log("i2c i2c-0: 16/32 memory slots populated (from DMI)"), Some((16, 32)));
        assert_eq!(slots_in_log("i2c i2c-0: 33/32 memory slots populated (from DMI)"), None);
        assert_eq!(slots_in_log("memory slots populated (from DMI)"), None);
    }
}
