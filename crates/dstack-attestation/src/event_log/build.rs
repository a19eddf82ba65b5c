//! Writing an event log whose digests are right, for emulators and tests.

use crate::Digest48;
use crate::event_log::{DigestVersion, Entry, EntryError, Event, EventLog, Rtmr, RuntimeEvent};

/// Builds an [`EventLog`] entry by entry; see there for an example.
#[derive(Clone, Debug)]
pub struct EventLogBuilder {
    version: DigestVersion,
    preimages: bool,
    entries: Vec<Entry>,
}

impl EventLogBuilder {
    /// An empty log whose runtime entries will be of this version.
    pub const fn new(version: DigestVersion) -> Self {
        Self { version, preimages: false, entries: Vec::new() }
    }

    /// From here on, writes runtime entries of this version. Logs may mix versions.
    #[must_use]
    pub const fn version(mut self, version: DigestVersion) -> Self {
        self.version = version;
        self
    }

    /// From here on, spells out the hashed bytes of version 2 entries in their `preimage` member.
    #[must_use]
    pub const fn preimages(mut self, preimages: bool) -> Self {
        self.preimages = preimages;
        self
    }

    /// Appends one of dstack's events.
    #[must_use]
    pub fn event(self, event: &Event) -> Self {
        self.runtime(event.to_runtime())
    }

    /// Appends any runtime event, such as an app's own.
    #[must_use]
    pub fn runtime(mut self, event: RuntimeEvent) -> Self {
        let entry = event.entry(self.version);
        let spelled_out = self.preimages && self.version == DigestVersion::V2;
        self.entries.push(if spelled_out { entry.with_preimage() } else { entry });
        self
    }

    /// Appends an entry of the firmware, the boot loader or the kernel.
    ///
    /// # Errors
    ///
    /// As for [`Entry::measured`].
    pub fn measured(
        mut self,
        rtmr: Rtmr,
        event_type: u32,
        digest: Digest48,
        name: impl Into<String>,
        payload: impl Into<Vec<u8>>,
    ) -> Result<Self, EntryError> {
        self.entries.push(Entry::measured(rtmr, event_type, digest, name, payload)?);
        Ok(self)
    }

    /// Appends an entry as it is.
    #[must_use]
    pub fn entry(mut self, entry: Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// The log.
    pub fn build(self) -> EventLog {
        EventLog::from_entries(self.entries)
    }
}
