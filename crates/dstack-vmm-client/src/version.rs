//! Versions of dstack, as data.
//!
//! Everything in which the supported versions differ is a row of [`Capabilities`]; code asks the row instead of comparing
//! version numbers.

use std::fmt;

/// A line of dstack that this crate knows: its wire protocol, its validation and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DstackVersion {
    /// The stable line, as of tag `v0.5.11`.
    V0_5,
    /// The coming 0.6, as of branch `next` at `312dc605`.
    Next,
}

/// What a version of the VMM and its guest can do, and where its limits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The version that the row was read from, as the server reports it.
    pub reference: &'static str,
    /// The whole external API asks for credentials. Otherwise only `GET /logs` does.
    pub auth_covers_rpc: bool,
    /// A request may carry several networks, and a VM reports its interfaces.
    pub multiple_networks: bool,
    /// Clashing host ports are refused when the VM is made. Otherwise QEMU fails at start.
    pub port_conflicts_refused: bool,
    /// `manifest_version` may be a string. Otherwise it must be an integer.
    pub manifest_version_as_string: bool,
    /// The largest app-compose the guest boots with, in bytes.
    pub max_app_compose_bytes: usize,
    /// The largest user config the guest boots with, in bytes.
    pub max_user_config_bytes: usize,
    /// The largest encrypted environment the guest boots with, in bytes.
    pub max_encrypted_env_bytes: usize,
    /// The largest request body the VMM reads, in bytes.
    pub max_request_bytes: usize,
    /// An app id that the user gave is measured whatever the key provider. Otherwise only with a KMS.
    pub explicit_app_id_always_measured: bool,
    /// The guest agent has `EmitEvent`.
    pub emit_event: bool,
    /// `StopVm` of a VM that never ran succeeds. Otherwise it answers `Process not found`.
    pub stop_of_never_started_succeeds: bool,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

static V0_5: Capabilities = Capabilities {
    reference: "0.5.11",
    auth_covers_rpc: false,
    multiple_networks: false,
    port_conflicts_refused: false,
    manifest_version_as_string: false,
    max_app_compose_bytes: 256 * KIB,
    max_user_config_bytes: MIB,
    max_encrypted_env_bytes: 256 * KIB,
    max_request_bytes: 10 * MIB,
    explicit_app_id_always_measured: false,
    emit_event: true,
    stop_of_never_started_succeeds: false,
};

static NEXT: Capabilities = Capabilities {
    reference: "0.6.0",
    auth_covers_rpc: true,
    multiple_networks: true,
    port_conflicts_refused: true,
    manifest_version_as_string: true,
    max_app_compose_bytes: 50 * MIB,
    max_user_config_bytes: 50 * MIB,
    max_encrypted_env_bytes: 256 * KIB,
    max_request_bytes: 10 * MIB,
    explicit_app_id_always_measured: true,
    emit_event: false,
    stop_of_never_started_succeeds: true,
};

impl DstackVersion {
    /// Every version this crate knows, oldest first.
    pub const ALL: [Self; 2] = [Self::V0_5, Self::Next];

    /// What this version can do.
    pub fn capabilities(self) -> &'static Capabilities {
        match self {
            Self::V0_5 => &V0_5,
            Self::Next => &NEXT,
        }
    }

    /// The line that a server's version string belongs to, such as `0.5.11` or `v0.6.0-beta.1`; build metadata and
    /// anything that follows the minor number is ignored.
    ///
    /// `None` when the text is no version or lies outside the known lines. 0.5.0 is the oldest the toolkit knows.
    ///
    /// ```
    /// use dstack_vmm_client::DstackVersion;
    ///
    /// assert_eq!(DstackVersion::from_server("0.5.11"), Some(DstackVersion::V0_5));
    /// assert_eq!(DstackVersion::from_server("v0.6.0-beta.1"), Some(DstackVersion::Next));
    /// assert_eq!(DstackVersion::from_server("0.4.2"), None);
    /// ```
    pub fn from_server(version: &str) -> Option<Self> {
        let mut numbers = version.trim().trim_start_matches('v').split('.');
        let major: u32 = numbers.next()?.parse().ok()?;
        let minor: u32 = numbers.next()?.parse().ok()?;
        match (major, minor) {
            (0, 5) => Some(Self::V0_5),
            (0, 6) => Some(Self::Next),
            _ => None,
        }
    }
}

impl fmt::Display for DstackVersion {
    /// `0.5` or `next`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0_5 => "0.5",
            Self::Next => "next",
        })
    }
}

impl std::str::FromStr for DstackVersion {
    type Err = UnknownVersion;

    /// Reads `next`, or a version number such as `0.5` and `v0.5.11`.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        match text {
            "next" => Ok(Self::Next),
            _ => Self::from_server(text).ok_or_else(|| UnknownVersion { text: text.to_owned() }),
        }
    }
}

/// A text that names no known version of dstack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dstack version {text:?}, expected 0.5 or next")]
#[non_exhaustive]
pub struct UnknownVersion {
    /// The text.
    pub text: String,
}
