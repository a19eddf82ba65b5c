//! Leaf 0x8000001F: AMD's memory encryption (APM volume 3, appendix E).

use raw_cpuid::CpuId;
use serde::Serialize;

use super::cpuid::bit;
use super::leaves::Leaves;
use crate::Fact;

/// What leaf 0x8000001F says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct AmdEncryption {
    /// EAX bit 0: secure memory encryption.
    pub sme: bool,
    /// EAX bit 1: encrypted guests.
    pub sev: bool,
    /// EAX bit 2: the page flush MSR.
    pub page_flush: bool,
    /// EAX bit 3: encrypted state of guests.
    pub sev_es: bool,
    /// EAX bit 4: nested paging with integrity.
    pub sev_snp: bool,
    /// EAX bit 5: privilege levels inside a guest.
    pub vmpl: bool,
    /// EAX bit 8: a clock that the host cannot set.
    pub secure_tsc: bool,
    /// EAX bit 14: debug registers are swapped.
    pub debug_swap: bool,
    /// EBX bits 5 to 0: the address bit that says encrypted; 51 since Milan, 47 before.
    pub c_bit: u8,
    /// EBX bits 11 to 6: physical address bits lost to encryption.
    pub address_reduction: u8,
    /// EBX bits 15 to 12: privilege levels.
    pub vmpls: u8,
    /// ECX: encrypted guests at a time; 509 on Milan, 1006 since Genoa.
    pub asids: u32,
    /// EDX: the lowest ASID of a guest without encrypted state. Those below, from 1, are for SEV-ES and SEV-SNP; the
    /// firmware's limit for SEV-ES ASIDs sets it.
    pub first_plain_asid: u32,
}

impl AmdEncryption {
    pub(super) fn collect<'a>(leaves: &Leaves<'a>, decoded: &CpuId<Leaves<'a>>) -> Fact<Self> {
        leaves.known(0x8000_001f, decoded.get_memory_encryption_info()).and_then(|info| {
            leaves.get(0x8000_001f, 0).map(|raw| Self {
                sme: info.has_sme(),
                sev: info.has_sev(),
                page_flush: info.has_page_flush_msr(),
                sev_es: info.has_sev_es(),
                sev_snp: info.has_sev_snp(),
                vmpl: info.has_vmpl(),
                debug_swap: info.has_debug_swap(),
                c_bit: info.c_bit_position(),
                address_reduction: info.physical_address_reduction(),
                asids: info.max_encrypted_guests(),
                first_plain_asid: info.min_sev_no_es_asid(),
                // Two fields that raw-cpuid does not have.
                secure_tsc: bit(raw.eax, 8),
                vmpls: (raw.ebx >> 12 & 0xf) as u8,
            })
        })
    }
}
