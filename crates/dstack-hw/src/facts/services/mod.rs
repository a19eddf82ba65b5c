//! The quote services: QGS, PCCS, QCNL, AESM, the local key provider.

mod account;
pub mod jsonc;
mod log;
mod pccs;
mod qcnl;
mod qgs;
mod sockets;
mod units;

use serde::Serialize;

use super::HostSource;
use crate::Fact;
use crate::source::{FileKind, Probe};

pub use account::{Groups, ProcessIdentity};
pub use log::{QuoteLog, QuoteLogLine};
pub use pccs::PccsConfig;
pub use qcnl::{CollateralAnswer, CollateralUrl, Qcnl, QcnlError, QcnlFormat};
pub use qgs::QgsConfig;
pub use sockets::{TcpListener, VsockListener, parse_tcp_listeners, parse_vsock_listeners};
pub use units::{Unit, Units};

/// The port of the quote generation service on vsock where nothing else is set; dstack's `qgs_port` has the same default.
pub const QGS_PORT: u32 = 4050;

/// The port of the local key provider on the loopback address.
pub const KEY_PROVIDER_PORT: u16 = 3443;

/// Where the collateral client is set up.
pub const QCNL_PATH: &str = "/etc/sgx_default_qcnl.conf";

/// Where the quote generation service is set up.
pub const QGS_PATH: &str = "/etc/qgs.conf";

/// Where the local collateral cache is set up.
pub const PCCS_PATH: &str = "/opt/intel/sgx-dcap-pccs/config/default.json";

/// Where the quote generation service listens when no port is set.
pub const QGS_SOCKET: &str = "/var/run/tdx-qgs/qgs.socket";

/// What is known of the services that make and check quotes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Services {
    /// The units that were asked for, as systemd sees them.
    pub units: Fact<Units>,
    /// The program of the quote generation service, `/usr/bin/qgs`.
    pub qgs_program: Fact<()>,
    /// `/etc/qgs.conf`.
    pub qgs_config: Fact<QgsConfig>,
    /// The unix socket of the quote generation service.
    pub qgs_socket: Fact<()>,
    /// Who listens on vsock.
    pub vsock_listeners: Fact<Vec<VsockListener>>,
    /// Who listens on TCP, over IPv4 and IPv6.
    pub tcp_listeners: Fact<Vec<TcpListener>>,
    /// Who the running quote generation service is.
    pub qgs_identity: Fact<ProcessIdentity>,
    /// The groups of `/etc/group` that SGX devices may belong to.
    pub groups: Fact<Groups>,
    /// `/etc/sgx_default_qcnl.conf`.
    pub qcnl: Fact<Qcnl>,
    /// `/etc/sgx_default_qcnl.conf` is there and cannot be understood: what is wrong, with line and column.
    pub qcnl_error: Option<String>,
    /// What the collateral service that QCNL names answers.
    pub collateral: Fact<CollateralAnswer>,
    /// The local collateral cache's `default.json`. Keys and tokens in it are not kept.
    pub pccs: Fact<PccsConfig>,
    /// The last lines of the journal of the quote generation service.
    pub quote_log: Fact<QuoteLog>,
}

impl Services {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let units = Fact::from(source.probe(&Probe::Units)).and_then(|output| units::read(&output));
        let read = Fact::from(source.text(QCNL_PATH)).map(|text| Qcnl::parse(&text));
        let qcnl_error = read.known().and_then(|read| read.as_ref().err()).map(ToString::to_string);
        let qcnl = read.and_then(Fact::from);
        let identity = match units.known().and_then(qgs_unit) {
            Some((_, unit)) if unit.main_pid > 0 => account::identity(source, unit.main_pid),
            _ => Fact::Absent,
        };
        Self {
            qgs_program: Fact::from(source.stat("/usr/bin/qgs")).map(|_| ()),
            qgs_config: Fact::from(source.text(QGS_PATH)).map(|text| QgsConfig::parse(&text)),
            qgs_socket: Fact::from(source.stat(QGS_SOCKET)).and_then(|meta| match meta.kind {
                FileKind::Socket => Fact::Known(()),
                _ => Fact::Absent,
            }),
            vsock_listeners: Fact::from(source.probe(&Probe::VsockListeners))
                .and_then(|output| sockets::vsock(&output)),
            tcp_listeners: sockets::tcp(source),
            qgs_identity: identity,
            groups: Fact::from(source.text("/etc/group")).map(|text| Groups::parse(&text)),
            collateral: qcnl::ask(source, &qcnl),
            qcnl,
            qcnl_error,
            pccs: Fact::from(source.text(PCCS_PATH)).and_then(|text| PccsConfig::parse(&text).into()),
            quote_log: Fact::from(source.probe(&Probe::QuoteServiceLog))
                .and_then(|output| log::read(&output)),
            units,
        }
    }

    /// The unit of the quote generation service, under the first of its names that is installed. `Absent` where systemd
    /// knows none.
    pub fn qgs(&self) -> Fact<(&'static str, &Unit)> {
        self.units.as_ref().and_then(|units| qgs_unit(units).map_or(Fact::Absent, Fact::Known))
    }

    /// A unit as systemd sees it, by its name without `.service`. `Absent` where systemd does not know it.
    pub fn unit(&self, name: &str) -> Fact<&Unit> {
        self.units.as_ref().and_then(|units| match units.get(name) {
            Some(unit) if unit.is_installed() => Fact::Known(unit),
            _ => Fact::Absent,
        })
    }
}

/// Intel's package has `qgsd`, Fedora's `tdx-qgs`.
fn qgs_unit(units: &Units) -> Option<(&'static str, &Unit)> {
    ["qgsd", "tdx-qgs"]
        .into_iter()
        .find_map(|name| units.get(name).filter(|unit| unit.is_installed()).map(|unit| (name, unit)))
}
