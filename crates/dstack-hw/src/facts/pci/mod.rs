//! PCI devices of NVIDIA and what shares an IOMMU group with them, from sysfs. No tool is run.

mod resource;

use std::collections::BTreeMap;

use serde::Serialize;

use super::HostSource;
use crate::knowledge::gpus::{self, Family};
use crate::{Fact, Reading, Unread};

pub use resource::{Bar, parse_bars};

/// The most devices of one host that are looked at.
const MAX_DEVICES: usize = 8192;

/// The most devices of NVIDIA that are kept, and the most members of a group.
const MAX_KEPT: usize = 256;

const DEVICES: &str = "/sys/bus/pci/devices";

/// PCI devices of NVIDIA and what shares an IOMMU group with them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Pci {
    /// The devices of vendor 0x10de, in the order of their addresses. Absent where the host has no PCI.
    pub nvidia: Fact<Vec<PciDevice>>,
    /// The members of every IOMMU group that one of them is in.
    pub groups: BTreeMap<u32, Fact<Vec<GroupMember>>>,
}

/// A PCI device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct PciDevice {
    /// Domain, bus, device and function: `0000:98:00.0`.
    pub address: String,
    /// The device id, below the vendor's.
    pub device: u16,
    /// Class, subclass and interface: 0x030200 for a 3D controller.
    pub class: u32,
    /// The driver it is bound to. Absent where there is none.
    pub driver: Fact<String>,
    /// Its IOMMU group. Absent where the IOMMU is off.
    pub iommu_group: Fact<u32>,
    /// Its NUMA node; -1 where the firmware does not say.
    pub numa_node: Fact<i32>,
    /// Its memory regions.
    pub bars: Fact<Vec<Bar>>,
}

/// A device in an IOMMU group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct GroupMember {
    /// Its address.
    pub address: String,
    /// Class, subclass and interface.
    pub class: Fact<u32>,
    /// The driver it is bound to.
    pub driver: Fact<String>,
}

impl PciDevice {
    /// Is it a GPU: a VGA (0x0300) or a 3D (0x0302) controller?
    pub const fn is_gpu(&self) -> bool {
        matches!(self.class >> 8, 0x0300 | 0x0302)
    }

    /// Is it an NVSwitch: a bridge of class 0x0680?
    pub const fn is_nvswitch(&self) -> bool {
        self.class >> 8 == 0x0680
    }

    /// The family of a GPU.
    pub const fn family(&self) -> Family {
        gpus::family(self.device)
    }

    /// In words: `0000:98:00.0 H100 PCIe (10de:2331)`.
    pub fn describe(&self) -> String {
        let name = gpus::name(self.device).unwrap_or(if self.is_nvswitch() { "NVSwitch" } else { "device" });
        format!("{} {name} (10de:{:04x})", self.address, self.device)
    }
}

impl GroupMember {
    /// Is it a bridge (class 0x06), which VFIO lets be in a group that it hands out?
    pub fn is_bridge(&self) -> Fact<bool> {
        self.class.as_ref().map(|class| class >> 16 == 0x06)
    }
}

impl Pci {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let nvidia = Fact::from(source.list(DEVICES)).and_then(|addresses| devices(source, &addresses));
        let mut groups = BTreeMap::new();
        for device in nvidia.known().into_iter().flatten() {
            if let Some(number) = device.iommu_group.known() {
                groups.entry(*number).or_insert_with(|| members(source, *number));
            }
        }
        Self { nvidia, groups }
    }

    /// The GPUs.
    pub fn gpus(&self) -> impl Iterator<Item = &PciDevice> {
        self.nvidia.known().into_iter().flatten().filter(|device| device.is_gpu())
    }

    /// The GPUs of a family with a confidential mode, or of one that is newer than what is known.
    pub fn confidential_gpus(&self) -> impl Iterator<Item = &PciDevice> {
        self.gpus().filter(|device| device.family() != Family::None)
    }

    /// The NVSwitches.
    pub fn nvswitches(&self) -> impl Iterator<Item = &PciDevice> {
        self.nvidia.known().into_iter().flatten().filter(|device| device.is_nvswitch())
    }
}

