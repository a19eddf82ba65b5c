//! The enclave service daemon and the local key provider.

use std::net::IpAddr;

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::sgx::elsewhere;
use crate::facts::services::KEY_PROVIDER_PORT;
use crate::{Fact, HostFacts};

pub(super) fn aesmd(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    match facts.services.unit("aesmd") {
        Fact::Known(unit) if unit.is_active() => {
            check.pass().observed("aesmd runs").evidence("systemctl show aesmd", unit.state())
        }
        Fact::Known(unit) => check
            .warn()
            .observed(format!("aesmd is installed and {}", unit.state()))
            .expected(
                "active (running), or not installed: dstack's key provider brings its own in a container",
            )
            .evidence("systemctl show aesmd", unit.state())
            .fix(
                Fix::new("start it if enclaves on the host need it").command("systemctl enable --now aesmd"),
            ),
        Fact::Absent => check.not_applicable().observed("aesmd is not installed on the host"),
        Fact::Unread(why) => check.unknown(format!("units: {}", why.why())),
    }
}

pub(super) fn key_provider(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let listeners = match &facts.services.tcp_listeners {
        Fact::Known(listeners) => listeners,
        Fact::Absent => return check.unknown("there is no /proc/net/tcp"),
        Fact::Unread(why) => return check.unknown(format!("/proc/net/tcp: {}", why.why())),
    };
    let addresses: Vec<IpAddr> = listeners
        .iter()
        .filter(|listener| listener.port == KEY_PROVIDER_PORT)
        .map(|listener| listener.address)
        .collect();
    let shown: Vec<String> =
        addresses.iter().take(8).map(|address| format!("{address} port {KEY_PROVIDER_PORT}")).collect();
    if addresses.is_empty() {
        return check
            .fail()
            .observed(format!("nobody listens on TCP port {KEY_PROVIDER_PORT}"))
            .expected(format!("127.0.0.1 port {KEY_PROVIDER_PORT}"))
            .evidence("/proc/net/tcp", format!("no listener on {KEY_PROVIDER_PORT}"))
            .fix(
                Fix::new("start the key provider from its folder in the dstack sources, and read its log; do not test it with curl, it does not speak HTTP")
                    .command("docker compose up -d")
                    .command("docker compose logs --tail 50"),
            );
    }
    let finding = |finding: Finding| finding.evidence("/proc/net/tcp", shown.join(", "));
    if addresses.iter().all(IpAddr::is_loopback) {
        return finding(check.pass()).observed(format!("a listener on {}", shown.join(", ")));
    }
    finding(check.warn())
        .observed("the key provider listens beyond this host; guests never ask it directly, the VMM does")
        .expected(format!("127.0.0.1 port {KEY_PROVIDER_PORT} alone"))
        .fix(Fix::new(format!(
            "publish the port as 127.0.0.1:{KEY_PROVIDER_PORT}:{KEY_PROVIDER_PORT} in the key provider's compose file, then start it again"
        )).command("docker compose up -d"))
}
