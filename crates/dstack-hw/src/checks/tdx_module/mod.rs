//! The checks of the layer `tdx-module`.

mod bring_up;
mod identity;
mod memory;
#[cfg(test)]
mod tests;

use dstack_check::CheckDef;

use super::{Barrier, HwCheck};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.tdx-module.loaded", "the TDX module is loaded")
            .layer("tdx-module")
            .parents(&[
                "hw.kernel.tdx-flag",
                "hw.firmware.seam-loader",
                "hw.firmware.mcheck",
                "hw.kernel.kvm-intel-tdx",
            ])
            .why("the firmware loads it; the kernel finds out when it first calls it"),
        Barrier::Setting,
        bring_up::loaded,
    ),
    HwCheck::new(
        CheckDef::new("hw.tdx-module.initialized", "the TDX module is initialised")
            .layer("tdx-module")
            .parents(&["hw.tdx-module.loaded"])
            .why("a module that is loaded may still be too old for the kernel or refuse the memory map"),
        Barrier::Setting,
        bring_up::initialized,
    ),
    HwCheck::new(
        CheckDef::new("hw.tdx-module.version", "the TDX module is not older than the CPU generation needs")
            .layer("tdx-module")
            .parents(&["hw.tdx-module.loaded"])
            .why("an old module can run TDs whose quotes nobody accepts: its security version is part of the TCB level"),
        Barrier::Setting,
        identity::version,
    ),
    HwCheck::new(
        CheckDef::new(
            "hw.tdx-module.pamt",
            "the memory that the TDX module took fits the memory of the host",
        )
        .layer("tdx-module")
        .parents(&["hw.tdx-module.initialized"])
        .why("memory that the module does not keep book of cannot be given to TDs"),
        Barrier::Setting,
        memory::pamt,
    ),
    HwCheck::new(
        CheckDef::new("hw.tdx-module.erratum", "the partial-write erratum is taken into account")
            .layer("tdx-module")
            .parents(&["hw.kernel.tdx-flag"])
            .why("on Sapphire Rapids and Emerald Rapids a partial write to a TD's memory ends in a machine check"),
        Barrier::Setting,
        identity::erratum,
    ),
];
