//! The checks of the layer `kernel`.

use dstack_check::{CheckDef, Finding};

use super::{Barrier, HwCheck};
use crate::HostFacts;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.kernel.os-release", "the distribution is one that is known to work")
            .layer("kernel")
            .parents(&["hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.version", "the kernel is one that can host TDX")
            .layer("kernel")
            .parents(&["hw.cpu.tdx-generation", "hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.config-tdx", "the kernel was built with TDX host support")
            .layer("kernel")
            .parents(&["hw.kernel.version"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.config-kvm", "the kernel was built with KVM, SGX and vsock support")
            .layer("kernel")
            .parents(&["hw.cpu.vendor"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.nohibernate", "hibernation is off")
            .layer("kernel")
            .parents(&["hw.kernel.version"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.kvm-intel-tdx", "kvm_intel is told to bring TDX up")
            .layer("kernel")
            .parents(&["hw.kernel.version"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.command-line-pending", "the running command line is the configured one")
            .layer("kernel")
            .parents(&["hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.log", "the kernel log reaches back to the boot")
            .layer("kernel")
            .parents(&["hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.msr-device", "model-specific registers can be read")
            .layer("kernel")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"]),
        Barrier::Setting,
        not_written,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.tdx-flag", "the kernel has accepted the platform as a TDX host")
            .layer("kernel")
            .parents(&["hw.firmware.tdx-keys", "hw.kernel.config-tdx", "hw.kernel.nohibernate"]),
        Barrier::Setting,
        not_written,
    ),
];

fn not_written(check: &CheckDef, _facts: &HostFacts) -> Finding {
    check.unknown("this check is not written yet")
}
