//! One call: a request out, a bounded reply in, repeated where that is safe.

use std::error::Error as StdError;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderMap, Method as HttpMethod, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Error as HttpError;
use tracing::Instrument;

use super::Client;
use super::connect::ConnectError;
use crate::DstackVersion;
use crate::api::{Method, Repeat, ReplyError, path, read_reply, request_body};
use crate::error::{ConnectFailure, Error, Result};

const AGENT: &str = concat!("dstack-vmm-client/", env!("CARGO_PKG_VERSION"));

/// The first bytes of a body that an error shows.
const EXCERPT: usize = 400;

/// The longest body of an error that is read.
const MAX_ERROR_BODY: usize = 64 * 1024;

impl Client {
    /// Calls any method of the RPC.
    ///
    /// ```no_run
    /// use dstack_vmm_client::api::{Id, method};
    /// # async fn run(client: dstack_vmm_client::client::Client) -> dstack_vmm_client::Result<()> {
    /// let mut id = Id::default();
    /// id.id = "b2f8a1de".to_owned();
    /// let reply = client.call::<method::GetInfo>(&id).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]; [`Error::may_have_happened`] says whether the server may have carried the call out.
    pub async fn call<M: Method>(&self, request: &M::Request) -> Result<M::Response> {
        let span = tracing::debug_span!("vmm_call", method = M::NAME, endpoint = %self.inner.endpoint);
        self.call_inner::<M>(request).instrument(span).await
    }

