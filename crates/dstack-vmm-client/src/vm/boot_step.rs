//! The steps of a boot.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::DstackVersion;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
