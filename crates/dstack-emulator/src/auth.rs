//! Who may call: the credentials of the external API.
//!
//! The coming version asks for them on every path (upstream `crates/api-auth/src/lib.rs`), v0.5 on `GET /logs` alone.

use std::path::Path;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use ring::digest::{SHA256, digest};

/// What a server accepts.
#[derive(Clone, Default)]
pub(crate) struct Auth {
    /// Whether credentials are asked for at all. With none configured nobody gets in.
    pub(crate) enabled: bool,
    /// SHA-256 of each token: compared as digests, so that neither length nor prefix shows in the time taken.
    tokens: Vec<[u8; 32]>,
    users: Vec<(String, String)>,
}

/// Why a file of users cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HtpasswdError {
    /// The file cannot be read.
    #[error("cannot read the htpasswd file")]
    Read(#[source] std::io::Error),
    /// A line is not `user:hash`, or its hash is no bcrypt.
    #[error("line {line} of the htpasswd file is not a user with a bcrypt hash")]
    Line {
        /// Number of the line, from 1.
        line: usize,
    },
    /// Nobody is in the file.
    #[error("the htpasswd file names no user")]
    Empty,
}

impl Auth {
    pub(crate) fn new(enabled: bool, tokens: &[String]) -> Self {
        let tokens = tokens.iter().filter(|token| !token.is_empty()).map(|token| hash(token)).collect();
        Self { enabled, tokens, users: Vec::new() }
    }

    /// Adds the users of an htpasswd file.
    pub(crate) fn with_htpasswd(mut self, path: &Path) -> Result<Self, HtpasswdError> {
        let text = std::fs::read_to_string(path).map_err(HtpasswdError::Read)?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = HtpasswdError::Line { line: index + 1 };
            let Some((user, hash)) = line.split_once(':') else { return Err(wrong) };
            if !["$2a$", "$2b$", "$2y$"].iter().any(|kind| hash.starts_with(kind)) {
                return Err(wrong);
            }
            self.users.push((user.to_owned(), hash.to_owned()));
        }
        if self.users.is_empty() { Err(HtpasswdError::Empty) } else { Ok(self) }
    }

    /// Whether the coming version lets a request in.
    pub(crate) fn allows(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
        if !self.enabled {
            return true;
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if text("x-admin-token").is_some_and(|token| self.token(token)) {
            return true;
        }
        match text("authorization") {
            Some(value) if value.starts_with("Bearer ") => self.token(value["Bearer ".len()..].trim()),
            Some(value) if value.starts_with("Basic ") => self.basic(value["Basic ".len()..].trim()),
            _ => *method == Method::GET && query_token(uri).is_some_and(|token| self.token(&token)),
        }
    }

    /// Whether v0.5 lets a request for logs in: the header must be a token letter by letter.
    pub(crate) fn allows_logs_v0_5(&self, headers: &HeaderMap) -> bool {
        if !self.enabled {
            return true;
        }
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .is_some_and(|token| self.token(token))
    }

    fn token(&self, token: &str) -> bool {
        let given = hash(token);
        // No early end: how many tokens were looked at must not show.
        self.tokens.iter().fold(false, |found, known| found | same(known, &given))
    }

    fn basic(&self, encoded: &str) -> bool {
        let Some(decoded) = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        else {
            return false;
        };
        let Some((user, password)) = decoded.split_once(':') else { return false };
        if self.token(if password.is_empty() { user } else { password }) {
            return true;
        }
        self.users
            .iter()
            .any(|(name, hash)| name == user && bcrypt::verify(password, hash).unwrap_or_default())
    }
}

/// The reply of the coming version to a request without credentials.
pub(crate) fn unauthorized() -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"dstack-vmm API\""));
    response
}

/// The URI without its `token` pairs: they are credentials, not part of a message.
pub(crate) fn without_token(uri: &Uri) -> Uri {
    let Some(query) = uri.query() else { return uri.clone() };
    if !query.split('&').any(is_token_pair) {
        return uri.clone();
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_token_pair(pair)).collect();
    let path =
        if kept.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), kept.join("&")) };
    path.parse().unwrap_or_else(|_| uri.clone())
}

