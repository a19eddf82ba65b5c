//! The small grammars of a project file: ports, sizes, names, endpoints.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::api::PortMapping;

/// Transport of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no value of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ValueError {
    /// What is wrong with it.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl ValueError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl FromStr for Protocol {
    type Err = ValueError;

    /// Reads `tcp` or `udp`, in lower case as the VMM wants it.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => {
                let error = ValueError::new(format!("protocol {text:?} is neither tcp nor udp"));
                let lower = text.to_ascii_lowercase();
                Err(if matches!(lower.as_str(), "tcp" | "udp") {
                    error.hint(format!("write it in lower case: {lower}"))
                } else {
                    error
                })
            }
        }
    }
}

/// A port of the CVM that its host publishes: `tcp:8080:80`, `tcp:127.0.0.1:8080:80`, `udp:[::1]:9000:9000`.
///
/// Parts are protocol, optional host address, host port, port in the CVM. Without an address the node's default
/// (`cvm.port_mapping.address`) applies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortSpec {
    /// Transport.
    pub protocol: Protocol,
    /// Address on the host; `None` for the node's default.
    pub host_address: Option<IpAddr>,
    /// Port on the host, from 1.
    pub host_port: u16,
    /// Port in the CVM, from 1.
    pub vm_port: u16,
}

impl PortSpec {
    /// The message for the wire. An absent address is empty there, which `UpdateVm` refuses.
    pub fn to_mapping(&self) -> PortMapping {
        PortMapping {
            protocol: self.protocol.as_str().to_owned(),
            host_port: self.host_port.into(),
            vm_port: self.vm_port.into(),
            host_address: self.host_address.map(|address| address.to_string()).unwrap_or_default(),
        }
    }

    /// Reads a message of the wire.
    ///
    /// # Errors
    /// What in it no port mapping can have.
    pub fn from_mapping(mapping: &PortMapping) -> Result<Self, ValueError> {
        let address = match mapping.host_address.as_str() {
            "" => None,
            text => Some(address(text)?),
        };
        Ok(Self {
            protocol: mapping.protocol.parse()?,
            host_address: address,
            host_port: port_number("host port", i64::from(mapping.host_port))?,
            vm_port: port_number("vm port", i64::from(mapping.vm_port))?,
        })
    }

    /// Whether both cannot be published on one host: same protocol and host port, and addresses that are equal or of which one is
    /// the unspecified one. An absent address is taken to be `default`.
    pub fn clashes_with(&self, other: &Self, default: Option<IpAddr>) -> bool {
        if (self.protocol, self.host_port) != (other.protocol, other.host_port) {
            return false;
        }
        match (self.host_address.or(default), other.host_address.or(default)) {
            (Some(a), Some(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
            (None, None) => true,
            (Some(known), None) | (None, Some(known)) => known.is_unspecified(),
        }
    }

    /// Whether this is the mapping asked for by `wanted`: an address that was not asked for may be any.
    pub fn satisfies(&self, wanted: &Self) -> bool {
        let address = wanted.host_address.is_none() || wanted.host_address == self.host_address;
        address
            && (self.protocol, self.host_port, self.vm_port)
                == (wanted.protocol, wanted.host_port, wanted.vm_port)
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.protocol)?;
        match self.host_address {
            Some(IpAddr::V4(v4)) => write!(f, "{v4}:")?,
            Some(IpAddr::V6(v6)) => write!(f, "[{v6}]:")?,
            None => {}
        }
        write!(f, "{}:{}", self.host_port, self.vm_port)
    }
}

impl FromStr for PortSpec {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        const FORM: &str =
            "write protocol:host-port:vm-port or protocol:address:host-port:vm-port, such as tcp:8080:80";
        let (protocol, rest) = text
            .split_once(':')
            .ok_or_else(|| ValueError::new(format!("{text:?} is not a port mapping")).hint(FORM))?;
        let protocol = protocol.parse()?;
        let (host_address, ports) = if let Some(bracketed) = rest.strip_prefix('[') {
            let (inside, after) = bracketed.split_once("]:").ok_or_else(|| {
                ValueError::new(format!("the address in {text:?} has no closing bracket")).hint(FORM)
            })?;
            (Some(address(inside)?), after)
        } else {
            match rest.matches(':').count() {
                1 => (None, rest),
                2 => {
                    let (inside, after) = rest.split_once(':').unwrap_or((rest, ""));
                    (Some(address(inside)?), after)
                }
                0 => {
                    return Err(
                        ValueError::new(format!("{text:?} names one port, two are needed")).hint(FORM)
                    );
                }
                _ => {
                    return Err(ValueError::new(format!("{text:?} has too many colons"))
                        .hint("put an IPv6 address between brackets, such as tcp:[::1]:8443:443"));
                }
            }
        };
        let (host, vm) = ports
            .split_once(':')
            .ok_or_else(|| ValueError::new(format!("{text:?} does not end in two ports")).hint(FORM))?;
        let number = |what: &str, digits: &str| -> Result<u16, ValueError> {
            let value: i64 = digits
                .parse()
                .map_err(|_| ValueError::new(format!("{what} {digits:?} is not a number")).hint(FORM))?;
            port_number(what, value)
        };
        Ok(Self {
            protocol,
            host_address,
            host_port: number("host port", host)?,
            vm_port: number("vm port", vm)?,
        })
    }
}

/// A port number that fits its field.
pub(crate) fn port_number(what: &str, value: i64) -> Result<u16, ValueError> {
    match u16::try_from(value) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(ValueError::new(format!("{what} {value} is not between 1 and 65535"))),
    }
}

