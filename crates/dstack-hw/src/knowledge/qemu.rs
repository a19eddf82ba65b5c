//! QEMU: which versions can host confidential VMs, what dstack sets on a TD, and which kernel interface a build uses.
//!
//! Versions are the weaker evidence: where QEMU itself was asked what it can do, its answer decides.

use crate::facts::kernel::Release;
use crate::facts::kvm::TdxAbi;
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

/// By which number this build of QEMU calls a TD, as far as its version tells. Builds with TDX patches of versions 8 and
/// before go with the patched kernels; those of 9 are not known; upstream's own has the mainline number.
pub fn tdx_abi_of_qemu(version: &QemuVersion) -> Option<TdxAbi> {
    match (version.tdx_build(), version.number.0) {
        (Some(_), ..=8) => Some(TdxAbi::PatchesV19),
        (Some(_), 9) => None,
        _ if version.at_least(UPSTREAM_TDX.0, UPSTREAM_TDX.1) => Some(TdxAbi::Mainline),
        _ => None,
    }
}

/// By which number this kernel calls a TD, as far as its release tells: `6.8.0-1028-intel` is patched, 6.16 and later
/// have the mainline number. Kernels of distributions that took the code over are not known.
pub fn tdx_abi_of_kernel(release: &Release) -> Option<TdxAbi> {
    match release.mainline()? {
        (6, 16..) | (7.., _) => Some(TdxAbi::Mainline),
        (6, 8) if release.as_str().contains("-intel") => Some(TdxAbi::PatchesV19),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qemu(text: &str) -> Option<TdxAbi> {
        tdx_abi_of_qemu(&QemuVersion::parse(&format!("QEMU emulator version {text}")).unwrap())
    }

    #[test]
    fn builds_and_their_numbers() {
        assert_eq!(qemu("8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.4+tdx1.1)"), Some(TdxAbi::PatchesV19));
        assert_eq!(qemu("9.2.1 (Debian 1:9.2.1+ds-1ubuntu4+tdx1.0)"), None);
        assert_eq!(qemu("10.1.0 (Debian 1:10.1.0+ds-5ubuntu2)"), Some(TdxAbi::Mainline));
        assert_eq!(qemu("8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.10)"), None);
    }

    #[test]
    fn kernels_and_their_numbers() {
        let kernel = |text: &str| tdx_abi_of_kernel(&Release::parse(text));
        assert_eq!(kernel("6.8.0-1028-intel"), Some(TdxAbi::PatchesV19));
        assert_eq!(kernel("6.17.0-8-generic"), Some(TdxAbi::Mainline));
        assert_eq!(kernel("7.0.0-14-generic"), Some(TdxAbi::Mainline));
        assert_eq!(kernel("6.14.0-1009-intel"), None);
        assert_eq!(kernel("6.8.0-85-generic"), None);
        assert_eq!(kernel(""), None);
    }
}
