//! Kernel lines and distributions: how each brings TDX up.
//!
//! Sources: Linux `arch/x86/virt/vmx/tdx/tdx.c` and `arch/x86/kvm/vmx/tdx.c`, Canonical's notes for its TDX kernels,
//! distribution release notes. What is newer than the table is a warning and never a failure.

use serde::Serialize;

use crate::facts::kernel::{Flavour, Release};
use crate::facts::kvm::TdxAbi;
use crate::facts::os::OsRelease;

/// Until when the tables were kept.
pub const AS_OF: &str = "2026-11";

/// The newest mainline release that the table knows.
pub const NEWEST_MAINLINE: (u32, u32) = (7, 2);

/// A line of kernels that behave alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct KernelLine {
    /// What it is called.
    pub name: &'static str,
    /// Can it host TDs?
    pub hosting: Hosting,
    /// What `kvm_intel.tdx` is when nobody sets it.
    pub default: TdxDefault,
    /// Does it refuse TDX while the kernel can hibernate?
    pub refuses_hibernation: bool,
    /// By which number it calls a TD, where that is known.
    pub abi: Option<TdxAbi>,
    /// What else is to be known.
    pub note: &'static str,
}

/// Can a line of kernels host TDs?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Hosting {
    /// Yes.
    Yes,
    /// Yes, but its maker no longer maintains it.
    Unmaintained,
    /// It was able to, and nobody should use it any more.
    Dead,
    /// It finds the platform, but has no KVM that runs TDs.
    CoreOnly,
    /// It knows nothing of TDX hosts.
    No,
    /// The number does not tell: the maker adds to old numbers, or the kernel is newer than the table.
    Unknown,
}

/// What `kvm_intel.tdx` is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TdxDefault {
    /// On.
    On,
    /// On in later builds of the line, off in earlier ones.
    OnInLaterBuilds,
    /// Off: it must be turned on by a parameter.
    Off,
    /// Not known.
    Unknown,
}

/// Canonical's 6.8 kernel for Ubuntu 24.04.
pub const UBUNTU_6_8_INTEL: KernelLine = KernelLine {
    name: "Ubuntu 24.04 with Intel's patches (6.8 intel)",
    hosting: Hosting::Unmaintained,
    default: TdxDefault::OnInLaterBuilds,
    refuses_hibernation: true,
    abi: Some(TdxAbi::PatchesV19),
    note: "works; Canonical has archived its TDX packages for 24.04",
};

/// Canonical's 6.14 kernel for Ubuntu 25.04.
pub const UBUNTU_6_14_INTEL: KernelLine = KernelLine {
    name: "Ubuntu 25.04 with Intel's patches (6.14 intel)",
    hosting: Hosting::Unmaintained,
    default: TdxDefault::On,
    refuses_hibernation: true,
    abi: None,
    note: "works, without kexec and huge pages; Ubuntu 25.04 is out of support",
};

/// Canonical's 6.5 kernel for Ubuntu 23.10.
pub const UBUNTU_6_5_INTEL_OPT: KernelLine = KernelLine {
    name: "Ubuntu 23.10 with Intel's patches (6.5 intel-opt)",
    hosting: Hosting::Dead,
    default: TdxDefault::On,
    refuses_hibernation: false,
    abi: Some(TdxAbi::PatchesV19),
    note: "Ubuntu 23.10 is out of support, and so is this kernel",
};

/// Canonical's kernels with Intel's patches that the table does not know.
pub const UBUNTU_INTEL_OTHER: KernelLine = KernelLine {
    name: "a kernel named intel that the table does not know",
    hosting: Hosting::Unknown,
    default: TdxDefault::Unknown,
    refuses_hibernation: true,
    abi: None,
    note: "Canonical's intel kernels of 24.04 and 25.04 are 6.8 and 6.14; later Ubuntu releases host TDX with the generic kernel",
};

/// Intel's own kernels of the time before mainline.
pub const INTEL_EARLY: KernelLine = KernelLine {
    name: "Intel's kernels from before TDX was in mainline",
    hosting: Hosting::Dead,
    default: TdxDefault::On,
    refuses_hibernation: false,
    abi: Some(TdxAbi::Early),
    note: "made for tdx-tools, which is archived",
};

