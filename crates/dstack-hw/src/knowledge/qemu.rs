//! QEMU: which versions can host confidential VMs, what dstack sets on a TD, and which kernel interface a build uses.
//!
//! Versions are the weaker evidence: where QEMU itself was asked what it can do, its answer decides.

use crate::facts::qemu::QemuVersion;

/// When the table was last looked at.
pub const AS_OF: &str = "2026-11";

/// The first upstream version with `tdx-guest`.
pub const UPSTREAM_TDX: (u16, u16) = (10, 1);

/// The first upstream version with `sev-snp-guest`.
pub const UPSTREAM_SNP: (u16, u16) = (9, 1);

/// A property of `tdx-guest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TdProperty {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Does dstack's VMM set it on TDs?
    pub needed: bool,
}

const fn property(name: &'static str, meaning: &'static str, needed: bool) -> TdProperty {
    TdProperty { name, meaning, needed }
}

/// The properties of `tdx-guest` that are looked for (dstack's VMM sets the first two).
pub const TD_PROPERTIES: &[TdProperty] = &[
    property("quote-generation-socket", "where QEMU sends requests for quotes", true),
    property("mrconfigid", "48 bytes chosen at launch, measured as MRCONFIGID", true),
    property("mrowner", "48 bytes chosen at launch, measured as MROWNER", false),
    property("mrownerconfig", "48 bytes chosen at launch, measured as MROWNERCONFIG", false),
];

/// The property of Intel's builds before the interface was accepted upstream, in the place of
/// `quote-generation-socket`.
pub const OLD_QUOTE_PROPERTY: &str = "quote-generation-service";

/// The number by which kernel and QEMU name a TD among the types of VM (`KVM_CAP_VM_TYPES`, `KVM_CREATE_VM`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TdType {
    /// 2: the kernels of Intel and of Ubuntu 24.04 that carry the patches from before the interface was accepted.
    Patched,
    /// 5: `KVM_X86_TDX_VM` of Linux 6.16 and later.
    Upstream,
}

impl TdType {
    /// The number.
    pub const fn number(self) -> u32 {
        match self {
            Self::Patched => 2,
            Self::Upstream => 5,
        }
    }

    /// The type among the bits of `KVM_CAP_VM_TYPES` on an Intel host. Bit 2 is SEV on other vendors' hosts.
    pub const fn among(vm_types: u64) -> Option<Self> {
        if vm_types & (1 << 5) != 0 {
            Some(Self::Upstream)
        } else if vm_types & (1 << 2) != 0 {
            Some(Self::Patched)
        } else {
            None
        }
    }

    /// The type this build of QEMU asks for, as far as its version tells. Builds with TDX patches of versions 8 and
    /// before go with the patched kernels; those in between are not known; upstream's own asks for 5.
    pub fn of_qemu(version: &QemuVersion) -> Option<Self> {
        match (version.tdx_build(), version.number.0) {
            (Some(_), ..=8) => Some(Self::Patched),
            (Some(_), 9) => None,
            _ if version.at_least(UPSTREAM_TDX.0, UPSTREAM_TDX.1) => Some(Self::Upstream),
            _ => None,
        }
    }

    /// The type this kernel offers, as far as its release tells: `6.8.0-1028-intel` is patched, 6.16 and later have
    /// the upstream one. Kernels of distributions that took the code over are not known.
    pub fn of_kernel(release: &str) -> Option<Self> {
        let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().ok());
        let version = (numbers.next()??, numbers.next()??);
        if version >= (6, 16) {
            Some(Self::Upstream)
        } else if release.contains("-intel") && version <= (6, 8) {
            Some(Self::Patched)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qemu(text: &str) -> Option<TdType> {
        TdType::of_qemu(&QemuVersion::parse(&format!("QEMU emulator version {text}")).unwrap())
    }

    #[test]
    fn builds_and_their_numbers() {
        assert_eq!(qemu("8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.4+tdx1.1)"), Some(TdType::Patched));
        assert_eq!(qemu("9.2.1 (Debian 1:9.2.1+ds-1ubuntu4+tdx1.0)"), None);
        assert_eq!(qemu("10.1.0 (Debian 1:10.1.0+ds-5ubuntu2)"), Some(TdType::Upstream));
        assert_eq!(qemu("8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.10)"), None);
    }

    #[test]
    fn kernels_and_their_numbers() {
        assert_eq!(TdType::of_kernel("6.8.0-1028-intel"), Some(TdType::Patched));
        assert_eq!(TdType::of_kernel("6.17.0-8-generic"), Some(TdType::Upstream));
        assert_eq!(TdType::of_kernel("7.0.0-14-generic"), Some(TdType::Upstream));
        assert_eq!(TdType::of_kernel("6.14.0-1009-intel"), None);
        assert_eq!(TdType::of_kernel("6.8.0-85-generic"), None);
        assert_eq!(TdType::of_kernel(""), None);
    }

    #[test]
    fn bits() {
        assert_eq!(TdType::among(1 << 5 | 1 << 2 | 1), Some(TdType::Upstream));
        assert_eq!(TdType::among(1 << 2 | 1), Some(TdType::Patched));
        assert_eq!(TdType::among(3), None);
        assert_eq!((TdType::Upstream.number(), TdType::Patched.number()), (5, 2));
    }
}
