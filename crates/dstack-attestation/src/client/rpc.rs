//! Calls of dstack's RPC in its JSON form.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::KeptBody;
use super::transport::{Answer, Place, Request};
use super::{BearerToken, Endpoint, FetchError, Transport};

/// A method of a service, on a mount of its server.
#[derive(Clone, Copy)]
pub(super) struct Method<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// What stands before the method's name: `/`, `/prpc/Worker.` and so on.
    pub(super) mount: &'static str,
    pub(super) name: &'static str,
    pub(super) token: Option<&'a BearerToken>,
    /// Whether the answer holds keys, of which nothing may get into an error.
    pub(super) secret: bool,
}

impl<'a> Method<'a> {
    pub(super) const fn new(endpoint: &'a Endpoint, mount: &'static str, name: &'static str) -> Self {
        Self { endpoint, mount, name, token: None, secret: false }
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    fn place(&self) -> Place<'_> {
        Place { endpoint: self.endpoint.as_str(), what: self.name }
    }
}

impl Transport {
    /// Calls a method, and takes its answer as it comes.
    pub(super) async fn call_for_answer(
        &self,
        method: Method<'_>,
        request: &impl Serialize,
    ) -> Result<Answer, FetchError> {
        let json = serde_json::to_vec(request)
            .map_err(|error| FetchError::request(format!("the request cannot be written: {error}")))?;
        // Only with `json` in the query an error before the call comes as JSON too.
        let path = format!("{}{}?json", method.mount, method.name);
        self.exchange(Request {
            endpoint: method.endpoint,
            path: &path,
            what: method.name,
            json: Some(json),
            token: method.token,
        })
        .await
    }

    /// Calls a method, and takes its answer as a text.
    pub(super) async fn call_for_text(
        &self,
        method: Method<'_>,
        request: &impl Serialize,
    ) -> Result<String, FetchError> {
        let answer = self.call_for_answer(method, request).await?;
        text(&method.place(), answer.body)
    }

    /// Calls a method, and reads its answer.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method<'_>,
        request: &impl Serialize,
    ) -> Result<T, FetchError> {
        let answer = self.call_for_answer(method, request).await?;
        read(method, &answer.body)
    }

    /// Calls a method whose answer has no fields: `null`, an object, or nothing at all.
    pub(super) async fn call_for_nothing(
        &self,
        method: Method<'_>,
        request: &impl Serialize,
    ) -> Result<(), FetchError> {
        let answer = self.call_for_answer(method, request).await?;
        if answer.body.trim_ascii().is_empty() {
            return Ok(());
        }
        let _: Option<crate::agent::Empty> = read(method, &answer.body)?;
        Ok(())
    }
}

fn read<T: DeserializeOwned>(method: Method<'_>, body: &[u8]) -> Result<T, FetchError> {
    serde_json::from_slice(body).map_err(|error| {
        if method.secret {
            // The reader's words may quote the answer.
            let reason = format!(
                "it is not the JSON it should be, at line {} column {}",
                error.line(),
                error.column()
            );
            method.place().undecodable(reason, KeptBody::withheld(body))
        } else {
            method.place().undecodable(error.to_string(), KeptBody::of(body))
        }
    })
}

/// A body as text.
pub(super) fn text(place: &Place<'_>, body: Vec<u8>) -> Result<String, FetchError> {
    String::from_utf8(body)
        .map_err(|error| place.undecodable("it is not UTF-8", KeptBody::of(error.as_bytes())))
}
