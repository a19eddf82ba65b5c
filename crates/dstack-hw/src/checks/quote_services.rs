//! The checks of the layer `quote-services`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.quote-services.qgs", "the quote generation service runs")
            .layer("quote-services")
            .parents(&["hw.sgx.devices"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.qgs-port", "the quote generation service listens where CVMs ask")
            .layer("quote-services")
            .parents(&["hw.quote-services.qgs"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new(
            "hw.quote-services.qgs-rights",
            "the user of the quote generation service may use the provisioning enclave",
        )
        .layer("quote-services")
        .parents(&["hw.quote-services.qgs"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.qgs-log", "the quote generation service reports no errors")
            .layer("quote-services")
            .parents(&["hw.quote-services.qgs"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.qcnl", "the collateral client is set up")
            .layer("quote-services")
            .parents(&["hw.sgx.devices"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new(
            "hw.quote-services.pccs-service",
            "the local collateral cache runs, where one is set up",
        )
        .layer("quote-services")
        .parents(&["hw.quote-services.qcnl"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.collateral-reach", "the collateral service answers")
            .layer("quote-services")
            .parents(&["hw.quote-services.qcnl", "hw.quote-services.pccs-service"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.aesmd", "the enclave service daemon runs, where it is installed")
            .layer("quote-services")
            .parents(&["hw.sgx.devices"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.key-provider", "the local key provider listens")
            .layer("quote-services")
            .parents(&["hw.sgx.devices"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