fn is_token_pair(pair: &str) -> bool {
    pair == "token" || pair.starts_with("token=")
}

fn query_token(uri: &Uri) -> Option<String> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token=")).map(crate::rpc::percent_decode)
}

fn hash(token: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    out
}

fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(auth: &Auth, method: &str, uri: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        auth.allows(&method.parse().unwrap(), &uri.parse().unwrap(), &map)
    }

    #[test]
    fn the_matrix_of_the_coming_version() {
        let auth = Auth::new(true, &["secret".to_owned(), String::new()]);
        let yes = |uri, headers: &[_]| assert!(allows(&auth, "GET", uri, headers), "{uri} {headers:?}");
        let no = |uri, headers: &[_]| assert!(!allows(&auth, "GET", uri, headers), "{uri} {headers:?}");
        yes("/", &[("authorization", "Bearer secret")]);
        yes("/", &[("authorization", "Bearer  secret ")]);
        no("/", &[("authorization", "bearer secret")]);
        no("/", &[("authorization", "Bearer ")]);
        yes("/", &[("x-admin-token", "secret"), ("authorization", "Bearer wrong")]);
        // A bearer that is wrong is final, whatever else is right.
        no("/?token=secret", &[("authorization", "Bearer wrong")]);
        yes("/?token=secret", &[]);
        yes("/?a=b&token=sec%72et", &[]);
        assert!(!allows(&auth, "POST", "/?token=secret", &[]));
        // admin:secret, secret: and admin:wrong
        yes("/", &[("authorization", "Basic YWRtaW46c2VjcmV0")]);
        yes("/", &[("authorization", "Basic c2VjcmV0Og==")]);
        no("/", &[("authorization", "Basic YWRtaW46d3Jvbmc=")]);
        no("/", &[]);
    }

    #[test]
    fn without_credentials_configured_nobody_gets_in() {
        assert!(!allows(&Auth::new(true, &[]), "GET", "/", &[("authorization", "Bearer ")]));
        assert!(allows(&Auth::new(false, &[]), "GET", "/", &[]));
    }

    #[test]
    fn users_come_from_a_file_with_bcrypt_hashes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = format!("# people\n\nalice:{}\n", bcrypt::hash("wonder", 4).unwrap());
        std::fs::write(file.path(), line).unwrap();
        let auth = Auth::new(true, &[]).with_htpasswd(file.path()).unwrap();
        // alice:wonder and alice:wrong
        assert!(allows(&auth, "GET", "/", &[("authorization", "Basic YWxpY2U6d29uZGVy")]));
        assert!(!allows(&auth, "GET", "/", &[("authorization", "Basic YWxpY2U6d3Jvbmc=")]));

        std::fs::write(file.path(), "bob:{SHA}abc\n").unwrap();
        assert!(matches!(
            Auth::new(true, &[]).with_htpasswd(file.path()),
            Err(HtpasswdError::Line { line: 1 })
        ));
        std::fs::write(file.path(), "# nobody\n").unwrap();
        assert!(matches!(Auth::new(true, &[]).with_htpasswd(file.path()), Err(HtpasswdError::Empty)));
    }

    #[test]
    fn the_token_leaves_the_query() {
        let cut = |uri: &str| without_token(&uri.parse().unwrap()).to_string();
        assert_eq!(cut("/prpc/Version?token=x"), "/prpc/Version");
        assert_eq!(cut("/prpc/GetInfo?id=1&token=x&json"), "/prpc/GetInfo?id=1&json");
        assert_eq!(cut("/prpc/GetInfo?tokens=1"), "/prpc/GetInfo?tokens=1");
    }

    #[test]
    fn v0_5_wants_the_exact_bearer() {
        let auth = Auth::new(true, &["secret".to_owned()]);
        let mut headers = HeaderMap::new();
        assert!(!auth.allows_logs_v0_5(&headers));
        headers.insert("authorization", "Bearer secret".parse().unwrap());
        assert!(auth.allows_logs_v0_5(&headers));
        headers.insert("authorization", "Bearer  secret".parse().unwrap());
        assert!(!auth.allows_logs_v0_5(&headers));
    }
}
