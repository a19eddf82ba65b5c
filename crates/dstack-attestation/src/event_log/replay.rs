//! Replaying an event log: the register values that follow from it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event_log::{Entry, EventLog, EventName};
use crate::{Digest48, hash};

/// One of the four runtime measurement registers of a TD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rtmr {
    /// Virtual firmware configuration, ACPI tables, secure boot variables.
    Rtmr0,
    /// The kernel and the boot path.
    Rtmr1,
    /// Kernel command line and initrd.
    Rtmr2,
    /// What dstack and the app measure at run time.
    Rtmr3,
}

impl Rtmr {
    /// All four, in order.
    pub const ALL: [Self; 4] = [Self::Rtmr0, Self::Rtmr1, Self::Rtmr2, Self::Rtmr3];

    /// The register with this number, 0 to 3; the `imr` member of a log entry.
    pub const fn from_index(index: u64) -> Option<Self> {
        match index {
            0 => Some(Self::Rtmr0),
            1 => Some(Self::Rtmr1),
            2 => Some(Self::Rtmr2),
            3 => Some(Self::Rtmr3),
            _ => None,
        }
    }

    /// The register's number, 0 to 3.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Rtmr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RTMR{}", self.index())
    }
}

/// The values of RTMR0 to RTMR3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rtmrs([Digest48; 4]);

impl Rtmrs {
    /// These values, RTMR0 first.
    pub const fn new(values: [Digest48; 4]) -> Self {
        Self(values)
    }

    /// The value of one register.
    pub const fn get(&self, rtmr: Rtmr) -> Digest48 {
        self.0[rtmr.index()]
    }

    /// All values, RTMR0 first.
    pub const fn values(&self) -> &[Digest48; 4] {
        &self.0
    }

    /// Extends one register with a digest.
    pub fn extend(&mut self, rtmr: Rtmr, digest: &Digest48) {
        let register = &mut self.0[rtmr.index()];
        *register = extend(register, digest);
    }

    fn replay<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut registers = Self::default();
        for entry in entries {
            registers.extend(entry.rtmr(), &entry.digest());
        }
        registers
    }
}

/// What a register becomes when it is extended: SHA-384 of its value followed by the digest (Intel TDX Module
/// specification, `TDG.MR.RTMR.EXTEND`).
pub fn extend(register: &Digest48, digest: &Digest48) -> Digest48 {
    hash::sha384(&[register.as_ref(), digest.as_ref()])
}

impl EventLog {
    /// The registers after the whole log, starting from 48 zero bytes each.
    ///
    /// The digests of runtime entries are computed from name and payload; a digest that the log states for them is not
    /// used.
    pub fn replay(&self) -> Rtmrs {
        Rtmrs::replay(self.entries())
    }

    /// The registers as they were when booting ended: up to and including the first `boot-mr-done` event. `None` when
    /// the log has none.
    ///
    /// The KMS signs certificates over this state, which no later event changes.
    pub fn replay_to_boot_mr_done(&self) -> Option<Rtmrs> {
        let last = self.entries().iter().position(|entry| {
            entry.is_runtime() && EventName::read(entry.name()) == Some(EventName::BootMrDone)
        })?;
        Some(Rtmrs::replay(self.entries().iter().take(last + 1)))
    }

    /// After how many entries of the log the register had this value; `Some(0)` for a register that was never
    /// extended. `None` when it never had it.
    pub fn prefix_with(&self, rtmr: Rtmr, value: &Digest48) -> Option<usize> {
        let mut register = Digest48::ZERO;
        if register == *value {
            return Some(0);
        }
        for (index, entry) in self.entries().iter().enumerate().filter(|(_, entry)| entry.rtmr() == rtmr) {
            register = extend(&register, &entry.digest());
            if register == *value {
                return Some(index + 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_log::{DigestVersion, Event, EventLogBuilder};

    fn short_boot() -> EventLogBuilder {
        EventLogBuilder::new(DigestVersion::V1)
            .event(&Event::SystemPreparing)
            .event(&Event::AppId([0x11; 20].into()))
            .event(&Event::ComposeHash([0x22; 32].into()))
            .event(&Event::InstanceId(Some([0x33; 20].into())))
            .event(&Event::BootMrDone)
    }

    const SHORT_BOOT: &str =
        "51e6737cc37085e270f04c1719caf0bb97a2d7e4396f570793ce9d61da7672cfeb07f01e154cb615295785002e931c47";

    #[test]
    fn rtmr3_of_a_short_boot() {
        let rtmrs = short_boot().build().replay();
        assert_eq!(rtmrs.get(Rtmr::Rtmr3).to_string(), SHORT_BOOT);
        assert_eq!(rtmrs.get(Rtmr::Rtmr0), Digest48::ZERO);
    }

    #[test]
    fn the_state_at_boot_mr_done_is_not_changed_by_later_events() {
        let log = short_boot().event(&Event::StorageFs("zfs".to_owned())).event(&Event::BootMrDone).build();
        let boot = log.replay_to_boot_mr_done().unwrap();
        assert_eq!(boot.get(Rtmr::Rtmr3).to_string(), SHORT_BOOT);
        assert_ne!(log.replay(), boot);
        assert_eq!(log.prefix_with(Rtmr::Rtmr3, &boot.get(Rtmr::Rtmr3)), Some(5));
        assert_eq!(log.prefix_with(Rtmr::Rtmr3, &Digest48::ZERO), Some(0));
        assert_eq!(log.prefix_with(Rtmr::Rtmr3, &Digest48::new([1; 48])), None);
        assert!(EventLog::default().replay_to_boot_mr_done().is_none());
    }
}
