//! Reading the JSON of an event log within bounds.

use std::borrow::Cow;
use std::fmt;

use dstack_check::{Hint, Hinted};
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};

use crate::event_log::{Entry, EntryError};

/// How much of an event log is read before giving up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest JSON text, in bytes.
    pub bytes: usize,
    /// The largest number of entries.
    pub entries: usize,
}

impl Default for Limits {
    /// 16 MiB and 65,536 entries. A boot writes about 35 entries in 15 KB; apps may add their own.
    fn default() -> Self {
        Self { bytes: 16 << 20, entries: 1 << 16 }
    }
}

impl Limits {
    /// Other limits: bytes of JSON text, and entries.
    pub const fn new(bytes: usize, entries: usize) -> Self {
        Self { bytes, entries }
    }
}

/// Why a text is not an event log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventLogError {
    /// The text is longer than the limit.
    #[error("the event log is {bytes} bytes long, more than the limit of {limit}")]
    TooLong {
        /// Length of the text in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// There are more entries than the limit.
    #[error("the event log has more than {limit} entries")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// The text is not a JSON array.
    #[error("the event log is not a JSON array of entries: {0}")]
    NotAnArray(#[source] serde_json::Error),
    /// An entry is not what it should be.
    #[error("event log entry {index}: {source}")]
    Entry {
        /// Which entry, from 0.
        index: usize,
        /// What is wrong with it.
        source: EntryError,
    },
}

impl Hinted for EventLogError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NotAnArray(_) => Some(Hint::from(
                "pass the value of `event_log`: a JSON array, which stands as a text in the agent's answer",
            )),
            Self::TooLong { .. } | Self::TooManyEntries { .. } | Self::Entry { .. } => None,
        }
    }
}

/// The members of an entry as they stand in the log. Others are ignored.
#[derive(serde::Deserialize)]
#[serde(expecting = "an event log entry")]
pub(super) struct Members<'a> {
    pub(super) imr: u64,
    pub(super) event_type: u64,
    #[serde(borrow)]
    pub(super) digest: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) event: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) event_payload: Cow<'a, str>,
    #[serde(default)]
    pub(super) version: Option<u64>,
    #[serde(default, borrow)]
    pub(super) preimage: Option<Cow<'a, str>>,
}

pub(super) fn read(json: &[u8], limits: &Limits) -> Result<Vec<Entry>, EventLogError> {
    if json.len() > limits.bytes {
        return Err(EventLogError::TooLong { bytes: json.len(), limit: limits.bytes });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let mut progress = Progress::default();
    let seed = Entries { limit: limits.entries, progress: &mut progress };
    let read = seed.deserialize(&mut deserializer).and_then(|entries| deserializer.end().map(|()| entries));
    read.map_err(|error| match progress {
        Progress { too_many: true, .. } => EventLogError::TooManyEntries { limit: limits.entries },
        Progress { error: Some(source), index, .. } => EventLogError::Entry { index, source },
        Progress { inside: true, index, .. } => {
            EventLogError::Entry { index, source: EntryError::Shape(error.to_string()) }
        }
        Progress { .. } => EventLogError::NotAnArray(error),
    })
}

pub(super) fn from_deserializer<'de, D: Deserializer<'de>>(
    deserializer: D,
    limits: &Limits,
) -> Result<Vec<Entry>, D::Error> {
    let mut progress = Progress::default();
    Entries { limit: limits.entries, progress: &mut progress }.deserialize(deserializer)
}

/// How far reading got. serde's errors are texts, so what is to be matched on is kept here.
#[derive(Default)]
struct Progress {
    index: usize,
    inside: bool,
    too_many: bool,
    error: Option<EntryError>,
}

struct Entries<'p> {
    limit: usize,
    progress: &'p mut Progress,
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = Vec<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of event log entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = Vec::new();
        loop {
            self.progress.index = entries.len();
            self.progress.inside = true;
            let Some(members) = array.next_element::<Members<'_>>()? else { break };
            if entries.len() == self.limit {
                self.progress.too_many = true;
                return Err(A::Error::custom(format_args!("more than {} entries", self.limit)));
            }
            match Entry::from_members(&members) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    let message = format!("entry {}: {error}", entries.len());
                    self.progress.error = Some(error);
                    return Err(A::Error::custom(message));
                }
            }
        }
        self.progress.inside = false;
        Ok(entries)
    }
}
