//! The kernel log as messages with their time.

use serde::Serialize;

use super::HostSource;
use crate::Fact;
use crate::source::{LogOrigin, RawKernelLog};

/// The kernel's log since boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KernelLog {
    /// Where it was read.
    pub from: LogOrigin,
    /// Does it reach back to the boot? Where it does not, a message that is not found may have been there.
    pub from_boot: bool,
    /// The messages, oldest first.
    pub messages: Vec<Message>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Message {
    /// Microseconds since boot, where the line says it.
    pub micros: Option<u64>,
    /// The text after the time stamp.
    pub text: String,
    /// The line as it was read, for evidence.
    pub line: String,
}

impl KernelLog {
    pub(crate) fn collect(source: &dyn HostSource) -> Fact<Self> {
        Fact::from(source.kernel_log()).map(|raw| Self::parse(&raw))
    }

    /// Reads a log. Never fails: a line without a time stamp is a message without a time.
    pub fn parse(raw: &RawKernelLog) -> Self {
        let messages: Vec<Message> = raw.text.lines().map(Message::parse).collect();
        let from_boot = raw.from_boot.unwrap_or_else(|| {
            messages.iter().find_map(|message| message.micros).is_some_and(|micros| micros < 1_000_000)
        });
        Self { from: raw.from, from_boot, messages }
    }

    /// The messages that begin with this prefix, such as `virt/tdx: `. Anchored: the kernel command line and host names
    /// that contain the word do not match.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl DoubleEndedIterator<Item = &'a Message> {
        self.messages.iter().filter(move |message| message.text.starts_with(prefix))
    }

    /// The last message that begins with this.
    pub fn last_with_prefix(&self, prefix: &str) -> Option<&Message> {
        self.messages.iter().rfind(|message| message.text.starts_with(prefix))
    }
}

impl Message {
    fn parse(line: &str) -> Self {
        let stamped = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let parsed = stamped.and_then(|(stamp, text)| {
            let (seconds, fraction) = stamp.trim().split_once('.')?;
            let digits = format!("{fraction:0<6}");
            let micros = seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?;
            let micros = micros.checked_add(digits.get(..6)?.parse().ok()?)?;
            Some((micros, text.strip_prefix(' ').unwrap_or(text)))
        });
        let (micros, text) = parsed.map_or((None, line), |(micros, text)| (Some(micros), text));
        Self { micros, text: text.to_owned(), line: line.to_owned() }
    }
}
