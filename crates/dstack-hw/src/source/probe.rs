//! The commands that may be run on a host. None changes it, none goes through a shell.

use serde::{Deserialize, Serialize};

/// The units that are looked at, under all names that distributions give them.
pub const UNITS: &[&str] = &[
    "qgsd.service",
    "tdx-qgs.service",
    "pccs.service",
    "aesmd.service",
    "mpa_registration_tool.service",
    "docker.service",
    "containerd.service",
    "dstack-vmm.service",
    "chrony.service",
    "chronyd.service",
    "systemd-timesyncd.service",
    "ntp.service",
    "ntpd.service",
    "ntpsec.service",
    "openntpd.service",
];

/// A command from a closed list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Probe {
    /// `qemu-system-x86_64 --version`.
    QemuVersion,
    /// `qemu-system-x86_64 -object help`: the object types it knows.
    QemuObjects,
    /// `qemu-system-x86_64 -object tdx-guest,help`: the properties of a TD.
    QemuTdxProperties,
    /// `systemctl show` of the units that are looked at.
    Units,
    /// `ss --vsock --listening`: who listens on vsock.
    VsockListeners,
    /// `mpa_manage -get_registration_status`: what the registration agent says.
    RegistrationStatus,
    /// The last lines of the journal of the quote services, since boot.
    QuoteServiceLog,
    /// `curl` to the collateral service that QCNL is set up for: its answer to a public question, as a status code on
    /// standard output (`200`; `000` where nobody answered). The exit status is that of `curl`. The certificate is not
    /// verified, since a local PCCS signs its own; what the verification would have said is on standard error as
    /// `tls-verify-result N`, where 0 is good and 18 and 19 are self-signed ones (the codes of OpenSSL).
    CollateralService {
        /// The URL that is asked: scheme, host, port and path, no user and no query.
        url: String,
    },
    /// `nvidia-smi conf-compute -f`: confidential mode as seen inside a CVM.
    GpuConfidentialState,
    /// `systemctl list-unit-files` with states, for snapshots.
    UnitFiles,
    /// `rpm -qa` with versions, for snapshots of hosts without dpkg.
    RpmPackages,
    /// `NAME --version` of a program that snapshots look at.
    ProgramVersion {
        /// Absolute path of the program.
        path: String,
    },
}

/// What a command said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProbeOutput {
    /// Exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// Standard output, cut at 256 KiB.
    #[serde(default)]
    pub stdout: String,
    /// Standard error, cut at 16 KiB.
    #[serde(default)]
    pub stderr: String,
}
