//! One bounded HTTP exchange.

use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, redirect, retry};

use super::error::{Cause, server_words};
use super::trust::{Observer, TrustError};
use super::{ConnectFailure, Endpoint, FetchError, TlsPeer, TlsTrust};

/// How long and how much one exchange may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest time until there is a connection, the TLS handshake included.
    pub connect: Duration,
    /// The longest time of the whole exchange.
    pub total: Duration,
    /// The longest body of an answer in bytes.
    pub body: usize,
}

impl Default for Limits {
    /// 5 s until there is a connection, 60 s in all, 16 MiB.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_mins(1), body: 16 << 20 }
    }
}

impl Limits {
    /// Another limit for the whole exchange, and for the connection where that limit is longer.
    #[must_use]
    pub fn total(mut self, total: Duration) -> Self {
        self.total = total;
        self.connect = self.connect.min(total);
        self
    }

    /// Another limit for the connection.
    #[must_use]
    pub const fn connect(mut self, connect: Duration) -> Self {
        self.connect = connect;
        self
    }

    /// Another limit for the body, in bytes.
    #[must_use]
    pub const fn body(mut self, body: usize) -> Self {
        self.body = body;
        self
    }
}

/// A secret that is sent as `Authorization: Bearer`, such as the token of a VMM. It is never shown.
#[derive(Clone)]
pub struct BearerToken(HeaderValue);

impl BearerToken {
    /// A token. Space around it, such as the line end of the file it was read from, is cut off.
    ///
    /// # Errors
    ///
    /// [`FetchError::InvalidRequest`] when it is empty or has characters that no header may have.
    pub fn new(token: &str) -> Result<Self, FetchError> {
        let token = token.trim();
        if token.is_empty() {
            return Err(FetchError::request("the token is empty"));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| FetchError::request("the token has characters that no HTTP header may have"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

/// How services are asked: within which limits, and which TLS servers are believed.
///
/// Every exchange has a connection of its own. Redirects are not followed, nothing is sent twice, and no proxy is used,
/// whatever the environment says.
///
/// ```
/// use std::time::Duration;
/// use dstack_attestation::client::{Limits, TlsTrust, Transport};
///
/// let transport = Transport::new()
///     .limits(Limits::default().total(Duration::from_secs(10)))
///     .trust(TlsTrust::danger_accept_any_certificate());
/// # let _ = transport;
/// ```
#[derive(Clone, Debug)]
pub struct Transport {
    limits: Limits,
    trust: TlsTrust,
}

impl Default for Transport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport {
    /// The usual [`Limits`] and [`TlsTrust::system`].
    pub fn new() -> Self {
        Self { limits: Limits::default(), trust: TlsTrust::system() }
    }

    /// Other limits.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Believes other TLS servers.
    #[must_use]
    pub fn trust(mut self, trust: TlsTrust) -> Self {
        self.trust = trust;
        self
    }

    pub(super) const fn limits_in_force(&self) -> Limits {
        self.limits
    }

    pub(super) const fn trust_in_force(&self) -> &TlsTrust {
        &self.trust
    }

    /// Carries a request out. An answer with a status other than 2xx is an error.
    pub(super) async fn exchange(&self, request: Request<'_>) -> Result<Answer, FetchError> {
        let place = Place { endpoint: request.endpoint.as_str(), what: request.what };
        let after = self.limits.total;
        match tokio::time::timeout(after, self.carry_out(&place, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(place.timeout(after)),
        }
    }

    async fn carry_out(&self, place: &Place<'_>, request: Request<'_>) -> Result<Answer, FetchError> {
        let url = request.endpoint.url(request.path)?;
        let (client, observer) = self.client(place, request.endpoint).await?;
        let method = if request.json.is_some() { Method::POST } else { Method::GET };
        let mut builder = client.request(method, url);
        if let Some(json) = request.json {
            builder = builder.header(CONTENT_TYPE, "application/json").body(json);
        }
        if let Some(BearerToken(value)) = request.token {
            builder = builder.header(AUTHORIZATION, value.clone());
        }
        let mut response = match builder.send().await {
            Ok(response) => response,
            Err(error) => return Err(self.failed(place, error)),
        };
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        if status.is_redirection() {
            let location = headers.get(LOCATION).map(|value| server_words(value.as_bytes()));
            return Err(place.redirected(status.as_u16(), location));
        }
        let limit = self.limits.body;
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > limit => {
                    return Err(place.too_large(limit));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(self.failed(place, error)),
            }
        }
        if !status.is_success() {
            return Err(place.refused(status.as_u16(), server_words(&body)));
        }
        let peer = observer.and_then(|observer| observer.peer());
        Ok(Answer { headers, body, peer })
    }

    async fn client(
        &self,
        place: &Place<'_>,
        endpoint: &Endpoint,
    ) -> Result<(Client, Option<std::sync::Arc<Observer>>), FetchError> {
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .connect_timeout(self.limits.connect)
            .pool_max_idle_per_host(0)
            .http1_only();
        if let Some(path) = endpoint.socket_path() {
            builder = builder.unix_socket(path);
        }
        // Without TLS too a configuration has to be there, or the library would look for a default one.
        let trust =
            if endpoint.is_tls() { self.trust.clone() } else { TlsTrust::danger_accept_any_certificate() };
        let (config, observer) = trust.for_connection().await.map_err(|error| {
            let failure = match error {
                TrustError::NoAuthorities => ConnectFailure::NoAuthorities,
                _ => ConnectFailure::Tls,
            };
            place.unconnected(failure, error)
        })?;
        let client = builder
            .tls_backend_preconfigured(config)
            .build()
            .map_err(|error| place.unconnected(ConnectFailure::Other, error.without_url()))?;
        Ok((client, endpoint.is_tls().then_some(observer)))
    }

    fn failed(&self, place: &Place<'_>, error: reqwest::Error) -> FetchError {
        // The URL is in our own words already, without its query.
        let error = error.without_url();
        if error.is_connect() {
            return place.unconnected(connect_failure(&error), error);
        }
        if error.is_timeout() {
            return place.timeout(self.limits.total);
        }
        place.interrupted(error)
    }
}

/// What is asked, of whom.
pub(super) struct Request<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// Begins with a slash, and may have a query.
    pub(super) path: &'a str,
    /// What errors call it: the method, or the path without its query.
    pub(super) what: &'a str,
    /// The body of a `POST`. Without one it is a `GET`.
    pub(super) json: Option<Vec<u8>>,
    pub(super) token: Option<&'a BearerToken>,
}

impl<'a> Request<'a> {
    pub(super) fn get(endpoint: &'a Endpoint, path: &'a str) -> Self {
        let what = path.split_once('?').map_or(path, |(before, _)| before);
        Self { endpoint, path, what, json: None, token: None }
    }
}

/// An answer with status 2xx.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// What the server showed, where TLS was spoken.
    pub(super) peer: Option<TlsPeer>,
}

/// What errors say about where they happened.
pub(super) struct Place<'a> {
    pub(super) endpoint: &'a str,
    pub(super) what: &'a str,
}

impl Place<'_> {
    pub(super) fn timeout(&self, after: Duration) -> FetchError {
        FetchError::Timeout { endpoint: self.endpoint.to_owned(), what: self.what.to_owned(), after }
    }

