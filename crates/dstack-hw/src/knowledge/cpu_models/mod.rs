//! CPU families and models, and whether they can do TDX or SEV-SNP.
//!
//! As of 2026-11. Family and model tell the generation; in the first generation with TDX only some parts have it, and
//! nothing that a program can read tells which. For what is not in the table nothing is claimed.

mod brand;

use crate::facts::cpu::{Signature, Vendor};

pub use brand::generation_of_name;
pub(crate) use brand::is_workstation;

/// The date of the table.
pub const AS_OF: &str = "2026-11";

/// A generation of CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Generation {
    /// What it is called.
    pub name: &'static str,
    /// What it can run.
    pub support: Support,
}

/// What a generation can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Support {
    /// TDX, as a rule on every part for servers.
    Tdx,
    /// TDX on some parts, which only the maker's data sheet names.
    TdxOnSomeParts,
    /// TDX is said to be there, and no host with it was seen.
    TdxUnconfirmed,
    /// SEV-SNP.
    SevSnp,
    /// Neither.
    None,
}

/// Vendor, family, first and last model, generation.
struct Row(Vendor, u32, u32, u32, Generation);

const fn generation(name: &'static str, support: Support) -> Generation {
    Generation { name, support }
}

const fn intel(model: u32, name: &'static str, support: Support) -> Row {
    Row(Vendor::Intel, 6, model, model, generation(name, support))
}

const fn amd(family: u32, first: u32, last: u32, name: &'static str, support: Support) -> Row {
    Row(Vendor::Amd, family, first, last, generation(name, support))
}

/// Models as in Linux, `arch/x86/include/asm/intel-family.h`, and AMD's revision guides. Support from hosts that were
/// seen working, from Intel's release notes of the TDX module, and for SEV-SNP from AMD's product pages.
const ROWS: &[Row] = &[
    intel(0x8f, "Sapphire Rapids", Support::TdxOnSomeParts),
    intel(0xcf, "Emerald Rapids", Support::Tdx),
    intel(0xad, "Granite Rapids", Support::Tdx),
    intel(0xae, "Granite Rapids-D", Support::TdxUnconfirmed),
    intel(0xaf, "Sierra Forest", Support::Tdx),
    intel(0xdd, "Clearwater Forest", Support::Tdx),
    intel(0x6a, "Ice Lake-SP", Support::None),
    intel(0x6c, "Ice Lake-D", Support::None),
    intel(0x55, "Skylake-SP, Cascade Lake or Cooper Lake", Support::None),
    intel(0x4f, "Broadwell-EP", Support::None),
    intel(0x56, "Broadwell-DE", Support::None),
    intel(0x3f, "Haswell-EP", Support::None),
    intel(0x3e, "Ivy Bridge-EP", Support::None),
    intel(0x2d, "Sandy Bridge-EP", Support::None),
    intel(0x3a, "Ivy Bridge", Support::None),
    intel(0x2a, "Sandy Bridge", Support::None),
    intel(0x3c, "Haswell", Support::None),
    intel(0x45, "Haswell", Support::None),
    intel(0x46, "Haswell", Support::None),
    intel(0x3d, "Broadwell", Support::None),
    intel(0x47, "Broadwell", Support::None),
    intel(0x4e, "Skylake", Support::None),
    intel(0x5e, "Skylake", Support::None),
    intel(0x8e, "Kaby Lake or Coffee Lake", Support::None),
    intel(0x9e, "Kaby Lake or Coffee Lake", Support::None),
    intel(0xa5, "Comet Lake", Support::None),
    intel(0xa6, "Comet Lake", Support::None),
    intel(0x7d, "Ice Lake client", Support::None),
    intel(0x7e, "Ice Lake client", Support::None),
    intel(0x8c, "Tiger Lake", Support::None),
    intel(0x8d, "Tiger Lake", Support::None),
    intel(0xa7, "Rocket Lake", Support::None),
    intel(0x97, "Alder Lake", Support::None),
    intel(0x9a, "Alder Lake", Support::None),
    intel(0xbe, "Alder Lake-N", Support::None),
    intel(0xb7, "Raptor Lake", Support::None),
    intel(0xba, "Raptor Lake", Support::None),
    intel(0xbf, "Raptor Lake", Support::None),
    intel(0xaa, "Meteor Lake", Support::None),
    intel(0xac, "Meteor Lake", Support::None),
    intel(0xbd, "Lunar Lake", Support::None),
    intel(0xc5, "Arrow Lake", Support::None),
    intel(0xc6, "Arrow Lake", Support::None),
    amd(0x17, 0x00, 0x2f, "Naples", Support::None),
    amd(0x17, 0x30, 0x3f, "Rome", Support::None),
    amd(0x17, 0x40, 0xff, "Zen 2 client", Support::None),
    amd(0x19, 0x00, 0x0f, "Milan", Support::SevSnp),
    amd(0x19, 0x10, 0x1f, "Genoa", Support::SevSnp),
    amd(0x19, 0xa0, 0xaf, "Bergamo or Siena", Support::SevSnp),
    amd(0x1a, 0x00, 0x1f, "Turin", Support::SevSnp),
];

