//! Host names, and whether a certificate is for one (RFC 9525).

use std::fmt;
use std::net::IpAddr;

use super::RaTlsCertificate;

/// A DNS name or an IP address by which a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// A DNS name in lower case without a dot at its end.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

impl HostName {
    /// The host of this text: an IP address, in brackets or not, or else a DNS name.
    pub fn new(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        match bare.parse() {
            Ok(address) => Self::Ip(address),
            Err(_) => Self::Dns(text.trim_end_matches('.').to_ascii_lowercase()),
        }
    }

    pub(super) fn is_covered_by(&self, certificate: &RaTlsCertificate) -> bool {
        match self {
            Self::Ip(address) => certificate.ip_addresses.contains(address),
            Self::Dns(name) => certificate.dns_names.iter().any(|pattern| matches(pattern, name)),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// Whether a name is one that the pattern stands for. A star stands for exactly one label, the first.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.trim_end_matches('.').to_ascii_lowercase();
    if let Some(parent) = pattern.strip_prefix("*.") {
        let rest = name.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, rest)| rest);
        // A star over a whole top-level domain stands for nothing.
        return parent.contains('.') && rest == Some(parent);
    }
    !name.is_empty() && pattern == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_label() {
        assert!(matches("a.Example.com", "a.example.com"));
        assert!(matches("*.example.com.", "a.example.com"));
        for name in ["example.com", "b.a.example.com", ".example.com", "", "a.example.org"] {
            assert!(!matches("*.example.com", name), "{name}");
        }
        assert!(!matches("*.com", "example.com"));
        assert!(!matches("*", "example"));
        assert!(!matches("", ""));
    }

    #[test]
    fn addresses_are_not_names() {
        assert_eq!(HostName::new("192.0.2.7"), HostName::Ip([192, 0, 2, 7].into()));
        assert_eq!(HostName::new("[2001:db8::1]").to_string(), "2001:db8::1");
        assert_eq!(HostName::new("App.Example.com.").to_string(), "app.example.com");
    }
}
