//! What the CPU is and what it says it can do: CPUID and `/proc/cpuinfo`.
//!
//! CPUID tells what the silicon has; the line `flags` tells what the kernel left of it after asking the firmware's
//! settings. They differ on purpose: a CPU with SGX whose firmware turned SGX off has the CPUID bit and not the flag.

mod amd;
mod cpuid;
mod info;
mod leaves;
mod sgx;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use amd::AmdEncryption;
pub use cpuid::{Cpuid, Features, Signature, StructuredFeatures, Vendor};
pub use info::{CpuInfo, CpuPackage};
pub use sgx::{EpcProtection, EpcSection, SgxLeaf};

use super::HostSource;
use crate::Fact;

/// What the CPU is and what it says it can do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Cpu {
    /// What the kernel says of the first logical CPU, and how the CPUs lie in packages.
    pub info: Fact<CpuInfo>,
    /// What the CPU says of itself. In a virtual machine, what the hypervisor lets it say.
    pub cpuid: Cpuid,
}

impl Cpu {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        Self {
            info: Fact::from(source.text("/proc/cpuinfo")).map(|text| CpuInfo::parse(&text)),
            cpuid: Cpuid::collect(source),
        }
    }

    /// Is this word on the line `flags` of `/proc/cpuinfo`? Where the line was cut short, a word that is not on it may
    /// have been there, and the answer is not known.
    pub fn flag(&self, word: &str) -> Fact<bool> {
        self.info.as_ref().and_then(|info| info.flag(word))
    }

    /// Who made the CPU: CPUID's answer, else that of `/proc/cpuinfo`.
    pub fn vendor(&self) -> Fact<Vendor> {
        if self.cpuid.vendor.known().is_some() {
            return self.cpuid.vendor.clone();
        }
        match self.info.known().and_then(|info| info.vendor_id.as_deref()) {
            Some(id) => Fact::Known(Vendor::from_id(id)),
            None => self.cpuid.vendor.clone(),
        }
    }

    /// Is it made by Intel?
    pub fn is_intel(&self) -> Fact<bool> {
        self.vendor().map(|vendor| vendor == Vendor::Intel)
    }

    /// Is it made by AMD?
    pub fn is_amd(&self) -> Fact<bool> {
        self.vendor().map(|vendor| vendor == Vendor::Amd)
    }

    /// Family, model and stepping: CPUID's answer, else that of `/proc/cpuinfo`.
    pub fn signature(&self) -> Fact<Signature> {
        if self.cpuid.signature.known().is_some() {
            return self.cpuid.signature.clone();
        }
        match self.info.known().and_then(CpuInfo::signature) {
            Some(signature) => Fact::Known(signature),
            None => self.cpuid.signature.clone(),
        }
    }

    /// The name the CPU gives itself, such as `INTEL(R) XEON(R) GOLD 6530`.
    pub fn model_name(&self) -> Option<&str> {
        let printed = self.info.known().map(|info| info.model_name.as_str());
        let own = self.cpuid.brand.known().map(String::as_str);
        printed.into_iter().chain(own).find(|name| !name.is_empty())
    }

    /// Does a hypervisor say it is there? CPUID leaf 1, ECX bit 31; else the flag `hypervisor`.
    pub fn under_hypervisor(&self) -> Fact<bool> {
        match self.cpuid.features.known() {
            Some(features) => Fact::Known(features.hypervisor),
            None => self.flag("hypervisor"),
        }
    }
}