    pub(super) fn unconnected(&self, failure: ConnectFailure, source: impl Into<Cause>) -> FetchError {
        FetchError::Connect { endpoint: self.endpoint.to_owned(), failure, source: source.into() }
    }

    pub(super) fn interrupted(&self, source: impl Into<Cause>) -> FetchError {
        FetchError::Interrupted {
            endpoint: self.endpoint.to_owned(),
            what: self.what.to_owned(),
            source: source.into(),
        }
    }

    fn redirected(&self, status: u16, location: Option<String>) -> FetchError {
        FetchError::Redirected {
            endpoint: self.endpoint.to_owned(),
            what: self.what.to_owned(),
            status,
            location,
        }
    }

    pub(super) fn too_large(&self, limit: usize) -> FetchError {
        FetchError::TooLarge { endpoint: self.endpoint.to_owned(), what: self.what.to_owned(), limit }
    }

    fn refused(&self, status: u16, message: String) -> FetchError {
        FetchError::Api { endpoint: self.endpoint.to_owned(), what: self.what.to_owned(), status, message }
    }

    pub(super) fn undecodable(&self, reason: impl Into<String>, body: super::error::KeptBody) -> FetchError {
        FetchError::Undecodable {
            endpoint: self.endpoint.to_owned(),
            what: self.what.to_owned(),
            reason: reason.into(),
            body,
        }
    }
}

/// What kind of failure an error is, from the causes behind it.
pub(super) fn connect_failure(error: &(dyn std::error::Error + 'static)) -> ConnectFailure {
    let mut next = Some(error);
    let mut timed_out = false;
    // A cause has few causes; the bound is against a chain that goes in circles.
    for _ in 0..16 {
        let Some(error) = next else { break };
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            timed_out |= error.is_timeout();
            if error.is_dns() {
                return ConnectFailure::Dns;
            }
        }
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return tls_failure(error);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::NotFound => return ConnectFailure::NoSocket,
                io::ErrorKind::ConnectionRefused => return ConnectFailure::Refused,
                io::ErrorKind::PermissionDenied => return ConnectFailure::PermissionDenied,
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                    return ConnectFailure::Unreachable;
                }
                io::ErrorKind::TimedOut => return ConnectFailure::TimedOut,
                _ => {}
            }
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // An i/o error passes over what it wraps when it is asked for its source.
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    if timed_out { ConnectFailure::TimedOut } else { ConnectFailure::Other }
}

fn tls_failure(error: &rustls::Error) -> ConnectFailure {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidMessage(_) => ConnectFailure::NotTls,
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                ConnectFailure::WrongName
            }
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. } => ConnectFailure::ExpiredCertificate,
            _ => ConnectFailure::UntrustedCertificate,
        },
        _ => ConnectFailure::Tls,
    }
}
