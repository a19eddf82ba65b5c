//! KVM: its module, its parameters, its device, its capacity for TDs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::HostSource;
use super::kernel::switch_value;
use crate::source::{FileMeta, KvmCapabilities};
use crate::{Fact, Unread};

/// The most groups below the root of the cgroup tree whose usage is added up.
const MAX_GROUPS: usize = 256;

/// The most resources of one `misc` file.
const MAX_RESOURCES: usize = 64;

/// KVM: its module, its parameters, its device, its capacity for TDs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Kvm {
    /// Parameters of `kvm_intel`.
    pub intel: IntelParameters,
    /// Parameters of `kvm`.
    pub common: CommonParameters,
    /// Is there a folder `/sys/module/kvm_intel`?
    pub intel_present: Fact<bool>,
    /// Is there a folder `/sys/module/kvm_amd`?
    pub amd_present: Fact<bool>,
    /// `/dev/kvm`.
    pub device: Fact<FileMeta>,
    /// What the device says of itself. Needs the right to open it.
    pub capabilities: Fact<Capabilities>,
    /// The `misc` controller of cgroups: key ids of TDX and ASIDs of SEV.
    pub misc: Fact<MiscController>,
}

/// Parameters of the module `kvm_intel`, in `/sys/module/kvm_intel/parameters`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct IntelParameters {
    /// `tdx`: is TDX up in KVM? It is `N` both where it was not asked for and where it failed.
    pub tdx: Fact<bool>,
    /// `sgx`: can guests have SGX?
    pub sgx: Fact<bool>,
    /// `ept`: extended page tables.
    pub ept: Fact<bool>,
    /// `eptad`: their accessed and dirty bits.
    pub eptad: Fact<bool>,
    /// `unrestricted_guest`.
    pub unrestricted_guest: Fact<bool>,
}

/// Parameters of the module `kvm`, in `/sys/module/kvm/parameters`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct CommonParameters {
    /// `tdp_mmu`: the MMU for two-dimensional paging.
    pub tdp_mmu: Fact<bool>,
    /// `mmio_caching`.
    pub mmio_caching: Fact<bool>,
    /// `enable_virt_at_load`: since 6.12.
    pub enable_virt_at_load: Fact<bool>,
}

/// What `/dev/kvm` says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Capabilities {
    /// `KVM_GET_API_VERSION`, 12.
    pub api_version: i32,
    /// `KVM_CAP_VM_TYPES`: a bit a type of VM; 0 where the kernel does not know the extension.
    pub vm_types: u64,
}

/// By which number a kernel calls a TD. QEMU and the kernel must be of the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TdxAbi {
    /// Mainline since 6.16: VM type 5.
    Mainline,
    /// Intel's patches up to version 19, as in Canonical's 6.8 `-intel` kernels: VM type 2.
    PatchesV19,
    /// Intel's kernels of the time of 5.15: VM type 1.
    Early,
}

/// The `misc` controller of cgroups at the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct MiscController {
    path: String,
    capacity: BTreeMap<String, u64>,
    current: Option<BTreeMap<String, u64>>,
}

impl Kvm {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let intel = |name: &str| parameter(source, "kvm_intel", name);
        let common = |name: &str| parameter(source, "kvm", name);
        Self {
            intel: IntelParameters {
                tdx: intel("tdx"),
                sgx: intel("sgx"),
                ept: intel("ept"),
                eptad: intel("eptad"),
                unrestricted_guest: intel("unrestricted_guest"),
            },
            common: CommonParameters {
                tdp_mmu: common("tdp_mmu"),
                mmio_caching: common("mmio_caching"),
                enable_virt_at_load: common("enable_virt_at_load"),
            },
            intel_present: source.exists("/sys/module/kvm_intel").into(),
            amd_present: source.exists("/sys/module/kvm_amd").into(),
            device: source.stat("/dev/kvm").into(),
            capabilities: Fact::from(source.kvm()).map(Capabilities::from),
            misc: MiscController::collect(source),
        }
    }
}

impl From<KvmCapabilities> for Capabilities {
    fn from(raw: KvmCapabilities) -> Self {
        Self { api_version: raw.api_version, vm_types: raw.vm_types }
    }
}

impl Capabilities {
    /// Is this type among the VM types?
    pub const fn has_type(&self, number: u32) -> bool {
        number < 64 && self.vm_types >> number & 1 == 1
    }

    /// By which number the kernel of an Intel host calls a TD; `None` where it offers none. On an AMD host the same
    /// bits are SEV's. Bit 1 is the early number on kernels before 6.8 only: it is software-protected VMs since.
    pub fn tdx_abi(&self, before_6_8: bool) -> Option<TdxAbi> {
        if self.has_type(5) {
            Some(TdxAbi::Mainline)
        } else if self.has_type(2) {
            Some(TdxAbi::PatchesV19)
        } else {
            (before_6_8 && self.has_type(1)).then_some(TdxAbi::Early)
        }
    }
}

impl TdxAbi {
    /// The number of the VM type.
    pub const fn vm_type(self) -> u32 {
        match self {
            Self::Mainline => 5,
            Self::PatchesV19 => 2,
            Self::Early => 1,
        }
    }
}

fn parameter(source: &dyn HostSource, module: &str, name: &str) -> Fact<bool> {
    Fact::from(source.text(&format!("/sys/module/{module}/parameters/{name}"))).and_then(|text| {
        switch_value(&text).map_or_else(
            || {
                let shown: String = text.trim().chars().take(40).collect();
                Fact::Unread(Unread::Failed(format!("`{}` is neither Y nor N", shown.escape_default())))
            },
            Fact::Known,
        )
    })
}

