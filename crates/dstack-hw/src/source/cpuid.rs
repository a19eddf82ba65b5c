//! Which CPUID leaves a processor has.
//!
//! Intel processors answer a basic leaf above their highest with the data of the highest one (Intel SDM volume 2,
//! CPUID): asked for leaf 0x21 without looking first, a host seems to have one. So a leaf beyond the maximum that its
//! range announces is [`Unread::Absent`], for the processor of this machine and for recorded leaves alike.

use super::CpuidRegisters;
use crate::{Reading, Unread};

/// CPUID.1:ECX\[31\]: a hypervisor is present.
const HYPERVISOR: u32 = 1 << 31;

/// Answers a leaf, if its range has it. `known` answers without a gate, and `None` where it does not know the leaf;
/// where the announcing leaf itself is not known, nothing can be said against the leaf.
pub(crate) fn gated(
    leaf: u32,
    subleaf: u32,
    known: impl Fn(u32, u32) -> Option<Reading<CpuidRegisters>>,
) -> Option<Reading<CpuidRegisters>> {
    let announced = |leaf| known(leaf, 0).and_then(Result::ok);
    let within = match leaf {
        0 | 0x8000_0000 => true,
        1..=0x3fff_ffff => announced(0).is_none_or(|basic| leaf <= basic.eax),
        0x4000_0000 => hypervisor(&announced),
        0x4000_0001..=0x4fff_ffff => {
            // Some hypervisors leave the maximum at 0, which KVM documents to mean 0x40000001.
            hypervisor(&announced)
                && announced(0x4000_0000).is_none_or(|first| leaf <= first.eax.max(0x4000_0001))
        }
        // A processor without extended leaves answers 0x80000000 with something below it.
        0x8000_0001..=0x8fff_ffff => announced(0x8000_0000).is_none_or(|extended| leaf <= extended.eax),
        // Ranges of other makers.
        _ => false,
    };
    if within { known(leaf, subleaf) } else { Some(Err(Unread::Absent)) }
}

/// Does the processor say that a hypervisor is there? Without one the range 0x40000000 means nothing.
fn hypervisor(announced: &impl Fn(u32) -> Option<CpuidRegisters>) -> bool {
    announced(1).is_none_or(|features| features.ecx & HYPERVISOR != 0)
}

/// The processor this runs on.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) fn native(leaf: u32, subleaf: u32) -> Reading<CpuidRegisters> {
    use raw_cpuid::CpuIdReader;

    let reader = raw_cpuid::CpuIdReaderNative;
    let read = |leaf, subleaf| {
        let registers = reader.cpuid2(leaf, subleaf);
        Some(Ok(CpuidRegisters {
            eax: registers.eax,
            ebx: registers.ebx,
            ecx: registers.ecx,
            edx: registers.edx,
        }))
    };
    gated(leaf, subleaf, read).unwrap_or(Err(Unread::Absent))
}

/// There is no CPUID on other architectures.
#[cfg(all(target_os = "linux", not(target_arch = "x86_64")))]
pub(crate) fn native(_leaf: u32, _subleaf: u32) -> Reading<CpuidRegisters> {
    Err(Unread::Failed("this is not an x86-64 processor, there is no CPUID".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{HostSource, Readings};

    const fn eax(eax: u32) -> CpuidRegisters {
        CpuidRegisters { eax, ebx: 0, ecx: 0, edx: 0 }
    }

    #[test]
    fn a_leaf_above_the_highest_is_absent_although_the_processor_answers_it() {
        // Sapphire Rapids: highest basic leaf 0x20, and leaf 0x21 answered with the data of leaf 0x20.
        let host = Readings::nothing_known()
            .cpuid_leaf(0, 0, eax(0x20))
            .cpuid_leaf(0x20, 0, eax(1))
            .cpuid_leaf(0x21, 0, eax(1));
        assert_eq!(host.cpuid(0x20, 0), Ok(eax(1)));
        assert_eq!(host.cpuid(0x21, 0), Err(Unread::Absent));
    }

    #[test]
    fn the_ranges_have_maxima_of_their_own() {
        let bare = Readings::nothing_known()
            .cpuid_leaf(0, 0, eax(0x20))
            .cpuid_leaf(1, 0, CpuidRegisters::default())
            .cpuid_leaf(0x4000_0000, 0, eax(0x4000_0001))
            .cpuid_leaf(0x8000_0000, 0, eax(0x8000_0008))
            .cpuid_leaf(0x8000_0008, 0, eax(52))
            .cpuid_leaf(0x8000_001f, 0, eax(52));
        assert_eq!(bare.cpuid(0x8000_0008, 0), Ok(eax(52)));
        assert_eq!(bare.cpuid(0x8000_001f, 0), Err(Unread::Absent));
        assert_eq!(bare.cpuid(0x4000_0000, 0), Err(Unread::Absent));
        assert_eq!(bare.cpuid(0xc000_0000, 0), Err(Unread::Absent));

        let guest = bare.cpuid_leaf(1, 0, CpuidRegisters { ecx: HYPERVISOR, ..Default::default() });
        assert_eq!(guest.cpuid(0x4000_0000, 0), Ok(eax(0x4000_0001)));
    }

    #[test]
    fn without_the_announcing_leaf_what_was_recorded_counts() {
        let host = Readings::nothing_known().cpuid_leaf(7, 0, eax(2));
        assert_eq!(host.cpuid(7, 0), Ok(eax(2)));
        assert_eq!(host.cpuid(0x12, 0), Err(Unread::NotRecorded));
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn this_processor_answers_leaf_0_and_nothing_above_its_highest() {
        let highest = native(0, 0).expect("every x86-64 processor has leaf 0").eax;
        assert!(native(1, 0).is_ok());
        assert_eq!(native(highest + 1, 0), Err(Unread::Absent));
    }
}
