//! Where files are kept, and whether the VMM gets there.

use std::path::{Component, Path, PathBuf};

use dstack_check::{CheckDef, Finding, Fix};

use super::{Input, cite_all};
use crate::config::tree::{Node, Place};
use crate::config::{KEYS, KeyDefault, KeyType};

const RUN_PATH: &str = "run_path";
const SUGGESTED: &str = "/var/lib/dstack/vm";

pub(super) fn run_path(check: &CheckDef, input: &Input<'_>) -> Finding {
    let set = input.config.run_path.as_deref();
    let fix = || {
        Fix::new(
            "keep the VMs in a directory the unit lets the VMM write to, after moving those that are there",
        )
        .command(input.set_command(RUN_PATH, SUGGESTED))
    };
    let Some(writable) = &input.context.unit_writable_paths else {
        if set.is_some() {
            return check.pass();
        }
        let finding = check
            .warn()
            .observed("VMs are kept in .dstack-vmm/vm of the home directory of the user that runs the VMM")
            .expected("a directory of its own, such as /var/lib/dstack/vm")
            .fix(fix());
        return input.cite(finding, RUN_PATH);
    };
    let home = input.context.home.clone();
    let directory = match (set, home) {
        // A service is started in / unless its unit says otherwise.
        (Some(path), _) => Path::new("/").join(path),
        (None, Some(home)) => home.join(".dstack-vmm/vm"),
        (None, None)
            if writable.iter().any(|path| path.starts_with("/root") || path.starts_with("/home")) =>
        {
            return check.unknown("the home directory of the user that runs the VMM is not known");
        }
        (None, None) => PathBuf::from("~/.dstack-vmm/vm"),
    };
    if writable.iter().any(|path| is_inside(&directory, path)) {
        return check.pass().observed(directory.display().to_string());
    }
    let writable: Vec<String> = writable.iter().map(|path| path.display().to_string()).collect();
    let finding = check
        .fail()
        .observed(format!(
            "VMs are kept in {}, where the unit does not let the VMM write",
            directory.display()
        ))
        .expected(match writable.as_slice() {
            [] => "a directory the unit lets the VMM write to; it names none".to_owned(),
            paths => format!("a directory in {}", paths.join(" or ")),
        })
        .fix(fix());
    input.cite(finding, RUN_PATH)
}

/// Whether a path lies in a directory of a unit. A leading `-` or `+` is the unit's and no part of the path
/// (systemd.exec(5)); `/var/run` is `/run`.
fn is_inside(path: &Path, directory: &Path) -> bool {
    let plain = |path: &Path| -> PathBuf {
        let text = path.to_string_lossy();
        let text = text.trim_start_matches(['-', '+']);
        let mut out = PathBuf::new();
        for part in Path::new(text).components() {
            match part {
                Component::ParentDir => drop(out.pop()),
                Component::CurDir => {}
                part => out.push(part),
            }
        }
        match out.strip_prefix("/var/run") {
            Ok(rest) => Path::new("/run").join(rest),
            Err(_) => out,
        }
    };
    plain(path).starts_with(plain(directory))
}

/// Every path the file or a default gives, with its place.
fn paths(input: &Input<'_>) -> Vec<(&'static str, Option<Place>, String)> {
    let mut found = Vec::new();
    for key in KEYS.iter().filter(|key| key.kind == KeyType::Path && key.is_read_by(input.context.version)) {
        match input.entry(key.path).map(|entry| (&entry.place, &entry.node)) {
            Some((place, Node::Text(text))) => found.push((key.path, Some(place.clone()), text.clone())),
            Some(_) => {}
            None => {
                if let KeyDefault::Text(text) = key.default {
                    found.push((key.path, None, text.to_owned()));
                }
            }
        }
    }
    if let Some(path) = input.config.address.strip_prefix("unix:") {
        let place = input.entry("address").map(|entry| entry.place.clone());
        found.push(("address", place, path.to_owned()));
    }
    found
}

pub(super) fn relative(check: &CheckDef, input: &Input<'_>) -> Finding {
    let starts_supervisor = input.config.supervisor.auto_start;
    let relative: Vec<_> = paths(input)
        .into_iter()
        .filter(|(key, ..)| *key != "supervisor.exe" || starts_supervisor)
        // A program without a slash is searched for in PATH.
        .filter(|(key, _, path)| *key != "cvm.qemu_path" || path.contains('/'))
        .filter(|(_, _, path)| {
            !path.is_empty() && Path::new(path).is_relative() && !path.starts_with(['~', '$'])
        })
        .collect();
    if relative.is_empty() {
        return check.pass();
    }
    let shown: Vec<(Place, String)> = relative
        .iter()
        .map(|(key, place, path)| match place {
            Some(place) => (place.clone(), format!("{key} is {path}")),
            None => (
                Place { file: input.context.config_path.as_str().into(), position: None },
                format!("{key} is not set, the default is {path}"),
            ),
        })
        .collect();
    let keys: Vec<&str> = relative.iter().map(|(key, ..)| *key).collect();
    let mut fix = Fix::new("write the paths from the root on");
    for (key, suggested) in [
        ("supervisor.exe", "/usr/local/bin/dstack-supervisor"),
        ("supervisor.sock", "/run/dstack/supervisor.sock"),
        ("supervisor.pid_file", "/run/dstack/supervisor.pid"),
        ("supervisor.log_file", "/var/log/dstack/supervisor.log"),
        ("address", "unix:/run/dstack/vmm.sock"),
        ("image.path", "/var/lib/dstack/images"),
        (RUN_PATH, SUGGESTED),
    ] {
        if keys.contains(&key) {
            fix = fix.command(input.set_command(key, suggested));
        }
    }
    let finding = check
        .warn()
        .observed(format!("{} depend on the directory the VMM is started in", keys.join(", ")))
        .expected("paths that begin with /")
        .fix(fix);
    cite_all(finding, &shown)
}

pub(super) fn tilde(check: &CheckDef, input: &Input<'_>) -> Finding {
    let found: Vec<(Place, String)> = paths(input)
        .into_iter()
        .filter(|(_, _, path)| path.starts_with(['~', '$']))
        .filter_map(|(key, place, path)| Some((place?, format!("{key} is {path}"))))
        .collect();
    if found.is_empty() {
        return check.pass();
    }
    let finding = check
        .fail()
        .observed("a path that a shell would expand and the VMM does not")
        .expected("paths that begin with /")
        .fix(Fix::new("write the directory out"));
    cite_all(finding, &found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside() {
        for (path, directory, expected) in [
            ("/var/lib/dstack/vm", "/var/lib/dstack", true),
            ("/var/lib/dstack", "/var/lib/dstack/", true),
            ("/var/lib/dstack2", "/var/lib/dstack", false),
            ("/run/dstack/x", "-/var/run/dstack", true),
            ("/var/lib/dstack/../other", "/var/lib/dstack", false),
            ("~/.dstack-vmm/vm", "/var/lib/dstack", false),
        ] {
            assert_eq!(is_inside(path.as_ref(), directory.as_ref()), expected, "{path} in {directory}");
        }
    }
}