/// Mainline with the platform part alone.
pub const MAINLINE_CORE: KernelLine = KernelLine {
    name: "mainline 6.8 to 6.15",
    hosting: Hosting::CoreOnly,
    default: TdxDefault::Unknown,
    refuses_hibernation: true,
    abi: None,
    note: "the platform is found and the flag is set, but nothing initialises the TDX module: KVM can run TDs since 6.16",
};

/// Mainline with KVM.
pub const MAINLINE: KernelLine = KernelLine {
    name: "mainline 6.16 and later",
    hosting: Hosting::Yes,
    default: TdxDefault::Off,
    refuses_hibernation: true,
    abi: Some(TdxAbi::Mainline),
    note: "TDX is off until kvm_intel.tdx=1; the parameter cannot be changed while the module is loaded",
};

/// Newer than the table.
pub const MAINLINE_NEWER: KernelLine = KernelLine {
    name: "a kernel newer than the table",
    hosting: Hosting::Unknown,
    default: TdxDefault::Off,
    refuses_hibernation: true,
    abi: Some(TdxAbi::Mainline),
    note: "nothing is known against it",
};

/// Enterprise kernels.
pub const VENDOR: KernelLine = KernelLine {
    name: "an enterprise kernel",
    hosting: Hosting::Unknown,
    default: TdxDefault::Unknown,
    refuses_hibernation: true,
    abi: None,
    note: "its maker brings TDX to an old number; its configuration and kvm_intel tell whether it has it",
};

/// Too old.
pub const TOO_OLD: KernelLine = KernelLine {
    name: "a kernel before 6.8",
    hosting: Hosting::No,
    default: TdxDefault::Unknown,
    refuses_hibernation: false,
    abi: None,
    note: "it knows TDX as a guest at most",
};

/// The line that a kernel belongs to. `None` where its release has no number.
pub fn line_of(release: &Release) -> Option<&'static KernelLine> {
    let number = release.mainline()?;
    Some(match (release.flavour, number) {
        (Flavour::IntelMvp, _) => &INTEL_EARLY,
        (Flavour::CanonicalIntelOpt, (6, 5)) => &UBUNTU_6_5_INTEL_OPT,
        (Flavour::CanonicalIntel, (6, 8)) => &UBUNTU_6_8_INTEL,
        (Flavour::CanonicalIntel, (6, 14)) => &UBUNTU_6_14_INTEL,
        (Flavour::CanonicalIntel, number) if number < (6, 8) => &INTEL_EARLY,
        (Flavour::CanonicalIntel | Flavour::CanonicalIntelOpt, _) => &UBUNTU_INTEL_OTHER,
        (Flavour::EnterpriseLinux | Flavour::Suse, number) if number < (6, 16) => &VENDOR,
        (_, number) if number > NEWEST_MAINLINE => &MAINLINE_NEWER,
        (_, number) if number >= (6, 16) => &MAINLINE,
        (_, number) if number >= (6, 8) => &MAINLINE_CORE,
        _ => &TOO_OLD,
    })
}

/// Is `kvm_intel.tdx` on when nobody sets it? `None` where that is not known.
pub fn tdx_on_by_default(release: &Release) -> Option<bool> {
    match line_of(release)?.default {
        TdxDefault::On => Some(true),
        TdxDefault::Off => Some(false),
        // The change came with the builds of about September 2024.
        TdxDefault::OnInLaterBuilds => release.abi.filter(|abi| *abi >= 1012).map(|_| true),
        TdxDefault::Unknown => None,
    }
}

/// A distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Distribution {
    /// `ID` of os-release.
    pub id: &'static str,
    /// The versions, first and last: (24, 4) is 24.04.
    pub versions: ((u32, u32), (u32, u32)),
    /// How well it is known to work.
    pub support: Support,
    /// How TDX comes to it.
    pub route: &'static str,
}

/// How well a distribution is known to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Support {
    /// With its own packages.
    Stock,
    /// With packages that its maker no longer maintains.
    Unmaintained,
    /// The distribution itself is out of support.
    Ended,
    /// With the vendor's own backports, as its documentation says.
    Vendor,
}

