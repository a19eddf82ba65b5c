//! CPUID leaves from a source, with the trap of the highest leaf taken out.

use raw_cpuid::{CpuId, CpuIdReader, CpuIdResult};

use crate::source::{CpuidRegisters, HostSource};
use crate::{Fact, Unread};

/// First leaf of the range that belongs to the hypervisor.
const HYPERVISOR: u32 = 0x4000_0000;
/// First leaf of the extended range.
const EXTENDED: u32 = 0x8000_0000;
/// CPUID.1:ECX bit 31: a hypervisor says it is there.
const HYPERVISOR_BIT: u32 = 1 << 31;

/// Leaves of a source.
///
/// Asked for a basic leaf above its highest, an Intel CPU answers with the highest it has (SDM volume 2, CPUID), and
/// that looks like an answer. Such leaves are [`Fact::Absent`] here, and so is the hypervisor's range without one.
#[derive(Clone, Copy)]
pub(super) struct Leaves<'a> {
    source: &'a dyn HostSource,
    highest_basic: Option<u32>,
    highest_extended: Option<u32>,
    hypervisor: bool,
}

impl<'a> Leaves<'a> {
    pub(super) fn of(source: &'a dyn HostSource) -> Self {
        let highest = |leaf| source.cpuid(leaf, 0).ok().map(|registers| registers.eax);
        let hypervisor = source.cpuid(1, 0).is_ok_and(|registers| registers.ecx & HYPERVISOR_BIT != 0);
        Self {
            source,
            highest_basic: highest(0),
            // A CPU without the extended range answers with something below it.
            highest_extended: highest(EXTENDED).map(|leaf| if leaf < EXTENDED { EXTENDED } else { leaf }),
            hypervisor,
        }
    }

    /// The registers of a leaf.
    pub(super) fn get(&self, leaf: u32, subleaf: u32) -> Fact<CpuidRegisters> {
        if self.beyond(leaf) { Fact::Absent } else { Fact::from(self.source.cpuid(leaf, subleaf)) }
    }

    /// Is the leaf above the highest, as far as the highest is known?
    fn beyond(&self, leaf: u32) -> bool {
        match leaf {
            0 | EXTENDED => false,
            leaf if leaf >= EXTENDED => self.highest_extended.is_some_and(|highest| leaf > highest),
            leaf if leaf >= HYPERVISOR => !self.hypervisor,
            leaf => self.highest_basic.is_some_and(|highest| leaf > highest),
        }
    }

    /// The leaves as the crate `raw-cpuid` reads them.
    pub(super) fn decoded(self) -> CpuId<Self> {
        CpuId::with_cpuid_reader(self)
    }

    /// A value that `raw-cpuid` takes from a leaf: known exactly where the leaf is.
    pub(super) fn known<T>(&self, leaf: u32, value: Option<T>) -> Fact<T> {
        self.get(leaf, 0).and_then(|_| {
            value.map_or_else(
                || Fact::Unread(Unread::Failed(format!("leaf {leaf:#x} is not understood"))),
                Fact::Known,
            )
        })
    }
}

impl CpuIdReader for Leaves<'_> {
    fn cpuid2(&self, leaf: u32, subleaf: u32) -> CpuIdResult {
        let registers = match (leaf, self.get(leaf, subleaf)) {
            (_, Fact::Known(registers)) => registers,
            // Readings without the leaf that tells the highest one still have the leaves they have.
            (0, _) => CpuidRegisters { eax: HYPERVISOR - 1, ..CpuidRegisters::default() },
            (EXTENDED, _) => CpuidRegisters { eax: u32::MAX, ..CpuidRegisters::default() },
            _ => CpuidRegisters::default(),
        };
        CpuIdResult { eax: registers.eax, ebx: registers.ebx, ecx: registers.ecx, edx: registers.edx }
    }
}
