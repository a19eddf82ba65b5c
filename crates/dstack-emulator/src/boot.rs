//! What a pretended guest does after it is started: the steps it reports, the lines it prints, and how it can fail.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use dstack_vmm_client::DstackVersion;

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

/// What decides which steps a guest takes.
#[derive(Clone, Debug)]
pub(crate) struct BootFacts {
    pub(crate) version: DstackVersion,
    pub(crate) image: String,
    pub(crate) vcpu: u32,
    pub(crate) memory_mib: u32,
    pub(crate) compose_hash: String,
    pub(crate) init_script: bool,
    pub(crate) first_boot: bool,
    pub(crate) gateway: bool,
    pub(crate) pre_launch: bool,
    pub(crate) bash: bool,
    /// Body of the `instance.info` event.
    pub(crate) instance_info: String,
    /// Containers that the app starts.
    pub(crate) services: Vec<String>,
    /// What the guest finds wrong with the app before it asks for keys.
    pub(crate) refusal: Option<String>,
}

/// Something that happens in the course of a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// The guest tells the VMM.
    Event { event: &'static str, body: String },
    /// A line on the serial console.
    Serial(String),
    /// A line on the standard output of the process.
    Stdout(String),
    /// The guest agent answers.
    AgentUp,
    /// The process ends.
    Exit(i32),
}

/// What happens after a start, and how many milliseconds after it.
pub(crate) fn timeline(profile: &BootProfile, facts: &BootFacts) -> Vec<(u64, Happening)> {
    let step_ms = u64::try_from(profile.step.as_millis()).unwrap_or(u64::MAX);
    let mut line = Timeline { step_ms, at: 0, out: Vec::new() };
    line.push(Happening::Stdout("EMULATED: no QEMU and no TEE behind this VM".to_owned()));
    if profile.outcome == Outcome::NoGuest {
        for second in 1..=7_u64 {
            line.at = second * step_ms;
            line.push(Happening::Stdout(format!(
                "[{:8.3}] EMULATED machine idles, no guest in it",
                line.seconds()
            )));
        }
        return line.out;
    }
    line.serial("EMULATED guest, no TEE: nothing in this log comes from a CVM");
    line.serial(&format!("image {}, {} vCPU, {} MiB", facts.image, facts.vcpu, facts.memory_mib));
    line.serial(&format!("compose hash {}", facts.compose_hash));
    for step in steps(facts) {
        line.at = line.at.saturating_add(step_ms);
        match &profile.outcome {
            Outcome::CrashesAt { step: at, code } if at == step => {
                line.serial("kernel panic - not syncing: EMULATED crash");
                line.push(Happening::Exit(*code));
                return line.out;
            }
            Outcome::FailsAt { step: at, error } if at == step => {
                line.progress(step);
                line.fail(error, stays_up(step));
                return line.out;
            }
            _ => {}
        }
        line.progress(step);
        if let (Some(refusal), "requesting app keys") = (&facts.refusal, step) {
            line.fail(refusal, false);
            return line.out;
        }
        match step {
            "requesting app keys" => {
                line.push(Happening::Event { event: "instance.info", body: facts.instance_info.clone() })
            }
            "starting containers" => {
                for service in &facts.services {
                    line.serial(&format!("container {service} started"));
                }
            }
            "done" => line.push(Happening::AgentUp),
            _ => {}
        }
        if matches!(&profile.outcome, Outcome::HangsAt { step: at } if at == step) {
            return line.out;
        }
    }
    line.out
}

/// The steps of a boot that goes well.
fn steps(facts: &BootFacts) -> Vec<&'static str> {
    let disk = if facts.first_boot { "initializing data disk" } else { "mounting data disk" };
    let app = if facts.bash { "running main script" } else { "starting containers" };
    [
        ("booting", true),
        ("init-script", facts.init_script && facts.version != DstackVersion::V0_5),
        ("requesting app keys", true),
        (disk, true),
        ("data disk ready", true),
        ("setting up dstack-gateway", facts.gateway),
        ("setting up docker", true),
        ("pre-launch", facts.pre_launch),
        (app, true),
        ("done", true),
    ]
    .into_iter()
    .filter_map(|(step, taken)| taken.then_some(step))
    .collect()
}

/// A guest whose containers do not start stays reachable; one without keys or disk powers off.
fn stays_up(step: &str) -> bool {
    matches!(step, "starting containers" | "running main script" | "done")
}

struct Timeline {
    step_ms: u64,
    at: u64,
    out: Vec<(u64, Happening)>,
}

