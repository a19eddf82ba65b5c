//! What kernels say when they cannot bring TDX up: message, cause, remedy.
//!
//! Sources of the messages: Linux `arch/x86/virt/vmx/tdx/tdx.c` and `arch/x86/kvm/vmx/tdx.c` (6.8 to 7.x), Intel's kernels
//! before them, and logs that people published.

use dstack_check::Fix;
use serde::Serialize;

use crate::facts::firmware::Firmware;
use crate::facts::kernel_tdx::Seamcall;
use crate::knowledge::bios_menus::{self, Setting};

/// `TDH.SYS.INIT`: the first call into the module.
const LEAF_SYS_INIT: u64 = 0x21;

/// `TDH.SYS.RD`: reads a field of the module's metadata.
const LEAF_SYS_RD: u64 = 0x22;

/// Why TDX did not come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// One private key id only, which is the module's own.
    TooFewKeyIds,
    /// The kernel could hibernate, and TDX does not survive that.
    Hibernation,
    /// Key ids are split, but the SEAM range is not set up.
    NotEnabledByFirmware,
    /// The platform has no TDX at all.
    PlatformWithoutTdx,
    /// The firmware did not load the module.
    ModuleNotLoaded,
    /// The module does not know a metadata field that the kernel reads.
    MetadataUnreadable,
    /// The module refused to be initialised.
    SystemInitRefused,
    /// Another call into the module failed.
    SeamcallFailed,
    /// The memory map has more holes than the module can note.
    ReservedAreasExhausted,
    /// The memory has more parts than the module can note.
    MemoryRegionsExhausted,
    /// No memory near a part of the memory for the module's bookkeeping.
    NoLocalNodeForPamt,
    /// No contiguous memory for the module's bookkeeping.
    NoMemoryForPamt,
    /// The module destroys a register that the kernel needs.
    FramePointerBug,
    /// The kernel could not watch memory being plugged in.
    MemoryNotifier,
    /// KVM: extended page tables are off.
    EptOff,
    /// KVM: the TDP MMU, MMIO caching or the accessed and dirty bits are off.
    TdpMmuOff,
    /// KVM: the virtual APIC is off.
    ApicvOff,
    /// KVM: the CPU has no MOVDIR64B.
    NoMovdir64b,
    /// KVM: the CPU has no self-snoop.
    NoSelfSnoop,
    /// KVM: the CPU has no XSAVE that the kernel uses.
    NoXsave,
    /// KVM: the kernel has no private key ids.
    NoKeyIds,
    /// KVM does not enable virtualisation when it is loaded.
    VirtualizationNotAtLoad,
    /// The module supports fewer virtual CPUs than the host has CPUs.
    TooManyCpus,
    /// KVM: the kernel found no TDX.
    NotSupportedByPlatform,
    /// VT-x is off in the firmware.
    VmxOff,
    /// KVM repeats that the module failed.
    AfterModuleFailure,
    /// A failure that is not in the tables.
    Other,
}

/// Who says a message: what it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// `virt/tdx: `, and `tdx: ` on early kernels.
    Tdx,
    /// `kvm_intel: `.
    KvmIntel,
}

/// Which layer has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The silicon.
    Cpu,
    /// The settings or the version of the firmware.
    Firmware,
    /// The kernel or its command line.
    Kernel,
    /// The TDX module.
    Module,
    /// KVM and its parameters.
    Kvm,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Change a setting of the firmware.
    Setting(Setting),
    /// Change a setting of the firmware that may have to do with it.
    PerhapsSetting(Setting),
    /// Update the firmware, which brings the TDX module along.
    FirmwareUpdate,
    /// What the words say, with commands where there are any.
    Words(&'static str, &'static [&'static str]),
}

impl Remedy {
    /// What to do in one line, where nothing is known of the host.
    pub(crate) const fn in_short(self) -> &'static str {
        match self {
            Self::Setting(setting) | Self::PerhapsSetting(setting) => match setting {
                Setting::KeySplit => "raise the key split in the firmware",
                Setting::SeamLoader => {
                    "turn SGX and the SEAM loader on in the firmware, or update it: it has to bring a module"
                }
                Setting::NodeInterleaving => {
                    "set NUMA and node interleaving otherwise in the firmware, or update it"
                }
                Setting::VtX => "turn VT-x on in the firmware",
                _ => "turn TDX on in the firmware",
            },
            Self::FirmwareUpdate => "update the firmware, which carries the TDX module",
            Self::Words(action, _) => action,
        }
    }
}

/// A message that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownFailure {
    /// The cause.
    pub cause: Cause,
    /// Who says it.
    pub speaker: Speaker,
    /// Parts of the message in lower case, all of which must be there. Empty where the message alone does not tell.
    pub parts: &'static [&'static str],
    /// Which layer has to change.
    pub layer: Layer,
    /// What it means.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: Remedy,
}

