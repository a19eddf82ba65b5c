//! Host ports and context ids the VMs get.

use std::ops::RangeInclusive;

use dstack_check::{CheckDef, Finding, Fix};

use super::{Input, cite_all};
use crate::config::port_range;
use crate::config::port_range::{PortRange, Protocol};
use crate::config::tree::{Node, Place};
use crate::config::{ConfigValue, ListenAddress};

const ENABLED: &str = "cvm.port_mapping.enabled";
const RANGE: &str = "cvm.port_mapping.range";

/// Context ids 0 and 1 are reserved, 2 is the host (vsock(7)).
const FIRST_CID: u32 = 3;
/// The last usable context id; the one above stands for any (vsock(7)).
const LAST_CID: u32 = u32::MAX - 1;

pub(super) fn port_mapping(check: &CheckDef, input: &Input<'_>) -> Finding {
    if input.config.cvm.port_mapping.enabled {
        return check.pass();
    }
    let finding = check
        .warn()
        .observed("a VM that publishes a port is refused with `Port mapping is disabled`")
        .expected("cvm.port_mapping.enabled = true, where VMs publish ports")
        .fix(Fix::new("switch port mapping on").command(input.set_command(ENABLED, "true")));
    input.cite(finding, ENABLED)
}

pub(super) fn port_ranges(check: &CheckDef, input: &Input<'_>) -> Finding {
    let mapping = &input.config.cvm.port_mapping;
    let items = match input.entry(RANGE).map(|entry| &entry.node) {
        Some(Node::List(items)) => items.as_slice(),
        _ => &[],
    };
    let faults = port_range::faults(items);
    if !faults.is_empty() {
        let finding = check
            .fail()
            .observed("the VMM does not start, or a range gives no port")
            .expected("protocol tcp or udp, and from <= to, both up to 65535")
            .fix(Fix::new("correct the ranges"));
        return cite_all(finding, &faults);
    }
    if !mapping.enabled {
        return check.not_applicable();
    }
    if mapping.range.is_empty() {
        let finding = check.fail().observed("port mapping is on and no port may be published").fix(
            Fix::new("name the ports VMs may publish")
                .command(input.set_command(RANGE, "tcp:1-20000,udp:1-20000")),
        );
        return input.cite(finding, RANGE);
    }
    let taken: Vec<(u16, &str)> =
        host_ports(input).into_iter().filter(|(port, _)| mapping.allows(Protocol::Tcp, *port)).collect();
    if taken.is_empty() {
        return check.pass();
    }
    let named: Vec<String> = taken.iter().map(|(port, what)| format!("TCP port {port} of {what}")).collect();
    let finding = check
        .warn()
        .observed(format!("the ranges include {}", named.join(" and ")))
        .expected("ranges without the host's own ports; a VM that takes one of them does not start")
        .fix(Fix::new("leave the ports out").command(input.set_command(RANGE, &better_ranges(input))));
    cite_ranges(finding, input)
}

/// The ranges of the file without the host's own ports and with UDP, so that two findings give one command.
fn better_ranges(input: &Input<'_>) -> String {
    let mut ranges = input.config.cvm.port_mapping.range.clone();
    for (port, _) in host_ports(input) {
        ranges = without(&ranges, Protocol::Tcp, port);
    }
    if !ranges.iter().any(|range| range.protocol == Protocol::Udp) {
        ranges.push(PortRange { protocol: Protocol::Udp, from: 1, to: 20000 });
    }
    let words: Vec<String> = ranges.iter().map(|r| format!("{}:{}-{}", r.protocol, r.from, r.to)).collect();
    words.join(",")
}

/// TCP ports of the host that the configuration names.
fn host_ports(input: &Input<'_>) -> Vec<(u16, &'static str)> {
    let mut ports = Vec::new();
    if let Ok(ListenAddress::Tcp(socket)) = input.config.listen() {
        ports.push((socket.port(), "the API"));
    }
    let provider = &input.config.key_provider;
    if provider.enabled && provider.address.is_loopback() {
        ports.push((provider.port, "the key provider"));
    }
    ports
}

