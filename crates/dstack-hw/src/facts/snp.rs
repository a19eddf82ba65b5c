//! What an AMD host says of SEV-SNP beside its log: parameters of kvm_amd, its device, its IOMMU.

use serde::Serialize;

use super::HostSource;
use crate::source::FileMeta;
use crate::{Fact, Unread};

/// What an AMD host says of SEV-SNP.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Snp {
    /// `/sys/module/kvm_amd/parameters/sev`.
    pub kvm_sev: Fact<bool>,
    /// `/sys/module/kvm_amd/parameters/sev_es`.
    pub kvm_sev_es: Fact<bool>,
    /// `/sys/module/kvm_amd/parameters/sev_snp`. Absent where kvm_amd is not loaded or the kernel does not know it.
    pub kvm_sev_snp: Fact<bool>,
    /// `/dev/sev`: the secure processor.
    pub device: Fact<FileMeta>,
    /// Extended features of the first IOMMU, from `/sys/class/iommu/ivhd0/amd-iommu/features`. Bit 63: SEV-SNP.
    pub iommu_features: Fact<u64>,
    /// How much memory a process of the caller may lock, in bytes; `None` is no limit. From `/proc/self/limits`.
    pub memlock: Fact<Option<u64>>,
}

impl Snp {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let parameter = |name: &str| {
            Fact::from(source.text(&format!("/sys/module/kvm_amd/parameters/{name}")))
                .and_then(|text| switch(&text))
        };
        Self {
            kvm_sev: parameter("sev"),
            kvm_sev_es: parameter("sev_es"),
            kvm_sev_snp: parameter("sev_snp"),
            device: Fact::from(source.stat("/dev/sev")),
            iommu_features: Fact::from(source.text("/sys/class/iommu/ivhd0/amd-iommu/features")).and_then(
                |text| {
                    iommu_features(&text)
                        .map_or_else(|| not_understood("the IOMMU's features", &text), Fact::Known)
                },
            ),
            memlock: Fact::from(source.text("/proc/self/limits")).and_then(|text| {
                memlock(&text).map_or_else(
                    || Fact::Unread(Unread::Failed("no limit on locked memory listed".to_owned())),
                    Fact::Known,
                )
            }),
        }
    }
}

/// A switch of a kernel module: `Y` and `N`, older kernels `1` and `0`.
fn switch(text: &str) -> Fact<bool> {
    match text.trim() {
        "Y" | "1" => Fact::Known(true),
        "N" | "0" => Fact::Known(false),
        _ => not_understood("a parameter of kvm_amd", text),
    }
}

fn not_understood<T>(what: &str, text: &str) -> Fact<T> {
    let shown: String = text.trim().chars().take(40).collect();
    Fact::Unread(Unread::Failed(format!("{what} is not understood: `{shown}`")))
}

/// One or two numbers in hex, `25bf732fa2295afe:1d`: the first has the features.
pub fn iommu_features(text: &str) -> Option<u64> {
    let first = text.trim().split(':').next()?;
    u64::from_str_radix(first.strip_prefix("0x").unwrap_or(first), 16).ok()
}

/// The soft limit of the line `Max locked memory`; `Some(None)` is no limit.
pub fn memlock(text: &str) -> Option<Option<u64>> {
    let rest = text.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    match rest.split_whitespace().next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Readings;

    #[test]
    fn parameters_of_new_and_old_kernels() {
        let host = Readings::empty_host()
            .file("/sys/module/kvm_amd/parameters/sev", "1\n")
            .file("/sys/module/kvm_amd/parameters/sev_es", "Y\n")
            .file("/sys/class/iommu/ivhd0/amd-iommu/features", "25bf732fa2295afe:1d\n")
            .file(
                "/proc/self/limits",
                "Limit  Soft Limit  Hard Limit  Units\nMax locked memory  8388608  8388608  bytes\n",
            );
        let snp = Snp::collect(&host);
        assert_eq!((snp.kvm_sev, snp.kvm_sev_es), (Fact::Known(true), Fact::Known(true)));
        assert_eq!(snp.kvm_sev_snp, Fact::Absent);
        assert_eq!(snp.iommu_features, Fact::Known(0x25bf_732f_a229_5afe));
        assert_eq!(snp.memlock, Fact::Known(Some(8_388_608)));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in any::<String>()) {
            let _ = (iommu_features(&text), memlock(&text), memlock(&format!("Max locked memory {text}")));
        }

        #[test]
        fn features_come_back(features in any::<u64>(), more in any::<u64>()) {
            let text = format!("{features:x}:{more:x}\n");
            prop_assert_eq!(iommu_features(&text), Some(features));
        }
    }
}
