//! What a client shows to be let in.

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// What a client shows to be let in. Sent to the endpoint it was given for and to nobody else.
///
/// The secret is wiped from memory when the last copy goes, and [`Debug`](fmt::Debug) does not show it.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// An API token, sent as `Authorization: Bearer`. The form every version understands.
    Bearer(Zeroizing<String>),
    /// A user of the password file, or of a proxy before the VMM, sent as `Authorization: Basic`.
    Basic {
        /// User name. It may not hold a colon.
        user: String,
        /// Password.
        password: Zeroizing<String>,
    },
}

impl Credentials {
    /// An API token. White space around it, such as the line end of a token file, is dropped.
    pub fn bearer(token: impl Into<String>) -> Self {
        let token = Zeroizing::new(token.into());
        Self::Bearer(Zeroizing::new(token.trim().to_owned()))
    }

    /// A user and a password.
    pub fn basic(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic { user: user.into(), password: Zeroizing::new(password.into()) }
    }

    /// The value of the `Authorization` header, in memory that is wiped.
    pub(crate) fn header(&self) -> Result<HeaderValue> {
        let text = match self {
            Self::Bearer(token) if token.is_empty() => {
                return Err(invalid("the API token is empty", "check that the token file is not empty"));
            }
            Self::Bearer(token) => Zeroizing::new(format!("Bearer {}", token.as_str())),
            Self::Basic { user, .. } if user.contains(':') => {
                return Err(invalid(
                    "the user name holds a colon, which ends a user name",
                    "check user and password",
                ));
            }
            Self::Basic { user, password } => {
                let pair = Zeroizing::new(format!("{user}:{}", password.as_str()));
                let mut text = Zeroizing::new(String::with_capacity(6 + pair.len().div_ceil(3) * 4));
                text.push_str("Basic ");
                base64(pair.as_bytes(), &mut text);
                text
            }
        };
        let bytes = Bytes::from_owner(Wiped(Zeroizing::new(text.as_bytes().to_vec())));
        let mut value = HeaderValue::from_maybe_shared(bytes).map_err(|_| {
            invalid(
                "the credentials hold a character that no header can carry",
                "check for line breaks inside the token",
            )
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer(_) => f.write_str("Bearer(..)"),
            Self::Basic { user, .. } => write!(f, "Basic {{ user: {user:?}, .. }}"),
        }
    }
}

/// Owner of the header's bytes.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn invalid(what: &str, hint: &str) -> Error {
    Error::InvalidRequest { what: what.to_owned(), hint: Some(hint.to_owned()) }
}

/// Standard base64 with padding (RFC 4648 section 4).
fn base64(bytes: &[u8], into: &mut String) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let mut group = [0u8; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let group = u32::from_be_bytes(group);
        for index in 0..4 {
            if index > chunk.len() {
                into.push('=');
            } else {
                into.push(char::from(ALPHABET[(group >> (18 - 6 * index) & 63) as usize]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers() {
        let header = |credentials: Credentials| credentials.header().unwrap().to_str().unwrap().to_owned();
        assert_eq!(header(Credentials::bearer(" token\n")), "Bearer token");
        // The example of RFC 7617.
        assert_eq!(
            header(Credentials::basic("Aladdin", "open sesame")),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(header(Credentials::basic("a", "b")), "Basic YTpi");
        assert_eq!(header(Credentials::basic("ab", "c")), "Basic YWI6Yw==");
        assert!(Credentials::bearer("x").header().unwrap().is_sensitive());
    }

    #[test]
    fn what_no_header_can_carry_is_refused_without_showing_it() {
        for credentials in [
            Credentials::bearer(" \n"),
            Credentials::bearer("hunter2\nX-Evil: 1"),
            Credentials::basic("a:b", "hunter2"),
        ] {
            let error = credentials.header().unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown =
            format!("{:?} {:?}", Credentials::bearer("hunter2"), Credentials::basic("user", "hunter2"));
        assert_eq!(shown, "Bearer(..) Basic { user: \"user\", .. }");
    }
}
