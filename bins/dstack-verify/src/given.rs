//! Values on the command line: hex, times, hosts.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use dstack_attestation::FixedBytes;
use jiff::Timestamp;

/// A time as of which evidence is judged, written as RFC 3339.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(crate) SystemTime);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let timestamp: Timestamp = text
            .parse()
            .map_err(|_| "not a time such as 2026-01-31T12:00:00Z: date, time and zone".to_owned())?;
        let Ok(seconds) = u64::try_from(timestamp.as_second()) else {
            return Err("times before 1970 are not supported".to_owned());
        };
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))
            .map(Self)
            .ok_or_else(|| "the time is too far away".to_owned())
    }
}

/// A time for people and programs: RFC 3339 in UTC, to the second.
pub(crate) fn time_text(time: SystemTime) -> String {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs())
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .map_or_else(|| "in a far future".to_owned(), |timestamp| timestamp.to_string()),
        Err(_) => "before 1970".to_owned(),
    }
}

/// Bytes written as hex, with or without `0x`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for Hex {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        hex::decode(bare(text)).map(Self).map_err(|error| match error {
            hex::FromHexError::InvalidHexCharacter { c, index } => {
                format!("{c:?} at position {} is no hex digit", index + 1)
            }
            _ => "an odd number of hex digits".to_owned(),
        })
    }
}

/// A number of bytes that is always the same, written as hex, with or without `0x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fixed<const N: usize>(pub(crate) FixedBytes<N>);

impl<const N: usize> FromStr for Fixed<N> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Hex(bytes) = text.parse()?;
        FixedBytes::from_slice(&bytes)
            .map(Self)
            .map_err(|_| format!("{N} bytes are {} hex digits, these are {}", 2 * N, bare(text).len()))
    }
}

fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("0x").unwrap_or(text)
}

/// A host and a port, such as `kms.example.com:443` or `[2001:db8::1]:8000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// The name or address, without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not HOST:PORT, such as app.example.com:443".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let port = port.parse().map_err(|_| wrong())?;
        if host.is_empty() || port == 0 || host.contains(['/', '@']) || host.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let moment: Moment = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(time_text(moment.0), "2026-01-31T12:00:00Z");
        let shifted: Moment = "2026-01-31T13:00:00+01:00".parse().unwrap();
        assert_eq!(shifted.0, moment.0);
        for wrong in ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "1969-12-31T23:00:00Z"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn hex_with_and_without_its_prefix() {
        assert_eq!("0xDEad".parse::<Hex>().unwrap(), Hex(vec![0xde, 0xad]));
        assert_eq!(" dead ".parse::<Hex>().unwrap(), Hex(vec![0xde, 0xad]));
        assert_eq!("dxad".parse::<Hex>().unwrap_err(), "'x' at position 2 is no hex digit");
        assert_eq!("dea".parse::<Hex>().unwrap_err(), "an odd number of hex digits");
        assert_eq!("dead".parse::<Fixed<4>>().unwrap_err(), "4 bytes are 8 hex digits, these are 4");
    }

    #[test]
    fn hosts_with_ports() {
        for text in ["app.example.com:443", "192.0.2.1:8000", "[2001:db8::1]:8000"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        for wrong in
            ["", "host", "host:", ":443", "host:0", "host:99999", "2001:db8::1", "https://host:1", "a b:1"]
        {
            assert!(wrong.parse::<HostPort>().is_err(), "{wrong}");
        }
    }
}
