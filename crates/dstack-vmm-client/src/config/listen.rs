//! Where a VMM listens: the forms of the `address` key.
//!
//! Source: the endpoint syntax of Rocket, which the VMM's web server uses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The longest path of a unix socket that Linux binds, in bytes (`sun_path` without its final zero, unix(7)).
pub const MAX_SOCKET_PATH: usize = 107;

/// Where the external API of a VMM listens.
///
/// ```
/// use dstack_vmm_client::config::ListenAddress;
///
/// let tcp = ListenAddress::parse("tcp:0.0.0.0:9080", None)?;
/// assert!(!tcp.is_local());
/// assert_eq!(tcp.endpoint("/".as_ref()), "http://127.0.0.1:9080");
///
/// let unix = ListenAddress::parse("unix:./vmm.sock", None)?;
/// assert!(unix.is_local());
/// assert_eq!(unix.endpoint("/var/lib/dstack".as_ref()), "unix:/var/lib/dstack/vmm.sock");
/// # Ok::<(), dstack_vmm_client::config::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenAddress {
    /// A unix stream socket. A relative path is relative to the directory the VMM was started in.
    Unix(PathBuf),
    /// TCP.
    Tcp(SocketAddr),
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no address.
    #[error("the address is empty")]
    Empty,
    /// `unix:` without a path.
    #[error("the address has no path after `unix:`")]
    NoPath,
    /// The path of the socket is longer than the system binds.
    #[error("the socket path has {length} bytes, the system binds at most {MAX_SOCKET_PATH}")]
    PathTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// An IP address without port, and no `port` key.
    #[error("the address {address:?} has no port")]
    NoPort {
        /// The address.
        address: String,
    },
    /// vsock, which carries the host API alone.
    #[error("the external API does not listen on vsock ({address:?})")]
    Vsock {
        /// The address.
        address: String,
    },
    /// None of the known forms.
    #[error("the address {address:?} is neither `unix:PATH` nor `IP:PORT`")]
    Malformed {
        /// The address.
        address: String,
    },
}

impl ListenAddress {
    /// Reads the `address` key: `unix:PATH`, `tcp:IP:PORT`, `IP:PORT`, or an IP alone when `port` is given. `port` is the
    /// top-level `port` key, which takes the place of the address's port.
    ///
    /// # Errors
    /// [`AddressError`] for anything else: names are not looked up, vsock is for the host API.
    pub fn parse(address: &str, port: Option<u16>) -> Result<Self, AddressError> {
        if address.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some(path) = address.strip_prefix("unix:") {
            return match path.len() {
                0 => Err(AddressError::NoPath),
                length if length > MAX_SOCKET_PATH => Err(AddressError::PathTooLong { length }),
                _ => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        if address.starts_with("vsock:") {
            return Err(AddressError::Vsock { address: address.to_owned() });
        }
        let rest = address.strip_prefix("tcp:").unwrap_or(address);
        if let Ok(mut socket) = rest.parse::<SocketAddr>() {
            if let Some(port) = port {
                socket.set_port(port);
            }
            return Ok(Self::Tcp(socket));
        }
        match (bare_ip(rest), port) {
            (Some(ip), Some(port)) => Ok(Self::Tcp(SocketAddr::new(ip, port))),
            (Some(_), None) => Err(AddressError::NoPort { address: address.to_owned() }),
            (None, _) => Err(AddressError::Malformed { address: address.to_owned() }),
        }
    }

    /// Whether only this machine reaches the address: a unix socket or a loopback address.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(socket) => socket.ip().to_canonical().is_loopback(),
        }
    }

    /// How a client on the same machine reaches the address: `unix:/PATH`, or `http://HOST:PORT` with the loopback
    /// address in place of the unspecified one. `working_dir` is the directory the VMM was started in.
    pub fn endpoint(&self, working_dir: &Path) -> String {
        match self {
            Self::Unix(path) => format!("unix:{}", join_plain(working_dir, path).display()),
            Self::Tcp(socket) => {
                let ip = match socket.ip() {
                    IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                    IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
                    ip => ip,
                };
                format!("http://{}", SocketAddr::new(ip, socket.port()))
            }
        }
    }
}

impl fmt::Display for ListenAddress {
    /// The form `address` takes: `unix:PATH` or `IP:PORT`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(socket) => write!(f, "{socket}"),
        }
    }
}

fn bare_ip(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    inner.parse().ok()
}

/// The path under the directory without `.` segments. `..` stays: without looking at the disk it cannot be taken away,
/// because the segment before it may be a symbolic link.
fn join_plain(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path).components().filter(|part| *part != std::path::Component::CurDir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str, port: Option<u16>) -> String {
        match ListenAddress::parse(address, port) {
            Ok(address) => {
                format!("{address:?} local={} {}", address.is_local(), address.endpoint("/srv/vmm".as_ref()))
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn forms() {
        let long = format!("unix:/{}", "x".repeat(120));
        let shown: Vec<String> = [
            ("unix:./vmm.sock", None),
            ("unix:/run/dstack/vmm.sock", Some(9080)),
            ("127.0.0.1:9080", None),
            ("tcp:0.0.0.0:9080", None),
            ("tcp:0.0.0.0:9080", Some(9443)),
            ("[::]:9080", None),
            ("[::1]:9080", None),
            ("::1", Some(9080)),
            ("[::ffff:127.0.0.1]:9080", None),
            ("192.0.2.7", Some(80)),
            ("192.0.2.7", None),
            ("", None),
            ("unix:", None),
            (&long, None),
            ("vsock:2", Some(10000)),
            ("localhost:9080", None),
            ("http://127.0.0.1:9080", None),
        ]
        .into_iter()
        .map(|(address, port)| format!("{address} {port:?}\n    {}", parse(address, port)))
        .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn what_is_displayed_is_read_again() {
        for text in ["unix:./vmm.sock", "127.0.0.1:9080", "[2001:db8::1]:9080"] {
            let address = ListenAddress::parse(text, None).unwrap();
            assert_eq!(address.to_string(), text);
        }
    }
}
