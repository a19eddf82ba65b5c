//! The quote generation service.

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::sgx::devices::described;
use crate::checks::sgx::elsewhere;
use crate::facts::services::{QGS_PATH, QGS_PORT, QGS_SOCKET, VsockListener};
use crate::knowledge::error_codes::{self, Entry};
use crate::{Fact, HostFacts};

/// The context id of the host.
const HOST_CID: u32 = 2;

/// The listener on this port that a VM on this host reaches.
fn listener(facts: &HostFacts, port: u32) -> Option<&VsockListener> {
    let listeners = facts.services.vsock_listeners.known()?;
    listeners.iter().find(|listener| listener.port == port && listener.cid.is_none_or(|cid| cid == HOST_CID))
}

/// The port that is set, or the usual one.
fn wanted_port(facts: &HostFacts) -> u32 {
    facts.services.qgs_config.known().and_then(|config| config.port).unwrap_or(QGS_PORT)
}

pub(super) fn service(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let services = &facts.services;
    let port = wanted_port(facts);
    if let Fact::Known((name, unit)) = services.qgs() {
        let finding = |finding: Finding| finding.evidence(format!("systemctl show {name}"), unit.state());
        if unit.is_active() {
            return finding(check.pass()).observed(format!("{name} is {}", unit.state()));
        }
        return finding(check.fail())
            .observed(format!("{name} is {}", unit.state()))
            .expected("active (running)")
            .fix(
                Fix::new("start the service, and read its journal if it does not stay up")
                    .command(format!("systemctl enable --now {name}"))
                    .command(format!("journalctl -u {name} -b")),
            );
    }
    if listener(facts, port).is_some() {
        return check
            .pass()
            .observed(format!(
                "somebody listens on vsock port {port}: a service without a unit, as in a container"
            ))
            .evidence("ss --vsock --listening", format!("port {port}"));
    }
    if services.quote_log.known().is_some_and(|log| log.quotes_made() > 0) {
        return check
            .pass()
            .observed("implied: it made quotes")
            .evidence("journal of qgsd", "tee_att_get_quote return Success");
    }
    match (services.qgs(), &services.qgs_program) {
        (Fact::Absent, _) | (Fact::Unread(_), Fact::Absent) => check
            .fail()
            .observed("the quote generation service is not installed")
            .expected("qgsd of the package tdx-qgs, or a container with it")
            .evidence(
                "/usr/bin/qgs",
                if services.qgs_program.is_absent() { "is not there" } else { "no unit starts it" },
            )
            .fix(
                Fix::new("install the service from Intel's package source or the distribution's")
                    .command("apt install tdx-qgs libsgx-dcap-default-qpl")
                    .command("systemctl enable --now qgsd"),
            ),
        (Fact::Unread(why), _) => check.unknown(format!("units: {}", why.why())),
        (Fact::Known(_), _) => check.unknown("the unit was not understood"),
    }
}