    async fn call_inner<M: Method>(&self, request: &M::Request) -> Result<M::Response> {
        // Asked only for methods that not every version has, so that the others cost no second call.
        if M::VERSIONS.len() < DstackVersion::ALL.len() {
            self.require(M::NAME, M::VERSIONS).await?;
        }
        let body = request_body::<M>(request).map_err(|error| Error::InvalidRequest {
            what: format!("the request of {} cannot be written as JSON: {error}", M::NAME),
            hint: None,
        })?;
        let body = Bytes::from(body);
        let limit = self.inner.method_timeouts.get(M::NAME).copied().unwrap_or(self.inner.timeout);
        let started = Instant::now();
        let mut attempt = 0;
        loop {
            let left = limit.saturating_sub(started.elapsed());
            let result = match tokio::time::timeout(left, self.attempt::<M>(body.clone())).await {
                Ok(result) => result,
                Err(_) => Err(Error::Timeout {
                    endpoint: self.inner.endpoint.to_string(),
                    method: M::NAME,
                    after: limit,
                }),
            };
            let elapsed = started.elapsed();
            let error = match result {
                Ok(response) => {
                    tracing::debug!(attempt, ?elapsed, "answered");
                    return Ok(response);
                }
                Err(error) => error,
            };
            let pause = self.inner.retry.pause(attempt);
            let again = M::REPEAT == Repeat::Safe
                && attempt < self.inner.retry.retries
                && worth_repeating(&error)
                && elapsed + pause < limit;
            tracing::debug!(attempt, ?elapsed, %error, again, "failed");
            if !again {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt<M: Method>(&self, body: Bytes) -> Result<M::Response> {
        let mut request = self.request(HttpMethod::POST, &path::<M>(), body)?;
        request.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let response = self.send(request, M::REPEAT == Repeat::Safe, M::NAME).await?;
        let (head, body) = response.into_parts();
        let bytes = self.read_body(body, M::NAME).await?;
        self.read::<M>(head.status.as_u16(), &head.headers, &bytes)
    }

    /// A request below the endpoint, with the credentials.
    pub(super) fn request(
        &self,
        method: HttpMethod,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        let uri = self.inner.endpoint.uri(path).map_err(|error| Error::InvalidRequest {
            what: format!("{path:?} is not a path: {error}"),
            hint: None,
        })?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, http::HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, http::HeaderValue::from_static("application/json, text/plain;q=0.9"));
        if let Some(value) = &self.inner.authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        Ok(request)
    }

    /// Sends a request and waits for the head of the reply.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        pooled: bool,
        method: &'static str,
    ) -> Result<Response<Incoming>> {
        let client = if pooled { &self.inner.pooled } else { &self.inner.fresh };
        client.request(request).await.map_err(|error| self.transport_error(error, method))
    }

    /// Reads a body up to the limit.
    async fn read_body(&self, mut body: Incoming, method: &'static str) -> Result<Bytes> {
        let limit = self.inner.max_reply_bytes;
        let too_large = || Error::TooLarge { endpoint: self.inner.endpoint.to_string(), method, limit };
        let announced = body.size_hint().lower();
        if announced > limit as u64 {
            return Err(too_large());
        }
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| self.interrupted(error, method))?.into_data() else {
                continue;
            };
            if whole.len() + data.len() > limit {
                return Err(too_large());
            }
            // Most replies are one frame, which then needs no copy.
            if announced > 0 && data.len() as u64 == announced {
                return Ok(data);
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    fn read<M: Method>(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<M::Response> {
        let endpoint = || self.inner.endpoint.to_string();
        if (300..400).contains(&status) {
            return Err(Error::Redirected {
                endpoint: endpoint(),
                method: M::NAME,
                status,
                location: text(headers, LOCATION),
            });
        }
        let content_type = text(headers, CONTENT_TYPE);
        let challenge = text(headers, WWW_AUTHENTICATE);
        read_reply::<M>(status, content_type.as_deref(), challenge.as_deref(), body).map_err(|error| {
            match error {
                ReplyError::Unauthorized { challenge } => self.unauthorized(M::NAME, challenge),
                ReplyError::Method { status, message } => {
                    Error::Api { endpoint: endpoint(), method: M::NAME, status, message }
                }
                ReplyError::UnexpectedStatus { status, content_type, body } => Error::UnexpectedStatus {
                    endpoint: endpoint(),
                    method: M::NAME,
                    status,
                    content_type,
                    excerpt: excerpt(&body),
                },
                ReplyError::Undecodable { source, body } => {
                    Error::Undecodable { endpoint: endpoint(), method: M::NAME, source, body }
                }
            }
        })
    }

    pub(super) fn unauthorized(&self, method: &'static str, challenge: Option<String>) -> Error {
        Error::Unauthorized {
            endpoint: self.inner.endpoint.to_string(),
            method,
            had_credentials: self.inner.authorization.is_some(),
            challenge,
        }
    }

    pub(super) fn interrupted(
        &self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
        method: &'static str,
    ) -> Error {
        Error::Interrupted { endpoint: self.inner.endpoint.to_string(), method, source: source.into() }
    }

    fn transport_error(&self, error: HttpError, method: &'static str) -> Error {
        let endpoint = self.inner.endpoint.to_string();
        let mut current: Option<&(dyn StdError + 'static)> = Some(&error);
        while let Some(cause) = current {
            if let Some(connect) = cause.downcast_ref::<ConnectError>() {
                return Error::Connect {
                    endpoint,
                    failure: connect.failure,
                    source: Box::new(connect.clone()),
                };
            }
            if let Some(hyper) = cause.downcast_ref::<hyper::Error>()
                && hyper.is_parse()
            {
                return Error::NotHttp { endpoint, method, source: Words::of(hyper) };
            }
            current = cause.source();
        }
        // The outer layers only say that sending failed; the words are further down.
        match error.source() {
            Some(cause) => Error::Interrupted { endpoint, method, source: Words::of(cause) },
            None => self.interrupted(error, method),
        }
    }
}

/// The texts of a chain of errors, kept where the errors themselves are only borrowed.
#[derive(Debug)]
struct Words {
    text: String,
    source: Option<Box<Self>>,
}

impl Words {
    fn of(error: &(dyn StdError + 'static)) -> Box<Self> {
        Box::new(Self { text: error.to_string(), source: error.source().map(Self::of) })
    }
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Words {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|inner| inner as &(dyn StdError + 'static))
    }
}

/// Whether the next attempt can find things otherwise: the server restarts, or closed a connection that was idle.
pub(super) fn worth_repeating(error: &Error) -> bool {
    match error {
        Error::Interrupted { .. } => true,
        Error::Connect { failure, .. } => {
            matches!(failure, ConnectFailure::NoSocket | ConnectFailure::Refused | ConnectFailure::Other)
        }
        _ => false,
    }
}

pub(super) fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The beginning of a body, as text.
pub(super) fn excerpt(body: &[u8]) -> String {
    let cut = body.len() > EXCERPT;
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]);
    // A body cut in the middle of a character would end in a replacement that the server never sent.
    let text = if cut { text.trim_end_matches('\u{fffd}') } else { &text };
    if cut { format!("{text}…") } else { text.to_owned() }
}

/// The beginning of a body; what is lost on the way is left out.
pub(super) async fn beginning(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data[..data.len().min(MAX_ERROR_BODY - bytes.len())]);
        }
        if bytes.len() >= MAX_ERROR_BODY {
            break;
        }
    }
    bytes
}
