//! Measurements that an OS image is known to give.

use crate::{Digest32, Digest48, Measurements};

/// MRTD and RTMR0 to RTMR2 of an OS image in a certain VM shape, from where and for what.
///
/// RTMR0 depends on the number of vCPUs, the memory, the QEMU version and devices; MRTD, RTMR1 and RTMR2 on the image.
/// A register that is not known is not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownGood {
    /// A name for people, such as `dstack-0.5.11, 2 vCPUs, 4 GiB`.
    pub name: String,
    /// Where the values come from, such as a file or the program that computed them.
    pub source: String,
    /// MRTD.
    pub mrtd: Option<Digest48>,
    /// RTMR0.
    pub rtmr0: Option<Digest48>,
    /// RTMR1.
    pub rtmr1: Option<Digest48>,
    /// RTMR2.
    pub rtmr2: Option<Digest48>,
    /// The OS image hash that the values belong to.
    pub os_image_hash: Option<Digest32>,
}

impl KnownGood {
    /// The registers in which measurements differ from these: name, known, found.
    pub fn differences(&self, found: &Measurements) -> Vec<(&'static str, Digest48, Digest48)> {
        [
            ("MRTD", self.mrtd, found.mrtd),
            ("RTMR0", self.rtmr0, found.rtmr0),
            ("RTMR1", self.rtmr1, found.rtmr1),
            ("RTMR2", self.rtmr2, found.rtmr2),
        ]
        .into_iter()
        .filter_map(|(name, known, found)| {
            known.filter(|known| *known != found).map(|known| (name, known, found))
        })
        .collect()
    }
}
