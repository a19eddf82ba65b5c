//! Units as `systemctl show` prints them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::source::ProbeOutput;
use crate::{Fact, Unread};

/// The most units that are kept.
const MAX_UNITS: usize = 256;

/// Units by their name without `.service`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Units {
    units: BTreeMap<String, Unit>,
}

/// One unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Unit {
    /// `LoadState`: `loaded`, `not-found`, `masked`.
    pub load_state: String,
    /// `ActiveState`: `active`, `inactive`, `failed`, `activating`.
    pub active_state: String,
    /// `SubState`: `running`, `dead`, `exited`, `auto-restart`.
    pub sub_state: String,
    /// `UnitFileState`: `enabled`, `disabled`, `static`.
    pub unit_file_state: String,
    /// `Result`: `success`, `exit-code`, `signal`.
    pub result: String,
    /// `ExecMainStatus`: how the last main process ended.
    pub exit_status: Option<i32>,
    /// `MainPID`; 0 where none runs.
    pub main_pid: u32,
    /// `User`; empty for root.
    pub user: String,
}

impl Unit {
    /// Does systemd have a file for it?
    pub fn is_installed(&self) -> bool {
        !self.load_state.is_empty() && self.load_state != "not-found"
    }

    /// Is it active?
    pub fn is_active(&self) -> bool {
        self.active_state == "active"
    }

    /// The states in one line: `active (running), enabled`.
    pub fn state(&self) -> String {
        let mut text = format!("{} ({})", self.active_state, self.sub_state);
        if !self.unit_file_state.is_empty() {
            text.push_str(", ");
            text.push_str(&self.unit_file_state);
        }
        if !self.result.is_empty() && self.result != "success" {
            text.push_str(", result ");
            text.push_str(&self.result);
        }
        text
    }
}

impl Units {
    /// Reads the output of `systemctl show UNIT...`: blocks of `Name=value` with an empty line between. Never fails.
    pub fn parse(text: &str) -> Self {
        let mut units = BTreeMap::new();
        let mut name = String::new();
        let mut unit = Unit::default();
        for line in text.lines().chain([""]) {
            let line = line.trim_end();
            if line.is_empty() {
                if !name.is_empty() && units.len() < MAX_UNITS {
                    units.insert(std::mem::take(&mut name), std::mem::take(&mut unit));
                }
                (name, unit) = Default::default();
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim();
            match key {
                "Id" => value.strip_suffix(".service").unwrap_or(value).clone_into(&mut name),
                "LoadState" => value.clone_into(&mut unit.load_state),
                "ActiveState" => value.clone_into(&mut unit.active_state),
                "SubState" => value.clone_into(&mut unit.sub_state),
                "UnitFileState" => value.clone_into(&mut unit.unit_file_state),
                "Result" => value.clone_into(&mut unit.result),
                "ExecMainStatus" => unit.exit_status = value.parse().ok(),
                "MainPID" => unit.main_pid = value.parse().unwrap_or(0),
                "User" => value.clone_into(&mut unit.user),
                _ => {}
            }
        }
        Self { units }
    }

    /// The unit with this name, without `.service`.
    pub fn get(&self, name: &str) -> Option<&Unit> {
        self.units.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Unit)> {
        self.units.iter().map(|(name, unit)| (name.as_str(), unit))
    }
}

/// The units in the output, or why there are none.
pub(super) fn read(output: &ProbeOutput) -> Fact<Units> {
    let units = Units::parse(&output.stdout);
    if units.units.is_empty() {
        let why = output.stderr.lines().next().unwrap_or("systemctl said nothing");
        return Fact::Unread(Unread::Failed(why.trim().chars().take(200).collect()));
    }
    Fact::Known(units)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHOWN: &str = "Type=simple\nId=qgsd.service\nLoadState=loaded\nActiveState=active\nSubState=running\n\
                         UnitFileState=enabled\nResult=success\nExecMainStatus=0\nMainPID=4711\nUser=qgsd\n\n\
                         Id=pccs.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\n\
                         Result=success\nExecMainStatus=0\nMainPID=0\n";

    #[test]
    fn blocks_become_units() {
        let units = Units::parse(SHOWN);
        let qgsd = units.get("qgsd").unwrap();
        assert!(qgsd.is_active() && qgsd.is_installed());
        assert_eq!((qgsd.main_pid, qgsd.user.as_str()), (4711, "qgsd"));
        assert_eq!(qgsd.state(), "active (running), enabled");
        assert!(!units.get("pccs").unwrap().is_installed());
        assert_eq!(units.iter().count(), 2);
    }

    #[test]
    fn no_systemd_is_not_no_units() {
        let stderr = "System has not been booted with systemd as init system (PID 1). Can't operate.\n";
        let output = ProbeOutput { status: Some(1), stdout: String::new(), stderr: stderr.to_owned() };
        assert!(
            matches!(read(&output), Fact::Unread(Unread::Failed(why)) if why.contains("not been booted"))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,500}") {
            let _ = Units::parse(&text);
        }

        #[test]
        fn what_is_shown_is_read(names in proptest::collection::btree_set("[a-z]{1,8}", 0..6)) {
            let text: String = names.iter().map(|name| format!("Id={name}.service\nLoadState=loaded\n\n")).collect();
            let units = Units::parse(&text);
            prop_assert_eq!(units.iter().map(|(name, _)| name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
        }
    }
}