const fn known(
    cause: Cause,
    speaker: Speaker,
    parts: &'static [&'static str],
    layer: Layer,
    meaning: &'static str,
    remedy: Remedy,
) -> KnownFailure {
    KnownFailure { cause, speaker, parts, layer, meaning, remedy }
}

use Speaker::{KvmIntel, Tdx};

/// The messages that are known. The first that fits counts.
pub const FAILURES: &[KnownFailure] = &[
    known(
        Cause::TooFewKeyIds,
        Tdx,
        &["too few private keyids"],
        Layer::Firmware,
        "the firmware gave TDX a single key id, which the module needs for itself",
        Remedy::Setting(Setting::KeySplit),
    ),
    known(
        Cause::Hibernation,
        Tdx,
        &["hibernation support is enabled"],
        Layer::Kernel,
        "the kernel can hibernate, which would lose the keys of TDX, so it leaves TDX off",
        Remedy::Words(
            "add nohibernate to the kernel command line and restart",
            &[
                "echo 'GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT nohibernate\"' | sudo tee /etc/default/grub.d/99-tdx.cfg",
                "sudo update-grub",
                "sudo reboot",
            ],
        ),
    ),
    known(
        Cause::PlatformWithoutTdx,
        Tdx,
        &["tdx disabled platform"],
        Layer::Cpu,
        "the platform has no TDX, or all of it is off in the firmware",
        Remedy::Words("take a CPU that has TDX, or turn TDX on in the firmware where it has", &[]),
    ),
    known(
        Cause::NotEnabledByFirmware,
        Tdx,
        &["not enabled by bios"],
        Layer::Firmware,
        "key ids are split, but the firmware did not set the SEAM range up; SGX being off has this effect too",
        Remedy::Setting(Setting::SeamLoader),
    ),
    known(
        Cause::ModuleNotLoaded,
        Tdx,
        &["module not loaded"],
        Layer::Firmware,
        "the firmware did not load the TDX module: its SEAM loader is off, missing, or found no module",
        Remedy::Setting(Setting::SeamLoader),
    ),
    known(
        Cause::ReservedAreasExhausted,
        Tdx,
        &["reserved areas exhausted"],
        Layer::Kernel,
        "the memory map has more holes in one region than the module can note; some kernels do not join holes",
        Remedy::Words(
            "start another kernel: 6.8.0-1004-intel and 6.14.0-1009-intel were seen failing, 6.8.0-1006-intel and later 6.8 ones not; and set `Disable excluding Mem below 1MB in CMR` to Auto in the firmware",
            &[],
        ),
    ),
    known(
        Cause::MemoryRegionsExhausted,
        Tdx,
        &["tdmrs exhausted"],
        Layer::Firmware,
        "the memory has more parts than the module can note",
        Remedy::PerhapsSetting(Setting::NodeInterleaving),
    ),
    known(
        Cause::MemoryRegionsExhausted,
        Tdx,
        &["not enough tdmrs"],
        Layer::Firmware,
        "the memory has more parts than the module can note",
        Remedy::PerhapsSetting(Setting::NodeInterleaving),
    ),
    known(
        Cause::NoLocalNodeForPamt,
        Tdx,
        &["local numa node for pamt"],
        Layer::Firmware,
        "a part of the memory belongs to no NUMA node of which memory could be taken",
        Remedy::PerhapsSetting(Setting::NodeInterleaving),
    ),
    known(
        Cause::FramePointerBug,
        Tdx,
        &["clobber bug"],
        Layer::Module,
        "the module changes the frame pointer, which this kernel does not put up with",
        Remedy::FirmwareUpdate,
    ),
    known(
        Cause::MemoryNotifier,
        Tdx,
        &["register_memory_notifier"],
        Layer::Kernel,
        "the kernel could not watch memory being plugged in",
        Remedy::Words(
            "restart, and report the message to the maker of the kernel if it comes back",
            &["sudo reboot"],
        ),
    ),
    known(
        Cause::MetadataUnreadable,
        Tdx,
        &[],
        Layer::Module,
        "the module does not know a metadata field that this kernel reads: it is too old for the kernel",
        Remedy::FirmwareUpdate,
    ),
    known(
        Cause::SystemInitRefused,
        Tdx,
        &[],
        Layer::Module,
        "the module refused its first call; old firmware does that",
        Remedy::FirmwareUpdate,
    ),
    known(
        Cause::SeamcallFailed,
        Tdx,
        &["seamcall", "failed"],
        Layer::Module,
        "a call into the module failed",
        Remedy::FirmwareUpdate,
    ),
    known(
        Cause::NoMemoryForPamt,
        Tdx,
        &[],
        Layer::Kernel,
        "there was no contiguous memory left for the module's bookkeeping, as it happens long after the start",
        Remedy::Words("restart, so that kvm_intel is loaded while the memory is whole", &["sudo reboot"]),
    ),
    known(
        Cause::Other,
        Tdx,
        &["fail"],
        Layer::Module,
        "bringing TDX up failed in a way that is not known here",
        Remedy::Words(
            "look at the lines before it in the kernel log, and update the firmware",
            &["sudo dmesg | grep -iE 'tdx|tme|sgx'"],
        ),
    ),
    known(
        Cause::EptOff,
        KvmIntel,
        &["ept is required"],
        Layer::Kvm,
        "extended page tables are turned off",
        Remedy::Words(
            "remove kvm_intel.ept=0 from the kernel command line and from /etc/modprobe.d, and restart",
            &[],
        ),
    ),
    known(
        Cause::TdpMmuOff,
        KvmIntel,
        &["tdp mmu and mmio caching"],
        Layer::Kvm,
        "the TDP MMU, MMIO caching, or the accessed and dirty bits of extended page tables are turned off",
        Remedy::Words(
            "remove kvm.tdp_mmu=0, kvm.mmio_caching=0 and kvm_intel.eptad=0 from the kernel command line and from /etc/modprobe.d, and restart",
            &[],
        ),
    ),
    known(
        Cause::ApicvOff,
        KvmIntel,
        &["apicv is required"],
        Layer::Kvm,
        "the virtual APIC is turned off",
        Remedy::Words(
            "remove kvm_intel.enable_apicv=0 from the kernel command line and from /etc/modprobe.d, and restart",
            &[],
        ),
    ),
    known(
        Cause::NoMovdir64b,
        KvmIntel,
        &["movdir64b is required"],
        Layer::Cpu,
        "the CPU has no MOVDIR64B, or it was turned off",
        Remedy::Words(
            "remove clearcpuid= from the kernel command line; a CPU with TDX has the instruction",
            &[],
        ),
    ),
    known(
        Cause::NoSelfSnoop,
        KvmIntel,
        &["self-snoop is required"],
        Layer::Cpu,
        "the CPU has no self-snoop, or it was turned off",
        Remedy::Words("remove clearcpuid= from the kernel command line; a CPU with TDX has it", &[]),
    ),
    known(
        Cause::NoXsave,
        KvmIntel,
        &["osxsave is required"],
        Layer::Kernel,
        "the kernel does not use XSAVE",
        Remedy::Words("remove noxsave from the kernel command line and restart", &[]),
    ),
    known(
        Cause::NoKeyIds,
        KvmIntel,
        &["no tdx private keyids"],
        Layer::Firmware,
        "the kernel has no private key ids: the firmware gave none, or the kernel refused them",
        Remedy::Setting(Setting::Tdx),
    ),
    known(
        Cause::VirtualizationNotAtLoad,
        KvmIntel,
        &["enable_virt_at_load"],
        Layer::Kvm,
        "KVM does not enable virtualisation when it is loaded, which calls into the module need",
        Remedy::Words(
            "remove kvm.enable_virt_at_load=0 from the kernel command line and from /etc/modprobe.d, and restart",
            &[],
        ),
    ),
    known(
        Cause::TooManyCpus,
        KvmIntel,
        &["max_vcpu_per_td"],
        Layer::Module,
        "the module supports fewer virtual CPUs in a TD than the host has logical CPUs",
        Remedy::FirmwareUpdate,
    ),
    known(
        Cause::NotSupportedByPlatform,
        KvmIntel,
        &["tdx not supported by the host platform"],
        Layer::Firmware,
        "the kernel found no TDX on the platform",
        Remedy::Setting(Setting::Tdx),
    ),
    known(
        Cause::VmxOff,
        KvmIntel,
        &["vmx", "disabled by bios"],
        Layer::Firmware,
        "virtualisation is off in the firmware",
        Remedy::Setting(Setting::VtX),
    ),
    known(
        Cause::AfterModuleFailure,
        KvmIntel,
        &["failed to initialize tdx module"],
        Layer::Module,
        "KVM repeats that the module failed",
        Remedy::Words("see the messages of virt/tdx before it", &["sudo dmesg | grep 'virt/tdx'"]),
    ),
];

