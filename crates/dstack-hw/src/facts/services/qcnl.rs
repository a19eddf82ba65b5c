//! `/etc/sgx_default_qcnl.conf`: where the collateral client looks for certificates.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::HostSource;
use super::jsonc::{self, JsoncError, SuperfluousComma};
use crate::source::{Probe, ProbeOutput};
use crate::{Fact, Unread};

/// The settings of the collateral client (QCNL), as far as they decide whether it works. Keys and headers are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Qcnl {
    /// The form of the file.
    pub format: QcnlFormat,
    /// `pccs_url`: where PCK certificates come from.
    pub pccs_url: Option<CollateralUrl>,
    /// `pccs_url` is there and cannot be used; what is wrong.
    pub pccs_url_error: Option<String>,
    /// `collateral_service`: where TCB information and identities come from, when not from `pccs_url`.
    pub collateral_service: Option<CollateralUrl>,
    /// `use_secure_cert`: refuse a certificate that no known authority signed. The library takes yes where it is not set.
    pub use_secure_cert: Option<bool>,
    /// `retry_times`.
    pub retry_times: Option<i64>,
    /// `retry_delay`, seconds.
    pub retry_delay: Option<i64>,
    /// `pck_cache_expire_hours`.
    pub pck_cache_expire_hours: Option<i64>,
    /// `local_cache_only`: nothing is fetched.
    pub local_cache_only: Option<bool>,
    /// Are there headers of one's own (`custom_request_options`)? They may carry a subscription key.
    pub own_headers: bool,
    /// Settings with a value of the wrong kind, which the library passes over.
    pub wrong_kind: Vec<&'static str>,
    /// Commas that JSON does not allow.
    pub superfluous_commas: Vec<SuperfluousComma>,
}

/// The form of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QcnlFormat {
    /// JSON with comments, since DCAP 1.13.
    #[default]
    Json,
    /// `NAME=value` lines, before.
    Lines,
}

/// A file that the collateral client cannot use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QcnlError {
    /// It is neither JSON with comments nor lines of the old form.
    #[error("not readable as JSON with comments: {0}")]
    NotJson(#[from] JsoncError),
    /// It is JSON, but no object.
    #[error("the outermost value is not an object")]
    NotAnObject,
}

impl From<Result<Qcnl, QcnlError>> for Fact<Qcnl> {
    fn from(parsed: Result<Qcnl, QcnlError>) -> Self {
        match parsed {
            Ok(config) => Self::Known(config),
            Err(error) => Self::Unread(Unread::Failed(error.to_string())),
        }
    }
}

impl Qcnl {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`QcnlError`] with line and column.
    pub fn parse(text: &str) -> Result<Self, QcnlError> {
        let read = match jsonc::parse(text) {
            Ok(read) => read,
            Err(error) => return Self::parse_lines(text).ok_or_else(|| error.into()),
        };
        let object = read.value.as_object().ok_or(QcnlError::NotAnObject)?;
        let mut config = Self { superfluous_commas: read.commas, ..Self::default() };
        let wrong = std::cell::RefCell::new(Vec::new());
        let text_of = |name: &'static str| match object.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                wrong.borrow_mut().push(name);
                None
            }
            None => None,
        };
        let flag = |name: &'static str| match object.get(name) {
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => {
                wrong.borrow_mut().push(name);
                None
            }
            None => None,
        };
        let number = |name: &'static str| match object.get(name) {
            Some(value) if value.is_i64() || value.is_u64() => value.as_i64(),
            Some(_) => {
                wrong.borrow_mut().push(name);
                None
            }
            None => None,
        };
        if let Some(url) = text_of("pccs_url") {
            config.set_pccs_url(&url);
        }
        config.collateral_service =
            text_of("collateral_service").and_then(|url| CollateralUrl::parse(&url).ok());
        config.use_secure_cert = flag("use_secure_cert");
        config.local_cache_only = flag("local_cache_only");
        config.retry_times = number("retry_times");
        config.retry_delay = number("retry_delay");
        config.pck_cache_expire_hours = number("pck_cache_expire_hours");
        config.own_headers = object.contains_key("custom_request_options");
        config.wrong_kind = wrong.into_inner();
        Ok(config)
    }

    /// The form before DCAP 1.13.
    fn parse_lines(text: &str) -> Option<Self> {
        let mut config = Self { format: QcnlFormat::Lines, ..Self::default() };
        let mut found = false;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some(("PCCS_URL", url)) => {
                    config.set_pccs_url(url);
                    found = true;
                }
                Some(("USE_SECURE_CERT", value)) => {
                    config.use_secure_cert = Some(!value.eq_ignore_ascii_case("false"));
                    found = true;
                }
                _ => {}
            }
        }
        found.then_some(config)
    }

    fn set_pccs_url(&mut self, url: &str) {
        match CollateralUrl::parse(url) {
            Ok(url) => self.pccs_url = Some(url),
            Err(why) => self.pccs_url_error = Some(why.to_owned()),
        }
    }

    /// Does the library check who signed the server's certificate?
    pub fn checks_certificates(&self) -> bool {
        self.use_secure_cert.unwrap_or(true)
    }
}