impl MiscController {
    fn collect(source: &dyn HostSource) -> Fact<Self> {
        let mut unread = None;
        // Version 2 of cgroups, then version 1.
        for folder in ["/sys/fs/cgroup", "/sys/fs/cgroup/misc"] {
            let path = format!("{folder}/misc.capacity");
            match source.text(&path) {
                Ok(text) => {
                    let current = match source.text(&format!("{folder}/misc.current")) {
                        Ok(text) => Some(resources(&text)),
                        // Before 6.11 the root itself has no such file: its children together have the same.
                        Err(_) => usage_of_children(source, folder),
                    };
                    return Fact::Known(Self { path, capacity: resources(&text), current });
                }
                Err(Unread::Absent) => {}
                Err(why) => unread = Some(why),
            }
        }
        unread.map_or(Fact::Absent, Fact::Unread)
    }

    /// How many there are of a resource: of `tdx` the key ids for TDs, one less than the firmware gave.
    pub fn capacity(&self, resource: &str) -> Option<u64> {
        self.capacity.get(resource).copied()
    }

    /// How many of them are in use, where that can be told.
    pub fn in_use(&self, resource: &str) -> Option<u64> {
        self.current.as_ref().map(|current| current.get(resource).copied().unwrap_or(0))
    }

    /// The file that the capacity was read from, with version 2 of cgroups where it is not known which.
    pub fn source(&self) -> &'static str {
        if self.path.ends_with("/misc/misc.capacity") {
            "/sys/fs/cgroup/misc/misc.capacity"
        } else {
            "/sys/fs/cgroup/misc.capacity"
        }
    }
}

fn usage_of_children(source: &dyn HostSource, folder: &str) -> Option<BTreeMap<String, u64>> {
    let mut sum: Option<BTreeMap<String, u64>> = None;
    let names = source.list(folder).ok()?;
    let groups = names.iter().filter(|name| {
        name.ends_with(".slice")
            || name.ends_with(".scope")
            || name.ends_with(".service")
            || !name.contains('.')
    });
    for name in groups.take(MAX_GROUPS) {
        if let Ok(text) = source.text(&format!("{folder}/{name}/misc.current")) {
            let sum = sum.get_or_insert_default();
            for (resource, count) in resources(&text) {
                let total: &mut u64 = sum.entry(resource).or_default();
                *total = total.saturating_add(count);
            }
        }
    }
    sum
}

/// Lines of a name and a number; `max` is no limit and is left out.
fn resources(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| {
            let (name, number) = line.trim().split_once(' ')?;
            Some((name.to_owned(), number.trim().parse().ok()?))
        })
        .take(MAX_RESOURCES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Readings;

    #[test]
    fn parameters_are_letters_or_digits() {
        let host = Readings::empty_host()
            .file("/sys/module/kvm_intel/parameters/tdx", "Y\n")
            .file("/sys/module/kvm_intel/parameters/ept", "0\n")
            .file("/sys/module/kvm/parameters/tdp_mmu", "perhaps\n");
        let kvm = Kvm::collect(&host);
        assert_eq!(kvm.intel.tdx.known(), Some(&true));
        assert_eq!(kvm.intel.ept.known(), Some(&false));
        assert!(kvm.intel.sgx.is_absent());
        assert!(kvm.common.tdp_mmu.unread().is_some());
        assert_eq!(kvm.intel_present.known(), Some(&true));
        assert_eq!(kvm.amd_present.known(), Some(&false));
    }

    #[test]
    fn capacity_of_both_versions_of_cgroups() {
        let host = Readings::empty_host()
            .file("/sys/fs/cgroup/misc.capacity", "tdx 31\nsev 0\n")
            .file("/sys/fs/cgroup/misc.current", "tdx 2\n");
        let kvm = Kvm::collect(&host);
        let misc = kvm.misc.known().unwrap();
        assert_eq!(
            (misc.capacity("tdx"), misc.in_use("tdx"), misc.capacity("sev")),
            (Some(31), Some(2), Some(0))
        );

        let host = Readings::empty_host().file("/sys/fs/cgroup/misc/misc.capacity", "sev_es 99\nsev 410\n");
        let kvm = Kvm::collect(&host);
        let misc = kvm.misc.known().unwrap();
        assert_eq!((misc.capacity("sev"), misc.in_use("sev"), misc.capacity("tdx")), (Some(410), None, None));
        assert_eq!(misc.source(), "/sys/fs/cgroup/misc/misc.capacity");
    }

    #[test]
    fn usage_is_added_up_where_the_root_has_none() {
        let host = Readings::empty_host()
            .file("/sys/fs/cgroup/misc.capacity", "tdx 31\n")
            .file("/sys/fs/cgroup/system.slice/misc.current", "tdx 3\n")
            .file("/sys/fs/cgroup/machine.slice/misc.current", "tdx 4\n");
        assert_eq!(Kvm::collect(&host).misc.known().unwrap().in_use("tdx"), Some(7));
    }

    #[test]
    fn the_number_of_a_td_depends_on_the_kernel() {
        let types = |vm_types| Capabilities { api_version: 12, vm_types };
        assert_eq!(types(0b10_0001).tdx_abi(false), Some(TdxAbi::Mainline));
        assert_eq!(types(0b101).tdx_abi(false), Some(TdxAbi::PatchesV19));
        assert_eq!(types(0b11).tdx_abi(false), None);
        assert_eq!(types(0b11).tdx_abi(true), Some(TdxAbi::Early));
        assert_eq!(types(0).tdx_abi(true), None);
        assert!(!types(u64::MAX).has_type(64));
    }
}
