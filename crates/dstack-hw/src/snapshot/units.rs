//! Units of systemd: what is started at boot, and what runs.

use std::collections::BTreeMap;

use super::record::{Section, Seen, Unit};
use super::spec::SnapshotSpec;
use crate::source::Probe;
use crate::{HostSource, Unread};

/// The most units that are recorded.
const MAX_UNITS: usize = 5000;
/// States that say nothing about the set-up: units that cannot be enabled, are another's name, or were made at boot.
const NOT_SET_UP: &[&str] = &["static", "alias", "generated", "transient", "indirect"];

pub(super) fn units(source: &dyn HostSource, spec: &SnapshotSpec) -> Section<Unit> {
    let mut section = Section::default();
    let mut units: BTreeMap<String, Unit> = BTreeMap::new();
    match source.probe(&Probe::UnitFiles) {
        Ok(output) if output.status == Some(0) => {
            for (name, state) in unit_files(&output.stdout) {
                if spec.units.iter().any(|pattern| pattern.matches(name)) {
                    units.entry(name.to_owned()).or_default().file_state = Some(state.to_owned());
                }
            }
        }
        Ok(output) => section.unread = Some(Unread::Failed(first_line(&output.stderr, "systemctl failed"))),
        // A host without systemd has no units; a tree or a capture without them says nothing.
        Err(why) => section.unread = Some(why),
    }
    match source.probe(&Probe::Units) {
        Ok(output) if output.status == Some(0) => {
            for (name, load, active) in unit_states(&output.stdout) {
                // Every unit that is asked for gets an answer; one that nobody installed is not there.
                if load != "not-found" {
                    let unit = units.entry(name.to_owned()).or_default();
                    unit.load = Some(load.to_owned());
                    unit.active = Some(active.to_owned());
                }
            }
        }
        _ => section.cut = section.cut || section.unread.is_none(),
    }
    section.items = units.into_iter().map(|(name, unit)| (name, Seen::Value(unit))).collect();
    section
}

fn first_line(text: &str, otherwise: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or(otherwise);
    line.chars().take(200).collect()
}

/// Name and state in the output of `systemctl list-unit-files`: the first two words of every line that begins with the
/// name of a unit.
fn unit_files(output: &str) -> impl Iterator<Item = (&str, &str)> {
    output.lines().take(MAX_UNITS).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, state) = (words.next()?, words.next()?);
        let (_, kind) = name.rsplit_once('.')?;
        let unit = kind.bytes().all(|byte| byte.is_ascii_lowercase());
        let enabling = state.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        (unit && enabling && !NOT_SET_UP.contains(&state)).then_some((name, state))
    })
}

/// Name, `LoadState` and `ActiveState` in the output of `systemctl show`: paragraphs of `Property=value`.
fn unit_states(output: &str) -> Vec<(&str, &str, &str)> {
    let mut states = Vec::new();
    for paragraph in output.split("\n\n").take(MAX_UNITS) {
        let field = |name: &str| {
            paragraph.lines().take(100).find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))
        };
        if let (Some(id), Some(load), Some(active)) = (field("Id"), field("LoadState"), field("ActiveState")) {
            states.push((id, load, active));
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Readings;

    #[test]
    fn what_is_enabled_and_what_runs() {
        let files = "UNIT FILE STATE PRESET\ndstack-vmm.service enabled enabled\nqgsd.service disabled enabled\n\
                     dbus.socket static -\nboot-efi.mount generated -\n\n4 unit files listed.\n";
        let states = "Id=qgsd.service\nLoadState=loaded\nActiveState=active\nSubState=running\n\n\
                      Id=pccs.service\nLoadState=not-found\nActiveState=inactive\n";
        let host = Readings::empty_host()
            .probe_stdout(Probe::UnitFiles, files)
            .probe_stdout(Probe::Units, states);
        let section = units(&host, &SnapshotSpec::builtin());
        let names: Vec<&String> = section.items.keys().collect();
        assert_eq!(names, ["dstack-vmm.service", "qgsd.service"]);
        let qgsd = section.items["qgsd.service"].value().unwrap();
        assert_eq!(qgsd.file_state.as_deref(), Some("disabled"));
        assert_eq!(qgsd.active.as_deref(), Some("active"));
        assert_eq!(units(&Readings::nothing_known(), &SnapshotSpec::builtin()).unread, Some(Unread::NotRecorded));
    }
}
