//! The wire of every dstack server: how a request becomes a message and a message a reply.
//!
//! `POST` with a JSON or a protobuf body, or `GET` with the message as a query string. Any failure is status 400 with
//! the server's reason, as JSON or as a protobuf message with the text in field 1 (upstream
//! `ra-rpc/src/rocket_helper.rs`).

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::omit::without_keys;

/// Largest request body in bytes.
pub(crate) const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// The reply to a failed call of a server that is not there any more.
const UNREADABLE: &str = "failed to read data";

/// How a surface names its methods, and what its JSON replies leave out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mount {
    /// Prefix that may precede a method name, such as `Teepod.`.
    pub(crate) strip: &'static str,
    /// Keys that the version served does not know: method (or `*`) and key.
    pub(crate) unknown_keys: &'static [(&'static str, &'static str)],
}

impl Mount {
    /// A surface whose methods have no prefix.
    pub(crate) const PLAIN: Self = Self { strip: "", unknown_keys: &[] };

    /// A surface whose methods may carry `strip` before their names.
    pub(crate) const fn with_prefix(strip: &'static str) -> Self {
        Self { strip, unknown_keys: &[] }
    }
}

/// Why a call failed. All of them are status 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RpcError {
    /// The server's words.
    Text(String),
}

impl RpcError {
    /// An error with these words.
    pub(crate) fn text(words: impl Into<String>) -> Self {
        Self::Text(words.into())
    }

    /// The words.
    pub(crate) fn into_text(self) -> String {
        let Self::Text(words) = self;
        words
    }

    /// The same error with what was attempted before it, joined as the servers join a chain.
    pub(crate) fn context(self, attempted: &str) -> Self {
        let Self::Text(words) = self;
        Self::Text(format!("{attempted}: {words}"))
    }
}

/// Form of a message on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Query,
    Protobuf,
}

/// One call: a method name and a message that is not read yet.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Name of the method, without the prefix of the mount.
    pub(crate) method: String,
    mount: Mount,
    form: Form,
    message: Bytes,
}

impl Call {
    /// Reads a request whose last path segment names the method.
    ///
    /// A request that cannot be read answers in the form that the query and the verb choose: the content type is not
    /// looked at that early.
    pub(crate) async fn read(mount: Mount, request: Request) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let segment = parts.uri.path().rsplit('/').next().unwrap_or_default();
        let method = percent_decode(segment);
        let method = if mount.strip.is_empty() {
            method
        } else {
            method.strip_prefix(mount.strip).map(str::to_owned).unwrap_or(method)
        };
        let query = parts.uri.query().unwrap_or_default();
        if parts.method == Method::GET {
            let message = Bytes::copy_from_slice(query.as_bytes());
            return Ok(Self { method, mount, form: Form::Query, message });
        }
        let asked = json_asked(query);
        match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(collected) => {
                let form = if asked || json_content(&parts.headers) { Form::Json } else { Form::Protobuf };
                Ok(Self { method, mount, form, message: collected.to_bytes() })
            }
            Err(error) => {
                let reason = if error.downcast_ref::<LengthLimitError>().is_some() {
                    format!("{UNREADABLE}: payload too large")
                } else {
                    format!("{UNREADABLE}: {error}")
                };
                Err(failure(asked, &reason))
            }
        }
    }

    /// The message of the call.
    pub(crate) fn decode<Req: DeserializeOwned + prost::Message + Default>(&self) -> Result<Req, RpcError> {
        match self.form {
            Form::Json if self.message.is_empty() => Ok(Req::default()),
            Form::Json => serde_json::from_slice(&self.message).map_err(|e| RpcError::text(e.to_string())),
            Form::Query => {
                let text = std::str::from_utf8(&self.message).map_err(|e| RpcError::text(e.to_string()))?;
                serde_qs::from_str(text).map_err(|e| RpcError::text(e.to_string()))
            }
            Form::Protobuf => Req::decode(self.message.as_ref()).map_err(|e| RpcError::text(e.to_string())),
        }
    }

    /// The reply to the call.
    pub(crate) fn encode<Resp: Serialize + prost::Message>(
        &self,
        result: Result<Resp, RpcError>,
    ) -> Response {
        let reply = match result {
            Ok(reply) => reply,
            Err(RpcError::Text(reason)) => return failure(self.form != Form::Protobuf, &reason),
        };
        if self.form == Form::Protobuf {
            return bytes_reply(StatusCode::OK, "application/octet-stream", reply.encode_to_vec());
        }
        match serde_json::to_vec(&reply) {
            // A message without fields is `null` on the wire.
            Ok(body) if body == b"{}" => bytes_reply(StatusCode::OK, "application/json", b"null".to_vec()),
            Ok(body) => {
                let keys: Vec<&str> = self.unknown_keys().collect();
                let body = if keys.is_empty() { body } else { without_keys(&body, &keys) };
                bytes_reply(StatusCode::OK, "application/json", body)
            }
            Err(error) => failure(true, &error.to_string()),
        }
    }

    /// The reply to a method that the surface does not have.
    pub(crate) fn unknown(&self) -> Response {
        failure(self.form != Form::Protobuf, &format!("Service not found: {}", self.method))
    }

    /// The reply of a call that failed with `reason`.
    pub(crate) fn fail(&self, reason: &str) -> Response {
        failure(self.form != Form::Protobuf, reason)
    }

    fn unknown_keys(&self) -> impl Iterator<Item = &'static str> {
        let method = self.method.as_str();
        self.mount.unknown_keys.iter().filter(move |(of, _)| *of == "*" || *of == method).map(|(_, key)| *key)
    }
}

