//! Where a VMM is reached, as a parsed text.

use std::fmt;
use std::path::{Path, PathBuf};

use http::Uri;

use crate::error::Result;

mod parse;

use parse::{invalid, unix};

/// Where a VMM is reached.
///
/// | text | meaning |
/// |---|---|
/// | `unix:/run/dstack/vmm.sock`, `unix:///run/dstack/vmm.sock` | a unix socket, by its absolute path |
/// | `http://192.0.2.1:9080`, `http://[2001:db8::1]:9080/prefix` | HTTP in the clear |
/// | `https://vmm.example.com/prefix` | HTTP over TLS; the certificate is verified |
///
/// An endpoint never holds a secret: user names, passwords and queries are refused, so [`Display`](fmt::Display) may be
/// printed and logged. The forms are those of the VMM's own `address` key and of upstream's clients
/// (`vmm/src/config.rs`, `http-client/src/lib.rs`).
///
/// ```
/// use dstack_vmm_client::client::Endpoint;
///
/// let endpoint: Endpoint = "http://[::1]:9080/node-a/".parse()?;
/// assert_eq!(endpoint.to_string(), "http://[::1]:9080/node-a");
/// assert!("localhost:9080".parse::<Endpoint>().is_err());
/// # Ok::<(), dstack_vmm_client::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    target: Target,
    text: String,
}

/// How the bytes get there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP, perhaps with TLS.
    Tcp {
        /// Whether TLS is spoken.
        tls: bool,
        /// Host name or address literal, IPv6 without brackets.
        host: String,
        /// Port, given or the scheme's own.
        port: u16,
        /// `host`, `host:port` or `[v6]:port`, as it stands in the URL.
        authority: String,
        /// What stands before `/prpc`: empty, or `/prefix` without a closing slash.
        prefix: String,
    },
}

impl Endpoint {
    /// An endpoint on a unix socket.
    ///
    /// # Errors
    /// When the path is relative, not UTF-8, or longer than a socket address holds.
    pub fn unix(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let shown = format!("unix:{}", path.display());
        let Some(text) = path.to_str() else {
            return Err(invalid(&shown, "the path is not UTF-8", None));
        };
        unix(text, &shown)
    }

    /// The path of the unix socket, where it is one.
    pub fn socket_path(&self) -> Option<&Path> {
        match &self.target {
            Target::Unix(path) => Some(path),
            Target::Tcp { .. } => None,
        }
    }

    /// Host and port, where it is TCP. The host of an IPv6 address has no brackets.
    pub fn host_port(&self) -> Option<(&str, u16)> {
        match &self.target {
            Target::Unix(_) => None,
            Target::Tcp { host, port, .. } => Some((host, *port)),
        }
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        matches!(self.target, Target::Tcp { tls: true, .. })
    }

    /// Whether a credential sent there can be read on the way: HTTP without TLS to another machine.
    ///
    /// Names count as other machines, except `localhost`.
    pub fn is_cleartext_remote(&self) -> bool {
        match &self.target {
            Target::Tcp { tls: false, host, .. } => {
                let loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
                !loopback && !host.eq_ignore_ascii_case("localhost")
            }
            _ => false,
        }
    }

    /// The text, as [`Display`](fmt::Display) writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The URI of a path below the endpoint. `path_and_query` begins with a slash.
    pub(crate) fn uri(&self, path_and_query: &str) -> Result<Uri, http::Error> {
        let (scheme, authority, prefix) = match &self.target {
            // The name of the host does not matter on a unix socket; this one keeps virtual hosts out of it.
            Target::Unix(_) => ("http", "localhost", ""),
            Target::Tcp { tls, authority, prefix, .. } => {
                (if *tls { "https" } else { "http" }, authority.as_str(), prefix.as_str())
            }
        };
        Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query(format!("{prefix}{path_and_query}"))
            .build()
    }
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