impl Cause {
    /// The cause that a message names. `None` where it is not about a failure.
    pub(crate) fn of(
        speaker: Speaker,
        lower: &str,
        seamcall: Option<Seamcall>,
        errno: Option<u32>,
    ) -> Option<Self> {
        match seamcall.map(|call| call.leaf) {
            Some(LEAF_SYS_INIT) => return Some(Self::SystemInitRefused),
            Some(LEAF_SYS_RD) => return Some(Self::MetadataUnreadable),
            _ => {}
        }
        let entry = FAILURES.iter().find(|entry| {
            entry.speaker == speaker
                && !entry.parts.is_empty()
                && entry.parts.iter().all(|part| lower.contains(part))
        })?;
        Some(entry.cause.with_errno(errno))
    }

    /// The cause, with the kernel's error number known: on its own the number for "no memory" tells one.
    pub(crate) const fn with_errno(self, errno: Option<u32>) -> Self {
        match (self, errno) {
            (Self::Other, Some(12)) => Self::NoMemoryForPamt,
            (cause, _) => cause,
        }
    }

    /// Does the message say that an earlier one was final, and no more?
    pub(crate) const fn is_follow_on(self) -> bool {
        matches!(self, Self::Other | Self::NoMemoryForPamt | Self::AfterModuleFailure)
    }

