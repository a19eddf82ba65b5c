//! The checks of the layer `gpu`. Everything is read from sysfs; no tool of the vendor is run.

#[cfg(test)]
mod tests;

use dstack_check::{CheckDef, Finding, Fix};

use super::{Barrier, HwCheck};
use crate::facts::pci::PciDevice;
use crate::knowledge::gpus::{self, Family};
use crate::{Fact, HostFacts};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.gpu.present", "there is an NVIDIA GPU with a confidential mode")
            .layer("gpu")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .why("A CVM can use a GPU confidentially only where the GPU itself protects its memory: Hopper and Blackwell."),
        Barrier::Hardware,
        present,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.driver", "the GPUs are bound to vfio-pci")
            .layer("gpu")
            .parents(&["hw.gpu.present", "hw.platform.vfio"])
            .why("A device that a driver of the host holds cannot be given to a VM."),
        Barrier::Setting,
        driver,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.iommu-group", "no other device in use shares an IOMMU group with a GPU")
            .layer("gpu")
            .parents(&["hw.gpu.present", "hw.platform.iommu"])
            .why("An IOMMU group is given to a VM as a whole or not at all."),
        Barrier::Setting,
        iommu_group,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.numa-node", "the NUMA node of each GPU is known")
            .layer("gpu")
            .parents(&["hw.gpu.present"])
            .why("dstack takes the memory of a pinned CVM from the nodes of its GPUs, and from node 0 where a GPU has none."),
        Barrier::Setting,
        numa_node,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.bar", "the memory regions of the GPUs are assigned")
            .layer("gpu")
            .parents(&["hw.gpu.present"])
            .why("A GPU whose regions have no address is seen and cannot be used."),
        Barrier::Setting,
        bar,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.nvswitch", "the NVSwitches are complete and bound with the GPUs")
            .layer("gpu")
            .parents(&["hw.gpu.present"])
            .why("Several GPUs of a board work together only with all of its switches in the same VM."),
        Barrier::Setting,
        nvswitch,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.mode", "the confidential mode of the GPUs fits their number")
            .layer("gpu")
            .parents(&["hw.gpu.present"])
            .needs("NVIDIA's gpu-admin-tools, which are not run")
            .why("A GPU has its mode before the CVM starts: a wrong one makes the driver in the CVM refuse it."),
        Barrier::Setting,
        mode,
    ),
];

const DEVICES: &str = "/sys/bus/pci/devices";

fn present(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Fact::Unread(why) = &facts.pci.nvidia {
        return check.unknown(format!("{DEVICES}: {}", why.why()));
    }
    let gpus: Vec<&PciDevice> = facts.pci.gpus().collect();
    let evidence = described(facts.pci.nvidia.known().into_iter().flatten());
    let expected = "a GPU of NVIDIA's families Hopper (H100, H200) or Blackwell (B200)";
    let fix = || Fix::new("take a host with such a GPU, or use the profile without GPUs");
    let capable: Vec<&&PciDevice> =
        gpus.iter().filter(|gpu| matches!(gpu.family(), Family::Hopper | Family::Blackwell)).collect();
    let newer = gpus.iter().filter(|gpu| gpu.family() == Family::NotKnown).count();
    if !capable.is_empty() {
        let mut observed = format!("{} ({})", counted(capable.len(), "GPU"), families(&capable));
        if capable.len() < gpus.len() {
            observed
                .push_str(&format!(", and {} without a known confidential mode", gpus.len() - capable.len()));
        }
        return check.pass().observed(observed).evidence(DEVICES, evidence);
    }
    if newer > 0 {
        return check
            .warn()
            .observed(format!(
                "{} of a family that is not in the table of {}; whether it has a confidential mode is not known",
                counted(newer, "GPU"),
                gpus::AS_OF
            ))
            .expected(expected)
            .evidence(DEVICES, evidence)
            .fix(Fix::new("look the GPU up in NVIDIA's list of GPUs with confidential computing").only_a_hint());
    }
    if gpus.is_empty() {
        let switches = facts.pci.nvswitches().count();
        let observed = if switches > 0 {
            format!("no GPU of NVIDIA, though {}", counted(switches, "NVSwitch"))
        } else {
            "no GPU of NVIDIA".to_owned()
        };
        return check
            .fail()
            .observed(observed)
            .expected(expected)
            .evidence(
                DEVICES,
                if evidence.is_empty() { "no device of vendor 0x10de".to_owned() } else { evidence },
            )
            .fix(fix());
    }
    check
        .fail()
        .observed(format!("{} of families without a confidential mode", counted(gpus.len(), "GPU")))
        .expected(expected)
        .evidence(DEVICES, evidence)
        .fix(fix())
}

