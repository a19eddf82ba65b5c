//! The names of settings, by maker.

use super::{Maker, Setting};

/// Where a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Name {
    /// The words in the menu, with the menu's path where it is known.
    pub menu: &'static str,
    /// A short name for lists.
    pub short: &'static str,
    /// The attribute of the BIOS in Redfish.
    pub redfish: Option<&'static str>,
}

/// What a setting should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The word to choose.
    pub word: &'static str,
    /// What else to know.
    pub note: Option<&'static str>,
    /// Is it certain that this is the right value? Guides contradict each other in some.
    pub certain: bool,
}

const fn target(word: &'static str) -> Target {
    Target { word, note: None, certain: true }
}

impl Target {
    const fn note(mut self, note: &'static str) -> Self {
        self.note = Some(note);
        self
    }

    const fn disputed(mut self) -> Self {
        self.certain = false;
        self
    }
}

const fn name(short: &'static str, menu: &'static str) -> Name {
    Name { menu, short, redfish: None }
}

impl Setting {
    /// What it should be.
    pub const fn target(self) -> Target {
        match self {
            Self::VtX
            | Self::VtD
            | Self::X2Apic
            | Self::Tme
            | Self::TmeMt
            | Self::Tdx
            | Self::Sgx
            | Self::SgxPackageInfo
            | Self::Svm
            | Self::Iommu
            | Self::HyperThreading => target("Enabled"),
            Self::NodeInterleaving | Self::MemoryIntegrity | Self::SgxDebug => target("Disabled"),
            Self::PhysicalAddressLimit => {
                target("Disabled").note("load the defaults and set the options next to it first where it cannot be changed")
            }
            Self::TmeBypass => target("Auto").note("guides disagree on it and TDX works with either").disputed(),
            Self::SeamLoader => target("Enabled").note("a firmware without the option or without the loader needs an update"),
            Self::KeySplit => target("1 or more").note("each step gives half of the remaining keys to TDX"),
            Self::SgxLaunchControl => target("Unlocked").disputed(),
            Self::SgxAutoRegistration => target("Enabled").note("needed where the host registers itself with Intel"),
            Self::SgxFactoryReset => target("Enabled")
                .note("it takes effect once and makes a new platform identity: everything sealed by SGX on this host is lost"),
            Self::CmrBelow1Mb => target("Auto"),
            Self::Txt => target("Enabled").note("some makers ask for it before TDX, most do not").disputed(),
            Self::VolatileMemoryMode => target("1LM"),
            Self::UefiBoot => target("UEFI"),
            Self::SecureBoot => target("Disabled").note("only if its lockdown is really in the way").disputed(),
            Self::Smee => target("Enabled"),
            Self::SevSnp => target("Enabled"),
            Self::SnpMemoryCoverage => target("Enabled").note("or Custom with a size that covers all memory"),
            Self::SevEsAsidLimit => {
                target("a number above 1").note("one less than it is what SEV-ES and SEV-SNP guests share, 100 gives 99")
            }
        }
    }

