//! The checks of the layer `kernel`.

mod command_line;
mod config;
mod log;
#[cfg(test)]
mod tests;
mod version;

use dstack_check::{CheckDef, Finding, Fix};

use super::{Barrier, HwCheck};
use crate::HostFacts;
use crate::facts::cpu::Vendor;
use crate::facts::kernel_tdx::TdxProof;

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.kernel.os-release", "the distribution is one that is known to work")
            .layer("kernel")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .why("how TDX comes to a host depends on the distribution"),
        Barrier::Setting,
        version::os_release,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.version", "the kernel is one that can host TDX")
            .layer("kernel")
            .parents(&["hw.cpu.tdx-generation", "hw.environment.container"])
            .why("mainline can run TDs since 6.16; before that, kernels with Intel's patches can"),
        Barrier::Setting,
        version::version,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.config-tdx", "the kernel was built with TDX host support")
            .layer("kernel")
            .parents(&["hw.kernel.version"])
            .why("a kernel of the right version may still be built without it"),
        Barrier::Setting,
        config::tdx,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.config-kvm", "the kernel was built with KVM, SGX and vsock support")
            .layer("kernel")
            .parents(&["hw.cpu.vendor"])
            .why("dstack boots VMs with KVM, talks to them over vsock, and takes quotes through SGX"),
        Barrier::Setting,
        config::kvm,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.nohibernate", "hibernation is off")
            .layer("kernel")
            .parents(&["hw.kernel.version"])
            .why("the keys of TDX do not survive hibernation, so the kernel leaves TDX off while it could hibernate"),
        Barrier::Setting,
        command_line::nohibernate,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.kvm-intel-tdx", "kvm_intel is told to bring TDX up")
            .layer("kernel")
            .parents(&["hw.kernel.version"])
            .why("mainline kernels leave TDX off until they are told"),
        Barrier::Setting,
        command_line::kvm_intel_tdx,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.command-line-pending", "the running command line is the configured one")
            .layer("kernel")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .why("a setting that was made counts from the next start on"),
        Barrier::Setting,
        command_line::pending,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.log", "the kernel log reaches back to the boot")
            .layer("kernel")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .needs("root, or the group adm or systemd-journal")
            .why("most of what the kernel says of TDX is said in the first minute"),
        Barrier::Setting,
        log::whole,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.msr-device", "model-specific registers can be read")
            .layer("kernel")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .needs("root")
            .why("they show what the firmware set up before the kernel says anything"),
        Barrier::Setting,
        log::registers,
    ),
    HwCheck::new(
        CheckDef::new("hw.kernel.tdx-flag", "the kernel has accepted the platform as a TDX host")
            .layer("kernel")
            .parents(&["hw.firmware.tdx-keys", "hw.kernel.config-tdx", "hw.kernel.nohibernate"])
            .why("it says that the firmware gave private key ids and that nothing keeps the kernel from using them"),
        Barrier::Setting,
        log::tdx_flag,
    ),
];

/// The answer of a check about Intel TDX on a host that is not Intel's.
pub(super) fn not_intel(check: &CheckDef, facts: &HostFacts) -> Option<Finding> {
    match facts.cpu.vendor().known()? {
        Vendor::Intel => None,
        other => Some(check.not_applicable().observed(format!("the CPU is of {}: no Intel TDX", other.id()))),
    }
}

/// A pass that rests on something further up.
pub(super) fn implied(check: &CheckDef, observed: impl std::fmt::Display, proof: TdxProof) -> Finding {
    check
        .pass()
        .observed(format!("{observed}, implied by {}", proof.source))
        .evidence(proof.source, proof.excerpt)
}

/// How words are added to the kernel command line on this distribution.
pub(super) fn add_to_command_line(facts: &HostFacts, words: &str) -> Fix {
    let is_like = |id| facts.os.is_like(id).known() == Some(&true);
    let fix = Fix::new(format!("add {words} to the kernel command line and restart"));
    let by_kernel_install = facts
        .kernel
        .configured
        .known()
        .is_some_and(|configured| configured.files.iter().any(|file| file == "/etc/kernel/cmdline"));
    if is_like("rhel") || is_like("fedora") || is_like("centos") {
        fix.command(format!("sudo grubby --update-kernel=ALL --args=\"{words}\"")).command("sudo reboot")
    } else if by_kernel_install {
        fix.command(format!("sudo sed -i '1s/$/ {words}/' /etc/kernel/cmdline"))
            .command("sudo kernel-install add \"$(uname -r)\" \"/boot/vmlinuz-$(uname -r)\"")
            .command("sudo reboot")
    } else {
        let update = if is_like("suse") || is_like("sles") {
            "sudo grub2-mkconfig -o /boot/grub2/grub.cfg"
        } else {
            "sudo update-grub"
        };
        fix.command(format!(
            "echo 'GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {words}\"' | sudo tee -a /etc/default/grub.d/99-tdx.cfg"
        ))
        .command(update)
        .command("sudo reboot")
    }
}
