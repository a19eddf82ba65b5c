//! The checks of the layer `guest`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.guest.inside", "this is a confidential VM").layer("guest").parents(&[]),
        Barrier::Elsewhere,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.device", "the guest device of the TEE is there")
            .layer("guest")
            .parents(&["hw.guest.inside"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.tsm-report", "reports can be had through configfs")
            .layer("guest")
            .parents(&["hw.guest.inside"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.rtmr", "the runtime measurement registers can be read")
            .layer("guest")
            .parents(&["hw.guest.inside"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.encryption", "the kernel reports that memory is encrypted")
            .layer("guest")
            .parents(&["hw.guest.inside"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.agent-socket", "the dstack guest agent has its socket")
            .layer("guest")
            .parents(&["hw.guest.inside"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.gpu", "the GPU is in confidential mode and ready")
            .layer("guest")
            .parents(&["hw.guest.inside"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
