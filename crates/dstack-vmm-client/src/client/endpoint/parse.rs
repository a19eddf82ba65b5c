//! From a text to an endpoint.

use std::path::PathBuf;
use std::str::FromStr;

use super::{Endpoint, Target};
use crate::error::{Error, Result};

/// The longest path that fits the kernel's `sockaddr_un`, without the closing NUL.
const MAX_SOCKET_PATH: usize = if cfg!(any(target_os = "macos", target_os = "ios")) { 103 } else { 107 };

impl FromStr for Endpoint {
    type Err = Error;

    /// Reads one of the forms of the table above.
    ///
    /// # Errors
    /// [`Error::InvalidEndpoint`], with a hint where the intended form can be guessed. The error does not repeat a
    /// password that stood in the text.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(invalid("", "it is empty", Some(FORMS)));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(without_scheme(text));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "unix" => unix(rest.strip_prefix("//").unwrap_or(rest), text),
            "http" => tcp(false, rest, text),
            "https" => tcp(true, rest, text),
            "vsock" => Err(invalid(
                text,
                "the VMM serves only its host API over vsock, and only to its guests",
                Some("give the VMM's external listener instead: the `address` key of its vmm.toml"),
            )),
            "tcp" => Err(invalid(
                &without_userinfo(text),
                "`tcp:` is a form of the server's configuration, not of a URL",
                // What a server listens on is not always what a client can connect to.
                Some(&format!(
                    "write http://{}",
                    without_userinfo(rest.trim_start_matches('/')).replace("0.0.0.0", "127.0.0.1")
                )),
            )),
            _ if rest.starts_with("//") => Err(invalid(
                &without_userinfo(text),
                &format!("the scheme {scheme}: is not supported"),
                Some(FORMS),
            )),
            _ => Err(without_scheme(text)),
        }
    }
}

const FORMS: &str = "write unix:/path/to/vmm.sock, http://host:port or https://host";

pub(super) fn unix(path: &str, text: &str) -> Result<Endpoint> {
    if path.is_empty() {
        return Err(invalid(text, "the path of the socket is missing", Some(FORMS)));
    }
    if path.starts_with('@') {
        return Err(invalid(text, "abstract sockets are not supported", Some(FORMS)));
    }
    if !path.starts_with('/') {
        return Err(invalid(
            text,
            "the path of the socket is relative, and the VMM resolves it against its own working directory",
            Some("give the absolute path, such as unix:/run/dstack/vmm.sock"),
        ));
    }
    if path.ends_with(char::is_whitespace) {
        return Err(invalid(text, "the path of the socket ends in white space", None));
    }
    // The kernel does not tell `//run` from `/run`, and `unix://run` would read as a relative path.
    let path = format!("/{}", path.trim_start_matches('/'));
    if path.contains('\0') {
        return Err(invalid(text, "the path of the socket holds a NUL byte", None));
    }
    if path.len() > MAX_SOCKET_PATH {
        return Err(invalid(
            text,
            &format!(
                "the path of the socket has {} bytes, more than the {MAX_SOCKET_PATH} a socket address holds",
                path.len()
            ),
            Some("reach it by a shorter path, for example through a symbolic link to its directory"),
        ));
    }
    Ok(Endpoint { target: Target::Unix(PathBuf::from(&path)), text: format!("unix:{path}") })
}