/// The devices of NVIDIA. Unread where vendor, device or class of one cannot be read: a GPU may be behind it, and a
/// count that is short would say that something is missing.
fn devices(source: &dyn HostSource, addresses: &[String]) -> Fact<Vec<PciDevice>> {
    let mut found = Vec::new();
    for address in addresses.iter().filter(|address| is_address(address)).take(MAX_DEVICES) {
        let vendor = match source.text(&format!("{DEVICES}/{address}/vendor")) {
            Ok(text) => hexadecimal(&text),
            // It went away between listing and reading.
            Err(Unread::Absent) => continue,
            Err(why) => return Fact::Unread(why),
        };
        if vendor == Some(u32::from(gpus::NVIDIA)) && found.len() < MAX_KEPT {
            match device(source, address) {
                Ok(device) => found.push(device),
                Err(why) => return Fact::Unread(why),
            }
        }
    }
    Fact::Known(found)
}

fn device(source: &dyn HostSource, address: &str) -> Reading<PciDevice> {
    let text = |name: &str| source.text(&format!("{DEVICES}/{address}/{name}"));
    let number = |name: &str| match text(name) {
        Ok(text) => Ok(hexadecimal(&text).unwrap_or(0)),
        Err(Unread::Absent) => Ok(0),
        Err(why) => Err(why),
    };
    Ok(PciDevice {
        address: address.to_owned(),
        device: u16::try_from(number("device")?).unwrap_or(0),
        class: number("class")?,
        driver: link(source, &format!("{DEVICES}/{address}/driver")),
        iommu_group: link(source, &format!("{DEVICES}/{address}/iommu_group")).and_then(|name| {
            name.parse().map_or_else(|_| Fact::Unread(not_a_number("iommu_group")), Fact::Known)
        }),
        numa_node: Fact::from(text("numa_node")).and_then(|text| {
            text.trim().parse().map_or_else(|_| Fact::Unread(not_a_number("numa_node")), Fact::Known)
        }),
        bars: Fact::from(text("resource")).map(|text| parse_bars(&text)),
    })
}

fn members(source: &dyn HostSource, group: u32) -> Fact<Vec<GroupMember>> {
    Fact::from(source.list(&format!("/sys/kernel/iommu_groups/{group}/devices"))).map(|addresses| {
        let member = |address: &String| GroupMember {
            address: address.clone(),
            class: Fact::from(source.text(&format!("{DEVICES}/{address}/class"))).and_then(|text| {
                hexadecimal(&text).map_or_else(|| Fact::Unread(not_a_number("class")), Fact::Known)
            }),
            driver: link(source, &format!("{DEVICES}/{address}/driver")),
        };
        addresses.iter().filter(|address| is_address(address)).take(MAX_KEPT).map(member).collect()
    })
}

/// The last name of the path that a symbolic link points to.
fn link(source: &dyn HostSource, path: &str) -> Fact<String> {
    Fact::from(source.stat(path)).and_then(|meta| {
        let target = meta.target.as_deref().and_then(|target| target.rsplit('/').next());
        target.map_or_else(
            || Fact::Unread(Unread::Failed(format!("`{path}` is not a link"))),
            |name| Fact::Known(name.to_owned()),
        )
    })
}

fn not_a_number(file: &str) -> Unread {
    Unread::Failed(format!("`{file}` is not a number"))
}

/// `0x10de` and what is like it.
fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

