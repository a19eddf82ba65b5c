//! Units of systemd: what is started at boot, and what runs.

use super::record::{Section, Service};
use super::spec::SnapshotSpec;
use crate::source::{Probe, ProbeOutput};
use crate::{HostSource, Reading, Unread};

/// The most units that are recorded.
const MAX_UNITS: usize = 5000;
/// States that say nothing about the set-up: units that cannot be enabled, are another's name, or were made at boot.
const NOT_SET_UP: &[&str] = &["static", "alias", "generated", "transient", "indirect"];

/// What is started at boot.
pub(super) fn units(source: &dyn HostSource, spec: &SnapshotSpec) -> Section<String> {
    Section::from_reading(source.probe(&Probe::UnitFiles).and_then(ended).map(|output| {
        unit_files(&output)
            .filter(|(name, _)| spec.units.iter().any(|pattern| pattern.matches(name)))
            .map(|(name, state)| (name.to_owned(), state.to_owned()))
            .collect()
    }))
}

/// What runs.
pub(super) fn services(source: &dyn HostSource) -> Section<Service> {
    // The folder that tells that systemd is the init system (`sd_booted(3)`). Without it systemd runs nothing.
    if source.exists("/run/systemd/system") == Ok(false) {
        return Section::default();
    }
    Section::from_reading(source.probe(&Probe::Units).and_then(ended).map(|output| {
        unit_states(&output)
            .into_iter()
            // Every unit that is asked for gets an answer; one that nobody installed is not there.
            .filter(|(_, load, _)| *load != "not-found")
            .map(|(name, load, active)| {
                (name.to_owned(), Service { active: active.to_owned(), load: load.to_owned() })
            })
            .collect()
    }))
}

/// What a command printed, where it ended well.
fn ended(output: ProbeOutput) -> Reading<String> {
    if output.status == Some(0) {
        return Ok(output.stdout);
    }
    let line = output.stderr.lines().map(str::trim).find(|line| !line.is_empty());
    Err(Unread::Failed(line.unwrap_or("systemctl failed").chars().take(200).collect()))
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
        if let (Some(id), Some(load), Some(active)) = (field("Id"), field("LoadState"), field("ActiveState"))
        {
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
        let host =
            Readings::empty_host().probe_stdout(Probe::UnitFiles, files).probe_stdout(Probe::Units, states);
        let section = units(&host, &SnapshotSpec::builtin());
        let names: Vec<(&str, &str)> = section
            .items
            .iter()
            .map(|(name, state)| (name.as_str(), state.value().map(String::as_str).unwrap_or_default()))
            .collect();
        assert_eq!(names, [("dstack-vmm.service", "enabled"), ("qgsd.service", "disabled")]);
        assert!(services(&host).items.is_empty(), "systemd does not run");
        let host = host.folder("/run/systemd/system", []);
        let running = services(&host);
        assert_eq!(running.items.len(), 1);
        assert_eq!(running.items["qgsd.service"].value().unwrap().active, "active");
        assert_eq!(
            units(&Readings::nothing_known(), &SnapshotSpec::builtin()).unread,
            Some(Unread::NotRecorded)
        );
    }
}
