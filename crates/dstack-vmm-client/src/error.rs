//! Why a call failed, and what to do about it.

use std::time::Duration;

mod api_failure;
mod hint;

pub use api_failure::ApiFailure;

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a connection could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// There is no such socket file.
    NoSocket,
    /// Nothing listens there.
    Refused,
    /// There is a file of this name, and it is no socket.
    NotASocket,
    /// The socket file may not be opened by this user.
    PermissionDenied,
    /// The host name has no address.
    Dns,
    /// No way leads to the host.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The server does not speak TLS.
    NotTls,
    /// The server's certificate is signed by nobody that is trusted here.
    UntrustedCertificate,
    /// The server's certificate is for another name.
    WrongName,
    /// The server's certificate is expired, or not valid yet.
    ExpiredCertificate,
    /// There are no certificate authorities to verify a certificate with.
    NoRoots,
    /// Anything else about TLS.
    Tls,
    /// Anything else.
    Other,
}

/// Why a call failed. The server's own words are always kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The endpoint text is not one this crate can use. Nothing was sent.
    #[error("invalid endpoint {endpoint:?}: {reason}")]
    InvalidEndpoint {
        /// The text.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// The request would be refused, so it was not sent.
    #[error("{what}")]
    InvalidRequest {
        /// What is wrong with it.
        what: String,
        /// What to do instead.
        hint: Option<String>,
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
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time. The call may have been carried out.
    #[error("{method} at {endpoint} did not answer within {after:?}")]
    Timeout {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The connection ended before the whole answer was there. The call may have been carried out.
    #[error("the connection to {endpoint} was lost during {method}")]
    Interrupted {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// The system's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something answered that does not speak HTTP, or not the HTTP this client reads.
    #[error("the answer of {endpoint} to {method} is not HTTP")]
    NotHttp {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server sends its callers elsewhere. It is not followed: the credentials are for this endpoint alone.
    #[error("{endpoint} redirects {method} with status {status} to {}", location.as_deref().unwrap_or("an unnamed place"))]
    Redirected {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// HTTP status.
        status: u16,
        /// The `Location` header.
        location: Option<String>,
    },
    /// The server wants other credentials, or any.
    #[error("{endpoint} {} for {method}", if *had_credentials { "refused the credentials" } else { "asks for credentials" })]
    Unauthorized {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// Whether the call carried credentials.
        had_credentials: bool,
        /// The server's `WWW-Authenticate` header.
        challenge: Option<String>,
    },
    /// The method failed on the server. The text is the server's.
    #[error("{method} failed: {message}")]
    Api {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// HTTP status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// An answer that no VMM gives: from a proxy, or from another server.
    #[error("{endpoint} answered {method} with status {status}, which is not the VMM's form of an error")]
    UnexpectedStatus {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// HTTP status.
        status: u16,
        /// `Content-Type` of the answer.
        content_type: Option<String>,
        /// The beginning of the body as text.
        excerpt: String,
    },
    /// The answer came and is not the expected message. The call was carried out.
    #[error("the answer of {endpoint} to {method} cannot be read")]
    Undecodable {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
        /// The whole body.
        body: Vec<u8>,
    },
    /// The answer is longer than the client reads.
    #[error("the answer of {endpoint} to {method} is longer than {limit} bytes")]
    TooLarge {
        /// The endpoint.
        endpoint: String,
        /// The method.
        method: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// There is no such VM.
    #[error("there is no VM {id}")]
    NoSuchVm {
        /// Id that was asked for.
        id: String,
    },
}

impl Error {
    /// Whether the server may have carried the call out although it failed here.
    ///
    /// After such an error a call that must not be repeated has to be looked up first. An answer of a proxy that it could
    /// not finish (status 500 and up) counts: what stood behind it may have done the work.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Interrupted { .. }
            | Self::NotHttp { .. }
            | Self::Undecodable { .. }
            | Self::TooLarge { .. } => true,
            Self::UnexpectedStatus { status, .. } => *status >= 500,
            Self::InvalidEndpoint { .. }
            | Self::InvalidRequest { .. }
            | Self::Connect { .. }
            | Self::Redirected { .. }
            | Self::Unauthorized { .. }
            | Self::Api { .. }
            | Self::NoSuchVm { .. } => false,
        }
    }

    /// What the server's words mean, where they are known ones.
    ///
    /// The server has no error codes; this reads its texts, which change between versions. `None` is therefore no proof
    /// of anything.
    pub fn api_failure(&self) -> Option<ApiFailure> {
        match self {
            Self::Api { message, .. } => ApiFailure::classify(message),
            Self::NoSuchVm { .. } => Some(ApiFailure::VmNotFound),
            _ => None,
        }
    }

    /// Whether it says that the VM does not exist.
    pub fn is_no_such_vm(&self) -> bool {
        self.api_failure() == Some(ApiFailure::VmNotFound)
    }
}
