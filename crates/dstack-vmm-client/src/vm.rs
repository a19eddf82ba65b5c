//! What the texts of a VM's life mean: its state, its boot steps, its times.
//!
//! The VMM sends all of them as free text. Sources: upstream `vmm/src/app.rs` for the states, `vmm/src/main_service.rs` and
//! `dstack-util/src/system_setup.rs` for the steps, `basefiles/` for those of the shell scripts, as of v0.5.11 and next.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::DstackVersion;

/// State of a VM, from the text of [`VmInfo::status`](crate::api::VmInfo::status).
///
/// It is made of three bits of the VMM, not stored as such: whether the VM is being removed, whether it should run, and
/// whether its process does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VmStatus {
    /// It is started and its process runs.
    Running,
    /// It is started and its process does not run: it crashed, or is about to start. The VMM restarts it.
    Exited,
    /// It is not started and its process still runs.
    Stopping,
    /// It is not started and has no process.
    Stopped,
    /// It is being removed.
    Removing,
    /// A state this crate does not know.
    Other(String),
}

impl VmStatus {
    /// The states this crate knows.
    pub const KNOWN: [Self; 5] = [Self::Running, Self::Exited, Self::Stopping, Self::Stopped, Self::Removing];

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Removing => "removing",
            Self::Other(text) => text,
        }
    }

    /// What it means, as a sentence without a full stop.
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Running => "the VM's process runs; whether the app is up says its boot step",
            Self::Exited => {
                "the VM should run and its process does not: it crashed or is about to be started again"
            }
            Self::Stopping => "the VM was told to stop and its process still runs",
            Self::Stopped => "the VM does not run and nothing will start it but a call",
            Self::Removing => "the VM and its disk are being deleted; this cannot be undone",
            Self::Other(_) => "a state that is not known here",
        }
    }

    /// Whether the state may directly follow this one. Every pair with an unknown state may.
    ///
    /// A poll can miss states between, so that a pair that may not follow directly is no sign of an error.
    pub fn may_become(&self, next: &Self) -> bool {
        use VmStatus::{Exited, Other, Removing, Running, Stopped, Stopping};
        match (self, next) {
            (Other(_), _) | (_, Other(_)) => true,
            // Nothing leads out of a removal but the end.
            (Removing, _) => *next == Removing,
            (_, Removing) => true,
            (Running, Running | Exited | Stopping | Stopped) => true,
            // Its process is gone: it starts again, or is told not to.
            (Exited, Exited | Running | Stopped) => true,
            (Exited, Stopping) => false,
            // StartVm while the process still ends makes it running again.
            (Stopping, Stopping | Stopped | Running | Exited) => true,
            // A start sets the flag before there is a process.
            (Stopped, Stopped | Exited | Running) => true,
            (Stopped, Stopping) => false,
        }
    }

    /// Whether resources and image can be changed in this state.
    pub fn allows_resize(&self) -> bool {
        matches!(self, Self::Stopped | Self::Exited)
    }
}

