//! Settings of the firmware: what to set, where a maker's menu has it, and what has to be set before.
//!
//! Names of 2026-11. What to set follows from Intel's and AMD's setup guides. *Where* it is differs between models and
//! versions of a firmware, so every name that was not taken from a guide for the very maker is a hint.

mod maker;
mod names;
mod order;

use dstack_check::Fix;

use crate::facts::firmware::Firmware;

pub use maker::Maker;
pub use names::{Name, Target};
pub use order::{STAGES, Stage};

/// The date of the tables.
pub const AS_OF: &str = "2026-11";

/// A setting of the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// Intel's virtualisation.
    VtX,
    /// Intel's IOMMU.
    VtD,
    /// x2APIC.
    X2Apic,
    /// Interleaving of the memory of all packages.
    NodeInterleaving,
    /// The limit on physical addresses, to 46 bits.
    PhysicalAddressLimit,
    /// Total memory encryption.
    Tme,
    /// The same with several keys.
    TmeMt,
    /// Bypass of encryption for the host's own memory.
    TmeBypass,
    /// Integrity of encrypted memory for all keys.
    MemoryIntegrity,
    /// Trust domain extensions.
    Tdx,
    /// The loader of the TDX module.
    SeamLoader,
    /// How keys are split between the host and TDX.
    KeySplit,
    /// Software guard extensions.
    Sgx,
    /// Launch control of SGX: which enclaves may start is left to the operating system.
    SgxLaunchControl,
    /// The operating system may read what registration needs.
    SgxPackageInfo,
    /// Registration with Intel by the host itself.
    SgxAutoRegistration,
    /// New keys for SGX. Everything sealed to the old ones is lost.
    SgxFactoryReset,
    /// The debug mode of SGX.
    SgxDebug,
    /// What is below 1 MiB stays out of the convertible memory ranges.
    CmrBelow1Mb,
    /// Trusted execution technology.
    Txt,
    /// Memory is memory, and not a cache for slower memory: 1LM.
    VolatileMemoryMode,
    /// Two logical CPUs a core.
    HyperThreading,
    /// Booting with UEFI.
    UefiBoot,
    /// Secure Boot.
    SecureBoot,
    /// AMD's virtualisation.
    Svm,
    /// AMD's memory encryption.
    Smee,
    /// SEV-SNP, in the IOMMU.
    SevSnp,
    /// Memory reserved for the reverse map table.
    SnpMemoryCoverage,
    /// How many address space ids are kept for SEV-ES and SEV-SNP.
    SevEsAsidLimit,
    /// AMD's IOMMU.
    Iommu,
}

impl Setting {
    /// All settings.
    pub const ALL: &'static [Self] = &[
        Self::VtX,
        Self::VtD,
        Self::X2Apic,
        Self::NodeInterleaving,
        Self::PhysicalAddressLimit,
        Self::Tme,
        Self::TmeMt,
        Self::TmeBypass,
        Self::MemoryIntegrity,
        Self::Tdx,
        Self::SeamLoader,
        Self::KeySplit,
        Self::Sgx,
        Self::SgxLaunchControl,
        Self::SgxPackageInfo,
        Self::SgxAutoRegistration,
        Self::SgxFactoryReset,
        Self::SgxDebug,
        Self::CmrBelow1Mb,
        Self::Txt,
        Self::VolatileMemoryMode,
        Self::HyperThreading,
        Self::UefiBoot,
        Self::SecureBoot,
        Self::Svm,
        Self::Smee,
        Self::SevSnp,
        Self::SnpMemoryCoverage,
        Self::SevEsAsidLimit,
        Self::Iommu,
    ];

    /// The settings that have to be in force before this one can be set, in order. In force means after a reboot: until
    /// then menus hide this one or show it grey.
    pub fn after(self) -> impl Iterator<Item = Self> {
        order::before(self)
    }
}

/// What to do in the firmware of this host so that a setting is as it should be.
///
/// The menu and, where known, the Redfish attribute are those of the maker that the DMI tables name; for other makers
/// they are those of the reference firmware, and the fix is marked as a hint.
pub fn fix_for(setting: Setting, firmware: &Firmware) -> Fix {
    let maker = Maker::of(firmware);
    let target = setting.target();
    let reference = setting.reference();
    let named = setting.name_at(maker);
    let (path, option) = reference.menu.rsplit_once(" > ").unwrap_or(("", reference.menu));
    let mut action = format!("set {option} to {} in the firmware setup", target.word);
    match named {
        Some(name) => {
            action.push_str(&format!(" ({maker}: {}", name.menu));
            if let Some(attribute) = name.redfish {
                action.push_str(&format!(", Redfish attribute `{attribute}`"));
            }
            action.push(')');
        }
        None if maker == Maker::Reference => action.push_str(&format!(" ({path})")),
        None => action.push_str(&format!(" (the reference firmware has it in {path})")),
    }
    if let Some(note) = target.note {
        action.push_str("; ");
        action.push_str(note);
    }
    let before: Vec<&str> = setting.after().map(|earlier| earlier.reference().short).collect();
    if !before.is_empty() {
        action.push_str(&format!(
            "; it stays hidden or grey until these are set, with a reboot after each: {}",
            before.join(", ")
        ));
    }
    let fix = Fix::new(action);
    // The reference firmware's names are those of the guides; a maker's own are from scripts of third parties.
    let certain = target.certain && maker == Maker::Reference;
    if certain { fix } else { fix.only_a_hint() }
}

/// What to do where a newer firmware is the way out: names the machine and the version it has.
pub fn update_for(firmware: &Firmware) -> Fix {
    let machine: Vec<&str> = [&firmware.sys_vendor, &firmware.product_name]
        .into_iter()
        .filter_map(|text| text.known().map(String::as_str))
        .collect();
    let mut action = "update the firmware".to_owned();
    if !machine.is_empty() {
        action.push_str(&format!(" of this {}", machine.join(" ")));
    }
    match (firmware.bios_version.known(), firmware.bios_date.known()) {
        (Some(version), Some(date)) => action.push_str(&format!(", which is version {version} of {date}")),
        (Some(version), None) => action.push_str(&format!(", which is version {version}")),
        _ => {}
    }
    Fix::new(action)
}

#[cfg(test)]
mod tests;
