//! What CPUID says, leaf by leaf.

use std::fmt;

use serde::Serialize;

use super::leaves::Leaves;
use super::{AmdEncryption, SgxLeaf};
use crate::Fact;
use crate::source::{CpuidRegisters, HostSource};

/// What CPUID says. Nothing in it tells whether a host can do TDX: no leaf enumerates that (Linux,
/// `arch/x86/virt/vmx/tdx/tdx.c`), and leaf 0x21 is for guests.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Cpuid {
    /// Leaf 0: who made it.
    pub vendor: Fact<Vendor>,
    /// Leaf 0, EAX: the highest basic leaf.
    pub highest_basic_leaf: Fact<u32>,
    /// Leaf 1, EAX: family, model and stepping.
    pub signature: Fact<Signature>,
    /// Leaves 0x80000002 to 0x80000004: the name it gives itself.
    pub brand: Fact<String>,
    /// Leaf 1: some features.
    pub features: Fact<Features>,
    /// Leaf 7, sub-leaf 0: more features.
    pub structured: Fact<StructuredFeatures>,
    /// Leaf 0x12: SGX and its memory. Absent where leaf 7 says there is no SGX.
    pub sgx: Fact<SgxLeaf>,
    /// Leaf 0x1B: targets of the instruction PCONFIG; 1 is multi-key memory encryption.
    pub pconfig_targets: Fact<Vec<u32>>,
    /// Leaf 0x80000008, EAX bits 7 to 0: physical address bits with those that key ids take: 52 on the servers that
    /// can do TDX, 46 where the firmware limits them.
    pub physical_address_bits: Fact<u8>,
    /// Leaf 0x80000001, ECX bit 2: AMD's virtualisation.
    pub svm: Fact<bool>,
    /// Leaf 0x8000001F: AMD's memory encryption.
    pub encryption: Fact<AmdEncryption>,
    /// Leaf 0x40000000: the twelve characters by which a hypervisor names itself, without zero bytes.
    pub hypervisor: Fact<String>,
    /// Leaf 0x21: is this a TDX guest, by its signature `IntelTDX`? Hosts do not have the leaf.
    pub tdx_guest: Fact<bool>,
}

/// Who made a CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Vendor {
    /// `GenuineIntel`.
    Intel,
    /// `AuthenticAMD`.
    Amd,
    /// Somebody else, by the id it gives.
    Other(String),
}

impl Vendor {
    /// The vendor with this id of twelve characters.
    pub fn from_id(id: &str) -> Self {
        match id {
            "GenuineIntel" => Self::Intel,
            "AuthenticAMD" => Self::Amd,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The id of twelve characters.
    pub fn id(&self) -> &str {
        match self {
            Self::Intel => "GenuineIntel",
            Self::Amd => "AuthenticAMD",
            Self::Other(id) => id,
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intel => "Intel",
            Self::Amd => "AMD",
            Self::Other(id) => id,
        })
    }
}

/// Family, model and stepping, as displayed: the extended fields are added in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Signature {
    /// Family; 6 for Intel's servers, 0x19 and 0x1A for AMD's that have SEV-SNP.
    pub family: u32,
    /// Model.
    pub model: u32,
    /// Stepping.
    pub stepping: u32,
}

impl Signature {
    /// Decodes CPUID.1:EAX (SDM volume 2, CPUID; APM volume 3, appendix E).
    pub const fn from_eax(eax: u32) -> Self {
        let base_family = eax >> 8 & 0xf;
        let base_model = eax >> 4 & 0xf;
        let family = if base_family == 0xf { base_family + (eax >> 20 & 0xff) } else { base_family };
        let model = if base_family == 6 || base_family == 0xf {
            (eax >> 16 & 0xf) << 4 | base_model
        } else {
            base_model
        };
        Self { family, model, stepping: eax & 0xf }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "family {:#x} model {:#x} stepping {}", self.family, self.model, self.stepping)
    }
}

/// Features in leaf 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Features {
    /// ECX bit 5: Intel's virtualisation.
    pub vmx: bool,
    /// ECX bit 6: safer mode extensions, for trusted execution technology.
    pub smx: bool,
    /// ECX bit 21.
    pub x2apic: bool,
    /// ECX bit 31: this runs under a hypervisor.
    pub hypervisor: bool,
    /// EDX bit 27.
    pub self_snoop: bool,
}

