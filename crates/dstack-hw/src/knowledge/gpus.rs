//! GPUs with a confidential mode, by PCI device id.
//!
//! Device ids and families: NVIDIA's gpu-admin-tools (device id tables of 2025-10) and the launch scripts of the Ubuntu
//! TDX team. A device id that is not here is not refused: families newer than the table are "not known".

/// When the table was last looked at.
pub const AS_OF: &str = "2026-11";

/// NVIDIA's PCI vendor id.
pub const NVIDIA: u16 = 0x10de;

/// The NVSwitch of Hopper boards. Eight GPUs go with four of them.
pub const HOPPER_NVSWITCH: u16 = 0x22a3;

/// How many GPUs a Hopper board with NVSwitches has.
pub const HOPPER_BOARD_GPUS: usize = 8;

/// How many NVSwitches such a board has.
pub const HOPPER_BOARD_NVSWITCHES: usize = 4;

/// A family of GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Hopper: the first with a confidential mode, and the only one with the protected PCIe mode (PPCIe).
    Hopper,
    /// Blackwell for data centres: a confidential mode, also for several GPUs at once.
    Blackwell,
    /// Newer than this table, or of a line whose confidential mode is not known here.
    NotKnown,
    /// Older, or a line without a confidential mode.
    None,
}

impl Family {
    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hopper => "Hopper",
            Self::Blackwell => "Blackwell",
            Self::NotKnown => "not in the table",
            Self::None => "no confidential mode",
        }
    }
}

/// A device that is known by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gpu {
    /// PCI device id, below vendor [`NVIDIA`].
    pub device: u16,
    /// The name of the product.
    pub name: &'static str,
}

const fn gpu(device: u16, name: &'static str) -> Gpu {
    Gpu { device, name }
}

/// The devices that are known by name.
pub const GPUS: &[Gpu] = &[
    gpu(0x2309, "H20"),
    gpu(0x230c, "H20"),
    gpu(0x230e, "H20"),
    gpu(0x2313, "H100"),
    gpu(0x2321, "H100 NVL"),
    gpu(0x2322, "H800 PCIe"),
    gpu(0x2324, "H800 SXM"),
    gpu(0x2328, "H20 SXM"),
    gpu(0x2329, "H20 SXM"),
    gpu(0x232c, "H20 SXM"),
    gpu(0x2330, "H100 SXM"),
    gpu(0x2331, "H100 PCIe"),
    gpu(0x2335, "H200 SXM"),
    gpu(0x2336, "H100 SXM"),
    gpu(0x2337, "H100 SXM"),
    gpu(0x2338, "H100 SXM"),
    gpu(0x2339, "H100 SXM"),
    gpu(0x233a, "H800 NVL"),
    gpu(0x233b, "H200 NVL"),
    gpu(0x233d, "H100 PCIe"),
    gpu(0x2342, "GH200"),
    gpu(0x2343, "GH200"),
    gpu(0x2345, "GH200"),
    gpu(0x2348, "GH200"),
    gpu(0x2901, "B200"),
    gpu(0x2941, "GB200"),
];

/// The name of a device, where the table has it.
pub fn name(device: u16) -> Option<&'static str> {
    GPUS.iter().find(|gpu| gpu.device == device).map(|gpu| gpu.name)
}

/// The family a device id belongs to.
///
/// ```
/// use dstack_hw::knowledge::gpus::{Family, family};
///
/// assert_eq!(family(0x2335), Family::Hopper);
/// assert_eq!(family(0x1db6), Family::None); // V100
/// ```
pub const fn family(device: u16) -> Family {
    match device {
        0x2300..=0x237f => Family::Hopper,
        // GB100 and GB102.
        0x2900..=0x29ff => Family::Blackwell,
        // From 0x2a00 on: Blackwell for workstations (from 0x2b80) and whatever comes after it.
        0x2a00.. => Family::NotKnown,
        _ => Family::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_of_the_table_is_of_a_family() {
        for gpu in GPUS {
            assert!(matches!(family(gpu.device), Family::Hopper | Family::Blackwell), "{}", gpu.name);
        }
        let mut ids: Vec<u16> = GPUS.iter().map(|gpu| gpu.device).collect();
        ids.dedup();
        assert!(ids.is_sorted() && ids.len() == GPUS.len());
    }

    #[test]
    fn what_is_not_in_the_table() {
        assert_eq!(
            (family(0x26b9), name(0x26b9)),
            (Family::None, None),
            "L40S: Ada has no confidential mode"
        );
        assert_eq!(family(0x2bb5), Family::NotKnown);
        assert_eq!((family(0x2302), name(0x2302)), (Family::Hopper, None));
    }
}
