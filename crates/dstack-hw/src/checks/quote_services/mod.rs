//! The checks of the layer `quote-services`: what makes quotes, fetches certificates for them, and hands out sealing keys.

mod collateral;
mod enclaves;
mod qgs;
#[cfg(test)]
mod tests;

use dstack_check::CheckDef;

use super::{Barrier, HwCheck};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.quote-services.qgs", "the quote generation service runs")
            .layer("quote-services")
            .parents(&["hw.sgx.devices"])
            .why("a TD gets its quotes from an enclave on the host, through this service"),
        Barrier::Setting,
        qgs::service,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.qgs-port", "the quote generation service listens where CVMs ask")
            .layer("quote-services")
            .parents(&["hw.quote-services.qgs"])
            .why("dstack's VMM tells QEMU a vsock port, 4050 unless `qgs_port` is set; newer packages listen on a unix socket"),
        Barrier::Setting,
        qgs::port,
    ),
    HwCheck::new(
        CheckDef::new(
            "hw.quote-services.qgs-rights",
            "the user of the quote generation service may use the provisioning enclave",
        )
        .layer("quote-services")
        .parents(&["hw.quote-services.qgs"])
        .why("without /dev/sgx_provision the service runs and makes no quotes"),
        Barrier::Setting,
        qgs::rights,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.qgs-log", "the quote generation service reports no errors")
            .layer("quote-services")
            .parents(&["hw.quote-services.qgs"])
            .needs("root, or the group systemd-journal")
            .why("a service that runs may fail at every quote; only its journal tells why"),
        Barrier::Setting,
        qgs::log,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.qcnl", "the collateral client is set up")
            .layer("quote-services")
            .parents(&["hw.sgx.devices"])
            .why("it fetches the platform's certificate for every quote; guests see its mistakes as QGS error 0x12001"),
        Barrier::Setting,
        collateral::qcnl,
    ),
    HwCheck::new(
        CheckDef::new(
            "hw.quote-services.pccs-service",
            "the local collateral cache runs, where one is set up",
        )
        .layer("quote-services")
        .parents(&["hw.quote-services.qcnl"])
        .why("where the collateral client points at this host, the cache has to run here and have a key for Intel's service"),
        Barrier::Setting,
        collateral::pccs,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.collateral-reach", "the collateral service answers")
            .layer("quote-services")
            .parents(&["hw.quote-services.qcnl", "hw.quote-services.pccs-service"])
            .needs("the network, and curl")
            .why("no certificate can be fetched from a service that does not answer"),
        Barrier::Setting,
        collateral::reach,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.aesmd", "the enclave service daemon runs, where it is installed")
            .layer("quote-services")
            .parents(&["hw.sgx.devices"])
            .why("dstack's key provider brings one in a container; one on the host serves other enclaves"),
        Barrier::Setting,
        enclaves::aesmd,
    ),
    HwCheck::new(
        CheckDef::new("hw.quote-services.key-provider", "the local key provider listens")
            .layer("quote-services")
            .parents(&["hw.sgx.devices"])
            .why("a KMS that starts without another one gets its sealing key from it"),
        Barrier::Setting,
        enclaves::key_provider,
    ),
];