    /// The entry of the table, for tables that are made of it: a cause without one does not compile there.
    pub(crate) const fn known(self) -> &'static KnownFailure {
        let mut at = 0;
        while FAILURES[at].cause as u8 != self as u8 {
            at += 1;
        }
        &FAILURES[at]
    }

    /// The entry of the table. Every cause has one.
    pub fn entry(self) -> Option<&'static KnownFailure> {
        FAILURES.iter().find(|entry| entry.cause == self)
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        self.entry().map_or("bringing TDX up failed", |entry| entry.meaning)
    }

    /// Which layer has to change.
    pub fn layer(self) -> Layer {
        self.entry().map_or(Layer::Module, |entry| entry.layer)
    }

    /// Did the kernel accept the platform before this happened?
    pub const fn platform_was_accepted(self) -> bool {
        !matches!(
            self,
            Self::TooFewKeyIds
                | Self::Hibernation
                | Self::MemoryNotifier
                | Self::NotEnabledByFirmware
                | Self::PlatformWithoutTdx
        )
    }

    /// Did the module answer, so that it must be loaded?
    pub const fn module_answered(self) -> bool {
        matches!(
            self,
            Self::MetadataUnreadable
                | Self::SystemInitRefused
                | Self::SeamcallFailed
                | Self::ReservedAreasExhausted
                | Self::MemoryRegionsExhausted
                | Self::NoLocalNodeForPamt
                | Self::NoMemoryForPamt
                | Self::FramePointerBug
                | Self::TooManyCpus
        )
    }

    /// What to do on a host with this firmware.
    pub fn fix(self, firmware: &Firmware) -> Fix {
        match self.entry().map(|entry| entry.remedy) {
            Some(Remedy::Setting(setting)) => bios_menus::fix_for(setting, firmware),
            Some(Remedy::PerhapsSetting(setting)) => bios_menus::fix_for(setting, firmware).only_a_hint(),
            Some(Remedy::FirmwareUpdate) => bios_menus::update_for(firmware),
            Some(Remedy::Words(action, commands)) => {
                commands.iter().fold(Fix::new(action), |fix, command| fix.command(*command))
            }
            None => Fix::new("look at the kernel log").command("sudo dmesg"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_entry_is_found_by_its_own_words() {
        for entry in FAILURES.iter().filter(|entry| !entry.parts.is_empty()) {
            let message = entry.parts.join(" ");
            assert_eq!(Cause::of(entry.speaker, &message, None, None), Some(entry.cause), "{message}");
            assert!(entry.parts.iter().all(|part| *part == part.to_lowercase()));
        }
    }

    #[test]
    fn every_cause_has_words_and_they_have_no_full_stop() {
        let causes: HashSet<Cause> = FAILURES.iter().map(|entry| entry.cause).collect();
        assert_eq!(causes.len(), 27);
        for entry in FAILURES {
            assert!(!entry.meaning.ends_with('.') && !entry.meaning.is_empty());
        }
    }

    #[test]
    fn every_message_is_in_the_table_that_is_searched() {
        use crate::knowledge::error_codes;

        for known in FAILURES.iter().filter(|known| !known.parts.is_empty() && known.cause != Cause::Other) {
            let told = error_codes::entries().any(|entry| {
                let line = entry.fragments.join(" ");
                Cause::of(known.speaker, &line, None, None) == Some(known.cause)
                    && (entry.meaning == known.meaning || known.cause == Cause::SeamcallFailed)
            });
            assert!(told, "{known:?}");
        }
    }

    #[test]
    fn messages_of_a_healthy_host_are_no_failures() {
        for message in [
            "bios enabled: private keyid range [32, 64)",
            "disable acpi s3. turn off tdx in the bios to use acpi s3.",
            "rcx 0x0 rdx 0x9100000100000008 r08 0x0",
            "1042424 kb allocated for pamt",
            "cmr: [0x100000, 0x77800000)",
        ] {
            assert_eq!(Cause::of(Tdx, message, None, None), None, "{message}");
        }
    }
}
