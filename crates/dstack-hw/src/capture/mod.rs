//! Captures: the readings of a host in one redacted, versioned file.
//!
//! A capture is data. Replaying one touches no file system, runs nothing and asks no CPU: it is a [`Readings`], and what
//! was not recorded in it is [`Unread::NotRecorded`](crate::Unread::NotRecorded).

mod json;
mod recorder;
mod redact;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::recorder::Recorder;
pub use self::redact::Redaction;
use crate::facts::Asked;
use crate::source::{HostSource, Readings};
use crate::{CollectOptions, Error, HostFacts};

/// The schema of the captures that this version writes and reads.
pub const SCHEMA: &str = "dstack-hw/capture/v1";

/// The longest capture that is read, in bytes.
pub const MAX_CAPTURE: usize = 64 << 20;

/// The readings of a host, redacted, with what made them.
///
/// ```
/// use dstack_hw::capture::{Capture, MadeBy};
/// use dstack_hw::source::Readings;
/// use dstack_hw::{CollectOptions, HostFacts};
///
/// let host = Readings::empty_host().file("/proc/cmdline", "quiet nohibernate\n");
/// let capture = Capture::record(&host, CollectOptions::quick(), MadeBy::new("example", "1.0.0"));
/// let again = Capture::from_json(&capture.to_json()).unwrap();
/// let facts = HostFacts::collect(again.readings(), CollectOptions::default());
/// assert!(facts.kernel.command_line.known().unwrap().has("nohibernate"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Capture {
    /// The program that made it. `None` for readings that somebody wrote by hand.
    pub made_by: Option<MadeBy>,
    /// The version of this crate whose facts were recorded. Later ones may ask for more than was recorded.
    pub catalogue: Option<String>,
    /// What was taken out. `None` for readings that somebody wrote by hand.
    pub redaction: Option<Redaction>,
    readings: Readings,
}

/// The program that made a capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct MadeBy {
    /// Its name.
    pub tool: String,
    /// Its version.
    pub version: String,
}

impl MadeBy {
    /// A program of this name and version.
    pub fn new(tool: impl Into<String>, version: impl Into<String>) -> Self {
        Self { tool: tool.into(), version: version.into() }
    }
}

impl Capture {
    /// Collects the facts of a host, keeps every reading that was asked for, found or not, and redacts them.
    pub fn record(source: &dyn HostSource, options: CollectOptions, made_by: MadeBy) -> Self {
        let asked = Asked { source, options };
        let recorder = Recorder::new(&asked);
        // The facts themselves are not kept: a later version can make more of the same readings.
        drop(HostFacts::collect(&recorder, CollectOptions::default()));
        Self::of(recorder.into_readings(), source, made_by)
    }

    /// Redacts readings. The names of the host, its domain and its users are learned from `source`.
    pub fn of(readings: Readings, source: &dyn HostSource, made_by: MadeBy) -> Self {
        let (readings, redaction) = redact::redact(readings, source);
        Self {
            made_by: Some(made_by),
            catalogue: Some(env!("CARGO_PKG_VERSION").to_owned()),
            redaction: Some(redaction),
            readings,
        }
    }

    /// The readings: a source that answers from memory.
    pub const fn readings(&self) -> &Readings {
        &self.readings
    }

    /// The readings, on their own.
    pub fn into_readings(self) -> Readings {
        self.readings
    }

    /// As JSON, indented, in a stable order, with a line end at the end.
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// Reads a capture.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] beyond [`MAX_CAPTURE`], [`Error::Schema`] for another schema or a newer version of it,
    /// [`Error::Malformed`] with line and column for anything that is not a capture.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        Self::from_bytes(text.as_bytes())
    }

    /// [`Capture::from_json`] for the bytes of a file.
    ///
    /// # Errors
    ///
    /// Those of [`Capture::from_json`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_CAPTURE {
            return Err(Error::TooLarge { what: "the capture", limit: MAX_CAPTURE });
        }
        json::read(bytes)
    }
}