/// The first model of Intel's family 6 with TDX. What is below and not in the table is older.
const FIRST_WITH_TDX: u32 = 0x8f;

/// What is known of a CPU by its family and model. `None` where it is not in the table and may be newer.
pub fn generation_of(vendor: &Vendor, signature: Signature) -> Option<Generation> {
    let Signature { family, model, .. } = signature;
    let listed = ROWS.iter().find(|Row(of, its_family, first, last, _)| {
        of == vendor && *its_family == family && (*first..=*last).contains(&model)
    });
    if let Some(Row(.., generation)) = listed {
        return Some(*generation);
    }
    let older = match vendor {
        // Family 15 was NetBurst; families 18 and 19 are newer than 6.
        Vendor::Intel => family < 6 || family == 0xf || family == 6 && model < FIRST_WITH_TDX,
        Vendor::Amd => family < 0x19,
        Vendor::Other(_) => true,
    };
    older.then(|| generation("an older generation", Support::None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn support(vendor: &Vendor, family: u32, model: u32) -> Option<Support> {
        generation_of(vendor, Signature { family, model, stepping: 0 }).map(|generation| generation.support)
    }

    #[test]
    fn servers_that_were_seen() {
        assert_eq!(support(&Vendor::Intel, 6, 0x8f), Some(Support::TdxOnSomeParts));
        for model in [0xcf, 0xad, 0xaf, 0xdd] {
            assert_eq!(support(&Vendor::Intel, 6, model), Some(Support::Tdx), "{model:#x}");
        }
        assert_eq!(support(&Vendor::Intel, 6, 0xae), Some(Support::TdxUnconfirmed));
        assert_eq!(support(&Vendor::Intel, 6, 106), Some(Support::None));
        assert_eq!(support(&Vendor::Amd, 0x19, 0x01), Some(Support::SevSnp));
        assert_eq!(support(&Vendor::Amd, 0x17, 0x31), Some(Support::None));
    }

    #[test]
    fn of_what_is_newer_nothing_is_claimed() {
        assert_eq!(support(&Vendor::Intel, 6, 0xf5), None);
        assert_eq!(support(&Vendor::Intel, 0x13, 1), None);
        assert_eq!(support(&Vendor::Amd, 0x1a, 0x50), None);
        assert_eq!(support(&Vendor::Intel, 6, 0x0f), Some(Support::None));
        assert_eq!(support(&Vendor::Intel, 0xf, 6), Some(Support::None));
    }

    #[test]
    fn no_model_is_listed_twice() {
        for (index, Row(vendor, family, first, last, _)) in ROWS.iter().enumerate() {
            assert!(first <= last);
            let again = ROWS.iter().skip(index + 1).any(|Row(other, its_family, its_first, its_last, _)| {
                other == vendor && its_family == family && its_first <= last && first <= its_last
            });
            assert!(!again, "{vendor} {family:#x} {first:#x}");
        }
    }
}
