//! Are these the keys and types a VMM reads?

use dstack_check::{CheckDef, Finding, Fix};

use super::{Input, cite_all};
use crate::config::checks::{NETWORKING, PORT_RANGES, TYPES, UNKNOWN_KEYS};
use crate::config::port_range;
use crate::config::tree::{Node, Place, Table};
use crate::config::value::mismatch;
use crate::config::{ConfigValue, KEYS, KeyDef, key_def, nearest_keys};

const MODE: &str = "cvm.networking.mode";

/// What is wrong with the form of a configuration: types, ranges, unknown keys. Passing checks are left out.
pub(crate) fn structure(tree: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let faults = type_faults(tree);
    if !faults.is_empty() {
        findings.push(types(&TYPES, tree));
    }
    if let Some(Node::List(items)) = tree.at("cvm.port_mapping.range").map(|entry| &entry.node) {
        let faults = port_range::faults(items);
        if !faults.is_empty() {
            let finding = PORT_RANGES.fail().observed("ranges that are none");
            findings.push(cite_all(finding, &faults));
        }
    }
    if let (Some(entry), Some(key)) = (tree.at(MODE), key_def(MODE))
        && let (Node::Text(_), Some((place, got))) =
            (&entry.node, mismatch(key.kind, key.secret, &entry.place, &entry.node))
    {
        let what = format!("{MODE} takes {}, not {got}", key.kind);
        findings.push(NETWORKING.fail().observed(what.clone()).evidence(place.to_string(), what));
    }
    if !unknown(tree).is_empty() {
        findings.push(unknown_keys(&UNKNOWN_KEYS, tree));
    }
    findings
}

/// Keys of the file that the table has, with their entries.
fn known(tree: &Table) -> impl Iterator<Item = (&'static KeyDef, &Place, &Node)> {
    KEYS.iter().filter_map(|key| tree.at(key.path).map(|entry| (key, &entry.place, &entry.node)))
}

fn type_faults(tree: &Table) -> Vec<(Place, String)> {
    let mut faults: Vec<(Place, String)> = known(tree)
        .filter_map(|(key, place, node)| {
            if key.path == MODE && matches!(node, Node::Text(_)) {
                return None; // The networking check answers for it.
            }
            let (at, got) = mismatch(key.kind, key.secret, place, node)?;
            Some((at, format!("{} takes {}, not {got}", key.path, key.kind)))
        })
        .collect();
    misplaced(tree, &mut faults);
    sort(&mut faults);
    faults
}

/// Sections that are values, such as `cvm = 3`.
fn misplaced(tree: &Table, faults: &mut Vec<(Place, String)>) {
    let mut sections: Vec<&str> = KEYS.iter().filter_map(|key| Some(key.path.rsplit_once('.')?.0)).collect();
    sections.dedup();
    for section in sections {
        if let Some(entry) = tree.at(section)
            && !matches!(entry.node, Node::Table(_))
            && !faults.iter().any(|(place, _)| *place == entry.place)
        {
            let what = format!("{section} is a section, not {}", entry.node.type_name());
            faults.push((entry.place.clone(), what));
        }
    }
}

/// In the order of the file.
fn sort(places: &mut [(Place, String)]) {
    places.sort_by(|(a, _), (b, _)| (&a.file, a.position).cmp(&(&b.file, b.position)));
}

pub(super) fn types(check: &CheckDef, tree: &Table) -> Finding {
    let faults = type_faults(tree);
    if faults.is_empty() {
        return check.pass();
    }
    let finding = check
        .fail()
        .observed(format!("{} of another type", count(faults.len(), "value")))
        .fix(Fix::new("give each key a value of its type; the VMM does not start with another"));
    cite_all(finding, &faults)
}

/// Keys no version reads, outermost first: below an unknown table nothing is listed.
fn unknown(tree: &Table) -> Vec<(Place, String)> {
    fn walk(table: &Table, prefix: &str, found: &mut Vec<(Place, String)>) {
        for entry in table.entries() {
            let path = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
            let inner = format!("{path}.");
            if key_def(&path).is_some() {
                continue;
            }
            match &entry.node {
                Node::Table(table) if KEYS.iter().any(|key| key.path.starts_with(&inner)) => {
                    walk(table, &path, found);
                }
                // A section that is a value has a finding of its own.
                _ if KEYS.iter().any(|key| key.path.starts_with(&inner)) => {}
                _ => found.push((entry.place.clone(), path)),
            }
        }
    }
    let mut found = Vec::new();
    walk(tree, "", &mut found);
    found.retain(|(_, path)| path != "vmm");
    sort(&mut found);
    found
}

pub(super) fn unknown_keys(check: &CheckDef, tree: &Table) -> Finding {
    let unknown = unknown(tree);
    if unknown.is_empty() {
        return check.pass();
    }
    let lines: Vec<(Place, String)> = unknown
        .iter()
        .map(|(place, path)| {
            let near = nearest_keys(path);
            let what = match near.as_slice() {
                [] => format!("no VMM reads {path}"),
                near => format!("no VMM reads {path}, did you mean {}?", near.join(" or ")),
            };
            (place.clone(), what)
        })
        .collect();
    let finding = check
        .warn()
        .observed(format!("{} without effect", count(unknown.len(), "key")))
        .fix(Fix::new("correct the names or take the keys out"));
    cite_all(finding, &lines)
}

pub(super) fn fictional(check: &CheckDef, input: &Input<'_>) -> Finding {
    let Some(entry) = input.entry("vmm") else { return check.pass() };
    check
        .fail()
        .observed("a [vmm] section")
        .expected("settings at the top of the file and in [cvm], [gateway], [auth] and their like")
        .evidence(entry.place.to_string(), "[vmm]")
        .fix(Fix::new("move each setting to the key that the VMM reads, such as address and image.path"))
}

pub(super) fn version_keys(check: &CheckDef, input: &Input<'_>) -> Finding {
    let version = input.context.version;
    let mut others: Vec<(Place, String)> = known(&input.tree)
        .filter(|(key, ..)| !key.is_read_by(version))
        .map(|(key, place, _)| (place.clone(), format!("dstack {version} does not read {}", key.path)))
        .collect();
    if others.is_empty() {
        return check.pass();
    }
    sort(&mut others);
    let finding = check
        .warn()
        .observed(format!("{} of another version", count(others.len(), "key")))
        .expected(format!("keys of dstack {version}"))
        .fix(Fix::new("take the keys out, or run the version that reads them"));
    cite_all(finding, &others)
}

pub(super) fn deprecated(check: &CheckDef, input: &Input<'_>) -> Finding {
    let mut old: Vec<(Place, String)> = Vec::new();
    let mut commands = Vec::new();
    for (key, place, node) in known(&input.tree) {
        let Some(replacement) = key.replaced_by else { continue };
        let clash = if input.is_set(replacement) { ", which is set too" } else { "" };
        old.push((place.clone(), format!("{} is now {replacement}{clash}", key.path)));
        match (ConfigValue::from_node(node), clash) {
            (Some(ConfigValue::Text(text)), "") => commands.push(input.set_command(replacement, &text)),
            (Some(ConfigValue::Texts(texts)), "") => {
                commands.push(input.set_command(replacement, &texts.join(",")));
            }
            _ => {}
        }
        commands.push(input.unset_command(key.path));
    }
    if old.is_empty() {
        return check.pass();
    }
    sort(&mut old);
    let mut fix = Fix::new("move the value to the current key");
    for command in commands {
        fix = fix.command(command);
    }
    cite_all(check.warn().observed(count(old.len(), "older name")).fix(fix), &old)
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
