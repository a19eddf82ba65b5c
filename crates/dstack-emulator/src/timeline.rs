//! What happens in the course of a boot, and when.

use dstack_vmm_client::DstackVersion;

use crate::boot::{BootProfile, Outcome};

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
    /// A host port that another VM has, where the VMM did not look.
    pub(crate) port_taken: Option<String>,
    /// What the guest finds wrong with the app before it asks for keys.
    pub(crate) refusal: Option<String>,
}

/// Something that happens in the course of a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// The guest tells the VMM.
    Event { event: &'static str, body: String },
    /// A line in a log: `serial`, `stdout` or `stderr`.
    Line { channel: &'static str, text: String },
    /// The guest agent answers.
    AgentUp,
    /// The process ends.
    Exit(i32),
}

/// What happens after a start, and how many milliseconds after it.
pub(crate) fn timeline(profile: &BootProfile, facts: &BootFacts) -> Vec<(u64, Happening)> {
    let step_ms = u64::try_from(profile.step.as_millis()).unwrap_or(u64::MAX);
    let mut line = Timeline { step_ms, at: 0, out: Vec::new() };
    line.print("stdout", "EMULATED: no QEMU and no TEE behind this VM".to_owned());
    if let Some(port) = &facts.port_taken {
        line.print(
            "stderr",
            format!("EMULATED machine: cannot forward host port {port}: address already in use"),
        );
        line.push(Happening::Exit(1));
        return line.out;
    }
    if profile.outcome == Outcome::NoGuest {
        for second in 1..=7_u64 {
            line.at = second * step_ms;
            let text = format!("[{:8.3}] EMULATED machine idles, no guest in it", line.seconds());
            line.print("stdout", text);
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
                line.push(Happening::Event { event: "instance.info", body: facts.instance_info.clone() });
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

    fn print(&mut self, channel: &'static str, text: String) {
        self.push(Happening::Line { channel, text });
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds for people to read")]
    fn seconds(&self) -> f64 {
        self.at as f64 / 1000.0
    }

    fn serial(&mut self, text: &str) {
        let text = format!("[{:8.3}] {text}", self.seconds());
        self.print("serial", text);
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
            port_taken: None,
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
                Happening::Line { .. } => None,
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
    fn a_taken_port_ends_the_process_at_once() {
        let mut facts = facts();
        facts.port_taken = Some("tcp 127.0.0.1:80".to_owned());
        assert_eq!(story(&BootProfile::new(), &facts), ["0 exit 1"]);
    }

    #[test]
    fn the_first_serial_line_says_what_it_is() {
        let first =
            timeline(&BootProfile::new(), &facts()).into_iter().find_map(|(_, happening)| match happening {
                Happening::Line { channel: "serial", text } => Some(text),
                _ => None,
            });
        assert!(first.unwrap().contains("EMULATED"));
    }
}