impl fmt::Display for VmStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<&str> for VmStatus {
    fn from(text: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|status| status.as_str() == text)
            .unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl FromStr for VmStatus {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

/// A step of booting, from the text of [`VmInfo::boot_progress`](crate::api::VmInfo::boot_progress).
///
/// In the order in which they usually come. Not every boot has every step, and an app may report texts of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BootStep {
    /// Nothing was reported yet.
    None,
    /// The VMM has started the VM's process.
    Booting,
    /// The VMM was restarted while the VM ran, and knows no more.
    RunningSinceBefore,
    /// The image is too old to report anything.
    NotReported,
    /// The app's init script runs.
    InitScript,
    /// The GPUs prove what they are.
    AttestingGpu,
    /// The guest asks the KMS for the keys of the app.
    RequestingAppKeys,
    /// The data disk is made: first boot.
    InitializingDataDisk,
    /// The data disk is opened: later boots.
    MountingDataDisk,
    /// The data disk is there.
    DataDiskReady,
    /// The guest registers with the gateway and sets up the tunnel to it.
    SettingUpGateway,
    /// Docker is set up.
    SettingUpDocker,
    /// The app's pre-launch script runs.
    PreLaunch,
    /// The containers of the Compose file are pulled and started.
    StartingContainers,
    /// The script of an app with the `bash` runner runs.
    RunningMainScript,
    /// The app was started.
    Done,
    /// A text this crate does not know.
    Other(String),
}

/// What is known about a step.
struct Row {
    step: BootStep,
    text: &'static str,
    meaning: &'static str,
    stuck: Option<&'static str>,
    versions: &'static [DstackVersion],
}

const BOTH: &[DstackVersion] = &DstackVersion::ALL;
const NEXT: &[DstackVersion] = &[DstackVersion::Next];

const STEPS: &[Row] = &[
    Row {
        step: BootStep::None,
        text: "",
        meaning: "nothing was reported yet",
        stuck: Some("the VM was never started, or the VMM has just started and knows nothing of it"),
        versions: BOTH,
    },
    Row {
        step: BootStep::Booting,
        text: "booting",
        meaning: "firmware, kernel and the guest's first services start",
        stuck: Some(
            "the kernel does not come up: read the serial log; without TDX or with an image of another version it ends there",
        ),
        versions: BOTH,
    },
    Row {
        step: BootStep::RunningSinceBefore,
        text: "running",
        meaning: "the VM ran already when the VMM was restarted, which forgets the steps",
        stuck: None,
        versions: BOTH,
    },
    Row {
        step: BootStep::NotReported,
        text: "N/A",
        meaning: "the guest image is too old to report steps",
        stuck: Some("images without a read-only share never report; look at the serial log"),
        versions: BOTH,
    },
    Row {
        step: BootStep::InitScript,
        text: "init-script",
        meaning: "the init script of the app-compose runs",
        stuck: Some("the init script does not end: read the serial log"),
        versions: NEXT,
    },
    Row {
        step: BootStep::AttestingGpu,
        text: "attesting GPU",
        meaning: "the GPUs prove that they are in confidential mode",
        stuck: Some(
            "the attestation service of the GPU vendor is not reached, or the GPU is not in confidential mode",
        ),
        versions: NEXT,
    },
    Row {
        step: BootStep::RequestingAppKeys,
        text: "requesting app keys",
        meaning: "the guest proves itself to the KMS and asks for its keys",
        stuck: Some(
            "the KMS is not reached from the guest, has not allowed this compose hash or OS image, or the host's quote service (QGS, PCCS) fails",
        ),
        versions: BOTH,
    },
    Row {
        step: BootStep::InitializingDataDisk,
        text: "initializing data disk",
        meaning: "the encrypted data disk is made; larger disks take longer",
        stuck: Some("the host's disk is slow or full"),
        versions: BOTH,
    },
    Row {
        step: BootStep::MountingDataDisk,
        text: "mounting data disk",
        meaning: "the encrypted data disk is opened",
        stuck: Some(
            "the disk was made with other keys (another app id, instance or key provider), or is damaged",
        ),
        versions: BOTH,
    },
    Row {
        step: BootStep::DataDiskReady,
        text: "data disk ready",
        meaning: "the encrypted data disk is in place",
        stuck: Some("decrypting the environment or setting the clock takes long: read the serial log"),
        versions: BOTH,
    },
    Row {
        step: BootStep::SettingUpGateway,
        text: "setting up dstack-gateway",
        meaning: "the guest registers with the gateway and opens its tunnel",
        stuck: Some(
            "the gateway is not reached from the guest, or refuses the app: check the gateway URLs and that its app id is the one the KMS names",
        ),
        versions: BOTH,
    },
    Row {
        step: BootStep::SettingUpDocker,
        text: "setting up docker",
        meaning: "docker is configured and started",
        stuck: Some("the docker registry of the app-compose or the node is not reached"),
        versions: BOTH,
    },
    Row {
        step: BootStep::PreLaunch,
        text: "pre-launch",
        meaning: "the pre-launch script of the app-compose runs",
        stuck: Some("the pre-launch script does not end or waits for the network: read the serial log"),
        versions: BOTH,
    },
    Row {
        step: BootStep::StartingContainers,
        text: "starting containers",
        meaning: "the images of the Compose file are pulled and its containers started",
        stuck: Some(
            "an image is large, or cannot be pulled: check its name and the registry's credentials, and read the serial log",
        ),
        versions: BOTH,
    },
    Row {
        step: BootStep::RunningMainScript,
        text: "running main script",
        meaning: "the script of the app-compose runs",
        stuck: Some("the script does not end: read the serial log"),
        versions: BOTH,
    },
    Row { step: BootStep::Done, text: "done", meaning: "the app was started", stuck: None, versions: BOTH },
];

impl BootStep {
    /// The steps this crate knows, in the order in which they usually come.
    pub fn known() -> impl Iterator<Item = Self> {
        STEPS.iter().map(|row| row.step.clone())
    }

