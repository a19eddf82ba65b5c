//! Why something could not be fetched, and what to do about it.

use std::fmt;
use std::time::Duration;

use dstack_check::{Hint, Hinted};

/// How many bytes of an undecodable answer are kept.
const KEPT_MAX: usize = 64 << 10;
/// How many characters of a server's words are kept.
const WORDS_MAX: usize = 1000;

/// Why a connection could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// There is no such socket file.
    NoSocket,
    /// Nothing listens there.
    Refused,
    /// The socket file may not be opened by this user.
    PermissionDenied,
    /// The host name has no address.
    Dns,
    /// No way leads to the host.
    Unreachable,
    /// No connection in time.
    TimedOut,
    /// The server does not speak TLS.
    NotTls,
    /// The server's certificate is signed by nobody that is trusted here.
    UntrustedCertificate,
    /// The server's certificate is for another name.
    WrongName,
    /// The server's certificate is expired, or not valid yet.
    ExpiredCertificate,
    /// There are no certificate authorities to judge a certificate by.
    NoAuthorities,
    /// Anything else about TLS.
    Tls,
    /// Anything else.
    Other,
}

/// The beginning of a body that could not be read, at most 64 KiB.
///
/// Its `Debug` form says only how long it is, since a body may hold keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeptBody {
    bytes: Vec<u8>,
    total: usize,
}

impl KeptBody {
    pub(super) fn of(body: &[u8]) -> Self {
        Self { bytes: body.get(..KEPT_MAX).unwrap_or(body).to_vec(), total: body.len() }
    }

    /// Keeps nothing, for answers that hold keys.
    pub(super) fn withheld(body: &[u8]) -> Self {
        Self { bytes: Vec::new(), total: body.len() }
    }

    /// The bytes that were kept. Empty for answers that hold keys.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The length of the whole body in bytes.
    pub const fn total(&self) -> usize {
        self.total
    }

    fn looks_like_html(&self) -> bool {
        let text = String::from_utf8_lossy(self.bytes.get(..256).unwrap_or(&self.bytes));
        text.trim_start().starts_with('<')
    }
}

impl fmt::Debug for KeptBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptBody({} of {} bytes)", self.bytes.len(), self.total)
    }
}

/// What stood in the way, in the system's words.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why something could not be fetched. `what` is the method or the path that was asked for.
///
/// No variant holds a credential, nor an answer that holds keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The text is not an endpoint or URL that can be used. Nothing was sent.
    #[error("{endpoint:?} is not an endpoint: {reason}")]
    InvalidEndpoint {
        /// The text, without what may be secret.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request would be refused or makes no sense, so that it was not sent.
    #[error("{reason}")]
    InvalidRequest {
        /// What is wrong with it.
        reason: String,
    },
    /// No connection could be made. Nothing was sent.
    #[error("cannot connect to {endpoint}")]
    Connect {
        /// The endpoint.
        endpoint: String,
        /// What kind of failure it was.
        failure: ConnectFailure,
        /// The system's words.
        #[source]
        source: Cause,
    },
    /// No whole answer in time.
    #[error("{endpoint} did not answer {what} within {after:?}")]
    Timeout {
        /// The endpoint.
        endpoint: String,
        /// What was asked for.
        what: String,
        /// The limit.
        after: Duration,
    },
    /// The exchange broke off, or what came is not HTTP.
    #[error("the answer of {endpoint} to {what} broke off or is not HTTP")]
    Interrupted {
        /// The endpoint.
        endpoint: String,
        /// What was asked for.
        what: String,
        /// The system's words.
        #[source]
        source: Cause,
    },
    /// The server sends its callers elsewhere, and is not followed: what stands there is not its evidence.
    #[error("{endpoint} redirects {what} with status {status} to {}", location.as_deref().unwrap_or("an unnamed place"))]
    Redirected {
        /// The endpoint.
        endpoint: String,
        /// What was asked for.
        what: String,
        /// HTTP status.
        status: u16,
        /// The `Location` header.
        location: Option<String>,
    },
    /// The server refused, in its own words.
    #[error("{endpoint} refused {what} with status {status}{}", words(message))]
    Api {
        /// The endpoint.
        endpoint: String,
        /// What was asked for.
        what: String,
        /// HTTP status.
        status: u16,
        /// The server's words, at most 1000 characters; empty where it said nothing.
        message: String,
    },
    /// The answer is longer than the limit.
    #[error("the answer of {endpoint} to {what} is longer than {limit} bytes")]
    TooLarge {
        /// The endpoint.
        endpoint: String,
        /// What was asked for.
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer came and is not the expected message.
    #[error("the answer of {endpoint} to {what} cannot be read: {reason}")]
    Undecodable {
        /// The endpoint.
        endpoint: String,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: String,
        /// The beginning of the answer.
        body: KeptBody,
    },
}

fn words(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl FetchError {
    pub(super) fn request(reason: impl Into<String>) -> Self {
        Self::InvalidRequest { reason: reason.into() }
    }

    /// Whether nobody could be reached, or nobody answered: trying again later may help.
    pub const fn is_transport(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Timeout { .. } | Self::Interrupted { .. })
    }

    /// Whether the server says that it has no such method or page.
    pub fn is_not_there(&self) -> bool {
        match self {
            Self::Api { status, message, .. } => *status == 404 || message.starts_with("Service not found"),
            _ => false,
        }
    }
}

impl Hinted for FetchError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::InvalidEndpoint { .. } => Some(Hint::from(
                "write `unix:/path/to.sock`, `http://host:port` or `https://host`, with the scheme in front",
            )),
            Self::Connect { failure, .. } => connect_hint(*failure),
            Self::Redirected { location: Some(location), .. } => {
                Some(Hint::new(format!("if that place is the service's own, ask it directly: {location}")))
            }
            Self::Api { status: 401 | 403, .. } => {
                Some(Hint::from("the service wants a credential, such as the VMM's token"))
            }
            Self::Api { what, .. } if what.contains("/certification/v4/") => Some(Hint::from(
                "this PCCS may not know the platform type: another one, or Intel's own service, may",
            )),
            Self::Api { message, .. } => api_hint(message),
            Self::Undecodable { body, .. } if body.looks_like_html() => {
                Some(Hint::from("a web page answered; the service may be at another port or path"))
            }
            Self::Timeout { .. } => {
                Some(Hint::from("a guest that is still booting does not answer; otherwise allow more time"))
            }
            Self::InvalidRequest { .. }
            | Self::Interrupted { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::Undecodable { .. } => None,
        }
    }
}

