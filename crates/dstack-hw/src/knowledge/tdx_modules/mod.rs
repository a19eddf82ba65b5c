//! Releases of the TDX module, and what kernels say when they cannot bring it up.
//!
//! Sources: Intel's release pages of the TDX module (versions, build numbers, minor SVN); builds recorded on hosts.

mod failures;

pub use failures::{Cause, FAILURES, KnownFailure, Layer, Remedy, Speaker};

use crate::facts::kernel_tdx::{ModuleIdentity, ModuleVersion};

/// Until when the tables were kept. What is newer is not unknown to be bad.
pub const AS_OF: &str = "2026-11";

/// A release of the TDX module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleRelease {
    /// The version.
    pub version: ModuleVersion,
    /// The build number, the same for all signed variants of the release.
    pub build: u32,
    /// The minor security version number, which TCB levels are told by.
    pub minor_svn: u8,
}

/// A build that was recorded on a host but is on no release page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EarlierBuild {
    /// The build number.
    pub build: u32,
    /// The line: (1, 5).
    pub line: (u32, u32),
    /// The build date as `YYYYMMDD`, where it was recorded.
    pub date: Option<u32>,
    /// What was seen of it.
    pub seen: &'static str,
}

const fn release(major: u32, minor: u32, update: u32, build: u32, minor_svn: u8) -> ModuleRelease {
    ModuleRelease { version: ModuleVersion { major, minor, update: Some(update) }, build, minor_svn }
}

/// The releases, older first in each line.
pub const RELEASES: &[ModuleRelease] = &[
    release(1, 5, 8, 784, 0x07),
    release(1, 5, 24, 943, 0x0d),
    release(1, 5, 28, 989, 0x0e),
    release(2, 0, 2, 786, 0x03),
    release(2, 0, 4, 859, 0x04),
    release(2, 0, 8, 882, 0x05),
    release(2, 0, 12, 924, 0x06),
    release(2, 0, 14, 947, 0x07),
    release(2, 0, 16, 994, 0x08),
    release(2, 0, 18, 1013, 0x09),
];

/// Builds from before the releases.
pub const EARLIER_BUILDS: &[EarlierBuild] = &[
    EarlierBuild {
        build: 342,
        line: (1, 0),
        date: Some(20_220_420),
        seen: "initialised on an early kernel of Intel's",
    },
    EarlierBuild {
        build: 457,
        line: (1, 0),
        date: Some(20_230_206),
        seen: "fails on Ubuntu's 6.8 intel kernels, which read metadata that it does not have",
    },
    EarlierBuild {
        build: 595,
        line: (1, 5),
        date: Some(20_231_008),
        seen: "initialised on Ubuntu's 6.8 intel kernels",
    },
    EarlierBuild {
        build: 698,
        line: (1, 5),
        date: Some(20_240_129),
        seen: "initialised on Ubuntu's 6.8 intel kernels",
    },
];

/// The version of the release with this build number.
pub fn release_of_build(build: u32) -> Option<ModuleVersion> {
    RELEASES.iter().find(|release| release.build == build).map(|release| release.version)
}

/// What the tables say of a TDX module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// A line that kernels and attestation of today do not work with: 1.0.
    Obsolete,
    /// Of a line that is too old for the CPU.
    WrongLineForCpu {
        /// The major version that the CPU needs at least.
        needs_major: u32,
    },
    /// Older than the first release of its line that is on a release page.
    BeforeFirstRelease,
    /// A release that is not the newest known.
    Released {
        /// The newest release of the line.
        newest: ModuleVersion,
    },
    /// The newest known of its line.
    Newest,
    /// Newer than the tables.
    NewerThanKnown,
    /// Not enough is known of it.
    Unknown,
}

/// The lowest major version of the module for a CPU of family 6: Granite Rapids and what came after need 2.
pub fn lowest_major(family: u32, model: u32) -> Option<u32> {
    match (family, model) {
        // Sapphire Rapids, Emerald Rapids, Sierra Forest.
        (6, 0x8f | 0xcf | 0xaf) => Some(1),
        // Granite Rapids, Granite Rapids-D, Clearwater Forest.
        (6, 0xad | 0xae | 0xdd) => Some(2),
        _ => None,
    }
}

/// What the tables say of a module on a CPU (family and model).
pub fn standing(module: &ModuleIdentity, cpu: Option<(u32, u32)>) -> Standing {
    let version = module.release().or(module.version);
    let line = version.map(|version| (version.major, version.minor)).or_else(|| {
        let build = module.build_number?;
        EARLIER_BUILDS.iter().find(|earlier| earlier.build == build).map(|earlier| earlier.line)
    });
    let Some(line) = line else { return Standing::Unknown };
    if line < (1, 5) {
        return Standing::Obsolete;
    }
    if let Some(needs_major) = cpu.and_then(|(family, model)| lowest_major(family, model))
        && line.0 < needs_major
    {
        return Standing::WrongLineForCpu { needs_major };
    }
    let known = || RELEASES.iter().filter(|release| (release.version.major, release.version.minor) == line);
    let (Some(first), Some(newest)) = (known().next(), known().next_back()) else {
        // A line that did not exist when the tables were written.
        return Standing::NewerThanKnown;
    };
    let age = match (module.build_number, version.and_then(|version| version.update)) {
        (Some(build), _) => (build.cmp(&first.build), build.cmp(&newest.build)),
        (None, Some(_)) => (version.cmp(&Some(first.version)), version.cmp(&Some(newest.version))),
        (None, None) => return Standing::Unknown,
    };
    match age {
        (std::cmp::Ordering::Less, _) => Standing::BeforeFirstRelease,
        (_, std::cmp::Ordering::Less) => Standing::Released { newest: newest.version },
        (_, std::cmp::Ordering::Equal) => Standing::Newest,
        (_, std::cmp::Ordering::Greater) => Standing::NewerThanKnown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(text: &str) -> ModuleIdentity {
        ModuleIdentity::parse(text).unwrap()
    }

    #[test]
    fn releases_are_in_order() {
        for pair in RELEASES.windows(2) {
            let (one, next) = (pair[0], pair[1]);
            if one.version.major == next.version.major {
                assert!(one.version < next.version && one.build < next.build);
                assert!(one.minor_svn < next.minor_svn);
            }
        }
    }

    #[test]
    fn standings() {
        let old = |build: u32, minor: u32| {
            module(&format!(
                "TDX module: attributes 0x0, vendor_id 0x8086, major_version 1, minor_version {minor}, build_date 20240101, build_num {build}"
            ))
        };
        let emerald = Some((6, 0xcf));
        let granite = Some((6, 0xad));
        assert_eq!(standing(&old(457, 0), emerald), Standing::Obsolete);
        assert_eq!(standing(&old(595, 5), emerald), Standing::BeforeFirstRelease);
        assert!(matches!(standing(&old(784, 5), emerald), Standing::Released { .. }));
        assert_eq!(standing(&old(784, 5), granite), Standing::WrongLineForCpu { needs_major: 2 });
        assert_eq!(standing(&module("Module version: 1.5.28"), emerald), Standing::Newest);
        assert_eq!(standing(&module("Module version: 1.5.30"), None), Standing::NewerThanKnown);
        assert_eq!(standing(&module("Module version: 3.1.02"), granite), Standing::NewerThanKnown);
        assert_eq!(standing(&module("Module version: 1.5"), emerald), Standing::Unknown);
        assert_eq!(standing(&ModuleIdentity::default(), emerald), Standing::Unknown);
    }
}
