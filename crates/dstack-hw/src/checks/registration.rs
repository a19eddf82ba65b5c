//! The checks of the layer `registration`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.registration.variables", "the firmware offers the registration variables")
            .layer("registration")
            .parents(&["hw.firmware.uefi", "hw.sgx.firmware"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.registration.status", "the platform is registered with Intel")
            .layer("registration")
            .parents(&["hw.registration.variables"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.registration.direct", "the firmware allows direct registration")
            .layer("registration")
            .parents(&["hw.registration.variables"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.registration.agent", "the registration agent is installed and has run")
            .layer("registration")
            .parents(&["hw.registration.variables"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.registration.log", "the registration agent reports success")
            .layer("registration")
            .parents(&["hw.registration.agent"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
