//! The checks of the layer `platform`: memory, topology, vsock, IOMMU, VFIO, disks, the clock.

mod io;
mod memory;
mod topology;

#[cfg(test)]
pub(super) mod tests;

use dstack_check::CheckDef;

use super::{Barrier, HwCheck};
use crate::HostFacts;
use crate::facts::kernel_log::Message;
use crate::facts::kernel_tdx::TdxStage;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.platform.memory-size", "there is memory for CVMs")
            .layer("platform")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .why("The memory of a CVM cannot be swapped out: what CVMs are given has to be there."),
        Barrier::Setting,
        memory::size,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.memory-population", "the DIMMs are populated evenly")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"])
            .needs("root, to read the firmware's table")
            .why("Firmware refuses memory encryption with several keys on boards that are populated in ways it cannot protect."),
        Barrier::Hardware,
        memory::population,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.memory-mode", "memory is not tiered (1LM)")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"])
            .why("TDX protects plain DRAM. Memory that is a cache for slower memory, persistent memory and CXL memory are left out."),
        Barrier::Setting,
        memory::mode,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.packages-online", "every package has a CPU online")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"])
            .why("The TDX module is brought up, and keys of TDs are set, on one CPU of every package."),
        Barrier::Setting,
        topology::packages_online,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.numa", "memory of the nodes is not interleaved")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"])
            .why("Makers ask for node interleaving to be off with TDX, and dstack places CVMs by NUMA node."),
        Barrier::Setting,
        topology::numa,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.smt", "hyper-threading is as the firmware has set it")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"])
            .why("Attestation tells of hyper-threading as the firmware has it; what the kernel does later changes nothing there."),
        Barrier::Setting,
        topology::smt,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.suspend", "the host cannot be suspended to disk")
            .layer("platform")
            .parents(&["hw.environment.bare-metal", "hw.kernel.nohibernate"])
            .why("The state of TDX is lost when the host sleeps; the kernel does not bring TDX up while it can hibernate."),
        Barrier::Setting,
        io::suspend,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.vsock", "the host end of vsock is there")
            .layer("platform")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .why("Every CVM talks to its host over vsock: to the VMM's host API, and to the quote service."),
        Barrier::Setting,
        io::vsock,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.hugepages", "hugepages are reserved, where they are wanted")
            .layer("platform")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .why("A CVM deployed with hugepages starts only where its node has enough of them."),
        Barrier::Setting,
        memory::hugepages,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.iommu", "the IOMMU is on")
            .layer("platform")
            .parents(&["hw.environment.bare-metal"])
            .why("A device such as a GPU is handed to a VM through the IOMMU."),
        Barrier::Setting,
        io::iommu,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.iommufd", "iommufd is there")
            .layer("platform")
            .parents(&["hw.platform.iommu", "hw.environment.container"])
            .why("dstack's VMM hands GPUs to QEMU through iommufd."),
        Barrier::Setting,
        io::iommufd,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.vfio", "VFIO is there")
            .layer("platform")
            .parents(&["hw.platform.iommu", "hw.environment.container"])
            .why("VFIO is how the kernel gives a device to a VM."),
        Barrier::Setting,
        io::vfio,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.disk-space", "there is disk space for images and CVMs")
            .layer("platform")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .why("Guest images, the disks of CVMs and container images add up; a full disk stops them all."),
        Barrier::Setting,
        io::disk_space,
    ),
    HwCheck::new(
        CheckDef::new("hw.platform.time-sync", "the clock is synchronised")
            .layer("platform")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .why("Certificates and attestation collateral are valid from and until; a clock that is off makes good ones look bad."),
        Barrier::Setting,
        io::time_sync,
    ),
];

/// Is it known that this is an AMD host?
fn is_amd(facts: &HostFacts) -> bool {
    facts.cpu.is_amd().known() == Some(&true)
}

/// The last message of the kernel log that this holds for.
fn logged(facts: &HostFacts, mut is_it: impl FnMut(&str) -> bool) -> Option<&Message> {
    facts.kernel_log.known()?.messages.iter().rev().find(|message| is_it(&message.text))
}

/// Evidence that TDX is up, as source and excerpt: it proves that firmware and kernel have accepted what is below.
fn tdx_is_up(facts: &HostFacts) -> Option<(&'static str, String)> {
    facts.tdx_proven(TdxStage::ModuleLoaded).map(|proof| (proof.source, proof.excerpt))
}
