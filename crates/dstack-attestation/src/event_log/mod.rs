//! The event log of a CVM: what was measured into RTMR0 to RTMR3, in order.
//!
//! The log itself proves nothing; it is an explanation of the register values in a quote. It is worth something once
//! [replaying](EventLog::replay) it gives the registers of a quote whose signature was checked.
//!
//! Entries of the firmware and the kernel (RTMR0 to RTMR2) are taken by their digests. Entries of dstack (RTMR3, event
//! type `0x08000001`) are always hashed anew from their name and payload, whatever digest the log states, so that what
//! is read is what is replayed.
//!
//! The format is that of upstream's `cc-eventlog` crate: version 1 of dstack 0.5, version 2 of branch next, and logs in
//! which both occur.

mod build;
mod divergence;
mod entry;
mod event;
mod explain;
mod read;
mod replay;
mod system;

pub use build::EventLogBuilder;
pub use divergence::Divergence;
pub use entry::{DigestVersion, Entry, EntryError, RUNTIME_EVENT_TYPE, RuntimeEvent};
pub use event::{Event, EventError, EventName, KeyProvider, KeyProviderKind};
pub use explain::{Explained, Origin};
pub use read::{EventLogError, Limits};
pub use replay::{Rtmr, Rtmrs, extend};
pub use system::{Occurrence, OrderProblem, Phase, SystemEvents};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An event log: the entries in the order in which they were measured.
///
/// ```
/// use dstack_attestation::event_log::{DigestVersion, Event, EventLog, EventLogBuilder};
///
/// let log = EventLogBuilder::new(DigestVersion::V1)
///     .event(&Event::SystemPreparing)
///     .event(&Event::AppId([0x11; 20].into()))
///     .build();
/// let read = EventLog::parse(&log.to_json())?;
/// assert_eq!(read.replay(), log.replay());
/// # Ok::<(), dstack_attestation::event_log::EventLogError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventLog {
    entries: Vec<Entry>,
}

impl EventLog {
    /// Reads the JSON array that the guest agent returns as `event_log`, within the default [`Limits`].
    ///
    /// # Errors
    ///
    /// [`EventLogError`], which names the entry at fault. A digest that does not fit its content is no error here:
    /// [`EventLog::divergences`] finds those.
    pub fn parse(json: &str) -> Result<Self, EventLogError> {
        Self::parse_within(json.as_bytes(), &Limits::default())
    }

    /// Reads the JSON bytes of an event log within limits of the caller's choice.
    ///
    /// # Errors
    ///
    /// As for [`EventLog::parse`].
    pub fn parse_within(json: &[u8], limits: &Limits) -> Result<Self, EventLogError> {
        read::read(json, limits).map(Self::from_entries)
    }

    /// A log of these entries.
    pub fn from_entries(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The entries in the order in which they were measured.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The log as the compact JSON array that the guest agent returns.
    pub fn to_json(&self) -> String {
        // Entries are strings and integers, which serde_json cannot fail on; a string as a sink cannot fail either.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for EventLog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.entries)
    }
}

impl<'de> Deserialize<'de> for EventLog {
    /// Reads within the default limit on the number of entries; the size in bytes is the caller's to bound.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::from_deserializer(deserializer, &Limits::default()).map(Self::from_entries)
    }
}