/// The GPUs that the checks below `present` are about. `Err` with the answer where there are none or nothing is known.
fn gpus<'a>(check: &CheckDef, facts: &'a HostFacts) -> Result<Vec<&'a PciDevice>, Box<Finding>> {
    if let Fact::Unread(why) = &facts.pci.nvidia {
        return Err(Box::new(check.unknown(format!("{DEVICES}: {}", why.why()))));
    }
    let gpus: Vec<&PciDevice> = facts.pci.confidential_gpus().collect();
    if gpus.is_empty() {
        return Err(Box::new(check.not_applicable().observed("no GPU with a confidential mode")));
    }
    Ok(gpus)
}

fn driver(check: &CheckDef, facts: &HostFacts) -> Finding {
    let gpus = match gpus(check, facts) {
        Ok(gpus) => gpus,
        Err(finding) => return *finding,
    };
    let mut other = Vec::new();
    let mut none = Vec::new();
    for gpu in &gpus {
        match &gpu.driver {
            Fact::Known(name) if name == "vfio-pci" => {}
            Fact::Known(name) => other.push((*gpu, name.as_str())),
            Fact::Absent => none.push(*gpu),
            Fact::Unread(why) => return check.unknown(format!("{}: {}", gpu.address, why.why())),
        }
    }
    let evidence = gpus
        .iter()
        .map(|gpu| {
            format!("{} -> {}", gpu.describe(), gpu.driver.known().map_or("no driver", String::as_str))
        })
        .collect::<Vec<_>>()
        .join("\n");
    let with = |finding: Finding| finding.evidence(format!("{DEVICES}/ADDRESS/driver"), evidence.clone());
    let ids: std::collections::BTreeSet<u16> = gpus.iter().map(|gpu| gpu.device).collect();
    let ids = ids.iter().map(|id| format!("10de:{id:04x}")).collect::<Vec<_>>().join(",");
    let bind = |action: &'static str| {
        Fix::new(action)
            .command(format!("echo 'options vfio-pci ids={ids}' | sudo tee /etc/modprobe.d/vfio-gpu.conf"))
            .command("echo vfio-pci | sudo tee /etc/modules-load.d/vfio-pci.conf")
            .command("sudo update-initramfs -u && sudo reboot")
    };
    if let Some((_, name)) = other.first() {
        let mut observed = format!("{} of {} bound to {name}", other.len(), counted(gpus.len(), "GPU"));
        if *name == "nvidia" {
            // The driver of the host sees nothing of a GPU in confidential mode; people take it for broken.
            observed.push_str("; with the confidential mode on, `nvidia-smi` on the host finds no device, and that is as it should be");
        }
        return with(check.fail().observed(observed).expected("vfio-pci").fix(bind(
            "bind the GPUs to vfio-pci at boot, before the vendor's driver: list their ids for vfio-pci and keep nvidia and nouveau from loading",
        )));
    }
    if !none.is_empty() {
        return with(
            check
                .warn()
                .observed(format!("{} of {} bound to no driver", none.len(), counted(gpus.len(), "GPU")))
                .expected("vfio-pci")
                .fix(bind("bind the GPUs to vfio-pci")),
        );
    }
    with(check.pass().observed(format!("{} bound to vfio-pci", counted(gpus.len(), "GPU"))))
}

