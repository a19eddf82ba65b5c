//! What is listened on: TCP and UDP by port, vsock, and the Unix sockets of dstack.

use std::collections::BTreeMap;

use super::record::{Listening, Section};
use super::spec::SnapshotSpec;
use crate::source::Probe;
use crate::{HostSource, Unread};

/// The most lines of one table.
const MAX_LINES: usize = 100_000;
/// The state of a listening TCP socket in `/proc/net/tcp` (`include/net/tcp_states.h`).
const TCP_LISTEN: &str = "0A";
/// The state of a UDP socket that is not connected.
const UDP_OPEN: &str = "07";
/// The flag of a Unix socket that accepts connections (`__SO_ACCEPTCON`).
const UNIX_LISTEN: &str = "00010000";
/// The ports that the kernel gives out by itself, where it does not say which.
const EPHEMERAL: (u16, u16) = (32_768, 60_999);

pub(super) fn listening(source: &dyn HostSource, spec: &SnapshotSpec) -> Section<Listening> {
    let ephemeral = source
        .text("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| {
            let mut numbers = text.split_whitespace().map(str::parse);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
        })
        .unwrap_or(EPHEMERAL);
    let mut items = BTreeMap::new();
    let mut section = Section::default();
    for (table, protocol, state) in [
        ("tcp", "tcp", TCP_LISTEN),
        ("tcp6", "tcp", TCP_LISTEN),
        ("udp", "udp", UDP_OPEN),
        ("udp6", "udp", UDP_OPEN),
    ] {
        match source.text(&format!("/proc/net/{table}")) {
            Ok(text) => {
                for (port, scope) in open_ports(&text, state) {
                    let by_itself = (ephemeral.0..=ephemeral.1).contains(&port);
                    // A UDP socket there is the client's side of something, gone in a second.
                    if !(by_itself && protocol == "udp") {
                        items
                            .insert(format!("{protocol}/{port}/{scope}"), Listening { ephemeral: by_itself });
                    }
                }
            }
            // No IPv6 is no obstacle.
            Err(Unread::Absent) => {}
            Err(why) => section.unread = Some(why),
        }
    }
    match source.text("/proc/net/unix") {
        Ok(text) => {
            for path in unix_listeners(&text) {
                if spec.sockets.iter().any(|pattern| pattern.matches(path)) {
                    items.insert(format!("unix/{path}"), Listening { ephemeral: false });
                }
            }
        }
        Err(Unread::Absent) => {}
        Err(why) => section.unread = Some(why),
    }
    section.items = items.into_iter().map(|(name, value)| (name, super::Seen::Value(value))).collect();
    match source.probe(&Probe::VsockListeners) {
        Ok(output) => {
            for port in vsock_ports(&output.stdout) {
                section
                    .items
                    .insert(format!("vsock/{port}"), super::Seen::Value(Listening { ephemeral: false }));
            }
        }
        Err(Unread::Absent) => {}
        Err(why) => {
            section.items.insert("vsock".to_owned(), super::Seen::not_read(why));
        }
    }
    section
}

/// Ports in a table of the kernel (`Documentation/networking/proc_net_tcp.rst`) whose sockets are in this state, with
/// who can reach them: `loopback`, `any`, or `one` for an address of the host.
fn open_ports(table: &str, state: &str) -> Vec<(u16, &'static str)> {
    table
        .lines()
        .skip(1)
        .take(MAX_LINES)
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let local = words.nth(1)?;
            (words.nth(1)? == state).then_some(())?;
            let (address, port) = local.split_once(':')?;
            let port = u16::from_str_radix(port, 16).ok()?;
            (port != 0).then(|| (port, scope(address)))
        })
        .collect()
}

/// Addresses are 32-bit words in the order of the host, in hex.
fn scope(address: &str) -> &'static str {
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let loopback4 = |word: &str| word.len() == 8 && word.ends_with("7F");
    if zero(address) {
        "any"
    } else if loopback4(address)
        || address == "00000000000000000000000001000000"
        || (address.starts_with("0000000000000000FFFF0000") && address.get(24..).is_some_and(loopback4))
    {
        "loopback"
    } else {
        "one"
    }
}

fn unix_listeners(table: &str) -> impl Iterator<Item = &str> {
    table.lines().skip(1).take(MAX_LINES).filter_map(|line| {
        // Num RefCount Protocol Flags Type St Inode Path
        let mut words = line.split_whitespace();
        (words.nth(3)? == UNIX_LISTEN).then_some(())?;
        words.nth(3).filter(|path| path.starts_with('/'))
    })
}

/// The ports in the output of `ss --vsock --listening`: the local address is `CID:PORT`, `*:PORT` for any.
fn vsock_ports(output: &str) -> Vec<u32> {
    output
        .lines()
        .take(MAX_LINES)
        .filter(|line| line.split_whitespace().any(|word| word == "LISTEN"))
        .filter_map(|line| {
            line.split_whitespace().find_map(|word| {
                let (cid, port) = word.rsplit_once(':')?;
                let local = cid == "*" || cid.parse::<u32>().is_ok();
                local.then(|| port.parse().ok())?
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Readings;

    const TCP: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2378 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 070200C0:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   3: 0100007F:2378 0100007F:B000 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   4: 00000000:9C40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   5: short
";

    #[test]
    fn ports_without_addresses() {
        let unix = "Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/dstack/vmm.sock
0000000000000000: 00000003 00000000 00000000 0001 03 12346 /run/dstack/vmm.sock
0000000000000000: 00000002 00000000 00010000 0001 01 12347 /run/other.sock
0000000000000000: 00000002 00000000 00010000 0001 01 12348 @/abstract
";
        let vsock = "State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\nv_str LISTEN 0 0 *:4050 *:*\nv_str LISTEN 0 0 2:10000 *:*\n";
        let udp = "h\n 1: 00000000:0035 00000000:0000 07 x\n 2: 00000000:B000 00000000:0000 07 x\n";
        let host = Readings::empty_host()
            .file("/proc/net/tcp", TCP)
            .file("/proc/net/udp", udp)
            .file("/proc/net/unix", unix)
            .probe_stdout(Probe::VsockListeners, vsock);
        let section = listening(&host, &SnapshotSpec::builtin());
        let names: Vec<&String> = section.items.keys().collect();
        assert_eq!(
            names,
            [
                "tcp/40000/any",
                "tcp/443/any",
                "tcp/80/one",
                "tcp/9080/loopback",
                "udp/53/any",
                "unix//run/dstack/vmm.sock",
                "vsock/10000",
                "vsock/4050"
            ]
        );
        assert_eq!(section.items["tcp/40000/any"].value(), Some(&Listening { ephemeral: true }));
    }

    #[test]
    fn scopes() {
        assert_eq!(scope("00000000000000000000000000000000"), "any");
        assert_eq!(scope("00000000000000000000000001000000"), "loopback");
        assert_eq!(scope("0000000000000000FFFF00000100007F"), "loopback");
        assert_eq!(scope("B80D0120000000000000000001000000"), "one");
    }
}
