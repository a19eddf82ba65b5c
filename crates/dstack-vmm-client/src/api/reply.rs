//! From a method to its path and body, and from a raw HTTP reply to a message or an error.

use super::method::Method;

/// The path and query of a call: `/prpc/<Method>?json`.
///
/// The query is always there: errors raised before a method is dispatched choose their form by it alone.
pub fn path<M: Method>() -> String {
    format!("{}{}?json", M::SURFACE.prefix(), M::NAME)
}

/// The JSON body of a call.
///
/// # Errors
/// When the message cannot be written as JSON, which no message of this crate does.
pub fn request_body<M: Method>(request: &M::Request) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(request)
}

/// Why a reply is not the message that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// Status 401: the server wants other credentials, or any.
    #[error("the server asks for credentials")]
    Unauthorized {
        /// Its `WWW-Authenticate` header.
        challenge: Option<String>,
    },
    /// The method failed; the text is the server's.
    #[error("{message}")]
    Method {
        /// HTTP status.
        status: u16,
        /// The server's words, from the JSON or the protobuf form of its error.
        message: String,
    },
    /// A status that no method gives, from a proxy or another server.
    #[error("unexpected status {status}")]
    UnexpectedStatus {
        /// HTTP status.
        status: u16,
        /// `Content-Type` of the reply.
        content_type: Option<String>,
        /// The body.
        body: Vec<u8>,
    },
    /// The status says success, the body is not the message.
    #[error("the reply is not the expected message")]
    Undecodable {
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
        /// The body.
        body: Vec<u8>,
    },
}

/// Reads a whole HTTP reply to a call of `M`.
///
/// # Errors
/// [`ReplyError`] says which of the ways to fail it was; the body is kept where it could not be read.
pub fn read_reply<M: Method>(
    status: u16,
    content_type: Option<&str>,
    challenge: Option<&str>,
    body: &[u8],
) -> Result<M::Response, ReplyError> {
    match status {
        200..=299 => {
            let nothing = body.is_empty() || body == b"null";
            // Methods without a reply answer `null`, or nothing at all. From any other that is no message: read as one, it
            // would be a message of defaults.
            let has_reply = size_of::<M::Response>() > 0;
            let result = match (nothing, has_reply) {
                (true, true) => Err(serde::de::Error::custom("the answer is empty")),
                (true, false) => serde_json::from_slice(b"{}"),
                (false, _) => serde_json::from_slice(body),
            };
            result.map_err(|source| ReplyError::Undecodable { source, body: body.to_vec() })
        }
        401 => Err(ReplyError::Unauthorized { challenge: challenge.map(str::to_owned) }),
        _ => match server_message(body) {
            Some(message) => Err(ReplyError::Method { status, message }),
            None => Err(ReplyError::UnexpectedStatus {
                status,
                content_type: content_type.map(str::to_owned),
                body: body.to_vec(),
            }),
        },
    }
}

/// The server's words: `{"error": "..."}`, or a protobuf message with the text in field 1.
fn server_message(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct JsonError {
        error: String,
    }
    if let Ok(JsonError { error }) = serde_json::from_slice(body) {
        return Some(error);
    }
    protobuf_message(body)
}

/// Field 1 of wire type 2 that fills the body exactly. Anything else is not the server's error form.
fn protobuf_message(body: &[u8]) -> Option<String> {
    let (&tag, mut rest) = body.split_first()?;
    if tag != 0x0a {
        return None;
    }
    let mut length: usize = 0;
    let mut shift = 0;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
        if shift > 28 {
            return None;
        }
    }
    if rest.len() != length {
        return None;
    }
    String::from_utf8(rest.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::method::{GetInfo, StopVm};

    #[test]
    fn only_a_method_without_a_reply_may_answer_nothing() {
        for body in [&b""[..], b"null"] {
            assert!(read_reply::<StopVm>(200, None, None, body).is_ok());
            let error = read_reply::<GetInfo>(200, None, None, body).unwrap_err();
            assert!(matches!(error, ReplyError::Undecodable { .. }), "{error}");
        }
    }
}
