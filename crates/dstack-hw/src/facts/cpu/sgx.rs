//! Leaf 0x12: SGX and its memory (SDM volume 3D, chapter "Introduction to Intel SGX").

use serde::Serialize;

use super::cpuid::bit;
use super::leaves::Leaves;
use crate::Fact;
use crate::source::CpuidRegisters;

/// Sub-leaves of leaf 0x12 that are looked at for EPC sections. Linux has room for 8 sections.
const EPC_SUBLEAVES: std::ops::Range<u32> = 2..66;

/// What leaf 0x12 says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct SgxLeaf {
    /// Sub-leaf 0, EAX bit 0: the instructions of SGX 1. Clear although leaf 7 has SGX: the firmware has it off.
    pub sgx1: bool,
    /// Sub-leaf 0, EAX bit 1: the instructions of SGX 2.
    pub sgx2: bool,
    /// Sub-leaf 0, EAX bit 11: EDECCSSA.
    pub edeccssa: bool,
    /// Sub-leaf 0, EDX bits 15 to 8: the largest 64-bit enclave is 2 to this power bytes.
    pub max_enclave_log2: u8,
    /// Memory for enclaves, one section a package as a rule.
    pub epc: Vec<EpcSection>,
}

/// A section of enclave page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct EpcSection {
    /// Physical address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// How it is protected.
    pub protection: EpcProtection,
}

/// How a section of enclave page cache is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EpcProtection {
    /// ECX bits 3 to 0 are 1: against reading and changing.
    ConfidentialityAndIntegrity,
    /// 2: against reading.
    Confidentiality,
    /// Any other number.
    Other(u8),
}

impl SgxLeaf {
    pub(super) fn collect(leaves: &Leaves<'_>) -> Fact<Self> {
        leaves.get(0x12, 0).map(|raw| Self {
            sgx1: bit(raw.eax, 0),
            sgx2: bit(raw.eax, 1),
            edeccssa: bit(raw.eax, 11),
            max_enclave_log2: raw.edx.to_le_bytes()[1],
            epc: EPC_SUBLEAVES
                .map_while(|subleaf| leaves.get(0x12, subleaf).known().copied())
                .take_while(|raw| raw.eax & 0xf != 0)
                .filter_map(EpcSection::decode)
                .collect(),
        })
    }

    /// Bytes of enclave page cache in all sections.
    pub fn epc_bytes(&self) -> u64 {
        self.epc.iter().fold(0, |sum, section| sum.saturating_add(section.size))
    }
}

impl EpcSection {
    /// EAX bits 3 to 0 are the type, 1 for a section; addresses and sizes have their low twelve bits elsewhere.
    fn decode(raw: CpuidRegisters) -> Option<Self> {
        let joined = |high: u32, low: u32| u64::from(high & 0xf_ffff) << 32 | u64::from(low & 0xffff_f000);
        (raw.eax & 0xf == 1).then(|| Self {
            base: joined(raw.ebx, raw.eax),
            size: joined(raw.edx, raw.ecx),
            protection: match raw.ecx.to_le_bytes()[0] & 0xf {
                1 => EpcProtection::ConfidentialityAndIntegrity,
                2 => EpcProtection::Confidentiality,
                other => EpcProtection::Other(other),
            },
        })
    }
}