impl Timeline {
    fn push(&mut self, happening: Happening) {
        self.out.push((self.at, happening));
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds for people to read")]
    fn seconds(&self) -> f64 {
        self.at as f64 / 1000.0
    }

    fn serial(&mut self, text: &str) {
        let text = format!("[{:8.3}] {text}", self.seconds());
        self.push(Happening::Serial(text));
    }

    fn progress(&mut self, step: &'static str) {
        if step == "booting" {
            return;
        }
        self.serial(&format!("dstack: {step}"));
        self.push(Happening::Event { event: "boot.progress", body: step.to_owned() });
    }

    fn fail(&mut self, error: &str, stays_up: bool) {
        self.serial(&format!("dstack: error: {error}"));
        self.push(Happening::Event { event: "boot.error", body: error.to_owned() });
        if stays_up {
            self.push(Happening::AgentUp);
        } else {
            self.at = self.at.saturating_add(self.step_ms);
            self.push(Happening::Exit(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> BootFacts {
        BootFacts {
            version: DstackVersion::Next,
            image: "dstack-0.5.11".to_owned(),
            vcpu: 1,
            memory_mib: 1024,
            compose_hash: "00".repeat(32),
            init_script: false,
            first_boot: true,
            gateway: false,
            pre_launch: false,
            bash: false,
            instance_info: "{}".to_owned(),
            services: vec!["web".to_owned()],
            refusal: None,
        }
    }

    fn story(profile: &BootProfile, facts: &BootFacts) -> Vec<String> {
        timeline(profile, facts)
            .into_iter()
            .filter_map(|(at, happening)| match happening {
                Happening::Event { event, body } => Some(format!("{at} {event} {body}")),
                Happening::AgentUp => Some(format!("{at} agent up")),
                Happening::Exit(code) => Some(format!("{at} exit {code}")),
                Happening::Serial(_) | Happening::Stdout(_) => None,
            })
            .collect()
    }

    #[test]
    fn a_boot_takes_its_steps_in_order() {
        assert_eq!(
            story(&BootProfile::new(), &facts()),
            [
                "360 boot.progress requesting app keys",
                "360 instance.info {}",
                "540 boot.progress initializing data disk",
                "720 boot.progress data disk ready",
                "900 boot.progress setting up docker",
                "1080 boot.progress starting containers",
                "1260 boot.progress done",
                "1260 agent up",
            ]
        );
    }

    #[test]
    fn the_app_decides_which_steps_there_are() {
        let mut facts = facts();
        facts.init_script = true;
        facts.first_boot = false;
        facts.gateway = true;
        facts.pre_launch = true;
        facts.bash = true;
        assert_eq!(
            steps(&facts),
            [
                "booting",
                "init-script",
                "requesting app keys",
                "mounting data disk",
                "data disk ready",
                "setting up dstack-gateway",
                "setting up docker",
                "pre-launch",
                "running main script",
                "done",
            ]
        );
        facts.version = DstackVersion::V0_5;
        assert!(!steps(&facts).contains(&"init-script"));
    }

    #[test]
    fn boots_fail_in_their_ways() {
        let story = |text: &str| story(&text.parse().unwrap(), &facts());
        assert_eq!(
            story("fail@requesting app keys:kms refused"),
            ["360 boot.progress requesting app keys", "360 boot.error kms refused", "540 exit 1"]
        );
        assert_eq!(
            story("fail@starting containers:failed to start containers").split_off(4),
            [
                "900 boot.progress setting up docker",
                "1080 boot.progress starting containers",
                "1080 boot.error failed to start containers",
                "1080 agent up",
            ]
        );
        assert_eq!(
            story("crash@initializing data disk"),
            ["360 boot.progress requesting app keys", "360 instance.info {}", "540 exit 1"]
        );
        assert_eq!(
            story("hang@requesting app keys"),
            ["360 boot.progress requesting app keys", "360 instance.info {}"]
        );
        assert_eq!(story("crash@booting"), ["180 exit 1"]);
        assert!(story("no-guest").is_empty());
    }

    #[test]
    fn profiles_read_back_as_written() {
        for text in ["ok", "no-guest", "fail@done:a:b", "crash@booting", "hang@setting up docker"] {
            assert_eq!(text.parse::<BootProfile>().unwrap().to_string(), text);
        }
        for text in ["", "crash@lunch", "fail@done", "hang"] {
            assert!(text.parse::<BootProfile>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_serial_line_says_what_it_is() {
        let first =
            timeline(&BootProfile::new(), &facts()).into_iter().find_map(|(_, happening)| match happening {
                Happening::Serial(text) => Some(text),
                _ => None,
            });
        assert!(first.unwrap().contains("EMULATED"));
    }
}