fn iommu_group(check: &CheckDef, facts: &HostFacts) -> Finding {
    let gpus = match gpus(check, facts) {
        Ok(gpus) => gpus,
        Err(finding) => return *finding,
    };
    let mut shared = Vec::new();
    for gpu in &gpus {
        let group = match &gpu.iommu_group {
            Fact::Known(group) => group,
            Fact::Absent => {
                return check
                    .fail()
                    .observed(format!("{} is in no IOMMU group", gpu.describe()))
                    .expected("a group of its own")
                    .evidence(format!("{DEVICES}/{}/iommu_group", gpu.address), "absent")
                    .fix(Fix::new("turn the IOMMU on, see `hw.platform.iommu`"));
            }
            Fact::Unread(why) => return check.unknown(format!("{}: {}", gpu.address, why.why())),
        };
        let members = match facts.pci.groups.get(group) {
            Some(Fact::Known(members)) => members,
            Some(Fact::Unread(why)) => return check.unknown(format!("IOMMU group {group}: {}", why.why())),
            Some(Fact::Absent) | None => continue,
        };
        for member in members.iter().filter(|member| member.address != gpu.address) {
            let is_gpu = gpus.iter().any(|other| other.address == member.address);
            let bridge = member.is_bridge().known() == Some(&true);
            match &member.driver {
                _ if bridge || is_gpu => {}
                Fact::Known(name) if name != "vfio-pci" => {
                    shared.push(format!(
                        "{} shares group {group} with {} ({name})",
                        gpu.address, member.address
                    ));
                }
                Fact::Unread(why) => return check.unknown(format!("{}: {}", member.address, why.why())),
                _ => {}
            }
        }
    }
    let source = "/sys/kernel/iommu_groups/N/devices";
    if shared.is_empty() {
        let groups: std::collections::BTreeSet<&u32> =
            gpus.iter().filter_map(|gpu| gpu.iommu_group.known()).collect();
        return check
            .pass()
            .observed(format!(
                "{} in {} groups, with nothing else in use",
                counted(gpus.len(), "GPU"),
                groups.len()
            ))
            .evidence(source, described(gpus.iter().copied()));
    }
    shared.truncate(16);
    check
        .fail()
        .observed(format!("{} of the groups is shared with a device that the host uses", shared.len()))
        .expected("bridges, other GPUs and devices bound to vfio-pci at most")
        .evidence(source, shared.join("\n"))
        .fix(
            Fix::new("bind the other devices to vfio-pci too, or put the GPU into a slot whose root port separates it (ACS on in the firmware)")
                .only_a_hint(),
        )
}

fn numa_node(check: &CheckDef, facts: &HostFacts) -> Finding {
    let gpus = match gpus(check, facts) {
        Ok(gpus) => gpus,
        Err(finding) => return *finding,
    };
    let several = facts.topology.nodes.known().is_some_and(|nodes| nodes.len() > 1);
    let mut nowhere = Vec::new();
    for gpu in &gpus {
        match &gpu.numa_node {
            Fact::Known(node) if *node >= 0 => {}
            Fact::Known(_) => nowhere.push(*gpu),
            Fact::Absent => {
                return check
                    .unknown(format!("{} has no file numa_node: a kernel without NUMA", gpu.address));
            }
            Fact::Unread(why) => return check.unknown(format!("{}: {}", gpu.address, why.why())),
        }
    }
    let evidence = gpus
        .iter()
        .filter_map(|gpu| Some(format!("{}: node {}", gpu.describe(), gpu.numa_node.known()?)))
        .collect::<Vec<_>>()
        .join("\n");
    let source = format!("{DEVICES}/ADDRESS/numa_node");
    if nowhere.is_empty() || !several && facts.topology.nodes.known().is_some() {
        return check.pass().observed("known, or the host has one node").evidence(source, evidence);
    }
    check
        .warn()
        .observed(format!("{} without a node (-1)", counted(nowhere.len(), "GPU")))
        .expected("a node of 0 or above")
        .evidence(source, evidence)
        .fix(
            Fix::new("update the firmware, which should say where the slot is (ACPI _PXM), or set the node after every boot")
                .command(format!("echo NODE | sudo tee {DEVICES}/ADDRESS/numa_node"))
                .only_a_hint(),
        )
}