    /// Its name in the menus of the reference firmware of Intel and AMI.
    pub const fn reference(self) -> Name {
        match self {
            Self::VtX => name("VT-x", "Processor Configuration > Intel Virtualization Technology (VMX)"),
            Self::VtD => name("VT-d", "IIO Configuration > Intel VT for Directed I/O (VT-d)"),
            Self::X2Apic => name("x2APIC", "Processor Configuration > Extended APIC (x2APIC)"),
            Self::NodeInterleaving => name("node interleaving", "Memory Configuration > Node Interleaving"),
            Self::PhysicalAddressLimit => name(
                "the limit on physical addresses off",
                "Processor Configuration > Limit CPU PA to 46 Bits",
            ),
            Self::Tme => name("TME", "Processor Configuration > Memory Encryption (TME)"),
            Self::TmeMt => {
                name("TME-MT", "Processor Configuration > Total Memory Encryption Multi-Tenant (TME-MT)")
            }
            Self::TmeBypass => name("TME bypass", "Processor Configuration > TME Bypass"),
            Self::MemoryIntegrity => {
                name("memory integrity", "Processor Configuration > TME-MT memory integrity")
            }
            Self::Tdx => name("TDX", "Processor Configuration > Trust Domain Extension (TDX)"),
            Self::SeamLoader => name("SEAM loader", "Processor Configuration > TDX SEAM Loader"),
            Self::KeySplit => name("key split", "Processor Configuration > TME-MT/TDX key split"),
            Self::Sgx => name("SGX", "Processor Configuration > SW Guard Extensions (SGX)"),
            Self::SgxLaunchControl => {
                name("SGX launch control", "Processor Configuration > SGX Launch Control")
            }
            Self::SgxPackageInfo => {
                name("SGX package info", "Processor Configuration > SGX Package Info In-Band Access")
            }
            Self::SgxAutoRegistration => {
                name("SGX registration", "Processor Configuration > SGX Auto MP Registration")
            }
            Self::SgxFactoryReset => name("SGX factory reset", "Processor Configuration > SGX Factory Reset"),
            Self::SgxDebug => name("SGX debug mode", "Processor Configuration > SGX Debug Mode"),
            Self::CmrBelow1Mb => {
                name("CMR below 1 MB", "Processor Configuration > Disable excluding Mem below 1MB in CMR")
            }
            Self::Txt => name("TXT", "Processor Configuration > Trusted Execution Technology (TXT)"),
            Self::VolatileMemoryMode => {
                name("volatile memory mode", "Memory Configuration > Volatile Memory Mode")
            }
            Self::HyperThreading => name("Hyper-Threading", "Processor Configuration > Hyper-Threading"),
            Self::UefiBoot => name("UEFI boot", "Boot > Boot Mode"),
            Self::SecureBoot => name("Secure Boot", "Security > Secure Boot"),
            Self::Svm => name("SVM", "CBS > CPU Common Options > SVM Mode"),
            Self::Smee => name("SMEE", "CBS > CPU Common Options > SMEE"),
            Self::SevSnp => name("SEV-SNP support", "CBS > NBIO Common Options > SEV-SNP Support"),
            Self::SnpMemoryCoverage => {
                name("SNP memory coverage", "CBS > CPU Common Options > SNP Memory (RMP Table) Coverage")
            }
            Self::SevEsAsidLimit => name(
                "SEV-ES ASID limit",
                "CBS > CPU Common Options > SEV-ES ASID Space Limit (with its control set to Manual)",
            ),
            Self::Iommu => name("IOMMU", "CBS > NBIO Common Options > IOMMU"),
        }
    }

    /// Its name at a maker, where it is known.
    pub fn name_at(self, maker: Maker) -> Option<Name> {
        let of_maker = |(setting, at, _, _): &&(Self, Maker, &str, &str)| *setting == self && *at == maker;
        NAMES.iter().find(of_maker).map(|(_, _, menu, attribute)| Name {
            menu,
            short: self.reference().short,
            redfish: (!attribute.is_empty()).then_some(*attribute),
        })
    }
}

const SECURITY: &str = "System BIOS > System Security";
const PROCESSOR: &str = "System BIOS > Processor Settings";
const INTEGRATED: &str = "System BIOS > Integrated Devices";
const MEMORY: &str = "System BIOS > Memory Settings";
const CPU: &str = "Advanced > CPU Configuration";
const PROCESSORS: &str = "System Settings > Processors";
const SOCKET: &str = "Socket Configuration > Processor Configuration";
const IIO: &str = "Socket Configuration > IIO Configuration";

