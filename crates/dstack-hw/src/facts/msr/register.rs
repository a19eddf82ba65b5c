//! The registers that are read.

use std::fmt;

use serde::{Serialize, Serializer};

/// A model-specific register that is read. Names as in Intel's SDM volume 4 and AMD's APM volume 2 where it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Register {
    /// `IA32_FEATURE_CONTROL`, 0x3A: what the firmware lets VMX and SGX do.
    FeatureControl,
    /// `IA32_MKTME_KEYID_PARTITIONING`, 0x87: keys for the host and keys for TDX. Some scripts label it as the
    /// capability register, which is 0x981.
    KeyIdPartitioning,
    /// `MCHECK_ERROR`, 0xA0: what the check of the platform before SGX and TDX found; 0 is nothing. Named in Intel's
    /// TDX setup guides, not in the SDM.
    McheckError,
    /// `MSR_PLATFORM_INFO`, 0xCE: bit 27 is set on parts that are not production parts.
    PlatformInfo,
    /// `IA32_MTRRCAP`, 0xFE: bit 15 says that there are SEAM range registers.
    MtrrCap,
    /// 0x500: bits 63 to 56 are the security version of the SEAM loader.
    SeamLoaderVersion,
    /// 0x503: SGX debug mode; 0 is off.
    SgxDebug,
    /// `IA32_TME_CAPABILITY`, 0x981.
    TmeCapability,
    /// `IA32_TME_ACTIVATE`, 0x982.
    TmeActivate,
    /// `IA32_SEAMRR_PHYS_BASE`, 0x1400.
    SeamrrBase,
    /// `IA32_SEAMRR_PHYS_MASK`, 0x1401.
    SeamrrMask,
    /// `SYSCFG`, 0xC0010010.
    Syscfg,
    /// `TOP_MEM2`, 0xC001001D: the end of memory above 4 GiB.
    TopMem2,
    /// `VM_CR`, 0xC0010114: bit 4 turns SVM off.
    VmCr,
    /// `RMP_BASE`, 0xC0010132.
    RmpBase,
    /// `RMP_END`, 0xC0010133.
    RmpEnd,
    /// `RMP_CFG`, 0xC0010136: bit 0 says that the table is in segments. Only CPUs that can do that have it.
    RmpConfig,
}

impl Register {
    /// All of them, by address.
    pub const ALL: &'static [Self] = &[
        Self::FeatureControl,
        Self::KeyIdPartitioning,
        Self::McheckError,
        Self::PlatformInfo,
        Self::MtrrCap,
        Self::SeamLoaderVersion,
        Self::SgxDebug,
        Self::TmeCapability,
        Self::TmeActivate,
        Self::SeamrrBase,
        Self::SeamrrMask,
        Self::Syscfg,
        Self::TopMem2,
        Self::VmCr,
        Self::RmpBase,
        Self::RmpEnd,
        Self::RmpConfig,
    ];

    /// The address.
    pub const fn address(self) -> u32 {
        match self {
            Self::FeatureControl => 0x3a,
            Self::KeyIdPartitioning => 0x87,
            Self::McheckError => 0xa0,
            Self::PlatformInfo => 0xce,
            Self::MtrrCap => 0xfe,
            Self::SeamLoaderVersion => 0x500,
            Self::SgxDebug => 0x503,
            Self::TmeCapability => 0x981,
            Self::TmeActivate => 0x982,
            Self::SeamrrBase => 0x1400,
            Self::SeamrrMask => 0x1401,
            Self::Syscfg => 0xc001_0010,
            Self::TopMem2 => 0xc001_001d,
            Self::VmCr => 0xc001_0114,
            Self::RmpBase => 0xc001_0132,
            Self::RmpEnd => 0xc001_0133,
            Self::RmpConfig => 0xc001_0136,
        }
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FeatureControl => "IA32_FEATURE_CONTROL",
            Self::KeyIdPartitioning => "IA32_MKTME_KEYID_PARTITIONING",
            Self::McheckError => "MCHECK_ERROR",
            Self::PlatformInfo => "MSR_PLATFORM_INFO",
            Self::MtrrCap => "IA32_MTRRCAP",
            Self::SeamLoaderVersion => "SEAM_LOADER_VERSION",
            Self::SgxDebug => "SGX_DEBUG",
            Self::TmeCapability => "IA32_TME_CAPABILITY",
            Self::TmeActivate => "IA32_TME_ACTIVATE",
            Self::SeamrrBase => "IA32_SEAMRR_PHYS_BASE",
            Self::SeamrrMask => "IA32_SEAMRR_PHYS_MASK",
            Self::Syscfg => "SYSCFG",
            Self::TopMem2 => "TOP_MEM2",
            Self::VmCr => "VM_CR",
            Self::RmpBase => "RMP_BASE",
            Self::RmpEnd => "RMP_END",
            Self::RmpConfig => "RMP_CFG",
        }
    }

    /// The register with this address.
    pub fn at(address: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|register| register.address() == address)
    }

    /// Is it one of AMD's?
    pub const fn is_amd(self) -> bool {
        self.address() >= 0xc001_0000
    }

    /// The bits that have to agree between packages. Other bits of a register may be the package's own: bus ratios in
    /// `MSR_PLATFORM_INFO`, for instance.
    pub const fn compared(self) -> u64 {
        match self {
            Self::PlatformInfo => 1 << 27,
            Self::MtrrCap => 1 << 15,
            Self::VmCr => 1 << 4,
            _ => u64::MAX,
        }
    }
}

/// Name and address: `IA32_TME_ACTIVATE (MSR 0x982)`.
impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (MSR {:#x})", self.name(), self.address())
    }
}

/// Its address in hex, which also works as a key.
impl Serialize for Register {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.address()))
    }
}
