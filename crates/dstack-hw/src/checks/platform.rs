//! The checks of the layer `platform`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.platform.memory-size", "there is memory for CVMs")
            .layer("platform")
            .parents(&["hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.memory-population", "the DIMMs are populated evenly")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.memory-mode", "memory is not tiered (1LM)")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.packages-online", "every package has a CPU online")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.numa", "memory of the nodes is not interleaved")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.smt", "hyper-threading is as expected")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.suspend", "the host cannot be suspended to disk")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.vsock", "the host end of vsock is there")
            .layer("platform")
            .parents(&["hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.hugepages", "hugepages are reserved, where they are wanted")
            .layer("platform")
            .parents(&["hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.iommu", "the IOMMU is on")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.iommufd", "iommufd is there")
            .layer("platform")
            .parents(&["hw.platform.iommu"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.vfio", "VFIO is there").layer("platform").parents(&["hw.platform.iommu"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.disk-space", "there is disk space for images and CVMs")
            .layer("platform")
            .parents(&["hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.time-sync", "the clock is synchronised")
            .layer("platform")
            .parents(&["hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
