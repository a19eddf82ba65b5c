//! The checks of the layer `gpu`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.gpu.present", "there is an NVIDIA GPU with a confidential mode")
            .layer("gpu")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.driver", "the GPUs are bound to vfio-pci")
            .layer("gpu")
            .parents(&["hw.gpu.present", "hw.platform.vfio"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.iommu-group", "no other device in use shares an IOMMU group with a GPU")
            .layer("gpu")
            .parents(&["hw.gpu.present", "hw.platform.iommu"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.numa-node", "the NUMA node of each GPU is known")
            .layer("gpu")
            .parents(&["hw.gpu.present"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.bar", "the memory regions of the GPUs are assigned")
            .layer("gpu")
            .parents(&["hw.gpu.present"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.nvswitch", "the NVSwitches are complete and bound with the GPUs")
            .layer("gpu")
            .parents(&["hw.gpu.present"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.gpu.mode", "the confidential mode of the GPUs fits their number")
            .layer("gpu")
            .parents(&["hw.gpu.present"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