fn bar(check: &CheckDef, facts: &HostFacts) -> Finding {
    let gpus = match gpus(check, facts) {
        Ok(gpus) => gpus,
        Err(finding) => return *finding,
    };
    let mut without = Vec::new();
    let mut lines = Vec::new();
    for gpu in &gpus {
        let bars = match &gpu.bars {
            Fact::Known(bars) => bars,
            Fact::Absent => return check.unknown(format!("{} has no file resource", gpu.address)),
            Fact::Unread(why) => return check.unknown(format!("{}: {}", gpu.address, why.why())),
        };
        if bars.is_empty() || bars.iter().any(|bar| !bar.assigned) {
            without.push(gpu.address.as_str());
        }
        let regions: Vec<String> = bars
            .iter()
            .map(|bar| {
                let state =
                    if bar.assigned { format!("0x{:x}", bar.start) } else { "not assigned".to_owned() };
                format!("{} ({} MiB, {state})", bar.number, bar.size >> 20)
            })
            .collect();
        lines.push(format!("{}: {}", gpu.describe(), regions.join(", ")));
    }
    let source = format!("{DEVICES}/ADDRESS/resource");
    if without.is_empty() {
        return check
            .pass()
            .observed(format!("all regions of {} assigned", counted(gpus.len(), "GPU")))
            .evidence(source, lines.join("\n"));
    }
    check
        .fail()
        .observed(format!("not assigned: {}", without.join(", ")))
        .expected("an address for every memory region")
        .evidence(source, lines.join("\n"))
        .fix(
            Fix::new("turn on decoding above 4 GiB and a large MMIO space in the firmware, or try `pci=realloc` on the kernel's command line")
                .only_a_hint(),
        )
}

fn nvswitch(check: &CheckDef, facts: &HostFacts) -> Finding {
    let gpus = match gpus(check, facts) {
        Ok(gpus) => gpus,
        Err(finding) => return *finding,
    };
    let switches: Vec<&PciDevice> = facts.pci.nvswitches().collect();
    if switches.is_empty() {
        return check.not_applicable().observed(
            "the host has no NVSwitches on PCI: its GPUs are used one by one, or linked otherwise",
        );
    }
    let expected = format!(
        "{} NVSwitches and {} GPUs, all bound to vfio-pci",
        gpus::HOPPER_BOARD_NVSWITCHES,
        gpus::HOPPER_BOARD_GPUS
    );
    let evidence = switches
        .iter()
        .map(|it| format!("{} -> {}", it.describe(), it.driver.known().map_or("no driver", String::as_str)))
        .collect::<Vec<_>>()
        .join("\n");
    let with = |finding: Finding| finding.evidence(DEVICES, evidence.clone());
    let hopper = switches.iter().any(|it| it.device == gpus::HOPPER_NVSWITCH);
    let counts = format!("{} and {}", counted(switches.len(), "NVSwitch"), counted(gpus.len(), "GPU"));
    if hopper && (switches.len() != gpus::HOPPER_BOARD_NVSWITCHES || gpus.len() != gpus::HOPPER_BOARD_GPUS) {
        return with(check.warn().observed(counts).expected(expected).fix(
            Fix::new("find out why devices of the board are missing before using its GPUs together; one by one they work")
                .command("lspci -d 10de: -nn")
                .only_a_hint(),
        ));
    }
    for switch in &switches {
        match &switch.driver {
            Fact::Known(name) if name == "vfio-pci" => {}
            Fact::Unread(why) => return check.unknown(format!("{}: {}", switch.address, why.why())),
            bound => {
                let name = bound.known().map_or("no driver", String::as_str);
                // A driver of the host that holds a switch of a complete board keeps the board from being given away.
                let finding = if bound.is_absent() { check.warn() } else { check.fail() };
                return with(
                    finding
                        .observed(format!("{counts}; {} is bound to {name}", switch.address))
                        .expected(expected)
                        .fix(
                            Fix::new("bind the NVSwitches to vfio-pci as well, where all GPUs go into one CVM").command(
                                format!("echo 'options vfio-pci ids=10de:{:04x}' | sudo tee /etc/modprobe.d/vfio-nvswitch.conf", switch.device),
                            ),
                        ),
                );
            }
        }
    }
    with(check.pass().observed(format!("{counts}, the switches bound to vfio-pci")))
}