fn connect_hint(failure: ConnectFailure) -> Option<Hint> {
    let text = match failure {
        ConnectFailure::NoSocket => {
            "the socket is there only inside of a CVM, or in a container that mounts `/var/run/dstack.sock`"
        }
        ConnectFailure::PermissionDenied => "this user may not open the socket: see `ls -l` on it",
        ConnectFailure::NotTls => "no TLS is spoken there: try `http://`",
        ConnectFailure::UntrustedCertificate => {
            "give the authority that signed the server's certificate, if you know it from elsewhere"
        }
        ConnectFailure::NoAuthorities => "install the system's certificate authorities, or give one",
        _ => return None,
    };
    Some(Hint::from(text))
}

fn api_hint(message: &str) -> Option<Hint> {
    if message.starts_with("Service not found: EmitEvent") {
        return Some(Hint::from("agents of dstack 0.6 have no EmitEvent any more"));
    }
    if message.starts_with("Service not found") {
        return Some(Hint::from(
            "the method is not there in this version of dstack, or on another of its sockets and ports",
        ));
    }
    if message.contains("vm not found") {
        return Some(Hint::from("the VMM knows its VMs by their ids: see `dstack-vmmctl list`"));
    }
    None
}

/// A server's words made fit to show: what an RPC error says, or the beginning of a text, without control characters.
pub(super) fn server_words(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Envelope {
        error: String,
    }
    let text = match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) => envelope.error,
        Err(_) => String::from_utf8_lossy(body.get(..4 * WORDS_MAX).unwrap_or(body)).into_owned(),
    };
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(WORDS_MAX).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_from_the_envelope_and_are_tame() {
        assert_eq!(server_words(br#"{"error":"Report data is too long"}"#), "Report data is too long");
        assert_eq!(server_words(b"<html>\x1b[31m\nno"), "<html> [31m no");
        assert_eq!(server_words(&[b'a'; 10_000]).len(), 1000);
        assert_eq!(server_words(b""), "");
    }

    #[test]
    fn bodies_are_kept_within_bounds_and_not_shown() {
        let body = KeptBody::of(&vec![b'k'; 1 << 20]);
        assert_eq!((body.bytes().len(), body.total()), (64 << 10, 1 << 20));
        assert_eq!(format!("{body:?}"), "KeptBody(65536 of 1048576 bytes)");
        assert!(KeptBody::withheld(b"secret").bytes().is_empty());
    }
}
