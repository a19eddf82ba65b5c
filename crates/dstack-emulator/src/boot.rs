//! What a pretended guest does after it is started: the steps it reports, the lines it prints, and how it can fail.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How guests boot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootProfile {
    /// Time between two boot steps.
    pub step: Duration,
    /// How the boot ends.
    pub outcome: Outcome,
}

/// How a boot ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The app is up.
    Completes,
    /// The process runs, but no guest ever answers: nothing is reported and calls to the guest time out.
    NoGuest,
    /// At this step the guest reports an error. From `starting containers` on the VM stays up, before it powers off.
    FailsAt {
        /// The step, as in [`STEPS`].
        step: String,
        /// The error it reports.
        error: String,
    },
    /// At this step the process ends without a word.
    CrashesAt {
        /// The step, as in [`STEPS`].
        step: String,
        /// Exit code of the process.
        code: i32,
    },
    /// After this step nothing more happens.
    HangsAt {
        /// The step, as in [`STEPS`].
        step: String,
    },
}

/// The steps that a guest can report, in order (upstream `guest-agent` and the guest's boot scripts).
pub const STEPS: [&str; 12] = [
    // The VMM sets this one itself, before the guest says anything.
    "booting",
    "init-script",
    "requesting app keys",
    "initializing data disk",
    "mounting data disk",
    "data disk ready",
    "setting up dstack-gateway",
    "setting up docker",
    "pre-launch",
    "starting containers",
    "running main script",
    "done",
];

/// Time between two boot steps without another wish: a boot takes about a second and a half.
pub const DEFAULT_STEP: Duration = Duration::from_millis(180);

impl BootProfile {
    /// A boot that goes well.
    pub fn new() -> Self {
        Self { step: DEFAULT_STEP, outcome: Outcome::Completes }
    }

    /// A process without a guest in it.
    pub fn no_guest() -> Self {
        Self::new().with(Outcome::NoGuest)
    }

    /// A guest that reports `error` at `step`.
    pub fn fails_at(step: &str, error: &str) -> Self {
        Self::new().with(Outcome::FailsAt { step: step.to_owned(), error: error.to_owned() })
    }

    /// A guest whose process ends with code 1 at `step`.
    pub fn crashes_at(step: &str) -> Self {
        Self::new().with(Outcome::CrashesAt { step: step.to_owned(), code: 1 })
    }

    /// A guest that gets no further than `step`.
    pub fn hangs_at(step: &str) -> Self {
        Self::new().with(Outcome::HangsAt { step: step.to_owned() })
    }

    /// The same boot with another time between steps.
    #[must_use]
    pub fn step_time(mut self, step: Duration) -> Self {
        self.step = step;
        self
    }

    fn with(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }
}

impl Default for BootProfile {
    fn default() -> Self {
        Self::new()
    }
}

/// A text that names no boot profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read boot profile {text:?}, expected ok, no-guest, fail@STEP:ERROR, crash@STEP or hang@STEP")]
#[non_exhaustive]
pub struct ProfileSyntax {
    /// The text.
    pub text: String,
}

impl FromStr for BootProfile {
    type Err = ProfileSyntax;

    /// Reads `ok`, `no-guest`, `fail@STEP:ERROR`, `crash@STEP` or `hang@STEP`; the step is one of [`STEPS`].
    fn from_str(text: &str) -> Result<Self, ProfileSyntax> {
        let known = |step: &str| STEPS.contains(&step);
        match text.split_once('@') {
            None if text == "ok" => Some(Self::new()),
            None if text == "no-guest" => Some(Self::no_guest()),
            Some(("fail", rest)) => rest
                .split_once(':')
                .filter(|(step, _)| known(step))
                .map(|(s, error)| Self::fails_at(s, error)),
            Some(("crash", step)) if known(step) => Some(Self::crashes_at(step)),
            Some(("hang", step)) if known(step) => Some(Self::hangs_at(step)),
            _ => None,
        }
        .ok_or_else(|| ProfileSyntax { text: text.to_owned() })
    }
}

impl fmt::Display for BootProfile {
    /// In the form that is read; the time between steps is not in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Completes => f.write_str("ok"),
            Outcome::NoGuest => f.write_str("no-guest"),
            Outcome::FailsAt { step, error } => write!(f, "fail@{step}:{error}"),
            Outcome::CrashesAt { step, .. } => write!(f, "crash@{step}"),
            Outcome::HangsAt { step } => write!(f, "hang@{step}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_read_back_as_written() {
        for text in ["ok", "no-guest", "fail@done:a:b", "crash@booting", "hang@setting up docker"] {
            assert_eq!(text.parse::<BootProfile>().unwrap().to_string(), text);
        }
        for text in ["", "crash@lunch", "fail@done", "hang"] {
            assert!(text.parse::<BootProfile>().is_err(), "{text}");
        }
    }
}
