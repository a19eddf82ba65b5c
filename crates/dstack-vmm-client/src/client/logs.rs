//! The log of a VM as a stream of lines.

use std::pin::Pin;

use futures_core::Stream;

use crate::error::Result;

/// Which of a VM's outputs to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogChannel {
    /// The serial console: firmware, kernel and guest services.
    #[default]
    Serial,
    /// Standard output of the VM's process.
    Stdout,
    /// Standard error of the VM's process.
    Stderr,
}

impl LogChannel {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What to read of a VM's log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRequest {
    /// Id of the VM.
    pub id: String,
    /// Which output.
    pub channel: LogChannel,
    /// How many of the last lines to begin with. `None`: everything the live file holds.
    pub tail: Option<usize>,
    /// Keep reading as the log grows.
    pub follow: bool,
    /// Keep terminal escape sequences; the server strips them otherwise.
    pub ansi: bool,
}

impl LogRequest {
    /// The serial log of a VM: everything there is, without following.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), channel: LogChannel::Serial, tail: None, follow: false, ansi: false }
    }
}

/// Something read from a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogEvent {
    /// One line without its end.
    Line(String),
    /// The connection was lost and is back. No line was lost or doubled if `exact`.
    Reconnected {
        /// Whether the place of the last line was found again without doubt.
        exact: bool,
    },
}

/// Lines of a log, in order.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<LogEvent>> + Send>>;