/// Is it a PCI address such as `0000:98:00.0`, and so a name that may be put into a path?
fn is_address(name: &str) -> bool {
    name.len() <= 16
        && name.contains(':')
        && name.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::{FileMeta, Readings};

    /// Adds a PCI device to a host.
    pub(crate) fn add(
        host: Readings,
        address: &str,
        id: (u16, u16),
        class: u32,
        driver: Option<&str>,
        group: Option<u32>,
    ) -> Readings {
        let base = format!("{DEVICES}/{address}");
        let bar = "0x0000226042000000 0x0000226042ffffff 0x000000000014220c\n";
        let mut host = host
            .file(format!("{base}/vendor"), format!("0x{:04x}\n", id.0))
            .file(format!("{base}/device"), format!("0x{:04x}\n", id.1))
            .file(format!("{base}/class"), format!("0x{class:06x}\n"))
            .file(format!("{base}/numa_node"), "1\n")
            .file(format!("{base}/resource"), bar);
        if let Some(driver) = driver {
            host = host.meta(
                format!("{base}/driver"),
                FileMeta::link(format!("../../../../bus/pci/drivers/{driver}")),
            );
        }
        if let Some(group) = group {
            host = host
                .meta(
                    format!("{base}/iommu_group"),
                    FileMeta::link(format!("../../../../kernel/iommu_groups/{group}")),
                )
                .meta(format!("/sys/kernel/iommu_groups/{group}/devices/{address}"), FileMeta::link("../x"));
        }
        host
    }

    #[test]
    fn a_gpu_a_switch_and_their_groups() {
        let host = add(
            Readings::empty_host(),
            "0000:98:00.0",
            (0x10de, 0x2331),
            0x03_0200,
            Some("vfio-pci"),
            Some(7),
        );
        let host = add(host, "0000:97:00.0", (0x8086, 0x352a), 0x06_0400, Some("pcieport"), Some(7));
        let host = add(host, "0000:bd:00.0", (0x10de, 0x22a3), 0x06_8000, None, None);
        let pci = Pci::collect(&host);
        let gpu = pci.gpus().next().unwrap();
        assert_eq!(gpu.describe(), "0000:98:00.0 H100 PCIe (10de:2331)");
        assert_eq!((gpu.driver.known().unwrap().as_str(), gpu.numa_node.known()), ("vfio-pci", Some(&1)));
        assert_eq!((pci.gpus().count(), pci.nvswitches().count()), (1, 1));
        let group = pci.groups[&7].known().unwrap();
        assert_eq!(
            (group.len(), group[0].is_bridge(), group[1].is_bridge()),
            (2, Fact::Known(true), Fact::Known(false))
        );
        let switch = pci.nvswitches().next().unwrap();
        assert_eq!((&switch.driver, &switch.iommu_group), (&Fact::Absent, &Fact::Absent));
    }

    #[test]
    fn a_host_without_gpus_and_one_that_is_not_known() {
        assert_eq!(Pci::collect(&Readings::empty_host()).nvidia, Fact::Absent);
        let host = add(Readings::empty_host(), "0000:00:00.0", (0x8086, 1), 0x06_0000, None, None);
        assert_eq!(Pci::collect(&host).nvidia, Fact::Known(Vec::new()));
        assert_eq!(Pci::collect(&Readings::nothing_known()).nvidia, Fact::Unread(Unread::NotRecorded));
        let host = Readings::nothing_known().folder(DEVICES, ["0000:00:00.0"]);
        assert_eq!(Pci::collect(&host).nvidia, Fact::Unread(Unread::NotRecorded));
    }

    #[test]
    fn a_name_that_would_leave_the_folder_is_no_address() {
        assert!(is_address("0000:98:00.0") && is_address("10000:e1:00.0"));
        assert!(
            !is_address("..")
                && !is_address("../../etc")
                && !is_address("0000:98:00.0/..")
                && !is_address("")
        );
    }

    proptest! {
        #[test]
        fn no_number_is_too_odd(text in "\\PC{0,20}") {
            let _ = (hexadecimal(&text), is_address(&text));
        }
    }
}