/// Features in leaf 7, sub-leaf 0. What the silicon has, whatever the firmware turned off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct StructuredFeatures {
    /// EBX bit 2: SGX.
    pub sgx: bool,
    /// ECX bit 30: flexible launch control.
    pub sgx_launch_control: bool,
    /// EDX bit 1: attestation services for SGX.
    pub sgx_keys: bool,
    /// ECX bit 13: total memory encryption.
    pub tme: bool,
    /// ECX bit 28.
    pub movdir64b: bool,
    /// EDX bit 18: PCONFIG.
    pub pconfig: bool,
}

impl Cpuid {
    pub(super) fn collect(source: &dyn HostSource) -> Self {
        let leaves = Leaves::of(source);
        let decoded = leaves.decoded();
        let structured = leaves.known(7, decoded.get_extended_feature_info()).and_then(|features| {
            leaves.get(7, 0).map(|raw| StructuredFeatures {
                sgx: features.has_sgx(),
                sgx_launch_control: features.has_sgx_lc(),
                tme: features.has_tme_en(),
                // Three bits that raw-cpuid does not have.
                sgx_keys: bit(raw.edx, 1),
                movdir64b: bit(raw.ecx, 28),
                pconfig: bit(raw.edx, 18),
            })
        });
        Self {
            vendor: leaves
                .known(0, decoded.get_vendor_info())
                .map(|vendor| Vendor::from_id(vendor.as_str().trim_end_matches('\0'))),
            highest_basic_leaf: leaves.get(0, 0).map(|raw| raw.eax),
            signature: leaves.get(1, 0).map(|raw| Signature::from_eax(raw.eax)),
            brand: leaves
                .known(0x8000_0004, decoded.get_processor_brand_string())
                .map(|brand| brand.as_str().to_owned()),
            features: leaves.known(1, decoded.get_feature_info()).map(|features| Features {
                vmx: features.has_vmx(),
                smx: features.has_smx(),
                x2apic: features.has_x2apic(),
                hypervisor: features.has_hypervisor(),
                self_snoop: features.has_ss(),
            }),
            sgx: structured
                .clone()
                .and_then(|features| if features.sgx { SgxLeaf::collect(&leaves) } else { Fact::Absent }),
            pconfig_targets: structured
                .clone()
                .and_then(|features| if features.pconfig { pconfig_targets(&leaves) } else { Fact::Absent }),
            structured,
            physical_address_bits: leaves
                .known(0x8000_0008, decoded.get_processor_capacity_feature_info())
                .map(|capacity| capacity.physical_address_bits()),
            svm: leaves.get(0x8000_0001, 0).map(|raw| bit(raw.ecx, 2)),
            encryption: AmdEncryption::collect(&leaves, &decoded),
            hypervisor: leaves.get(0x4000_0000, 0).map(|raw| text(&[raw.ebx, raw.ecx, raw.edx])),
            tdx_guest: leaves.get(0x21, 0).map(is_tdx_guest),
        }
    }
}

/// Is bit `n` of a register set?
pub(super) const fn bit(register: u32, n: u32) -> bool {
    register >> n & 1 == 1
}

/// The signature of leaf 0x21 is `IntelTDX` and four blanks, in EBX, EDX, ECX: not in the order of the alphabet.
fn is_tdx_guest(raw: CpuidRegisters) -> bool {
    text(&[raw.ebx, raw.edx, raw.ecx]) == "IntelTDX    "
}

/// Registers as the characters in them, zero bytes left out.
fn text(registers: &[u32]) -> String {
    let bytes: Vec<u8> =
        registers.iter().flat_map(|register| register.to_le_bytes()).filter(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Leaf 0x1B: each sub-leaf of type 1 (EAX bits 11 to 0) names up to three targets; type 0 ends the list.
fn pconfig_targets(leaves: &Leaves<'_>) -> Fact<Vec<u32>> {
    leaves.get(0x1b, 0).map(|first| {
        let rest = (1..8).map_while(|subleaf| leaves.get(0x1b, subleaf).known().copied());
        std::iter::once(first)
            .chain(rest)
            .take_while(|raw| raw.eax & 0xfff == 1)
            .flat_map(|raw| [raw.ebx, raw.ecx, raw.edx])
            .filter(|target| *target != 0)
            .collect()
    })
}