/// An address of a collateral service: nothing but scheme, host, port and path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
#[non_exhaustive]
pub struct CollateralUrl {
    /// `https` rather than `http`.
    pub secure: bool,
    /// Host name or address, IPv6 in brackets, lower case.
    pub host: String,
    /// The port, where it is written.
    pub port: Option<u16>,
    /// The path, with its slash at the beginning; empty where there is none.
    pub path: String,
}

impl CollateralUrl {
    /// Reads a URL. User, query and fragment are dropped: they may be secrets, and are not needed.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.len() > 2048 {
            return Err("is longer than 2048 bytes");
        }
        let (scheme, rest) = text.split_once("://").ok_or("has no scheme such as https://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("is neither http nor https"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match authority.rfind(']') {
            Some(end) => (authority.get(..=end), authority.get(end + 1..).unwrap_or_default()),
            None => match authority.split_once(':') {
                Some((host, _)) => (Some(host), authority.get(host.len()..).unwrap_or_default()),
                None => (Some(authority), ""),
            },
        };
        let host = host.unwrap_or_default().to_ascii_lowercase();
        let named =
            host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        let numbered = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        if host.is_empty() || !(named || numbered) {
            return Err("names no host");
        }
        let port = match port.strip_prefix(':') {
            Some(port) => {
                Some(port.parse().ok().filter(|port| *port != 0).ok_or("has no port after the colon")?)
            }
            None if port.is_empty() => None,
            None => return Err("names no host"),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%+".contains(&byte);
        if !path.bytes().all(plain) {
            return Err("has characters in its path that no such service uses");
        }
        Ok(Self { secure, host, port, path: path.to_owned() })
    }

    /// Is it this machine?
    pub fn is_local(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The port, written or by the scheme.
    pub fn effective_port(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// Is it Intel's own service, which gives PCK certificates to subscribers only?
    pub fn is_intel(&self) -> bool {
        self.host.ends_with(".trustedservices.intel.com")
    }

    /// The URL of the root certificate's revocation list: a public document that every such service has.
    pub fn root_crl(&self) -> String {
        format!("{}/rootcacrl", self.to_string().trim_end_matches('/'))
    }

    /// Does the path name a version of the certification API, as in `/sgx/certification/v4/`?
    pub fn has_api_path(&self) -> bool {
        self.path
            .split('/')
            .any(|part| part.strip_prefix('v').is_some_and(|version| version.parse::<u8>().is_ok()))
    }
}

impl fmt::Display for CollateralUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

impl From<CollateralUrl> for String {
    fn from(url: CollateralUrl) -> Self {
        url.to_string()
    }
}

/// What a collateral service answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct CollateralAnswer {
    /// The URL that was asked.
    pub url: String,
    /// The HTTP status. `None` where no answer came.
    pub status: Option<u16>,
    /// The exit status of `curl` (6 name not found, 7 refused, 28 timed out, 35 TLS).
    pub curl: Option<i32>,
    /// What checking the server's certificate would have said: 0 is good, 18 and 19 are self-signed (the codes of
    /// OpenSSL). `None` where TLS was not reached.
    pub tls_verify: Option<u32>,
}

impl CollateralAnswer {
    fn of(url: String, output: &ProbeOutput) -> Self {
        let status = output.stdout.trim().parse().ok().filter(|status| (100..600).contains(status));
        let tls_verify = output
            .stderr
            .lines()
            .find_map(|line| line.trim().strip_prefix("tls-verify-result ")?.trim().parse().ok())
            .filter(|_| status.is_some() && url.starts_with("https:"));
        Self { url, status, curl: output.status, tls_verify }
    }
}