/// Setting, maker, menu, Redfish attribute (empty: not known). From scripts and adapters of third parties: spellings
/// vary between models, some carry a suffix, some are hidden.
pub(super) const NAMES: &[(Setting, Maker, &str, &str)] = &[
    (Setting::VtX, Maker::Dell, PROCESSOR, "ProcVirtualization"),
    (Setting::VtD, Maker::Dell, INTEGRATED, "VtForDirectIo"),
    (Setting::X2Apic, Maker::Dell, PROCESSOR, "X2ApicMode"),
    (Setting::NodeInterleaving, Maker::Dell, MEMORY, "NodeInterleaving"),
    (Setting::PhysicalAddressLimit, Maker::Dell, PROCESSOR, "CpuPhysicalAddressLimit"),
    (
        Setting::Tme,
        Maker::Dell,
        "System BIOS > System Security > Memory Encryption = Multiple Keys",
        "MemoryEncryption",
    ),
    (
        Setting::TmeMt,
        Maker::Dell,
        "System BIOS > System Security > Memory Encryption = Multiple Keys",
        "MemoryEncryption",
    ),
    (Setting::MemoryIntegrity, Maker::Dell, SECURITY, "GlobalMemoryIntegrity"),
    (Setting::Tdx, Maker::Dell, SECURITY, "IntelTdx"),
    (Setting::SeamLoader, Maker::Dell, SECURITY, "TdxSeamLoader"),
    (Setting::KeySplit, Maker::Dell, SECURITY, "TmeMtTdxKeySplit"),
    (Setting::Sgx, Maker::Dell, SECURITY, "IntelSgx"),
    (Setting::SgxAutoRegistration, Maker::Dell, SECURITY, ""),
    (Setting::Txt, Maker::Dell, SECURITY, "IntelTxt"),
    (Setting::Smee, Maker::Dell, "System BIOS > System Security > Secure Memory Encryption", ""),
    (Setting::SnpMemoryCoverage, Maker::Dell, "System BIOS > System Security > SNP Memory Coverage", ""),
    (Setting::SevSnp, Maker::Dell, "System BIOS > System Security > Secure Nested Paging", ""),
    (Setting::SevEsAsidLimit, Maker::Dell, "System BIOS > System Security > Minimum SEV non-ES ASID", ""),
    (Setting::PhysicalAddressLimit, Maker::Supermicro, CPU, "LimitCPUPAto46bits"),
    (Setting::Tme, Maker::Supermicro, CPU, "MemoryEncryption_TME_"),
    (Setting::TmeMt, Maker::Supermicro, CPU, "TotalMemoryEncryptionMulti_Tenant_TME_MT_"),
    (Setting::TmeBypass, Maker::Supermicro, CPU, "TotalMemoryEncryption_TME_Bypass"),
    (Setting::Tdx, Maker::Supermicro, CPU, "TrustDomainExtension_TDX_"),
    (Setting::SeamLoader, Maker::Supermicro, CPU, "TDXSecureArbitrationModeLoader_SEAMLoader_"),
    (Setting::KeySplit, Maker::Supermicro, CPU, "TME_MT_TDXKeySplit"),
    (Setting::Sgx, Maker::Supermicro, CPU, "SWGuardExtensions_SGX_"),
    (Setting::SgxPackageInfo, Maker::Supermicro, CPU, "SGXPackageInfoIn_BandAccess"),
    (Setting::SgxFactoryReset, Maker::Supermicro, CPU, "SGXFactoryReset"),
    (Setting::PhysicalAddressLimit, Maker::Lenovo, PROCESSORS, "Processors_LimitCPUPAto46bits"),
    (Setting::TmeMt, Maker::Lenovo, PROCESSORS, "Processors_MultikeyTotalMemoryEncryption"),
    (Setting::TmeBypass, Maker::Lenovo, PROCESSORS, "Processors_TotalMemoryEncryptionTMEBypass"),
    (Setting::Tdx, Maker::Lenovo, PROCESSORS, "Processors_TrustDomainExtensionTDX"),
    (Setting::SeamLoader, Maker::Lenovo, PROCESSORS, "Processors_TDXSecureArbitrationModeLoaderSEAMLoader"),
    (Setting::KeySplit, Maker::Lenovo, PROCESSORS, "Processors_TME_MTTDXkeysplit"),
    (Setting::Sgx, Maker::Lenovo, PROCESSORS, "Processors_SWGuardExtensions"),
    (Setting::SgxPackageInfo, Maker::Lenovo, PROCESSORS, "Processors_SGXPackageInfoIn_BandAccess"),
    (Setting::SgxFactoryReset, Maker::Lenovo, PROCESSORS, "Processors_SGXFactoryReset"),
    (Setting::Txt, Maker::Lenovo, PROCESSORS, "Processors_TrustedExecutionTechnology"),
    (Setting::VtX, Maker::Aivres, SOCKET, "ProcessorVmxEnable"),
    (Setting::VtD, Maker::Aivres, IIO, "VTdSupport"),
    (Setting::PhysicalAddressLimit, Maker::Aivres, SOCKET, "CpuPaLimit"),
    (Setting::Tme, Maker::Aivres, SOCKET, "EnableTme"),
    (Setting::TmeMt, Maker::Aivres, SOCKET, "EnableMktme"),
    (Setting::TmeBypass, Maker::Aivres, SOCKET, "EnableTmeBypass"),
    (Setting::MemoryIntegrity, Maker::Aivres, SOCKET, "EnableGlobalIntegrity"),
    (Setting::Tdx, Maker::Aivres, SOCKET, "EnableTdx"),
    (Setting::Sgx, Maker::Aivres, SOCKET, "EnableSgx"),
    (Setting::SgxPackageInfo, Maker::Aivres, SOCKET, "SgxPackageInfoInBandAccess"),
    (Setting::SgxFactoryReset, Maker::Aivres, SOCKET, "SgxFactoryReset"),
    (Setting::SevEsAsidLimit, Maker::Hpe, "Minimum SEV ASID", ""),
];