/// An address literal.
pub(crate) fn address(text: &str) -> Result<IpAddr, ValueError> {
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| {
        ValueError::new(format!("host address {text:?} is not an IP address"))
            .hint("the VMM takes an address literal, not a host name: 127.0.0.1, 0.0.0.0, [::1]")
    })
}

/// What a size without a unit is counted in, and what it must be a whole number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SizeUnit {
    /// 1024² bytes: memory.
    Mib,
    /// 1024³ bytes: disks.
    Gib,
    /// Bytes: swap.
    Byte,
}

impl SizeUnit {
    const fn bytes(self) -> u128 {
        match self {
            Self::Byte => 1,
            Self::Mib => 1 << 20,
            Self::Gib => 1 << 30,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Byte => "bytes",
            Self::Mib => "MiB",
            Self::Gib => "GiB",
        }
    }
}

/// Reads `2G`, `1.5 GiB`, `2048M`, `20`: a number and a binary unit (K, M, G, T), in whole `unit`s of at least one.
pub(crate) fn size(text: &str, unit: SizeUnit) -> Result<u64, ValueError> {
    let form = || format!("write a whole number of {} or a size such as 2G or 2048M", unit.name());
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, suffix) = trimmed.split_at(split);
    let scale = match suffix.trim().to_ascii_uppercase().as_str() {
        "" => unit.bytes(),
        "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1 << 40,
        other => {
            return Err(ValueError::new(format!("size {text:?} has the unknown unit {other:?}")).hint(form()));
        }
    };
    let bad = || ValueError::new(format!("{text:?} is not a size")).hint(form());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 15 || fraction.len() > 9 || number.ends_with('.') {
        return Err(bad());
    }
    let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| bad())?;
    let divisor = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0)) * unit.bytes();
    let scaled = digits * scale;
    if !scaled.is_multiple_of(divisor) {
        return Err(
            ValueError::new(format!("size {text:?} is not a whole number of {}", unit.name())).hint(form())
        );
    }
    u64::try_from(scaled / divisor).map_err(|_| bad())
}

/// The characters that a VMM takes in the name of a VM beside ASCII letters and digits (upstream `vmm/src/main_service.rs`).
pub(crate) const NAME_PUNCTUATION: &str = "-_. @~!$^()";

/// Whether a VMM takes this as the name of a VM.
pub(crate) fn check_name(name: &str) -> Result<(), ValueError> {
    if name.trim().is_empty() {
        return Err(
            ValueError::new("the name is empty").hint("a VM is found again by its name, so it needs one")
        );
    }
    match name.chars().find(|c| !c.is_ascii_alphanumeric() && !NAME_PUNCTUATION.contains(*c)) {
        Some(c) => Err(ValueError::new(format!("the VMM refuses {c:?} in a name"))
            .hint(format!("use ASCII letters, digits and {NAME_PUNCTUATION:?}"))),
        None => Ok(()),
    }
}

/// Whether a VMM takes this as the name of a guest image.
pub(crate) fn check_image(image: &str) -> Result<(), ValueError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if image.is_empty() || image.len() > 64 || image.contains("..") || !image.chars().all(plain) {
        return Err(ValueError::new(format!("{image:?} is not the name of a guest image"))
            .hint("it is the name of a directory on the host, such as dstack-0.5.11: at most 64 letters, digits, `_`, `-` and `.`"));
    }
    Ok(())
}

/// Whether a guest takes this as the name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*`, at most 255 bytes.
pub(crate) fn check_env_name(name: &str) -> Result<(), ValueError> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if first && name.len() <= 255 && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(ValueError::new(format!("{name:?} is not a name of an environment variable that the guest takes"))
        .hint("use letters, digits and `_`, not beginning with a digit, at most 255 characters"))
}

/// An app id as 40 lower-case hex digits, from hex with or without `0x`.
pub(crate) fn app_id(text: &str) -> Result<String, ValueError> {
    let digits = text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase();
    if digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    Err(ValueError::new(format!("app id {text:?} is not 20 bytes in hex"))
        .hint("40 hex digits, with or without 0x"))
}

/// Whether this can be the endpoint of a VMM: `unix:/run/dstack/vmm.sock`, `http://…`, `https://…`.
pub(crate) fn check_endpoint(endpoint: &str) -> Result<(), ValueError> {
    let bad = |why: &str| ValueError::new(format!("endpoint {endpoint:?} {why}"));
    if let Some(path) = endpoint.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return if path.is_empty() || path.ends_with('/') {
            Err(bad("names no socket").hint("unix:/run/dstack/vmm.sock"))
        } else if path.starts_with('/') {
            Ok(())
        } else {
            Err(bad("has a relative path, which means another file in each directory").hint(format!(
                "write the whole path, such as unix:/run/dstack/{}",
                path.trim_start_matches("./")
            )))
        };
    }
    let Some(rest) = ["http://", "https://"].iter().find_map(|scheme| endpoint.strip_prefix(scheme)) else {
        let error = bad("is not one a VMM can be reached at");
        return Err(if endpoint.contains("://") {
            error.hint("use unix:/path, http://host:port or https://host:port")
        } else if endpoint.starts_with('/') {
            error.hint(format!("put unix: before it: unix:{endpoint}"))
        } else {
            error.hint(format!("put the scheme before it: http://{endpoint}"))
        });
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if authority.is_empty() {
        return Err(bad("names no host"));
    }
    if authority.contains('@') {
        return Err(bad("carries credentials").hint("name a token_file or token_env instead"));
    }
    if !authority.starts_with('[') && authority.matches(':').count() > 1 {
        return Err(bad("has an IPv6 address without brackets").hint("http://[::1]:9080"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
