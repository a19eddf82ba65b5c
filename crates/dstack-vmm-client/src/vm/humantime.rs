//! Spans of time as the VMM writes them.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration such as \"1h 2m 3s\"")]
#[non_exhaustive]
pub struct NotADuration {
    /// The text.
    pub text: String,
}

/// Units and their seconds. A month is 30.44 days and a year 365.25, as in the crate that the VMM writes them with.
const UNITS: &[(&[&str], u64)] = &[
    (&["s", "sec", "secs", "second", "seconds"], 1),
    (&["m", "min", "mins", "minute", "minutes"], 60),
    (&["h", "hr", "hrs", "hour", "hours"], 3600),
    (&["d", "day", "days"], 86_400),
    (&["w", "week", "weeks"], 604_800),
    (&["M", "month", "months"], 2_630_016),
    (&["y", "year", "years"], 31_557_600),
];

/// Reads [`VmInfo::uptime`](crate::api::VmInfo::uptime) and [`VmInfo::exited_at`](crate::api::VmInfo::exited_at): whole
/// seconds in units, such as `1day 2h 3m 4s`, or `never`.
///
/// Both are spans that had passed when the VMM answered, not points in time. `None` is `never`.
///
/// ```
/// use std::time::Duration;
/// use dstack_vmm_client::vm::parse_humantime;
///
/// assert_eq!(parse_humantime("1h 2m 3s")?, Some(Duration::from_secs(3723)));
/// assert_eq!(parse_humantime("never")?, None);
/// # Ok::<(), dstack_vmm_client::vm::NotADuration>(())
/// ```
///
/// # Errors
/// When the text is neither.
pub fn parse_humantime(text: &str) -> Result<Option<Duration>, NotADuration> {
    let failure = || NotADuration { text: text.to_owned() };
    if text == "never" {
        return Ok(None);
    }
    let mut total = Duration::ZERO;
    let mut words = text.split_ascii_whitespace().peekable();
    if words.peek().is_none() {
        return Err(failure());
    }
    for word in words {
        let digits = word.find(|character: char| !character.is_ascii_digit()).unwrap_or(word.len());
        let (number, unit) = word.split_at(digits);
        let number: u64 = number.parse().map_err(|_| failure())?;
        let part = match unit {
            "ms" => Duration::from_millis(number),
            "us" => Duration::from_micros(number),
            "ns" => Duration::from_nanos(number),
            _ => {
                let (_, seconds) =
                    UNITS.iter().find(|(names, _)| names.contains(&unit)).ok_or_else(failure)?;
                Duration::from_secs(number.checked_mul(*seconds).ok_or_else(failure)?)
            }
        };
        total = total.checked_add(part).ok_or_else(failure)?;
    }
    Ok(Some(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let seconds = |text: &str| parse_humantime(text).unwrap().map(|duration| duration.as_secs());
        assert_eq!(seconds("0s"), Some(0));
        assert_eq!(seconds("59m 59s"), Some(3599));
        assert_eq!(seconds("1day 1s"), Some(86_401));
        assert_eq!(seconds("2days"), Some(172_800));
        assert_eq!(seconds("1month 2days 3h"), Some(2_630_016 + 172_800 + 10_800));
        assert_eq!(seconds("1year"), Some(31_557_600));
        assert_eq!(seconds("never"), None);
        for wrong in [
            "",
            " ",
            "s",
            "1",
            "1x",
            "-1s",
            "1.5s",
            "1s never",
            "99999999999999999999s",
            "9999999999999999years",
        ] {
            assert!(parse_humantime(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn spans_come_back(days in 0u64..400, hours in 0u64..24, minutes in 0u64..60, seconds in 0u64..60) {
            let text = format!("{days}days {hours}h {minutes}m {seconds}s");
            let expected = Duration::from_secs(((days * 24 + hours) * 60 + minutes) * 60 + seconds);
            prop_assert_eq!(parse_humantime(&text).unwrap(), Some(expected));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = parse_humantime(&text);
        }
    }
}
