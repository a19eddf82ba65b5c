//! The checks of the layer `tdx-module`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.tdx-module.loaded", "the TDX module is loaded").layer("tdx-module").parents(&[
            "hw.kernel.tdx-flag",
            "hw.firmware.seam-loader",
            "hw.firmware.mcheck",
            "hw.kernel.kvm-intel-tdx",
        ]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.tdx-module.initialized", "the TDX module is initialised")
            .layer("tdx-module")
            .parents(&["hw.tdx-module.loaded"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.tdx-module.version", "the TDX module is not older than the CPU generation needs")
            .layer("tdx-module")
            .parents(&["hw.tdx-module.loaded"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new(
            "hw.tdx-module.pamt",
            "the memory that the TDX module took fits the memory of the host",
        )
        .layer("tdx-module")
        .parents(&["hw.tdx-module.initialized"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.tdx-module.erratum", "the partial-write erratum is taken into account")
            .layer("tdx-module")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