/// The ranges without one port.
fn without(ranges: &[PortRange], protocol: Protocol, port: u16) -> Vec<PortRange> {
    let mut left = Vec::with_capacity(ranges.len() + 1);
    for &range in ranges {
        let hit: RangeInclusive<u16> = range.from..=range.to;
        if range.protocol != protocol || !hit.contains(&port) {
            left.push(range);
            continue;
        }
        if range.from < port {
            left.push(PortRange { to: port - 1, ..range });
        }
        if port < range.to {
            left.push(PortRange { from: port + 1, ..range });
        }
    }
    left
}

/// Each range of the file as evidence, or the default.
fn cite_ranges(finding: Finding, input: &Input<'_>) -> Finding {
    let Some(entry) = input.entry(RANGE) else { return input.cite(finding, RANGE) };
    let Node::List(items) = &entry.node else { return finding };
    let shown: Vec<(Place, String)> = items
        .iter()
        .filter_map(|(place, node)| Some((place.clone(), PortRange::from_node(node).ok()?.to_toml())))
        .collect();
    cite_all(finding, &shown)
}

pub(super) fn udp_range(check: &CheckDef, input: &Input<'_>) -> Finding {
    let mapping = &input.config.cvm.port_mapping;
    if !mapping.enabled {
        return check.not_applicable();
    }
    if mapping.range.iter().any(|range| range.protocol == Protocol::Udp) {
        return check.pass();
    }
    let finding = check
        .warn()
        .observed("a gateway is refused with `Port mapping is not allowed for udp:9202`")
        .expected("a range of UDP ports, where a gateway runs on this host")
        .fix(Fix::new("add a range of UDP ports").command(input.set_command(RANGE, &better_ranges(input))));
    cite_ranges(finding, input)
}

pub(super) fn mapping_address(check: &CheckDef, input: &Input<'_>) -> Finding {
    const KEY: &str = "cvm.port_mapping.address";
    let mapping = &input.config.cvm.port_mapping;
    if !mapping.enabled {
        return check.not_applicable();
    }
    if !mapping.address.is_unspecified() {
        return check.pass().observed(mapping.address.to_string());
    }
    let finding = check
        .warn()
        .observed("a mapping that names no address is open to every network of the host")
        .expected("127.0.0.1, and an address in the mappings that are meant to be public")
        .fix(
            Fix::new("publish on this machine unless a mapping says otherwise")
                .command(input.set_command(KEY, "127.0.0.1")),
        );
    input.cite(finding, KEY)
}

pub(super) fn cid_pool(check: &CheckDef, input: &Input<'_>) -> Finding {
    const START: &str = "cvm.cid_start";
    const SIZE: &str = "cvm.cid_pool_size";
    let (start, size) = (input.config.cvm.cid_start, input.config.cvm.cid_pool_size);
    let last = u64::from(start) + u64::from(size).saturating_sub(1);
    let (wrong, key, value) = if start < FIRST_CID {
        (format!("the pool begins at {start}; 0 to 2 are reserved"), START, ConfigValue::Int(1000))
    } else if size == 0 {
        (
            "the pool is empty, every VM is refused with `CID pool exhausted`".to_owned(),
            SIZE,
            ConfigValue::Int(1000),
        )
    } else if last > u64::from(LAST_CID) {
        (format!("the pool ends at {last}, the last usable id is {LAST_CID}"), START, ConfigValue::Int(1000))
    } else {
        return check.pass().observed(format!("{start} to {last}"));
    };
    let finding = check
        .fail()
        .observed(wrong)
        .expected(format!("context ids from {FIRST_CID} to {LAST_CID}, not used by another VMM of the host"))
        .fix(Fix::new("choose another pool").command(input.set_command(key, &value.to_string())));
    input.cite(input.cite(finding, START), SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_out_of_a_range() {
        let range = |from, to| PortRange { protocol: Protocol::Tcp, from, to };
        let cut = |from, to, port| without(&[range(from, to)], Protocol::Tcp, port);
        assert_eq!(cut(1, 10, 5), [range(1, 4), range(6, 10)]);
        assert_eq!(cut(5, 10, 5), [range(6, 10)]);
        assert_eq!(cut(1, 5, 5), [range(1, 4)]);
        assert_eq!(cut(5, 5, 5), []);
        assert_eq!(cut(0, u16::MAX, u16::MAX), [range(0, u16::MAX - 1)]);
        assert_eq!(cut(6, 10, 5), [range(6, 10)]);
        assert_eq!(without(&[range(1, 9)], Protocol::Udp, 5), [range(1, 9)]);
    }
}