    fn row(&self) -> Option<&'static Row> {
        STEPS.iter().find(|row| row.step == *self)
    }

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => known.row().map_or("", |row| row.text),
        }
    }

    /// What happens in it, as a sentence without a full stop.
    pub fn meaning(&self) -> &'static str {
        self.row().map_or("a step that is not known here", |row| row.meaning)
    }

    /// What it usually is when a VM stays in this step. `None` where a VM may stay.
    pub fn when_stuck(&self) -> Option<&'static str> {
        self.row().and_then(|row| row.stuck)
    }

    /// The versions whose guests report it. Empty for an unknown step.
    pub fn versions(&self) -> &'static [DstackVersion] {
        self.row().map_or(&[], |row| row.versions)
    }

    /// The place in the usual order, from 0. `None` for an unknown step.
    pub fn position(&self) -> Option<usize> {
        STEPS.iter().position(|row| row.step == *self)
    }
}

impl fmt::Display for BootStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<&str> for BootStep {
    fn from(text: &str) -> Self {
        STEPS
            .iter()
            .find(|row| row.text == text)
            .map_or_else(|| Self::Other(text.to_owned()), |row| row.step.clone())
    }
}

impl FromStr for BootStep {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration such as \"1h 2m 3s\"")]
#[non_exhaustive]
pub struct NotADuration {
    /// The text.
    pub text: String,
}

/// Units and their seconds. A month is 30.44 days and a year 365.25, as in the crate that the VMM writes them with.
const UNITS: &[(&[&str], u64)] = &[
    (&["s", "sec", "secs", "second", "seconds"], 1),
    (&["m", "min", "mins", "minute", "minutes"], 60),
    (&["h", "hr", "hrs", "hour", "hours"], 3600),
    (&["d", "day", "days"], 86_400),
    (&["w", "week", "weeks"], 604_800),
    (&["M", "month", "months"], 2_630_016),
    (&["y", "year", "years"], 31_557_600),
];

