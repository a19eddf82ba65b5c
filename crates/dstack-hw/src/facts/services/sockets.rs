//! Who listens: TCP from procfs, vsock from `ss`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::source::{HostSource, ProbeOutput};
use crate::{Fact, Unread};

/// The most listeners that are kept of one list.
const MAX_LISTENERS: usize = 4096;

/// A listening TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct TcpListener {
    /// The address; all zero for any.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

/// A listening vsock socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct VsockListener {
    /// The context id; `None` for any.
    pub cid: Option<u32>,
    /// The port.
    pub port: u32,
}

/// Reads the listening sockets of `/proc/net/tcp` or `/proc/net/tcp6` (state 0A). Never fails.
///
/// Addresses are in the kernel's form: 32-bit words in the byte order of the machine, which is little-endian on x86.
pub fn parse_tcp_listeners(text: &str) -> Vec<TcpListener> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let local = fields.nth(1)?;
            if fields.nth(1)? != "0A" {
                return None;
            }
            let (address, port) = local.split_once(':')?;
            Some(TcpListener { address: address_of(address)?, port: u16::from_str_radix(port, 16).ok()? })
        })
        .take(MAX_LISTENERS)
        .collect()
}

fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |from: usize| Some(u32::from_str_radix(hex.get(from..from + 8)?, 16).ok()?.to_le_bytes());
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

/// Reads the output of `ss --vsock --listening`. Never fails; a port that `ss` gives a name for is not a vsock port.
pub fn parse_vsock_listeners(text: &str) -> Vec<VsockListener> {
    text.lines()
        .filter(|line| line.split_whitespace().any(|word| word == "LISTEN"))
        .filter_map(|line| {
            // The first address is the local one; queue lengths have no colon.
            let local = line.split_whitespace().find(|word| word.contains(':'))?;
            let (cid, port) = local.rsplit_once(':')?;
            let cid = if cid == "*" { None } else { Some(cid.parse().ok()?) };
            Some(VsockListener { cid, port: port.parse().ok()? })
        })
        .take(MAX_LISTENERS)
        .collect()
}

pub(super) fn vsock(output: &ProbeOutput) -> Fact<Vec<VsockListener>> {
    if output.status == Some(0) {
        return Fact::Known(parse_vsock_listeners(&output.stdout));
    }
    let why = output.stderr.lines().next().unwrap_or("ss failed");
    Fact::Unread(Unread::Failed(why.trim().chars().take(200).collect()))
}

pub(super) fn tcp(source: &dyn HostSource) -> Fact<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut there = false;
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match source.text(path) {
            Ok(text) => {
                there = true;
                listeners.extend(parse_tcp_listeners(&text));
            }
            // A kernel without IPv6 has no second list.
            Err(Unread::Absent) => {}
            // Half a list would say of the other half's listeners that they are not there.
            Err(why) => return Fact::Unread(why),
        }
    }
    listeners.sort_unstable();
    listeners.dedup();
    if there { Fact::Known(listeners) } else { Fact::Absent }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn procfs_lists() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                    \x20  0: 0100007F:0D73 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n\
                    \x20  1: 0100007F:1F91 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0\n";
        assert_eq!(parse_tcp_listeners(text), [TcpListener { address: [127, 0, 0, 1].into(), port: 3443 }]);
        let six = "   0: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 0 0 0 0 0 0\n";
        assert_eq!(parse_tcp_listeners(six)[0].address, IpAddr::V6(Ipv6Addr::LOCALHOST));
    }

    #[test]
    fn what_ss_prints() {
        let text = "Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port\n\
                    v_str LISTEN 0      0                  *:4050             *:*    \n\
                    v_str LISTEN 0      0                  2:1024             *:*    users:((\"x\",pid=1,fd=3))\n";
        assert_eq!(
            parse_vsock_listeners(text),
            [VsockListener { cid: None, port: 4050 }, VsockListener { cid: Some(2), port: 1024 }]
        );
        assert!(parse_vsock_listeners("State Recv-Q\n").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,500}") {
            let _ = parse_tcp_listeners(&text);
            let _ = parse_vsock_listeners(&text);
        }

        #[test]
        fn an_address_survives(address: [u8; 4], port: u16) {
            let line = format!(" 0: {:08X}:{port:04X} 0:0 0A 0", u32::from_le_bytes(address));
            prop_assert_eq!(parse_tcp_listeners(&line), [TcpListener { address: address.into(), port }]);
        }
    }
}
