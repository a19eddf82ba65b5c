//! Packages, NUMA nodes, hyper-threading.

use std::collections::BTreeSet;

use dstack_check::{CheckDef, Finding, Fix};

use super::logged;
use crate::facts::topology::Node;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::{Fact, HostFacts};

pub(super) fn packages_online(check: &CheckDef, facts: &HostFacts) -> Finding {
    let topology = &facts.topology;
    // A list of CPUs that was recorded at another time than `/proc/cpuinfo` decides.
    let is_online = |cpus: &BTreeSet<u32>| {
        topology.online.known().is_none_or(|online| cpus.iter().any(|cpu| online.contains(cpu)))
    };
    let online =
        topology.packages.known().map(|packages| packages.values().filter(|cpus| is_online(cpus)).count());
    let offline = match topology.offline() {
        Fact::Known(offline) => offline,
        Fact::Absent => return check.unknown("sysfs does not list the CPUs"),
        Fact::Unread(why) => return check.unknown(format!("/sys/devices/system/cpu: {}", why.why())),
    };
    let cpus = topology.online.known().map_or(0, BTreeSet::len);
    if offline.is_empty() {
        let packages = match online {
            Some(1) => "1 package, ".to_owned(),
            Some(packages) => format!("{packages} packages, "),
            None => String::new(),
        };
        return check
            .pass()
            .observed(format!("{packages}{cpus} CPUs, every one online"))
            .evidence("/sys/devices/system/cpu/{present,online}", "the same CPUs");
    }
    let Some((there, source, excerpt)) = packages_there(facts) else {
        // Every package has memory of its own on a NUMA host: where all of it has CPUs, none sleeps.
        let nodes = topology.nodes.known().map_or(&[][..], Vec::as_slice);
        let with_memory: Vec<&Node> =
            nodes.iter().filter(|node| node.memory.is_some_and(|it| it > 0)).collect();
        let several = with_memory.len() > 1 && online.is_some_and(|online| online > 1);
        if several && with_memory.iter().all(|node| is_online(&node.cpus) && !node.cpus.is_empty()) {
            return check
                .pass()
                .observed(format!(
                    "{} CPUs are offline; every node with memory has a CPU online",
                    offline.len()
                ))
                .evidence(
                    "/sys/devices/system/node/nodeN/cpulist",
                    nodes.iter().map(line).collect::<Vec<_>>().join("\n"),
                );
        }
        return check.unknown(format!(
            "{} CPUs are offline, and nothing that could be read says how many packages there are",
            offline.len()
        ));
    };
    let Some(online) = online else {
        return check
            .unknown(format!("{} CPUs are offline, and /proc/cpuinfo names no packages", offline.len()));
    };
    let observed =
        format!("{online} of {there} packages have a CPU online; {} CPUs are offline", offline.len());
    if online >= there {
        return check.pass().observed(observed).evidence(source, excerpt);
    }
    check.fail().observed(observed).expected("a CPU online in every package").evidence(source, excerpt).fix(
        Fix::new(
            "bring the CPUs online, and remove `maxcpus=` and `nr_cpus=` from the kernel's command line",
        )
        .command("for cpu in /sys/devices/system/cpu/cpu[0-9]*/online; do echo 1 | sudo tee $cpu; done"),
    )
}

/// How many packages the host has, online or not.
fn packages_there(facts: &HostFacts) -> Option<(usize, &'static str, String)> {
    if let Some(population) = facts.memory.dimms.known()
        && population.processors > 0
    {
        let excerpt = format!("{} processors (SMBIOS type 4)", population.processors);
        return Some((population.processors, crate::facts::memory::DMI_TABLE, excerpt));
    }
    // "smpboot: Max logical packages: 2" before 6.9, "CPU topo: Max. logical packages:   2" since.
    let prefixes = ["smpboot: Max logical packages:", "CPU topo: Max. logical packages:"];
    let message = logged(facts, |text| prefixes.iter().any(|prefix| text.starts_with(prefix)))?;
    let count = message.text.rsplit(':').next()?.trim().parse().ok()?;
    Some((count, "kernel log", message.line.clone()))
}

pub(super) fn numa(check: &CheckDef, facts: &HostFacts) -> Finding {
    let topology = &facts.topology;
    let packages = match &topology.packages {
        Fact::Known(packages) => packages.len(),
        Fact::Absent => return check.unknown("there is no /proc/cpuinfo"),
        Fact::Unread(why) => return check.unknown(format!("/proc/cpuinfo: {}", why.why())),
    };
    if packages == 1 {
        return check.pass().observed("one package: nothing to interleave");
    }
    let nodes = match &topology.nodes {
        Fact::Known(nodes) => nodes.iter().filter(|node| !node.cpus.is_empty()).count(),
        Fact::Absent => 1,
        Fact::Unread(why) => return check.unknown(format!("/sys/devices/system/node: {}", why.why())),
    };
    let observed = format!("{packages} packages, {nodes} NUMA nodes with CPUs");
    let evidence = topology.nodes.known().map_or_else(
        || "no nodes: a kernel without NUMA".to_owned(),
        |nodes| nodes.iter().map(line).collect::<Vec<_>>().join("\n"),
    );
    if nodes >= packages {
        return check.pass().observed(observed).evidence("/sys/devices/system/node", evidence);
    }
    let off = facts.kernel.command_line.known().is_some_and(|line| line.value("numa") == Some("off"));
    let fix = if off {
        Fix::new("remove `numa=off` from the kernel's command line")
    } else {
        fix_for(Setting::NodeInterleaving, &facts.firmware)
    };
    check
        .warn()
        .observed(observed)
        .expected("a NUMA node for every package, or several (sub-NUMA clusters)")
        .evidence("/sys/devices/system/node", evidence)
        .fix(fix)
}

fn line(node: &Node) -> String {
    let memory = node.memory.map_or_else(String::new, |memory| format!(", MemTotal: {memory} kB"));
    format!("node{}: {} CPUs{memory}", node.number, node.cpus.len())
}

pub(super) fn smt(check: &CheckDef, facts: &HostFacts) -> Finding {
    let smt = match &facts.topology.smt {
        Fact::Known(smt) => smt,
        Fact::Absent => {
            return check.not_applicable().observed("the kernel does not tell of hyper-threading");
        }
        Fact::Unread(why) => return check.unknown(format!("/sys/devices/system/cpu/smt: {}", why.why())),
    };
    let evidence = format!("active: {}, control: {}", u8::from(smt.active), smt.control);
    let finding = match (smt.active, smt.control.as_str()) {
        (false, "off" | "forceoff") => check
            .warn()
            .observed("the kernel has taken the sibling threads offline; the firmware has hyper-threading on")
            .expected("on, or off in the firmware")
            .fix(
                Fix::new("let the kernel use them (remove `nosmt`), or turn hyper-threading off in the firmware where a policy asks for that")
                    .command("echo on | sudo tee /sys/devices/system/cpu/smt/control")
                    .only_a_hint(),
            ),
        (true, _) => check.pass().observed("on; TDX does not need it off"),
        (false, _) => check.pass().observed("off in the firmware, or not a feature of this CPU"),
    };
    finding.evidence("/sys/devices/system/cpu/smt", evidence)
}
