//! The remaining settings, one by one.

use std::collections::BTreeMap;

use dstack_check::{CheckDef, Finding};

use super::types::size_error;
use super::{Doc, Troubles};
use crate::app_compose::syntax::{Kind, Node};

/// Characters beside letters and digits that the VMM takes in the name of a VM (upstream `vmm/src/main_service.rs`).
const NAME_CHARACTERS: &str = "-_. @~!$^()";

pub(super) fn name(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(name) = doc.text_of("name") else { return check.not_applicable() };
    let at = doc.value("name").map_or(0, |node| node.span.start);
    if name.is_empty() {
        troubles.warn(at, "the name is empty");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || NAME_CHARACTERS.contains(c);
    if let Some(wrong) = name.chars().find(|c| !allowed(*c)) {
        troubles.warn(at, format!("the VMM takes no {wrong:?} in the name of a VM"));
    }
    troubles.conclude(check, doc, "use ASCII letters, digits, spaces and -_.@~!$^()")
}

pub(super) fn secure_time(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    match doc.member("secure_time") {
        None => troubles.warn(doc.root.span.start, "secure_time is not there, which means true"),
        Some(_) => return check.pass().observed(format!("secure_time is {}", doc.flag("secure_time", true))),
    }
    troubles.conclude(
        check,
        doc,
        "say it: true where the guest reaches NTS time servers, else false; upstream's tools write false",
    )
}

pub(super) fn port_policy(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(policy) = doc.value("port_policy").filter(|node| matches!(node.kind, Kind::Object(_))) else {
        return check.not_applicable();
    };
    if let Some(node) = policy.get("ports")
        && !matches!(node.kind, Kind::Array(_))
    {
        troubles.fail(node.span.start, format!("ports is a list of objects, not {}", node.kind_name()));
    }
    let ports = policy.get("ports").map_or(&[][..], Node::elements);
    let flags = ports.iter().filter_map(|entry| Some(("pp", entry.get("pp")?)));
    for (name, node) in flags.chain(policy.get("restrict_mode").map(|node| ("restrict_mode", node))) {
        if !matches!(node.kind, Kind::Bool(_)) {
            troubles.fail(node.span.start, format!("{name} is true or false, not {}", node.kind_name()));
        }
    }
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    for entry in ports {
        let Some(node) = entry.get("port") else {
            troubles.fail(entry.span.start, "this entry has no port");
            continue;
        };
        let at = node.span.start;
        match doc.number(node) {
            Some(port @ 1..=65535) => {
                if let Some(first) = seen.insert(port, at) {
                    let (line, _) = doc.places.of(first);
                    troubles.fail(at, format!("port {port} is there already, in line {line}"));
                }
            }
            _ => troubles.fail(at, "a port is a number from 1 to 65535"),
        }
    }
    let restricted = matches!(policy.get("restrict_mode").map(|node| &node.kind), Some(Kind::Bool(true)));
    if restricted && ports.is_empty() {
        troubles.warn(policy.span.start, "restrict_mode without any port lets nothing through the gateway");
    }
    if !ports.is_empty() && !doc.flag("gateway_enabled", false) && !doc.flag("tproxy_enabled", false) {
        troubles.warn(
            doc.at("port_policy"),
            "only the gateway reads the port policy, and gateway_enabled is off",
        );
    }
    troubles.conclude(check, doc, "list each port that the gateway may forward once")
}

pub(super) fn swap_size(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(node) = doc.value("swap_size") else { return check.not_applicable() };
    match &node.kind {
        Kind::String(text) => {
            if let Some(error) = size_error(doc, text) {
                troubles.fail(node.span.start, error);
            }
        }
        Kind::Number if doc.number(node).is_none() => {
            troubles.fail(node.span.start, "swap_size is a whole number of bytes, 0 or more");
        }
        _ => {}
    }
    troubles.conclude(check, doc, "write a number of bytes, or a size such as \"4G\"")
}

pub(super) fn storage_fs(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(name) = doc.text_of("storage_fs") else { return check.not_applicable() };
    if !matches!(name, "zfs" | "ext4") {
        let at = doc.value("storage_fs").map_or(0, |node| node.span.start);
        troubles.fail(at, format!("guests have no file system {name:?} for the data disk"));
    }
    troubles.conclude(check, doc, "use zfs or ext4")
}

pub(super) fn event_log_version(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(node) = doc.value("event_log_version") else { return check.not_applicable() };
    if !matches!(doc.number(node), Some(1 | 2)) {
        troubles.fail(node.span.start, "event_log_version is 1 or 2");
    }
    troubles.conclude(check, doc, "use 1, or 2 on next")
}

pub(super) fn verity_volumes(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(Kind::Array(volumes)) = doc.value("verity_volumes").map(|node| &node.kind) else {
        return check.not_applicable();
    };
    let mut targets: BTreeMap<&str, usize> = BTreeMap::new();
    for volume in volumes {
        let mut text = |name: &str| {
            let found = volume.get(name).and_then(|node| Some((node.span.start, node.as_str()?)));
            if found.is_none() {
                troubles.fail(volume.span.start, format!("this volume has no {name}"));
            }
            found
        };
        let (source, root, target) = (text("source"), text("verity_root"), text("target"));
        if let Some((at, source)) = source
            && !is_bare_file_name(source)
        {
            troubles.fail(at, "source is a bare file name in the node's volume directory, without / , and =");
        }
        if let Some((at, root)) = root
            && !(root.len() == 64 && root.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            troubles.fail(at, "verity_root is 64 hex digits");
        }
        if let Some((at, target)) = target {
            if !target.starts_with('/') {
                troubles.fail(at, "target is an absolute path");
            }
            if let Some(first) = targets.insert(target, at) {
                let (line, _) = doc.places.of(first);
                troubles.fail(at, format!("{target} is a target already, in line {line}"));
            }
        }
    }
    troubles.conclude(
        check,
        doc,
        "give each volume a bare file name, its root hash, and an absolute path of its own",
    )
}

fn is_bare_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', ',', '=', '\0'])
}
