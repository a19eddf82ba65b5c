//! Where a service is reached, as a parsed text.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;

use super::FetchError;

/// The longest path that a socket address holds on Linux, without the closing zero byte.
const SOCKET_PATH_MAX: usize = 107;
/// The longest endpoint text, which is generous for a URL.
const TEXT_MAX: usize = 2048;

/// Where a service is reached.
///
/// | text | meaning |
/// |---|---|
/// | `unix:/var/run/dstack/dstack.sock` (also `unix:///...`) | a unix socket, by its absolute path |
/// | `http://192.0.2.1:8090`, `http://[2001:db8::1]:8090/prefix` | HTTP in the clear |
/// | `https://app.example.com/prefix` | HTTP over TLS |
///
/// An endpoint never holds a secret: user names, passwords, queries and fragments are refused, so that
/// [`Display`](fmt::Display) may be printed.
///
/// ```
/// use dstack_attestation::client::Endpoint;
///
/// let endpoint: Endpoint = "http://[::1]:8090/app/".parse()?;
/// assert_eq!(endpoint.to_string(), "http://[::1]:8090/app");
/// assert!("localhost:8090".parse::<Endpoint>().is_err());
/// # Ok::<(), dstack_attestation::client::FetchError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    target: Target,
    text: String,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Target {
    Unix(PathBuf),
    Tcp(Url),
}

impl Endpoint {
    /// An endpoint on a unix socket.
    ///
    /// # Errors
    ///
    /// [`FetchError::InvalidEndpoint`] when the path is relative, not UTF-8, or longer than a socket address holds.
    pub fn unix(path: impl AsRef<Path>) -> Result<Self, FetchError> {
        let path = path.as_ref();
        match path.to_str() {
            Some(text) => Self::socket(text, &format!("unix:{text}")),
            None => Err(invalid(&format!("unix:{}", path.display()), "the path is not UTF-8")),
        }
    }

    fn socket(path: &str, shown: &str) -> Result<Self, FetchError> {
        if !path.starts_with('/') {
            return Err(invalid(shown, "the path of the socket is not absolute"));
        }
        if path.contains('\0') {
            return Err(invalid(shown, "the path of the socket contains a zero byte"));
        }
        if path.len() > SOCKET_PATH_MAX {
            return Err(invalid(shown, "the path of the socket is longer than 107 bytes"));
        }
        Ok(Self { target: Target::Unix(PathBuf::from(path)), text: format!("unix:{path}") })
    }

    /// The path of the unix socket, where it is one.
    pub fn socket_path(&self) -> Option<&Path> {
        match &self.target {
            Target::Unix(path) => Some(path),
            Target::Tcp(_) => None,
        }
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        matches!(&self.target, Target::Tcp(url) if url.scheme() == "https")
    }

    /// The host, where it is TCP; an IPv6 address without brackets.
    pub fn host(&self) -> Option<&str> {
        match &self.target {
            Target::Unix(_) => None,
            Target::Tcp(url) => url.host_str().map(|host| host.trim_matches(['[', ']'])),
        }
    }

    /// The host, where it is a name and not an address: what a certificate has to be for.
    pub(super) fn host_name(&self) -> Option<String> {
        let host = self.host()?;
        let is_address = host.parse::<std::net::IpAddr>().is_ok();
        (!is_address).then(|| host.to_owned())
    }

    /// The port, where it is TCP: given, or the scheme's own.
    pub fn port(&self) -> Option<u16> {
        match &self.target {
            Target::Unix(_) => None,
            Target::Tcp(url) => url.port_or_known_default(),
        }
    }

    /// The text, as [`Display`](fmt::Display) writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL of a path below the endpoint. `path` begins with a slash and may have a query.
    pub(super) fn url(&self, path: &str) -> Result<Url, FetchError> {
        let text = match &self.target {
            // The name of the host does not matter on a unix socket; this one suits virtual hosts.
            Target::Unix(_) => format!("http://localhost{path}"),
            Target::Tcp(_) => format!("{}{path}", self.text),
        };
        Url::parse(&text).map_err(|error| invalid(&self.text, &error.to_string()))
    }
}

impl FromStr for Endpoint {
    type Err = FetchError;

    fn from_str(text: &str) -> Result<Self, FetchError> {
        if text.len() > TEXT_MAX {
            return Err(invalid("", "it is longer than 2048 bytes"));
        }
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///path` and `unix:/path` name the same socket.
            let path = path.strip_prefix("//").unwrap_or(path);
            return Self::socket(path, text);
        }
        let url = web_url(text)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid(&shown(&url), "an endpoint has no query and no fragment"));
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { target: Target::Tcp(url), text })
    }
}