/// Reads [`VmInfo::uptime`](crate::api::VmInfo::uptime) and [`VmInfo::exited_at`](crate::api::VmInfo::exited_at): whole
/// seconds in units, such as `1day 2h 3m 4s`, or `never`.
///
/// Both are spans that had passed when the VMM answered, not points in time. `None` is `never`.
///
/// ```
/// use std::time::Duration;
/// use dstack_vmm_client::vm::parse_humantime;
///
/// assert_eq!(parse_humantime("1h 2m 3s")?, Some(Duration::from_secs(3723)));
/// assert_eq!(parse_humantime("never")?, None);
/// # Ok::<(), dstack_vmm_client::vm::NotADuration>(())
/// ```
///
/// # Errors
/// When the text is neither.
pub fn parse_humantime(text: &str) -> Result<Option<Duration>, NotADuration> {
    let failure = || NotADuration { text: text.to_owned() };
    if text == "never" {
        return Ok(None);
    }
    let mut total = Duration::ZERO;
    let mut words = text.split_ascii_whitespace().peekable();
    if words.peek().is_none() {
        return Err(failure());
    }
    for word in words {
        let digits = word.find(|character: char| !character.is_ascii_digit()).unwrap_or(word.len());
        let (number, unit) = word.split_at(digits);
        let number: u64 = number.parse().map_err(|_| failure())?;
        let part = match unit {
            "ms" => Duration::from_millis(number),
            "us" => Duration::from_micros(number),
            "ns" => Duration::from_nanos(number),
            _ => {
                let (_, seconds) =
                    UNITS.iter().find(|(names, _)| names.contains(&unit)).ok_or_else(failure)?;
                Duration::from_secs(number.checked_mul(*seconds).ok_or_else(failure)?)
            }
        };
        total = total.checked_add(part).ok_or_else(failure)?;
    }
    Ok(Some(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn states_read_and_write() {
        for status in VmStatus::KNOWN {
            assert_eq!(VmStatus::from(status.as_str()), status);
        }
        assert_eq!(VmStatus::from("paused"), VmStatus::Other("paused".to_owned()));
        assert_eq!(format!("{:>9}|", VmStatus::Running), "  running|");
    }

    #[test]
    fn transitions() {
        let mut table = String::from("from \\ to ");
        for next in &VmStatus::KNOWN {
            table.push_str(&format!(" {next:<9}"));
        }
        for from in &VmStatus::KNOWN {
            table.push_str(&format!("\n{from:<10}"));
            for next in &VmStatus::KNOWN {
                table.push_str(if from.may_become(next) { " yes      " } else { " -        " });
            }
        }
        insta::assert_snapshot!(table);
        assert!(VmStatus::Removing.may_become(&VmStatus::Other("paused".to_owned())));
    }

    #[test]
    fn steps_read_write_and_explain_themselves() {
        let mut table = String::new();
        for (index, step) in BootStep::known().enumerate() {
            assert_eq!(BootStep::from(step.as_str()), step);
            assert_eq!(step.position(), Some(index));
            let versions: Vec<String> = step.versions().iter().map(ToString::to_string).collect();
            table.push_str(&format!(
                "{:?} [{}]: {}\n    stuck: {}\n",
                step.as_str(),
                versions.join(", "),
                step.meaning(),
                step.when_stuck().unwrap_or("-")
            ));
        }
        insta::assert_snapshot!(table);
        let own = BootStep::from("warming up");
        assert_eq!((own.as_str(), own.position(), own.versions()), ("warming up", None, &[][..]));
    }

    #[test]
    fn durations() {
        let seconds = |text: &str| parse_humantime(text).unwrap().map(|duration| duration.as_secs());
        assert_eq!(seconds("0s"), Some(0));
        assert_eq!(seconds("59m 59s"), Some(3599));
        assert_eq!(seconds("1day 1s"), Some(86_401));
        assert_eq!(seconds("2days"), Some(172_800));
        assert_eq!(seconds("1month 2days 3h"), Some(2_630_016 + 172_800 + 10_800));
        assert_eq!(seconds("1year"), Some(31_557_600));
        assert_eq!(seconds("never"), None);
        for wrong in [
            "",
            " ",
            "s",
            "1",
            "1x",
            "-1s",
            "1.5s",
            "1s never",
            "99999999999999999999s",
            "9999999999999999years",
        ] {
            assert!(parse_humantime(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn spans_come_back(days in 0u64..400, hours in 0u64..24, minutes in 0u64..60, seconds in 0u64..60) {
            let text = format!("{days}days {hours}h {minutes}m {seconds}s");
            let expected = Duration::from_secs(((days * 24 + hours) * 60 + minutes) * 60 + seconds);
            prop_assert_eq!(parse_humantime(&text).unwrap(), Some(expected));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = parse_humantime(&text);
        }
    }
}