pub(super) fn ask(source: &dyn HostSource, qcnl: &Fact<Qcnl>) -> Fact<CollateralAnswer> {
    let url = match qcnl {
        Fact::Known(config) => match &config.pccs_url {
            Some(url) => url.root_crl(),
            None => return Fact::Absent,
        },
        Fact::Absent => return Fact::Absent,
        Fact::Unread(why) => return Fact::Unread(why.clone()),
    };
    match source.probe(&Probe::CollateralService { url: url.clone() }) {
        Ok(output) => Fact::Known(CollateralAnswer::of(url, &output)),
        Err(Unread::Absent) => Fact::Unread(Unread::Failed("curl is not installed".to_owned())),
        Err(why) => Fact::Unread(why),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_shipped_file() {
        let text = r#"{
          // PCCS server address
          "pccs_url": "https://localhost:8081/sgx/certification/v4/"
          // To accept insecure HTTPS certificate, set this option to false
          ,"use_secure_cert": false
          ,"retry_times": 6
          ,"retry_delay": 10
          ,"pck_cache_expire_hours": 168
        }"#;
        let config = Qcnl::parse(text).unwrap();
        let url = config.pccs_url.clone().unwrap();
        assert!(url.is_local() && url.has_api_path());
        assert_eq!(url.root_crl(), "https://localhost:8081/sgx/certification/v4/rootcacrl");
        assert_eq!(config.use_secure_cert, Some(false));
        assert_eq!((config.retry_times, config.pck_cache_expire_hours), (Some(6), Some(168)));
        assert!(config.wrong_kind.is_empty());
    }

    #[test]
    fn the_old_form() {
        let config = Qcnl::parse("# PCCS server address\nPCCS_URL=https://localhost:8081/sgx/certification/v3/\nUSE_SECURE_CERT=FALSE\n").unwrap();
        assert_eq!(config.format, QcnlFormat::Lines);
        assert_eq!(config.use_secure_cert, Some(false));
        assert!(config.pccs_url.is_some());
    }

    #[test]
    fn values_of_the_wrong_kind_are_named() {
        let config =
            Qcnl::parse(r#"{"use_secure_cert": "false", "retry_times": "6", "pccs_url": 1}"#).unwrap();
        assert_eq!(config.wrong_kind, ["pccs_url", "use_secure_cert", "retry_times"]);
        assert!(config.checks_certificates());
        assert_eq!(Qcnl::parse("[]"), Err(QcnlError::NotAnObject));
    }

    #[test]
    fn a_url_keeps_no_secrets() {
        let url =
            CollateralUrl::parse("https://user:secret@PCCS.example.com:8443/a/v4/?key=secret#x").unwrap();
        assert_eq!(url.to_string(), "https://pccs.example.com:8443/a/v4/");
        assert!(!url.is_local());
        assert!(CollateralUrl::parse("https://[::1]:8081/x").unwrap().is_local());
        assert_eq!(CollateralUrl::parse("https://localhost").unwrap().effective_port(), 443);
        for wrong in [
            "",
            "localhost:8081",
            "ftp://x/",
            "https://",
            "https://a b/",
            "https://x:port/",
            "https://x/'$(id)",
        ] {
            assert!(CollateralUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_is_a_status_or_why_not() {
        let output =
            |status, stdout: &str| ProbeOutput { status, stdout: stdout.to_owned(), stderr: String::new() };
        assert_eq!(CollateralAnswer::of(String::new(), &output(Some(0), "200")).status, Some(200));
        assert_eq!(CollateralAnswer::of(String::new(), &output(Some(7), "000")).status, None);
        let self_signed = ProbeOutput {
            status: Some(0),
            stdout: "200".to_owned(),
            stderr: "tls-verify-result 18\n".to_owned(),
        };
        assert_eq!(CollateralAnswer::of("https://localhost/".to_owned(), &self_signed).tls_verify, Some(18));
        assert_eq!(CollateralAnswer::of("http://localhost/".to_owned(), &self_signed).tls_verify, None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,300}") {
            let _ = Qcnl::parse(&text);
            if let Ok(url) = CollateralUrl::parse(&text) {
                prop_assert_eq!(CollateralUrl::parse(&url.to_string()), Ok(url));
            }
        }

        #[test]
        fn a_url_survives(host in "[a-z]{1,8}(\\.[a-z]{1,6}){0,2}", port: Option<u16>, path in "(/[a-z0-9]{0,5}){0,4}") {
            let port = port.filter(|port| *port != 0);
            let url = CollateralUrl { secure: true, host, port, path };
            prop_assert_eq!(CollateralUrl::parse(&url.to_string()), Ok(url));
        }
    }
}