/// A URL split where its path begins: the server as an endpoint, and path with query.
pub(super) fn split_url(text: &str) -> Result<(Endpoint, String), FetchError> {
    if text.len() > TEXT_MAX {
        return Err(invalid("", "it is longer than 2048 bytes"));
    }
    let url = web_url(text)?;
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut server = url;
    server.set_path("");
    server.set_query(None);
    server.set_fragment(None);
    let text = server.as_str().trim_end_matches('/').to_owned();
    Ok((Endpoint { target: Target::Tcp(server), text }, path))
}

fn web_url(text: &str) -> Result<Url, FetchError> {
    let url = match Url::parse(text) {
        Ok(url) => url,
        // What cannot be read may still hold a password, so that it is not shown.
        Err(error) if text.contains('@') => return Err(invalid("", &error.to_string())),
        Err(error) => return Err(invalid(text, &error.to_string())),
    };
    if !matches!(url.scheme(), "http" | "https") {
        let reason = format!("{:?} is not one of unix, http and https", url.scheme());
        let named = if text.contains('@') { "" } else { text };
        return Err(invalid(named, &reason));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(&shown(&url), "user name and password do not belong into the URL"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid(text, "there is no host in it"));
    }
    Ok(url)
}

/// The URL without what may be secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail for URLs without a host only, which then have no user either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn invalid(endpoint: &str, reason: &str) -> FetchError {
    FetchError::InvalidEndpoint { endpoint: endpoint.to_owned(), reason: reason.to_owned() }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back() {
        for (text, written) in [
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("unix:///run/a.sock", "unix:/run/a.sock"),
            ("http://192.0.2.1:8090", "http://192.0.2.1:8090"),
            ("https://app.example.com:443/x//", "https://app.example.com/x"),
            ("HTTP://[2001:db8::1]:8090/", "http://[2001:db8::1]:8090"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), written);
            assert_eq!(written.parse::<Endpoint>().unwrap(), endpoint_of(written));
        }
        let endpoint: Endpoint = "https://[2001:db8::1]".parse().unwrap();
        assert_eq!((endpoint.host(), endpoint.port()), (Some("2001:db8::1"), Some(443)));
        assert!(endpoint.is_tls());
    }

    fn endpoint_of(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_telling_secrets() {
        let long = format!("unix:/{}", "a".repeat(107));
        for text in [
            "",
            "localhost:8090",
            "unix:",
            "unix:run/a.sock",
            "unix:/a\0b",
            &long,
            "ftp://example.com",
            "http://",
            "http://example.com/?a=b",
            "http://user:hunter2@example.com",
            "vsock://user:hunter2@3:8000",
            "http://user:hunter2@exa mple",
            "https://example.com/?token=hunter2",
            "file:///etc/passwd",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(matches!(error, FetchError::InvalidEndpoint { .. }), "{text}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn paths_go_below_the_endpoint() {
        let url = |endpoint: &str, path| endpoint_of(endpoint).url(path).unwrap().to_string();
        assert_eq!(url("unix:/run/a.sock", "/Info?json"), "http://localhost/Info?json");
        assert_eq!(url("https://example.com/node/", "/prpc/Info"), "https://example.com/node/prpc/Info");
    }

    #[test]
    fn addresses_are_no_names() {
        for (endpoint, name) in [
            ("https://192.0.2.1:8443", None),
            ("https://[2001:db8::1]", None),
            ("unix:/run/a.sock", None),
            ("https://kms.example.com:8443", Some("kms.example.com")),
        ] {
            assert_eq!(endpoint_of(endpoint).host_name().as_deref(), name);
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_reads_reads_back(text in "(unix:/|http://|https://)?[a-zA-Z0-9.:/@?#%\\[\\] -]{0,40}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                let again: Endpoint = endpoint.to_string().parse().unwrap();
                proptest::prop_assert_eq!(&again, &endpoint);
                proptest::prop_assert!(endpoint.url("/Info?json").unwrap().path().ends_with("/Info"));
                proptest::prop_assert!(!endpoint.as_str().contains('@') || endpoint.socket_path().is_some() || endpoint.url("/").unwrap().username().is_empty());
            }
        }
    }

    #[test]
    fn urls_are_split_at_their_path() {
        let (endpoint, path) = split_url("https://app.example.com:8443/a/quote.json?x=1#top").unwrap();
        assert_eq!((endpoint.as_str(), path.as_str()), ("https://app.example.com:8443", "/a/quote.json?x=1"));
        let (_, path) = split_url("http://app.example.com").unwrap();
        assert_eq!(path, "/");
        assert!(split_url("unix:/run/a.sock").is_err());
    }
}