/// A failed call: status 400, and the reason in JSON or protobuf.
pub(crate) fn failure(json: bool, reason: &str) -> Response {
    #[derive(Serialize)]
    struct JsonError<'a> {
        error: &'a str,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct ProtoError {
        #[prost(string, tag = "1")]
        message: String,
    }
    if json {
        let body = serde_json::to_vec_pretty(&JsonError { error: reason }).unwrap_or_default();
        bytes_reply(StatusCode::BAD_REQUEST, "application/json", body)
    } else {
        let body = prost::Message::encode_to_vec(&ProtoError { message: reason.to_owned() });
        bytes_reply(StatusCode::BAD_REQUEST, "application/octet-stream", body)
    }
}

/// A reply made of a status, a content type and a body.
pub(crate) fn bytes_reply(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// Whether the query asks for JSON: `json` with no value, `true` or `1`.
pub(crate) fn json_asked(query: &str) -> bool {
    query.split('&').any(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        key == "json" && matches!(value, "" | "true" | "1")
    })
}

fn json_content(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Text with its percent escapes replaced; what is no escape stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes.get(at + 1..at + 3).filter(|_| byte == b'%').and_then(|two| hex::decode(two).ok());
        match escape.as_deref() {
            Some([decoded]) => {
                out.push(*decoded);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use dstack_vmm_client::api;
    use proptest::prelude::*;

    use super::*;

    async fn call(verb: &str, uri: &str, content_type: Option<&str>, body: &[u8]) -> Call {
        let mut request = Request::builder().method(verb).uri(uri);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Body::from(body.to_vec())).unwrap();
        Call::read(Mount::with_prefix("Teepod."), request).await.unwrap()
    }

    async fn body(response: Response) -> (StatusCode, Vec<u8>) {
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn the_form_follows_query_verb_and_content_type() {
        for uri in ["/prpc/A?json", "/prpc/A?json=", "/prpc/A?json=1", "/prpc/A?x=1&json=true"] {
            assert_eq!(call("POST", uri, None, b"").await.form, Form::Json, "{uri}");
        }
        assert_eq!(call("POST", "/prpc/A?json=0", None, b"").await.form, Form::Protobuf);
        assert_eq!(
            call("POST", "/prpc/A", Some("application/json; charset=utf-8"), b"").await.form,
            Form::Json
        );
        assert_eq!(call("GET", "/prpc/A", None, b"").await.form, Form::Query);
    }

    #[tokio::test]
    async fn the_three_forms_carry_the_same_message() {
        let mut id = api::Id::default();
        id.id = "a b".to_owned();
        let json = call("POST", "/prpc/Teepod.X?json", None, br#"{"id":"a b","more":1}"#).await;
        let query = call("GET", "/prpc/X?id=a%20b", None, b"").await;
        let proto = call("POST", "/prpc/X", None, &prost::Message::encode_to_vec(&id)).await;
        for call in [json, query, proto] {
            assert_eq!(call.method, "X");
            assert_eq!(call.decode::<api::Id>().unwrap(), id);
        }
    }

    #[tokio::test]
    async fn bytes_in_a_query_are_hex() {
        let query = call("GET", "/prpc/X?app_id=0x00ff", None, b"").await;
        assert_eq!(query.decode::<api::AppId>().unwrap().app_id, [0, 255]);
    }

    #[tokio::test]
    async fn errors_take_the_form_of_the_call() {
        let json = call("POST", "/prpc/Nope?json", None, b"").await.unknown();
        assert_eq!(
            body(json).await,
            (StatusCode::BAD_REQUEST, b"{\n  \"error\": \"Service not found: Nope\"\n}".to_vec())
        );
        let proto = call("POST", "/prpc/Nope", None, b"").await.unknown();
        assert_eq!(body(proto).await.1, b"\x0a\x17Service not found: Nope");
    }

    #[tokio::test]
    async fn a_reply_without_fields_is_null() {
        let json = call("POST", "/prpc/X?json", None, b"").await.encode(Ok(api::Empty::default()));
        assert_eq!(body(json).await, (StatusCode::OK, b"null".to_vec()));
        let proto = call("POST", "/prpc/X", None, b"").await.encode(Ok(api::Empty::default()));
        assert_eq!(body(proto).await, (StatusCode::OK, Vec::new()));
    }

    #[tokio::test]
    async fn an_oversized_body_is_refused_in_the_form_of_the_query_only() {
        let big = vec![b' '; BODY_LIMIT + 1];
        let request = Request::post("/prpc/X")
            .header("content-type", "application/json")
            .body(Body::from(big))
            .unwrap();
        let response = Call::read(Mount::PLAIN, request).await.unwrap_err();
        let (status, body) = body(response).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(&body[2..], b"failed to read data: payload too large");
    }

    proptest! {
        #[test]
        fn percent_escapes_are_read_back(text in "\\PC{0,20}") {
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(percent_decode(&escaped), text);
        }
    }
}
