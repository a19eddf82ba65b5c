//! Where this runs: on metal, in a virtual machine, in a container; and with which rights.
//!
//! A question about a host that is asked inside a virtual machine or a container gets an answer about that machine or
//! that container. So this is looked at before everything else.

mod container;
mod privilege;
mod virtualisation;

use serde::Serialize;

pub use container::{Container, ContainerSigns};
pub use privilege::{Capability, Privilege};
pub use virtualisation::{Machine, Signs, Virtualisation, VirtualisationSigns, hypervisor_name};

use super::HostSource;
use super::cpu::CpuInfo;
use crate::Fact;

/// Where this runs and with which rights.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Environment {
    /// The architecture of the kernel as `uname -m` prints it: `x86_64`, `aarch64`.
    pub architecture: Fact<String>,
    /// What tells of a hypervisor.
    pub virtualisation: VirtualisationSigns,
    /// What tells of a container.
    pub container: ContainerSigns,
    /// The rights of the process that read the facts.
    pub privilege: Fact<Privilege>,
}

impl Environment {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        Self {
            architecture: architecture(source),
            virtualisation: VirtualisationSigns::collect(source),
            container: ContainerSigns::collect(source),
            privilege: Fact::from(source.text("/proc/self/status"))
                .and_then(|text| Privilege::parse(&text).map_or(Fact::Absent, Fact::Known)),
        }
    }
}

/// `/proc/sys/kernel/arch` (Linux 6.1), else what the fields of `/proc/cpuinfo` give away, else whether there is a CPUID.
fn architecture(source: &dyn HostSource) -> Fact<String> {
    if let Ok(text) = source.text("/proc/sys/kernel/arch") {
        return Fact::Known(text.trim().to_owned());
    }
    let cpuinfo = source.text("/proc/cpuinfo");
    if let Ok(text) = &cpuinfo
        && let Some(name) = architecture_of_cpuinfo(text)
    {
        return Fact::Known(name.to_owned());
    }
    if source.cpuid(0, 0).is_ok() {
        return Fact::Known("x86_64".to_owned());
    }
    Fact::from(cpuinfo).and_then(|_| Fact::Absent)
}

/// The architecture that prints these fields: `arch/*/kernel/cpu/proc.c` and its like name them differently everywhere.
fn architecture_of_cpuinfo(text: &str) -> Option<&'static str> {
    // `lm`: long mode. Without it the CPU or the kernel is a 32-bit one; a line that was cut short does not say.
    match CpuInfo::parse(text).flag("lm") {
        Fact::Known(true) => return Some("x86_64"),
        Fact::Known(false) => return Some("i686"),
        _ => {}
    }
    text.lines().take(64).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        match key.trim() {
            "vendor_id" if matches!(value.trim(), "GenuineIntel" | "AuthenticAMD") => Some("x86_64"),
            // Words that only a 64-bit kernel prints.
            "flags"
                if value
                    .split_whitespace()
                    .any(|flag| matches!(flag, "tdx_host_platform" | "tdx_guest" | "sev_snp")) =>
            {
                Some("x86_64")
            }
            "CPU implementer" => Some("aarch64"),
            "isa" => Some("riscv64"),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{CpuidRegisters, Readings};

    #[test]
    fn the_architecture_is_told_by_what_is_there() {
        let of = |source: Readings| Environment::collect(&source).architecture;
        let known = |name: &str| Fact::Known(name.to_owned());
        assert_eq!(of(Readings::empty_host().file("/proc/sys/kernel/arch", "aarch64\n")), known("aarch64"));
        let x86 = "processor\t: 0\nflags\t\t: fpu lm vmx\n";
        assert_eq!(of(Readings::empty_host().file("/proc/cpuinfo", x86)), known("x86_64"));
        let arm = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n";
        assert_eq!(of(Readings::nothing_known().file("/proc/cpuinfo", arm)), known("aarch64"));
        let leaf = Readings::nothing_known().cpuid_leaf(0, 0, CpuidRegisters::default());
        assert_eq!(of(leaf), known("x86_64"));
        let cut = "flags\t\t: ... cdp_l3 tdx_host_platform intel_ppin ...\n";
        assert_eq!(of(Readings::nothing_known().file("/proc/cpuinfo", cut)), known("x86_64"));
        let cut = "flags\t\t: fpu ... avx\n";
        assert_eq!(of(Readings::nothing_known().file("/proc/cpuinfo", cut)), Fact::Absent);
        assert_eq!(of(Readings::nothing_known()), Fact::Unread(crate::Unread::NotRecorded));
    }
}
