//! Time as the emulator sees it: the machine's, or one that a test moves by hand.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// Where the emulator takes the time from. Clones share it.
///
/// Everything that happens after a while (boot steps, removals, restarts, heartbeats of a followed log) happens by this
/// clock, so that a test with a manual clock waits for nothing.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real,
    Manual(Arc<watch::Sender<u64>>),
}

/// What a manual clock shows when it is new: 2026-01-01T00:00:00Z in milliseconds since the Unix epoch.
const MANUAL_START_MS: u64 = 1_767_225_600_000;

impl Clock {
    /// The clock of this machine.
    pub fn real() -> Self {
        Self(Source::Real)
    }

    /// A clock that stands at 2026-01-01T00:00:00Z until [`advance`](Self::advance) moves it.
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(MANUAL_START_MS))))
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::Real => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Source::Manual(now) => *now.borrow(),
        }
    }

    /// Moves a manual clock forward and wakes what waited for it. A real clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
            now.send_modify(|now| *now = now.saturating_add(by));
        }
    }

    /// Waits until the clock shows `at_ms`, in milliseconds since the Unix epoch.
    pub async fn sleep_until(&self, at_ms: u64) {
        match &self.0 {
            Source::Real => {
                tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(self.now_ms()))).await;
            }
            Source::Manual(now) => {
                // The sender lives in `self`, so waiting ends only with the time.
                let _ = now.subscribe().wait_for(|now| *now >= at_ms).await;
            }
        }
    }

    /// Waits for a while.
    pub async fn sleep(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.sleep_until(self.now_ms().saturating_add(time)).await;
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

/// A length of time as the VMM writes it: whole seconds in units, such as `1h 2m 3s` (the `humantime` notation, in which
/// a month is 30.44 days and a year 365.25).
pub(crate) fn elapsed_text(ms: u64) -> String {
    const UNITS: [(u64, &str, &str); 6] = [
        (31_557_600, "year", "years"),
        (2_630_016, "month", "months"),
        (86_400, "day", "days"),
        (3_600, "h", "h"),
        (60, "m", "m"),
        (1, "s", "s"),
    ];
    let mut seconds = ms / 1000;
    let mut words = Vec::new();
    for (size, one, many) in UNITS {
        let count = seconds / size;
        seconds %= size;
        match count {
            0 => {}
            1 => words.push(format!("1{one}")),
            _ => words.push(format!("{count}{many}")),
        }
    }
    if words.is_empty() { "0s".to_owned() } else { words.join(" ") }
}

/// A point in time as RFC 3339 in UTC with whole seconds, such as `2026-01-01T00:00:00Z`.
pub(crate) fn rfc3339(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days to a date of the Gregorian calendar, counted in eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_what_waits() {
        let clock = Clock::manual();
        let start = clock.now_ms();
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(start + 5_000).await }
        });
        clock.advance(Duration::from_secs(5));
        waiting.await.unwrap();
        assert_eq!(clock.now_ms(), start + 5_000);
    }

    #[test]
    fn lengths_are_written_in_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (3_723, "1h 2m 3s"), (86_401, "1day 1s"), (63_115_200, "2years")]
        {
            assert_eq!(elapsed_text(seconds * 1000 + 999), text);
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(MANUAL_START_MS), "2026-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_709_251_199_000), "2024-02-29T23:59:59Z");
        assert_eq!(rfc3339(951_868_800_000), "2000-03-01T00:00:00Z");
    }
}
