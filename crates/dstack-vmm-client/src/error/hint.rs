//! The next step after an error.

use dstack_check::{Hint, Hinted};

use super::{ConnectFailure, Error};
use crate::api::{METHODS, Repeat};

impl Hinted for Error {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::InvalidEndpoint { hint, .. } | Self::InvalidRequest { hint, .. } => {
                hint.as_ref().map(|text| Hint::new(text.clone()))
            }
            Self::Connect { endpoint, failure, .. } => Some(connect(endpoint, *failure)),
            Self::Timeout { method, .. } => Some(match repeat(method) {
                Some(Repeat::Unsafe) => Hint::new(format!("{LOOK_FIRST}, or give {method} more time")),
                _ => Hint::from("the VMM is busy or hangs: look at its log, or give the call more time"),
            }),
            Self::Interrupted { method, .. } => Some(match repeat(method) {
                Some(Repeat::Unsafe) => Hint::from(LOOK_FIRST),
                _ => {
                    Hint::from("the VMM may have stopped or restarted: look at its log, then repeat the call")
                }
            }),
            Self::NotHttp { endpoint, source, .. } => Some(not_http(endpoint, &source.to_string())),
            Self::Redirected { location, .. } => Some(match location {
                Some(location) => Hint::new(format!(
                    "redirects are not followed; if that is the VMM, give {location:?} without the method as the endpoint"
                )),
                None => Hint::from("redirects are not followed; give the VMM's own address as the endpoint"),
            }),
            Self::Unauthorized { endpoint, had_credentials, challenge, .. } => {
                Some(unauthorized(endpoint, *had_credentials, challenge.as_deref()))
            }
            Self::Api { .. } => self.api_failure().map(|failure| Hint::from(failure.hint())),
            Self::UnexpectedStatus { status, excerpt, .. } => Some(unexpected_status(*status, excerpt)),
            Self::Undecodable { body, .. } => Some(undecodable(body)),
            Self::TooLarge { .. } => Some(Hint::from(
                "ask for less, for example a page of the list, or raise the limit of the client",
            )),
            Self::NoSuchVm { .. } => Some(Hint::from(super::ApiFailure::VmNotFound.hint())),
        }
    }
}

const LOOK_FIRST: &str = "it may have been carried out: look at the list of VMs before trying again";

fn repeat(method: &str) -> Option<Repeat> {
    METHODS.iter().find(|info| info.name == method).map(|info| info.repeat)
}

fn connect(endpoint: &str, failure: ConnectFailure) -> Hint {
    let unix = endpoint.starts_with("unix:");
    let text = match failure {
        ConnectFailure::NoSocket => {
            "is the VMM running? its socket is the `address` key of vmm.toml, relative to the directory it was started in"
        }
        ConnectFailure::NotASocket => {
            "name the socket itself: the path that stands in the `address` key of vmm.toml"
        }
        ConnectFailure::Refused if unix => {
            "the socket file is left over from a VMM that has stopped; start the VMM: `systemctl start dstack-vmm`"
        }
        ConnectFailure::Refused => {
            "nothing listens there: check the port, and whether the VMM runs and listens on an address that can be reached from here"
        }
        ConnectFailure::PermissionDenied => {
            "run as a user who may write to the socket, often root or a group of its own; look with `ls -l`"
        }
        ConnectFailure::Dns => "check the spelling of the host name, and that this machine can resolve it",
        ConnectFailure::Unreachable => {
            "this machine has no route to the host: check VPN, network and address"
        }
        ConnectFailure::TimedOut => {
            "the host does not answer: a firewall, a wrong address, or a machine that is off"
        }
        ConnectFailure::NotTls => {
            "the server does not speak TLS there: write http:// if it is the VMM itself"
        }
        ConnectFailure::UntrustedCertificate => {
            "give the certificate of the authority that signed it, if this is the right server"
        }
        ConnectFailure::WrongName => "use the name that the certificate is for; the message lists it",
        ConnectFailure::ExpiredCertificate => {
            "renew the server's certificate, and check the clock of this machine"
        }
        ConnectFailure::NoRoots => {
            "install the certificate authorities (package ca-certificates), or give the one that signed the server's certificate"
        }
        ConnectFailure::Tls => "check what listens there, and that it speaks TLS 1.2 or 1.3",
        ConnectFailure::Other => "check that the VMM runs, and what lies between it and this machine",
    };
    Hint::from(text)
}

fn not_http(endpoint: &str, words: &str) -> Hint {
    if words.contains("too large") {
        return Hint::from("its header is longer than any VMM sends: check what listens there");
    }
    if endpoint.starts_with("http:") {
        Hint::from("perhaps it speaks TLS: try https://; otherwise check the port")
    } else {
        Hint::from("check that the VMM's external API listens there, and not another service")
    }
}

fn unauthorized(endpoint: &str, had_credentials: bool, challenge: Option<&str>) -> Hint {
    let vmm = challenge.is_some_and(|challenge| challenge.contains("dstack-vmm"));
    match (had_credentials, vmm, challenge) {
        (false, true, _) => Hint::from("give the API token: one of `auth.tokens` in vmm.toml"),
        (false, false, Some(challenge)) => Hint::new(format!(
            "give credentials; the server asks for {challenge:?}, which may be a proxy before the VMM"
        )),
        (false, false, None) => {
            Hint::from("give the API token of the VMM, or the user and password of the proxy before it")
        }
        (true, true, _) => Hint::new(format!(
            "the token is not one of `auth.tokens` in the vmm.toml of {endpoint}; is it another host's?"
        )),
        (true, false, _) => {
            Hint::from("the credentials are wrong, or a proxy before the VMM wants others than the VMM does")
        }
    }
}

fn unexpected_status(status: u16, excerpt: &str) -> Hint {
    if excerpt.contains("HTTP request was sent to HTTPS") {
        return Hint::from("the server speaks TLS on this port: write https://");
    }
    match status {
        404 | 405 => Hint::from(
            "there is no VMM at this URL: check host, port and the prefix of the path, without /prpc",
        ),
        403 => Hint::from("a proxy or firewall before the VMM forbids the call"),
        413 => Hint::from("a proxy before the VMM limits the size of requests: raise its limit"),
        422 => Hint::from(
            "the VMM lacks a parameter of the request: client and server may be of different versions",
        ),
        429 => Hint::from("a proxy before the VMM limits the rate of requests: wait, then repeat"),
        502..=504 => {
            Hint::from("the proxy does not reach the VMM behind it: check that the VMM runs, then repeat")
        }
        500 => Hint::from("the VMM failed inside: look at its log"),
        _ => Hint::from("check that the URL is that of a VMM"),
    }
}

fn undecodable(body: &[u8]) -> Hint {
    let start = body.trim_ascii_start();
    let html = start.first() == Some(&b'<');
    if body.is_empty() {
        Hint::from(
            "something before the VMM swallowed the answer: check the proxy, and look whether the call was carried out",
        )
    } else if body.starts_with(&[0x1f, 0x8b]) {
        Hint::from(
            "the answer is compressed, which was not asked for: switch compression off in the proxy before the VMM",
        )
    } else if html {
        Hint::from("the answer is a web page: check the URL, and whether a login page stands before the VMM")
    } else if start.first().is_some_and(|byte| matches!(byte, b'{' | b'[')) {
        Hint::from("the answer is cut short or of another version; compare the versions of client and server")
    } else {
        Hint::from("check that the URL is that of a VMM")
    }
}
