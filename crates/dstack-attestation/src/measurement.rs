//! The measurement registers of a TD, and the two digests that dstack makes of them.

use serde::{Deserialize, Serialize};

use crate::event_log::{Rtmr, Rtmrs};
use crate::{Digest32, Digest48, hash};

/// MRTD and RTMR0 to RTMR3 of a TD.
///
/// MRTD is the virtual firmware. RTMR0 to RTMR2 follow from the virtual hardware, the kernel, its command line and the
/// initrd, and so identify an OS image in a certain VM shape. RTMR3 is what dstack and the app measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Measurements {
    /// The measurement of the TD's initial memory: the virtual firmware.
    pub mrtd: Digest48,
    /// Virtual firmware configuration, ACPI tables, secure boot variables.
    pub rtmr0: Digest48,
    /// The kernel and the boot path.
    pub rtmr1: Digest48,
    /// Kernel command line and initrd.
    pub rtmr2: Digest48,
    /// dstack's events and the app's.
    pub rtmr3: Digest48,
}

/// The three fields of a TD that its creator chooses, as the quote has them.
///
/// dstack uses MRCONFIGID (see [`MrConfigId`](crate::MrConfigId)); it leaves MROWNER and MROWNERCONFIG zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CreatorFields {
    /// MRCONFIGID.
    pub mr_config_id: Digest48,
    /// MROWNER.
    pub mr_owner: Digest48,
    /// MROWNERCONFIG.
    pub mr_owner_config: Digest48,
}

impl Measurements {
    /// The measurements of a TD with this firmware and these registers.
    pub const fn new(mrtd: Digest48, rtmrs: &Rtmrs) -> Self {
        Self {
            mrtd,
            rtmr0: rtmrs.get(Rtmr::Rtmr0),
            rtmr1: rtmrs.get(Rtmr::Rtmr1),
            rtmr2: rtmrs.get(Rtmr::Rtmr2),
            rtmr3: rtmrs.get(Rtmr::Rtmr3),
        }
    }

    /// The four runtime registers.
    pub const fn rtmrs(&self) -> Rtmrs {
        Rtmrs::new([self.rtmr0, self.rtmr1, self.rtmr2, self.rtmr3])
    }

    /// `mr_system`: SHA-256 of MRTD, RTMR0, RTMR1, RTMR2 and the SHA-256 of the `key-provider` event's payload (32 zero
    /// bytes when there is no such event). It says which system runs and who gives it keys, whatever the app.
    ///
    /// Source: upstream `dstack-attest`, `attestation.rs`.
    pub fn mr_system(&self, key_provider_payload: Option<&[u8]>) -> Digest32 {
        let key_provider = key_provider_payload.map_or(Digest32::ZERO, |payload| hash::sha256(&[payload]));
        hash::sha256(&[
            self.mrtd.as_ref(),
            self.rtmr0.as_ref(),
            self.rtmr1.as_ref(),
            self.rtmr2.as_ref(),
            key_provider.as_ref(),
        ])
    }

    /// `mr_aggregated`: SHA-256 of MRTD and RTMR0 to RTMR3, followed by MRCONFIGID, MROWNER and MROWNERCONFIG when any
    /// of these three is not zero. It says exactly which system and app run; the KMS contract lists KMS instances by it.
    ///
    /// Source: upstream `dstack-attest`, `attestation.rs`.
    pub fn mr_aggregated(&self, creator: &CreatorFields) -> Digest32 {
        let CreatorFields { mr_config_id, mr_owner, mr_owner_config } = creator;
        let mut parts =
            [&self.mrtd, &self.rtmr0, &self.rtmr1, &self.rtmr2, &self.rtmr3].map(AsRef::as_ref).to_vec();
        let creator = [mr_config_id, mr_owner, mr_owner_config];
        if creator.iter().any(|field| !field.is_zero()) {
            parts.extend(creator.map(AsRef::as_ref));
        }
        hash::sha256(&parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered() -> Measurements {
        let [mrtd, rtmr0, rtmr1, rtmr2, rtmr3] = [1, 2, 3, 4, 5].map(|n| Digest48::new([n; 48]));
        Measurements { mrtd, rtmr0, rtmr1, rtmr2, rtmr3 }
    }

    #[test]
    fn the_aggregate_takes_the_creators_fields_only_when_one_is_set() {
        let plain = numbered().mr_aggregated(&CreatorFields::default());
        let expected: Vec<u8> = (1..=5).flat_map(|n| [n; 48]).collect();
        assert_eq!(plain, hash::sha256(&[&expected]));
        let owner = CreatorFields { mr_owner: Digest48::new([9; 48]), ..CreatorFields::default() };
        let expected: Vec<u8> = [1, 2, 3, 4, 5, 0, 9, 0].into_iter().flat_map(|n| [n; 48]).collect();
        assert_eq!(numbered().mr_aggregated(&owner), hash::sha256(&[&expected]));
    }

    #[test]
    fn the_system_measurement_does_not_depend_on_the_app() {
        let app = Measurements { rtmr3: Digest48::new([7; 48]), ..numbered() };
        assert_eq!(numbered().mr_system(None), app.mr_system(None));
        assert_ne!(app.mr_system(None), app.mr_system(Some(b"{}")));
        let expected: Vec<u8> = (1..=4).flat_map(|n| [n; 48]).chain([0; 32]).collect();
        assert_eq!(numbered().mr_system(None), hash::sha256(&[&expected]));
    }
}
