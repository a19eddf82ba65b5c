//! Measurements that an OS image is known to give.
//!
//! They come from a policy, from a file, or from upstream's program `dstack-mr`, which computes them from an image and
//! a VM shape. This crate does not compute them: see [`dstack_mr`] for how to have them computed.

pub mod dstack_mr;
mod read;

pub use read::{KnownGoodError, parse};

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
    /// Values with this name and from this source, of which none is known yet.
    pub fn new(name: impl Into<String>, source: impl Into<String>) -> Self {
        Self { name: name.into(), source: source.into(), ..Self::default() }
    }

    /// The four registers of a CVM that is known to run the image.
    #[must_use]
    pub const fn registers(mut self, measured: &Measurements) -> Self {
        self.mrtd = Some(measured.mrtd);
        self.rtmr0 = Some(measured.rtmr0);
        self.rtmr1 = Some(measured.rtmr1);
        self.rtmr2 = Some(measured.rtmr2);
        self
    }

    /// Says to which OS image the values belong.
    #[must_use]
    pub const fn image(mut self, hash: Digest32) -> Self {
        self.os_image_hash = Some(hash);
        self
    }

    /// The registers in which measurements differ from these: name, known, found.
    pub fn differences(&self, found: &Measurements) -> Vec<(&'static str, Digest48, Digest48)> {
        let found = [found.mrtd, found.rtmr0, found.rtmr1, found.rtmr2];
        let pairs = self.by_name().into_iter().zip(found);
        pairs
            .filter_map(|((name, known), found)| {
                known.filter(|known| *known != found).map(|known| (name, known, found))
            })
            .collect()
    }

    /// The registers that are not known, by name. With all four of them there is nothing to compare.
    pub fn unknown_registers(&self) -> Vec<&'static str> {
        self.by_name().into_iter().filter(|(_, known)| known.is_none()).map(|(name, _)| name).collect()
    }

    /// Whether no register at all is known.
    pub fn is_empty(&self) -> bool {
        self.by_name().iter().all(|(_, known)| known.is_none())
    }

    /// The registers with their names.
    pub const fn by_name(&self) -> [(&'static str, Option<Digest48>); 4] {
        [("MRTD", self.mrtd), ("RTMR0", self.rtmr0), ("RTMR1", self.rtmr1), ("RTMR2", self.rtmr2)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_registers_are_compared() {
        let found = Measurements { rtmr1: Digest48::new([1; 48]), ..Measurements::default() };
        let mut known = KnownGood::new("image", "test");
        assert!(known.is_empty() && known.differences(&found).is_empty());
        known.rtmr1 = Some(Digest48::ZERO);
        assert_eq!(known.differences(&found), [("RTMR1", Digest48::ZERO, Digest48::new([1; 48]))]);
        assert_eq!(known.unknown_registers(), ["MRTD", "RTMR0", "RTMR2"]);
        let all = KnownGood::new("image", "test").registers(&found);
        assert!(all.differences(&found).is_empty() && all.unknown_registers().is_empty());
    }
}
