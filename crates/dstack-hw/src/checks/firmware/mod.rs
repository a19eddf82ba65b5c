//! The checks of the layer `firmware`: how it was booted, and the settings that TDX needs.

mod boot;
mod key_split;
mod memory_encryption;
mod packages;
mod seam;
mod settings;
#[cfg(test)]
mod tests;

use dstack_check::CheckDef;

use super::cpu::on_intel;
use super::{Barrier, HwCheck};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.firmware.identity", "the maker and the version of the firmware are known")
            .layer("firmware")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"]),
        Barrier::Setting,
        boot::identity,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.uefi", "the host was booted with UEFI")
            .layer("firmware")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"]),
        Barrier::Setting,
        boot::uefi,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.secure-boot", "Secure Boot does not stand in the way")
            .layer("firmware")
            .parents(&["hw.firmware.uefi"]),
        Barrier::Setting,
        boot::secure_boot,
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.vmx-locked-on", "the firmware has VMX on and locked")
            .layer("firmware")
            .parents(&["hw.cpu.vmx"]),
        Barrier::Setting,
        |check, facts| on_intel(check, facts, settings::vmx_locked_on),
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.tme", "the firmware has memory encryption (TME) on")
            .layer("firmware")
            .parents(&["hw.cpu.tdx-generation", "hw.cpu.physical-address-bits"]),
        Barrier::Setting,
        |check, facts| on_intel(check, facts, memory_encryption::tme),
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.tme-mt", "the firmware has multi-key memory encryption (TME-MT) on")
            .layer("firmware")
            .parents(&["hw.firmware.tme"]),
        Barrier::Setting,
        |check, facts| on_intel(check, facts, memory_encryption::tme_mt),
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.tdx-keys", "the firmware gives TDX at least two private key ids")
            .layer("firmware")
            .parents(&["hw.firmware.tme-mt"]),
        Barrier::Setting,
        |check, facts| on_intel(check, facts, key_split::tdx_keys),
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.seam-loader", "the firmware has set up and locked the SEAM range")
            .layer("firmware")
            .parents(&["hw.firmware.tdx-keys"]),
        Barrier::Setting,
        |check, facts| on_intel(check, facts, seam::seam_loader),
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.mcheck", "MCHECK accepted the platform")
            .layer("firmware")
            .parents(&["hw.firmware.tdx-keys"]),
        Barrier::Setting,
        |check, facts| on_intel(check, facts, seam::mcheck),
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.sgx-debug", "SGX debug mode is off")
            .layer("firmware")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Setting,
        |check, facts| on_intel(check, facts, settings::sgx_debug),
    ),
    HwCheck::new(
        CheckDef::new("hw.firmware.packages-agree", "all packages are set up alike")
            .layer("firmware")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Setting,
        packages::packages_agree,
    ),
];
