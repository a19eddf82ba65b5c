//! The checks of the layer `environment`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.environment.architecture", "the CPU architecture is x86-64")
            .layer("environment")
            .parents(&[]),
        Barrier::Hardware,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.environment.bare-metal", "this is a bare-metal host, not a virtual machine")
            .layer("environment")
            .parents(&["hw.environment.architecture"]),
        Barrier::Elsewhere,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.environment.container", "this is not a container")
            .layer("environment")
            .parents(&[]),
        Barrier::Elsewhere,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.environment.privilege", "the findings that need root can be made")
            .layer("environment")
            .parents(&[]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