/// The distributions that are known.
pub const DISTRIBUTIONS: &[Distribution] = &[
    Distribution {
        id: "ubuntu",
        versions: ((26, 4), (26, 4)),
        support: Support::Stock,
        route: "the stock kernel 7.0 with nohibernate kvm_intel.tdx=1; official",
    },
    Distribution {
        id: "ubuntu",
        versions: ((25, 10), (25, 10)),
        support: Support::Stock,
        route: "the stock kernel 6.17 with nohibernate kvm_intel.tdx=1",
    },
    Distribution {
        id: "ubuntu",
        versions: ((25, 4), (25, 4)),
        support: Support::Ended,
        route: "Canonical's TDX packages with the kernel 6.14 intel",
    },
    Distribution {
        id: "ubuntu",
        versions: ((24, 10), (24, 10)),
        support: Support::Ended,
        route: "Canonical's TDX packages",
    },
    Distribution {
        id: "ubuntu",
        versions: ((24, 4), (24, 4)),
        support: Support::Unmaintained,
        route: "Canonical's TDX packages with the kernel 6.8 intel, now archived; or the kernel 6.17 of the hardware enablement stack",
    },
    Distribution {
        id: "ubuntu",
        versions: ((23, 10), (23, 10)),
        support: Support::Ended,
        route: "Canonical's TDX packages with the kernel 6.5 intel-opt",
    },
    Distribution {
        id: "rhel",
        versions: ((9, 0), (10, 99)),
        support: Support::Vendor,
        route: "the vendor's backports",
    },
    Distribution {
        id: "centos",
        versions: ((9, 0), (10, 99)),
        support: Support::Vendor,
        route: "the vendor's backports",
    },
    Distribution {
        id: "sles",
        versions: ((16, 0), (16, 99)),
        support: Support::Vendor,
        route: "the vendor's backports",
    },
];

/// The entry of a distribution, where it is in the table.
pub fn distribution(os: &OsRelease) -> Option<&'static Distribution> {
    let version = os.version_numbers()?;
    DISTRIBUTIONS
        .iter()
        .find(|entry| entry.id == os.id && (entry.versions.0..=entry.versions.1).contains(&version))
}

/// Is it newer than every version of that distribution in the table?
pub fn is_newer_than_known(os: &OsRelease) -> bool {
    let newest = DISTRIBUTIONS.iter().filter(|entry| entry.id == os.id).map(|entry| entry.versions.1).max();
    matches!((newest, os.version_numbers()), (Some(newest), Some(version)) if version > newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(release: &str) -> &'static str {
        line_of(&Release::parse(release)).map_or("none", |line| line.name)
    }

    #[test]
    fn lines_of_kernels() {
        for (release, expected) in [
            ("6.8.0-1028-intel", &UBUNTU_6_8_INTEL),
            ("6.14.0-1009-intel", &UBUNTU_6_14_INTEL),
            ("6.5.0-1003-intel-opt", &UBUNTU_6_5_INTEL_OPT),
            ("6.17.0-5-generic", &MAINLINE),
            ("7.0.0-14-generic", &MAINLINE),
            ("6.8.0-45-generic", &MAINLINE_CORE),
            ("6.12.43+deb13-amd64", &MAINLINE_CORE),
            ("7.9.0", &MAINLINE_NEWER),
            ("5.14.0-570.el9.x86_64", &VENDOR),
            ("6.12.0-160000.5-default", &VENDOR),
            ("6.1.0-37-amd64", &TOO_OLD),
            ("5.15.0-mvp30-generic", &INTEL_EARLY),
        ] {
            assert_eq!(line(release), expected.name, "{release}");
        }
        assert_eq!(line("custom"), "none");
    }

    #[test]
    fn the_default_depends_on_the_line_and_the_build() {
        let on = |release: &str| tdx_on_by_default(&Release::parse(release));
        assert_eq!(on("6.8.0-1028-intel"), Some(true));
        assert_eq!(on("6.8.0-1001-intel"), None);
        assert_eq!(on("6.17.0-5-generic"), Some(false));
        assert_eq!(on("5.14.0-570.el9.x86_64"), None);
    }

    #[test]
    fn distributions_and_what_is_newer() {
        let os =
            |id: &str, version: &str| OsRelease::parse(&format!("ID={id}\nVERSION_ID={version}\n")).unwrap();
        assert_eq!(distribution(&os("ubuntu", "24.04")).unwrap().support, Support::Unmaintained);
        assert_eq!(distribution(&os("rhel", "9.6")).unwrap().support, Support::Vendor);
        assert!(distribution(&os("ubuntu", "22.04")).is_none());
        assert!(is_newer_than_known(&os("ubuntu", "28.04")) && !is_newer_than_known(&os("ubuntu", "22.04")));
        assert!(!is_newer_than_known(&os("debian", "99")));
    }
}
