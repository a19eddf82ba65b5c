//! The log of a VM as a stream of lines.

use std::fmt;
use std::pin::Pin;
use std::str::FromStr;

use bytes::Bytes;
use futures_core::Stream;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::body::Incoming;

use super::Client;
use super::call::{beginning, excerpt, text};

use crate::error::{Error, Result};

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

    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Serial, Self::Stdout, Self::Stderr];
}

impl fmt::Display for LogChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LogChannel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str() == text)
            .ok_or_else(|| UnknownChannel { text: text.to_owned() })
    }
}

/// A text that names no channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown log channel {text:?}, expected serial, stdout or stderr")]
#[non_exhaustive]
pub struct UnknownChannel {
    /// The text.
    pub text: String,
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

    /// Another output.
    #[must_use]
    pub fn channel(mut self, channel: LogChannel) -> Self {
        self.channel = channel;
        self
    }

    /// Only the last lines to begin with.
    #[must_use]
    pub fn tail(mut self, lines: usize) -> Self {
        self.tail = Some(lines);
        self
    }

    /// Whether to keep reading as the log grows.
    #[must_use]
    pub fn follow(mut self, follow: bool) -> Self {
        self.follow = follow;
        self
    }

    /// Whether to keep terminal escape sequences.
    #[must_use]
    pub fn ansi(mut self, ansi: bool) -> Self {
        self.ansi = ansi;
        self
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

/// The name of the call in errors.
pub(super) const LOGS: &str = "logs";

impl Client {
    /// Asks for the log and reads its head.
    pub(super) async fn open_log(&self, request: &LogRequest, tail: Option<usize>) -> Result<Incoming> {
        let get = self.request(http::Method::GET, &query(request, tail), Bytes::new())?;
        let limit = self.inner.timeout;
        // A stream that goes on for ever is of no use to anybody after it.
        let sending = self.send(get, !request.follow, LOGS);
        let endpoint = || self.inner.endpoint.to_string();
        let response = tokio::time::timeout(limit, sending).await.map_err(|_| Error::Timeout {
            endpoint: endpoint(),
            method: LOGS,
            after: limit,
        })??;
        let (head, body) = response.into_parts();
        let content_type = text(&head.headers, CONTENT_TYPE);
        let html = content_type.as_deref().is_some_and(|kind| kind.starts_with("text/html"));
        if head.status.is_success() && !html {
            return Ok(body);
        }
        let status = head.status.as_u16();
        if status == 401 {
            return Err(self.unauthorized(LOGS, text(&head.headers, WWW_AUTHENTICATE)));
        }
        let body = tokio::time::timeout(limit, beginning(body)).await.unwrap_or_default();
        let plain = content_type.as_deref().is_some_and(|kind| kind.starts_with("text/plain"));
        if plain && (400..500).contains(&status) {
            let message = excerpt(&body).trim().to_owned();
            if status == 404 && message == "VM not found" {
                return Err(Error::NoSuchVm { id: request.id.clone() });
            }
            return Err(Error::Api { endpoint: endpoint(), method: LOGS, status, message });
        }
        Err(Error::UnexpectedStatus {
            endpoint: endpoint(),
            method: LOGS,
            status,
            content_type,
            excerpt: excerpt(&body),
        })
    }
}

/// More lines than any live log has: the way to ask for all of it, since the server gives 10,000 to who asks for no number.
const ALL_LINES: u64 = 1_000_000_000_000;

/// Path and query of a request for the last lines of a log.
pub(super) fn query(request: &LogRequest, tail: Option<usize>) -> String {
    format!(
        "/logs?id={}&follow={}&ansi={}&lines={}&ch={}",
        percent_encoded(&request.id),
        request.follow,
        request.ansi,
        tail.map_or(ALL_LINES, |lines| lines as u64),
        request.channel.as_str()
    )
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let request = LogRequest::new("a b&c=d/ü").channel(LogChannel::Stderr).tail(5).follow(true);
        assert_eq!(
            query(&request, request.tail),
            "/logs?id=a%20b%26c%3Dd%2F%C3%BC&follow=true&ansi=false&lines=5&ch=stderr"
        );
        assert_eq!(
            query(&LogRequest::new("x").ansi(true), None),
            "/logs?id=x&follow=false&ansi=true&lines=1000000000000&ch=serial"
        );
    }

    #[test]
    fn channels_read_and_write() {
        for channel in LogChannel::ALL {
            assert_eq!(channel.to_string().parse::<LogChannel>(), Ok(channel));
        }
        assert_eq!(
            "zzz".parse::<LogChannel>().unwrap_err().to_string(),
            "unknown log channel \"zzz\", expected serial, stdout or stderr"
        );
    }
}