pub(super) fn port(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let services = &facts.services;
    let set = services.qgs_config.known().map(|config| config.port);
    let set_port = |action: &'static str| {
        Fix::new(action)
            .command(format!("sed -i '/^ *#* *port *=/d; $ a port = {QGS_PORT}' {QGS_PATH}"))
            .command("systemctl restart qgsd")
    };
    if let Some(found) = listener(facts, wanted_port(facts)) {
        let finding =
            |finding: Finding| finding.evidence("ss --vsock --listening", format!("port {}", found.port));
        if found.port == QGS_PORT {
            return finding(check.pass()).observed(format!("vsock port {QGS_PORT}"));
        }
        return finding(check.warn())
            .observed(format!("vsock port {}, not the usual {QGS_PORT}", found.port))
            .expected(format!("{QGS_PORT}, or `qgs_port = {}` in vmm.toml", found.port))
            .fix(Fix::new(format!(
                "set `qgs_port = {}` under [cvm] in vmm.toml, or the usual port in {QGS_PATH}",
                found.port
            )));
    }
    // A config that names no port is not broken: the service is on its unix socket then, which dstack's VMM does not ask.
    if set == Some(None) {
        let there = services.qgs_socket.known().is_some();
        return check
            .warn()
            .observed(if there {
                "the service listens on its unix socket; dstack's VMM asks over vsock"
            } else {
                "no port is set, so the service uses its unix socket; dstack's VMM asks over vsock"
            })
            .expected(format!("port = {QGS_PORT} in {QGS_PATH}"))
            .evidence(QGS_PATH, "no line `port = ...`")
            .evidence(QGS_SOCKET, if there { "a socket" } else { "not seen" })
            .fix(set_port("set the vsock port, then restart the service"));
    }
    match (&services.vsock_listeners, set) {
        (Fact::Known(_), Some(Some(port))) => check
            .fail()
            .observed(format!("port {port} is set, and nobody listens on it over vsock"))
            .expected(format!("a listener on vsock port {port}"))
            .evidence(QGS_PATH, format!("port = {port}"))
            .evidence("ss --vsock --listening", "no such port")
            .fix(
                Fix::new("load the vsock driver, then restart the service: it does not try again by itself")
                    .command("modprobe vhost_vsock")
                    .command("systemctl restart qgsd"),
            ),
        (Fact::Known(_), _) => check
            .fail()
            .observed(format!("nobody listens on vsock port {QGS_PORT}"))
            .expected(format!("port = {QGS_PORT} in {QGS_PATH} and a listener on it"))
            .evidence("ss --vsock --listening", "no such port")
            .fix(set_port("set the vsock port, then restart the service")),
        (Fact::Absent, _) => check.unknown("ss is not installed"),
        (Fact::Unread(why), Some(Some(port))) => {
            check.unknown(format!("port {port} is set; who listens on vsock is not known: {}", why.why()))
        }
        (Fact::Unread(why), _) => check.unknown(format!("ss: {}", why.why())),
    }
}

pub(super) fn rights(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let services = &facts.services;
    let device = match &facts.sgx.provision_device {
        Fact::Known(device) => device,
        Fact::Absent => return check.unknown("there is no /dev/sgx_provision"),
        Fact::Unread(why) => return check.unknown(format!("/dev/sgx_provision: {}", why.why())),
    };
    let group = device.group.clone().unwrap_or_else(|| device.gid.to_string());
    let finding = |finding: Finding| finding.evidence("/dev/sgx_provision", described(device));
    let add = Fix::new("put the service's user into the group of the device, and restart the service")
        .command(format!("usermod -aG {} qgsd", if group == "root" { "sgx_prv" } else { &group }))
        .command("systemctl restart qgsd");
    if let Fact::Known(identity) = &services.qgs_identity {
        let groups: Vec<String> = identity.gids.iter().take(16).map(u32::to_string).collect();
        let who = format!("user {}, groups {}", identity.uid, groups.join(" "));
        if identity.may_read_and_write(device.uid, device.gid, device.mode) {
            return finding(check.pass())
                .observed("the running service may open the device")
                .evidence("/proc/PID/status of the service", who);
        }
        let added = services.groups.known().is_some_and(|known| known.has_qgsd(&group));
        let failed = finding(check.fail())
            .evidence("/proc/PID/status of the service", who)
            .expected("the group of /dev/sgx_provision");
        return if added {
            failed
                .observed("the service's user is in the group, and the service was started before that")
                .fix(Fix::new("restart the service").command("systemctl restart qgsd"))
        } else {
            failed.observed("the running service may not open /dev/sgx_provision").fix(add)
        };
    }
    match services.qgs() {
        Fact::Known((_, unit)) if unit.user.is_empty() || unit.user == "root" => {
            finding(check.pass()).observed("the service runs as root")
        }
        Fact::Known((_, unit)) => match &services.groups {
            Fact::Known(groups) if groups.has_qgsd(&group) && device.mode & 0o060 == 0o060 => {
                finding(check.pass())
                    .observed(format!("{} is in the group {group}", unit.user))
                    .evidence("/etc/group", group.as_str())
            }
            Fact::Known(_) if device.mode & 0o006 == 0o006 => {
                finding(check.pass()).observed("every user may open the device")
            }
            Fact::Known(_) => finding(check.fail())
                .observed(format!("{} is not in the group {group}", unit.user))
                .expected("the group of /dev/sgx_provision")
                .evidence("/etc/group", format!("{group} without {}", unit.user))
                .fix(add),
            Fact::Absent => check.unknown("there is no /etc/group"),
            Fact::Unread(why) => check.unknown(format!("/etc/group: {}", why.why())),
        },
        Fact::Absent => check.unknown("the service has no unit here: whose rights count is not known"),
        Fact::Unread(why) => check.unknown(format!("units: {}", why.why())),
    }
}