/// The mode is a setting that the GPU keeps, and only NVIDIA's tool reads it, through the device's registers. So this is
/// never a pass: it says which mode the number of GPUs asks for, and how to look.
fn mode(check: &CheckDef, facts: &HostFacts) -> Finding {
    let gpus = match gpus(check, facts) {
        Ok(gpus) => gpus,
        Err(finding) => return *finding,
    };
    let hopper = gpus.iter().filter(|gpu| gpu.family() == Family::Hopper).count();
    let switches = facts.pci.nvswitches().count();
    let families: std::collections::BTreeSet<&str> = gpus.iter().map(|gpu| gpu.family().name()).collect();
    if families.len() > 1 {
        let names: Vec<&str> = families.into_iter().collect();
        return check
            .warn()
            .observed(format!("GPUs of several families ({}); one mode cannot fit all", names.join(", ")))
            .expected("GPUs of one family")
            .evidence(DEVICES, described(gpus.iter().copied()))
            .fix(Fix::new("set the mode GPU by GPU, and never give GPUs of two families to one CVM"));
    }
    let wanted = if hopper == gpus::HOPPER_BOARD_GPUS && switches == gpus::HOPPER_BOARD_NVSWITCHES {
        "for a CVM with all eight GPUs and four NVSwitches: PPCIe on and CC off; for single GPUs: CC on and PPCIe off"
    } else if hopper > 0 {
        "CC on and PPCIe off, a CVM with one GPU each"
    } else {
        "CC on"
    };
    // One GPU stands for the others in the commands: they differ in the address alone.
    let Some(first) = gpus.first() else { return check.not_applicable() };
    let (cc, ppcie) = (query(first, "--query-cc-mode"), query(first, "--query-ppcie-mode"));
    let mut fix = Fix::new(
        "ask each GPU for its mode, with no driver of NVIDIA bound to it, and set it where it differs",
    )
    .command(cc.clone())
    .link("https://github.com/NVIDIA/gpu-admin-tools");
    if hopper > 0 {
        fix = fix.command(ppcie);
    }
    // With switches the operator has the choice between two modes.
    if switches == 0 {
        fix = fix.command(query(first, "--set-cc-mode=on --reset-after-cc-mode-switch"));
    }
    check
        .unknown(format!(
            "only NVIDIA's gpu-admin-tools can read the mode, and they are not run from here; ask with `{cc}`"
        ))
        .expected(wanted)
        .evidence(DEVICES, described(gpus.iter().copied()))
        .fix(fix)
}

/// How to ask one GPU for a mode: the tool takes a part of the address, and each GPU has its own setting.
fn query(gpu: &PciDevice, what: &str) -> String {
    let address = gpu.address.split_once(':').map_or(gpu.address.as_str(), |(_, rest)| rest);
    format!("sudo python3 nvidia_gpu_tools.py --gpu-bdf={address} {what}")
}

/// A line a device.
fn described<'a>(devices: impl Iterator<Item = &'a PciDevice>) -> String {
    devices.take(32).map(PciDevice::describe).collect::<Vec<_>>().join("\n")
}

fn families(gpus: &[&&PciDevice]) -> String {
    let names: std::collections::BTreeSet<&str> =
        gpus.iter().map(|gpu| gpus::name(gpu.device).unwrap_or_else(|| gpu.family().name())).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn counted(count: usize, what: &str) -> String {
    match (count, what) {
        (1, _) => format!("1 {what}"),
        (_, "NVSwitch") => format!("{count} NVSwitches"),
        _ => format!("{count} {what}s"),
    }
}