fn tcp(tls: bool, rest: &str, text: &str) -> Result<Endpoint> {
    let scheme = if tls { "https" } else { "http" };
    let Some(rest) = rest.strip_prefix("//") else {
        let place = without_userinfo(rest);
        return Err(invalid(
            &without_userinfo(text),
            "there is no // after the scheme",
            Some(&format!("write {scheme}://{place}")),
        ));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err(invalid(
            &without_userinfo(text),
            "it holds a user name or password, which would end up in logs",
            Some("leave them out of the URL and give them as credentials"),
        ));
    }
    if path.contains(['?', '#']) {
        let shown = &text[..text.find(['?', '#']).unwrap_or(text.len())];
        return Err(invalid(
            shown,
            "it has a query or a fragment",
            Some("give the base URL alone; a token goes into the credentials"),
        ));
    }
    if authority.is_empty() {
        return Err(invalid(text, "the host is missing", Some(FORMS)));
    }
    let (host, port) = host_and_port(authority, text)?;
    let port = port.unwrap_or(if tls { 443 } else { 80 });
    let prefix = path.trim_end_matches('/');
    let endpoint = Endpoint {
        target: Target::Tcp {
            tls,
            host: host.to_owned(),
            port,
            authority: authority.to_owned(),
            prefix: prefix.to_owned(),
        },
        text: format!("{scheme}://{authority}{prefix}"),
    };
    // What remains to be checked, such as spaces and control characters, is the URI grammar's business.
    if let Err(error) = endpoint.uri("/") {
        return Err(invalid(text, &format!("it is not a URL: {error}"), None));
    }
    Ok(endpoint)
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`.
fn host_and_port<'a>(authority: &'a str, text: &str) -> Result<(&'a str, Option<u16>)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err(invalid(text, "the bracket of the IPv6 address is not closed", None));
        };
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(invalid(text, "what stands in brackets is not an IPv6 address", None));
        }
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(invalid(text, "something other than a port follows the IPv6 address", None)),
        }
    } else {
        if authority.matches(':').count() > 1 {
            return Err(invalid(
                text,
                "an IPv6 address stands without brackets",
                Some("write it as http://[2001:db8::1]:9080"),
            ));
        }
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err(invalid(text, "the host is missing", Some(FORMS)));
    }
    let port = match port {
        None => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(number) if number > 0 => Some(number),
            _ => {
                let reason = format!("{digits:?} is not a port, a number from 1 to 65535");
                return Err(invalid(text, &reason, None));
            }
        },
    };
    Ok((host, port))
}

fn without_scheme(text: &str) -> Error {
    let shown = without_userinfo(text);
    let hint = if shown.starts_with('/') {
        format!("for a unix socket write unix:{shown}")
    } else if shown.starts_with('.') || shown.ends_with(".sock") {
        "for a unix socket write unix: and its absolute path".to_owned()
    } else {
        format!("write http://{shown}, or https:// where the VMM stands behind TLS")
    };
    invalid(&shown, "it has no scheme", Some(&hint))
}

/// The text with everything before an `@` of its authority taken out, so that an error can show it.
fn without_userinfo(text: &str) -> String {
    match text.rfind('@') {
        None => text.to_owned(),
        Some(at) => {
            let start = text.find("://").filter(|start| start + 3 <= at).map_or(0, |start| start + 3);
            format!("{}{}", &text[..start], &text[at + 1..])
        }
    }
}

pub(super) fn invalid(endpoint: &str, reason: &str, hint: Option<&str>) -> Error {
    Error::InvalidEndpoint {
        endpoint: endpoint.to_owned(),
        reason: reason.to_owned(),
        hint: hint.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn the_forms_that_work() {
        for (text, shown) in [
            ("unix:/run/vmm.sock", "unix:/run/vmm.sock"),
            ("unix:///run/vmm.sock", "unix:/run/vmm.sock"),
            ("unix:////run//vmm.sock", "unix:/run//vmm.sock"),
            (" unix:/run/a b.sock\n", "unix:/run/a b.sock"),
            ("http://localhost:9080", "http://localhost:9080"),
            ("HTTP://localhost:9080/", "http://localhost:9080"),
            ("https://vmm.example.com/node/a//", "https://vmm.example.com/node/a"),
            ("http://[::1]:9080", "http://[::1]:9080"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]"),
        ] {
            assert_eq!(parsed(text).to_string(), shown, "{text:?}");
            assert_eq!(parsed(shown), parsed(text));
        }
    }

    #[test]
    fn uris_carry_the_prefix_and_an_authority() {
        let uri = |text: &str| parsed(text).uri("/prpc/Version?json").unwrap().to_string();
        assert_eq!(uri("unix:/run/vmm.sock"), "http://localhost/prpc/Version?json");
        assert_eq!(uri("https://vmm.example.com/a/"), "https://vmm.example.com/a/prpc/Version?json");
        assert_eq!(uri("http://[::1]:80"), "http://[::1]:80/prpc/Version?json");
    }

    #[test]
    fn ports_and_cleartext() {
        assert_eq!(parsed("https://a.example.com").host_port(), Some(("a.example.com", 443)));
        assert_eq!(parsed("http://[::1]").host_port(), Some(("::1", 80)));
        assert!(parsed("http://192.0.2.1").is_cleartext_remote());
        assert!(!parsed("http://127.0.0.9").is_cleartext_remote());
        assert!(!parsed("http://[::1]").is_cleartext_remote());
        assert!(!parsed("https://192.0.2.1").is_cleartext_remote());
        assert!(!parsed("unix:/run/vmm.sock").is_cleartext_remote());
    }

    #[test]
    fn what_is_refused_says_why_and_what_to_write() {
        let long = format!("unix:/{}", "a".repeat(200));
        let mut table = String::new();
        for text in [
            "",
            "localhost:9080",
            "192.0.2.1:9080",
            "/run/vmm.sock",
            "./vmm.sock",
            "unix:",
            "unix:vmm.sock",
            "unix:./vmm.sock",
            "unix://vmm.sock",
            "unix:@vmm",
            &long,
            "http:localhost",
            "http://",
            "http://:9080",
            "http://user:hunter2@host/",
            "user:hunter2@host:80",
            "http://host/?token=hunter2",
            "http://host:0",
            "http://host:99999",
            "http://2001:db8::1:9080",
            "http://[2001:db8::1",
            "http://[hello]",
            "http://[::1]9080",
            "http://ho st/",
            "tcp:0.0.0.0:9080",
            "vsock:2:10000",
            "vsock://2:8000/api",
            "ssh://host",
            "ftp://host",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            let hint = dstack_check::Hinted::hint(&error).map_or("-".to_owned(), |hint| hint.to_string());
            table.push_str(&format!("{error}\n    hint: {hint}\n"));
        }
        assert!(!table.contains("hunter2"), "{table}");
        insta::assert_snapshot!(table);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_parses_parses_again(text in "\\PC{0,40}|(http|https|unix|tcp)(:|://)[a-z0-9.:@/?#\\[\\]-]{0,30}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse::<Endpoint>().unwrap(), endpoint);
            }
        }
    }
}
