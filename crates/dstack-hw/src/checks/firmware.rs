//! The checks of the layer `firmware`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.firmware.identity", "the maker and the version of the firmware are known")
            .layer("firmware")
            .parents(&["hw.environment.bare-metal"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.uefi", "the host was booted with UEFI")
            .layer("firmware")
            .parents(&["hw.environment.bare-metal"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.secure-boot", "Secure Boot does not stand in the way")
            .layer("firmware")
            .parents(&["hw.firmware.uefi"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.vmx-locked-on", "the firmware has VMX on and locked")
            .layer("firmware")
            .parents(&["hw.cpu.vmx"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.tme", "the firmware has memory encryption (TME) on")
            .layer("firmware")
            .parents(&["hw.cpu.tdx-generation", "hw.cpu.physical-address-bits"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.tme-mt", "the firmware has multi-key memory encryption (TME-MT) on")
            .layer("firmware")
            .parents(&["hw.firmware.tme"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.tdx-keys", "the firmware gives TDX at least two private key ids")
            .layer("firmware")
            .parents(&["hw.firmware.tme-mt"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.seam-loader", "the firmware has set up and locked the SEAM range")
            .layer("firmware")
            .parents(&["hw.firmware.tdx-keys"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.mcheck", "MCHECK accepted the platform")
            .layer("firmware")
            .parents(&["hw.firmware.tdx-keys"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.sgx-debug", "SGX debug mode is off")
            .layer("firmware")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.packages-agree", "all packages are set up alike")
            .layer("firmware")
            .parents(&["hw.cpu.tdx-generation"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
