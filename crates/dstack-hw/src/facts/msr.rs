//! Model-specific registers of the first logical CPU of each package.
//!
//! Every register here is the same on all CPUs of a package, and should be the same on all packages.

mod register;
#[cfg(test)]
mod tests;
mod views;

use std::collections::BTreeMap;

use serde::Serialize;

pub use register::Register;
pub use views::{
    FeatureControl, KeyIdPartitioning, RmpTable, SeamrrMask, Syscfg, TmeActivate, TmeCapability,
};

use super::HostSource;
use super::cpu::{Cpu, CpuPackage, Vendor};
use crate::{Fact, Unread};

/// The most packages that are read.
const MAX_PACKAGES: usize = 64;

/// Model-specific registers of the first logical CPU of each package.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Msrs {
    /// The packages in the order of their first logical CPU. At least one.
    pub packages: Vec<PackageMsrs>,
}

/// The registers of one package.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct PackageMsrs {
    /// `physical id` of the package.
    pub package: u32,
    /// The logical CPU they were read on.
    pub first_cpu: u32,
    /// The values. Registers of another vendor are not read and not here.
    pub values: BTreeMap<Register, Fact<u64>>,
}

/// A register that differs between packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Disagreement {
    /// Which.
    pub register: Register,
    /// Package and value, in the order of the packages.
    pub values: Vec<(u32, u64)>,
}

impl PackageMsrs {
    /// Was any register of this package read?
    pub fn is_readable(&self) -> bool {
        self.values.values().any(|value| value.known().is_some())
    }
}

impl Msrs {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let cpu = Cpu::collect(source);
        let vendor = cpu.vendor();
        let registers: Vec<Register> =
            Register::ALL.iter().copied().filter(|register| register.is_of(vendor.known())).collect();
        let packages = first_cpus(&cpu, source)
            .into_iter()
            .take(MAX_PACKAGES)
            .map(|(package, first_cpu)| PackageMsrs {
                package,
                first_cpu,
                values: registers
                    .iter()
                    .map(|register| (*register, Fact::from(source.msr(first_cpu, register.address()))))
                    .collect(),
            })
            .collect();
        Self { packages }
    }

    /// The value of a register on the first package; not asked for where it is a register of another vendor.
    pub fn first(&self, register: Register) -> Fact<u64> {
        let value = self.packages.first().and_then(|package| package.values.get(&register));
        value.cloned().unwrap_or(Fact::Unread(Unread::NotAsked))
    }

    /// Was any register of any package read?
    pub fn readable(&self) -> bool {
        self.packages.iter().any(PackageMsrs::is_readable)
    }

    /// The registers of which packages have different values, as far as they were read.
    pub fn disagreements(&self) -> Vec<Disagreement> {
        let differs = |register: &Register| {
            let values: Vec<(u32, u64)> = self
                .packages
                .iter()
                .filter_map(|package| {
                    let value = package.values.get(register)?.known()?;
                    Some((package.package, value & register.compared()))
                })
                .collect();
            let first = values.first()?.1;
            values
                .iter()
                .any(|(_, value)| *value != first)
                .then_some(Disagreement { register: *register, values })
        };
        Register::ALL.iter().filter_map(differs).collect()
    }

    /// How memory encryption keys are split between the host and TDX.
    pub fn key_id_partitioning(&self) -> Fact<KeyIdPartitioning> {
        self.first(Register::KeyIdPartitioning).map(KeyIdPartitioning::decode)
    }

    /// What the firmware did with memory encryption.
    pub fn tme_activate(&self) -> Fact<TmeActivate> {
        self.first(Register::TmeActivate).map(TmeActivate::decode)
    }

    /// What memory encryption the silicon has.
    pub fn tme_capability(&self) -> Fact<TmeCapability> {
        self.first(Register::TmeCapability).map(TmeCapability::decode)
    }

    /// Whether the range for the TDX module is set up.
    pub fn seamrr_mask(&self) -> Fact<SeamrrMask> {
        self.first(Register::SeamrrMask).map(SeamrrMask::decode)
    }

    /// What the firmware lets virtualisation and SGX do.
    pub fn feature_control(&self) -> Fact<FeatureControl> {
        self.first(Register::FeatureControl).map(FeatureControl::decode)
    }

    /// AMD's system configuration.
    pub fn syscfg(&self) -> Fact<Syscfg> {
        self.first(Register::Syscfg).map(Syscfg::decode)
    }

    /// Where AMD's reverse map table lies.
    pub fn rmp_table(&self) -> Fact<RmpTable> {
        let base = self.first(Register::RmpBase);
        let end = self.first(Register::RmpEnd);
        base.and_then(|base| end.map(|end| RmpTable::decode(base, end)))
    }
}

/// Package and first logical CPU of every package: from `/proc/cpuinfo`, else from sysfs. Where neither tells, CPU 0
/// stands for package 0.
fn first_cpus(cpu: &Cpu, source: &dyn HostSource) -> Vec<(u32, u32)> {
    let listed = cpu.info.known().map_or(&[][..], |info| &info.packages);
    let mut packages: Vec<(u32, u32)> =
        listed.iter().map(|CpuPackage { id, first_cpu, .. }| (*id, *first_cpu)).collect();
    if packages.is_empty() {
        packages = in_sysfs(source);
    }
    if packages.is_empty() {
        packages.push((0, 0));
    }
    packages
}

fn in_sysfs(source: &dyn HostSource) -> Vec<(u32, u32)> {
    const CPUS: &str = "/sys/devices/system/cpu";
    let mut cpus: Vec<u32> = source
        .list(CPUS)
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.strip_prefix("cpu")?.parse().ok())
        .collect();
    cpus.sort_unstable();
    let mut first = BTreeMap::new();
    for cpu in cpus.into_iter().take(8192) {
        let path = format!("{CPUS}/cpu{cpu}/topology/physical_package_id");
        if let Some(package) = source.text(&path).ok().and_then(|text| text.trim().parse::<u32>().ok()) {
            first.entry(package).or_insert(cpu);
        }
    }
    let mut packages: Vec<(u32, u32)> = first.into_iter().collect();
    packages.sort_by_key(|(_, cpu)| *cpu);
    packages
}

impl Register {
    /// Is the register read on a CPU of this vendor? All are where the vendor is not known.
    fn is_of(self, vendor: Option<&Vendor>) -> bool {
        match vendor {
            Some(Vendor::Intel) => !self.is_amd(),
            Some(Vendor::Amd) => self.is_amd(),
            Some(Vendor::Other(_)) => false,
            None => true,
        }
    }
}
