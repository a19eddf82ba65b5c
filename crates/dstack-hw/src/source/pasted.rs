//! Texts that somebody pasted into a terminal, an issue or a chat: partial answers.

use super::{LogOrigin, Origin, RawKernelLog, Readings, Unlisted};

/// Puts readings together from pasted texts. What was not pasted is not known.
#[derive(Clone, Debug)]
pub struct Pasted {
    readings: Readings,
}

impl Pasted {
    /// Nothing pasted yet.
    pub fn new() -> Self {
        Self { readings: Readings::new(Origin::Pasted, Unlisted::NotRecorded) }
    }

    /// The output of `dmesg` or `journalctl -k`.
    #[must_use]
    pub fn kernel_log(mut self, text: impl Into<String>) -> Self {
        self.readings =
            self.readings.log(RawKernelLog { from: LogOrigin::Pasted, from_boot: None, text: text.into() });
        self
    }

    /// The content of `/proc/cpuinfo`.
    #[must_use]
    pub fn cpuinfo(mut self, text: impl Into<String>) -> Self {
        self.readings = self.readings.file("/proc/cpuinfo", text.into());
        self
    }

    /// The readings.
    pub fn into_readings(self) -> Readings {
        self.readings
    }
}

impl Default for Pasted {
    fn default() -> Self {
        Self::new()
    }
}
