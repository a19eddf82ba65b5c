//! Ranges of host ports that VMs may publish.

use std::fmt;

use super::tree::{Node, Place, Table};
use super::value::quoted;

/// The protocol of a port mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The protocol with this name, in lower case as the VMM wants it.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "tcp" => Some(Self::Tcp),
            "udp" => Some(Self::Udp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    /// `tcp` or `udp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Host ports that VMs may publish, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The protocol.
    pub protocol: Protocol,
    /// The first port.
    pub from: u16,
    /// The last port.
    pub to: u16,
}

impl PortRange {
    /// Reads `tcp:1-20000` or `udp:9202`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (protocol, ports) = text.split_once(':')?;
        let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
        Some(Self {
            protocol: Protocol::from_name(protocol.trim())?,
            from: from.trim().parse().ok()?,
            to: to.trim().parse().ok()?,
        })
    }

    pub(crate) fn to_toml(self) -> String {
        format!("{{ protocol = \"{}\", from = {}, to = {} }}", self.protocol, self.from, self.to)
    }

    /// The range in a table, or what is wrong with it.
    pub(crate) fn from_node(node: &Node) -> Result<Self, String> {
        let Node::Table(table) = node else { return Err(format!("the range is {}", node.type_name())) };
        let protocol = match table.entry("protocol").map(|entry| &entry.node) {
            Some(Node::Text(name)) => Protocol::from_name(name)
                .ok_or_else(|| format!("the protocol is {}, not tcp or udp", quoted(name)))?,
            Some(other) => return Err(format!("the protocol is {}", other.type_name())),
            None => return Err("the range has no protocol".to_owned()),
        };
        let (from, to) = (bound(table, "from")?, bound(table, "to")?);
        if from > to {
            return Err(format!("the range ends ({to}) before it begins ({from})"));
        }
        Ok(Self { protocol, from, to })
    }
}

fn bound(table: &Table, key: &str) -> Result<u16, String> {
    match table.entry(key).map(|entry| &entry.node) {
        Some(Node::Int(number)) => {
            u16::try_from(*number).map_err(|_| format!("`{key}` is {number}, ports go up to 65535"))
        }
        Some(other) => Err(format!("`{key}` is {}", other.type_name())),
        None => Err(format!("the range has no `{key}`")),
    }
}

/// What is wrong with the ranges of a list, each with its place.
pub(crate) fn faults(items: &[(Place, Node)]) -> Vec<(Place, String)> {
    items
        .iter()
        .filter_map(|(place, node)| PortRange::from_node(node).err().map(|what| (place.clone(), what)))
        .collect()
}