pub(super) fn log(check: &CheckDef, facts: &HostFacts) -> Finding {
    const SOURCE: &str = "journal of the quote services";
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let log = match &facts.services.quote_log {
        Fact::Known(log) => log,
        Fact::Absent => return check.unknown("journalctl is not installed"),
        Fact::Unread(why) => return check.unknown(format!("journal: {}", why.why())),
    };
    let errors: Vec<&str> = log.errors_since_success().map(|line| line.text.as_str()).collect();
    if errors.is_empty() {
        if log.quotes_made() > 0 {
            return check
                .pass()
                .observed(format!("{} quotes made, no error since the last", log.quotes_made()))
                .evidence(SOURCE, "tee_att_get_quote return Success");
        }
        let root = facts.environment.privilege.known().is_some_and(|privilege| privilege.is_root());
        if !log.any && !root {
            return check.unknown("the journal shows nothing of the services: nothing was written, or it may not be read without root");
        }
        return check
            .pass()
            .observed("no errors; no quote was asked for since the boot")
            .evidence(SOURCE, "no line with an error");
    }
    let (entry, line) = cause(&errors);
    let observed = match entry {
        Some(entry) => match entry.written() {
            Some(code) => format!("{code} ({}): {}", entry.name, entry.meaning),
            None => entry.meaning.to_owned(),
        },
        None => "errors that are not known".to_owned(),
    };
    let fix = match entry {
        Some(entry) if !entry.fix.is_empty() => Fix::new(entry.fix),
        _ => Fix::new("read the journal, and look codes in it up")
            .command("journalctl -u qgsd -b")
            .command("dstack-hw explain CODE"),
    };
    let finding = check
        .fail()
        .observed(observed)
        .expected("tee_att_get_quote return Success")
        .evidence(SOURCE, line)
        .fix(fix);
    match errors.last() {
        Some(last) if *last != line => finding.evidence(SOURCE, *last),
        _ => finding,
    }
}

/// The error that the others follow from: of the last burst the first line whose entry is no follow-on; the newest line
/// where nothing is known.
fn cause<'a>(errors: &[&'a str]) -> (Option<&'static Entry>, &'a str) {
    const BURST: usize = 8;
    let burst = errors.get(errors.len().saturating_sub(BURST)..).unwrap_or(errors);
    let known = |follow_on: bool| {
        burst.iter().rev().find_map(|line| {
            let entry = error_codes::in_line(line)
                .into_iter()
                .find(|entry| entry.follow_on == follow_on && !generic(entry))?;
            Some((Some(entry), *line))
        })
    };
    known(false).or_else(|| known(true)).unwrap_or_else(|| (None, burst.last().copied().unwrap_or_default()))
}

/// Entries that only say that there is a code in the line.
fn generic(entry: &Entry) -> bool {
    matches!(entry.name, "qpl-get-config" | "aesm-returned-error")
}
