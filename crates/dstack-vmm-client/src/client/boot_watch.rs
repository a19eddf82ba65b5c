//! From what the VMM says about a VM, again and again, to what is new. Pure.

use crate::api::{GuestEvent, VmInfo};
use crate::vm::{BootStep, VmStatus};

/// Something new about a VM that is waited for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// Its state changed.
    Status(VmStatus),
    /// It came to a boot step.
    Step {
        /// The step.
        step: BootStep,
        /// When the VMM heard of it, in milliseconds since the Unix epoch. `None` for what the VMM itself sets.
        at_ms: Option<u64>,
    },
    /// The guest reported an error. The boot may go on.
    BootError {
        /// The guest's words.
        error: String,
        /// When the VMM heard of it.
        at_ms: Option<u64>,
    },
    /// A step of shutting down.
    Shutdown {
        /// The guest's words.
        step: String,
        /// When the VMM heard of it.
        at_ms: u64,
    },
    /// Any other event.
    Event(GuestEvent),
    /// The VMM does not answer.
    Unreachable {
        /// Why.
        error: String,
    },
    /// The VMM answers again.
    Reachable,
}

/// Finds what is new in each look at a VM.
///
/// The VMM keeps the last events of a VM over its restarts and gives them all each time; an event is reported once, and
/// events of an earlier boot are not.
#[derive(Clone, Debug, Default)]
pub struct BootWatch {
    status: Option<VmStatus>,
    /// The last step reported.
    step: Option<String>,
    boot_error: String,
    /// The events of the last look.
    events: Vec<GuestEvent>,
    looked: bool,
}

impl BootWatch {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is new since the last look.
    pub fn observe(&mut self, vm: &VmInfo) -> Vec<Progress> {
        let mut news = Vec::new();
        let status = VmStatus::from(vm.status.as_str());
        if self.status.as_ref() != Some(&status) {
            news.push(Progress::Status(status.clone()));
            self.status = Some(status);
        }
        let begin = if self.looked { self.first_new(&vm.events) } else { this_boot(vm) };
        let mut reported_error = false;
        // The step that the VMM sets itself, at the beginning of a boot, comes before what the guest reports in it.
        if vm.events.len() == begin || self.restarted(vm) {
            self.step_of_the_vmm(vm, &mut news);
        }
        for event in &vm.events[begin..] {
            let at_ms = Some(event.timestamp);
            match event.event.as_str() {
                "boot.progress" => {
                    self.step = Some(event.body.clone());
                    news.push(Progress::Step { step: BootStep::from(event.body.as_str()), at_ms });
                }
                "boot.error" => {
                    reported_error = true;
                    news.push(Progress::BootError { error: event.body.clone(), at_ms });
                }
                "shutdown.progress" => {
                    news.push(Progress::Shutdown { step: event.body.clone(), at_ms: event.timestamp });
                }
                _ => news.push(Progress::Event(event.clone())),
            }
        }
        self.step_of_the_vmm(vm, &mut news);
        if vm.boot_error != self.boot_error {
            if !vm.boot_error.is_empty() && !reported_error {
                news.push(Progress::BootError { error: vm.boot_error.clone(), at_ms: None });
            }
            self.boot_error.clone_from(&vm.boot_error);
        }
        self.events.clone_from(&vm.events);
        self.looked = true;
        news
    }

    fn restarted(&self, vm: &VmInfo) -> bool {
        vm.boot_progress == BootStep::Booting.as_str()
            && self.step.as_deref() != Some(vm.boot_progress.as_str())
    }

    /// Reports the step as the VMM gives it, unless that was done. The guest's events are lost when the VMM restarts, and
    /// the VMM's own steps are no events.
    fn step_of_the_vmm(&mut self, vm: &VmInfo, news: &mut Vec<Progress>) {
        if !vm.boot_progress.is_empty() && self.step.as_deref() != Some(vm.boot_progress.as_str()) {
            self.step = Some(vm.boot_progress.clone());
            news.push(Progress::Step { step: BootStep::from(vm.boot_progress.as_str()), at_ms: None });
        }
    }

    /// The index of the first event that the last look did not have. The VMM drops the oldest events, so the old list
    /// ends somewhere in the new one.
    fn first_new(&self, events: &[GuestEvent]) -> usize {
        let longest = self.events.len().min(events.len());
        (0..=longest).rev().find(|&n| self.events[self.events.len() - n..] == events[..n]).unwrap_or(0)
    }
}

/// The index of the first event of the boot that goes on, as far as the order of steps tells.
fn this_boot(vm: &VmInfo) -> usize {
    let step = BootStep::from(vm.boot_progress.as_str());
    if matches!(step, BootStep::None | BootStep::Booting | BootStep::RunningSinceBefore) {
        return vm.events.len();
    }
    let mut later = usize::MAX;
    for (index, event) in vm.events.iter().enumerate().rev() {
        let boundary = match event.event.as_str() {
            "boot.progress" => match BootStep::from(event.body.as_str()).position() {
                // A step that is not before the one after it belongs to the boot before.
                Some(position) if position >= later => true,
                Some(position) => {
                    later = position;
                    false
                }
                None => false,
            },
            // A shutdown ended the boot before, unless it is the last that was heard.
            "shutdown.progress" => later != usize::MAX,
            _ => false,
        };
        if boundary {
            return index + 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, body: &str, timestamp: u64) -> GuestEvent {
        GuestEvent { event: name.to_owned(), body: body.to_owned(), timestamp }
    }

    fn step(body: &str, timestamp: u64) -> GuestEvent {
        event("boot.progress", body, timestamp)
    }

    fn vm(status: &str, progress: &str, events: Vec<GuestEvent>) -> VmInfo {
        VmInfo { status: status.to_owned(), boot_progress: progress.to_owned(), events, ..VmInfo::default() }
    }

    fn told(news: &[Progress]) -> String {
        let words: Vec<String> = news
            .iter()
            .map(|progress| match progress {
                Progress::Status(status) => format!("status {status}"),
                Progress::Step { step, at_ms } => {
                    format!("step {step}{}", if at_ms.is_some() { "" } else { " (vmm)" })
                }
                Progress::BootError { error, .. } => format!("error {error}"),
                Progress::Shutdown { step, .. } => format!("shutdown {step}"),
                Progress::Event(event) => format!("event {}", event.event),
                other => format!("{other:?}"),
            })
            .collect();
        words.join("; ")
    }

    #[test]
    fn each_step_once() {
        let mut watch = BootWatch::new();
        assert_eq!(told(&watch.observe(&vm("exited", "", vec![]))), "status exited");
        assert_eq!(
            told(&watch.observe(&vm("running", "booting", vec![]))),
            "status running; step booting (vmm)"
        );
        assert_eq!(told(&watch.observe(&vm("running", "booting", vec![]))), "");
        let mut events = vec![step("requesting app keys", 1), step("data disk ready", 2)];
        assert_eq!(
            told(&watch.observe(&vm("running", "data disk ready", events.clone()))),
            "step requesting app keys; step data disk ready"
        );
        assert_eq!(told(&watch.observe(&vm("running", "data disk ready", events.clone()))), "");
        // The oldest event falls out of the VMM's ring.
        events.remove(0);
        events.push(event("instance.info", "{}", 3));
        events.push(step("done", 4));
        assert_eq!(told(&watch.observe(&vm("running", "done", events))), "event instance.info; step done");
    }

    #[test]
    fn an_earlier_boot_is_not_told() {
        let old = vec![
            step("setting up docker", 1),
            step("done", 2),
            event("shutdown.progress", "powering off", 3),
        ];
        let mut watch = BootWatch::new();
        assert_eq!(
            told(&watch.observe(&vm("running", "booting", old.clone()))),
            "status running; step booting (vmm)"
        );
        let mut events = old;
        events.push(step("requesting app keys", 9));
        let now = vm("running", "requesting app keys", events);
        assert_eq!(told(&watch.observe(&now)), "step requesting app keys");
        // The same, looked at for the first time.
        assert_eq!(told(&BootWatch::new().observe(&now)), "status running; step requesting app keys");
        // Without a word of the shutdown the order of the steps tells.
        let crashed =
            vec![step("setting up docker", 1), step("requesting app keys", 5), step("data disk ready", 6)];
        assert_eq!(
            told(&BootWatch::new().observe(&vm("running", "data disk ready", crashed))),
            "status running; step requesting app keys; step data disk ready"
        );
    }

    #[test]
    fn errors_and_a_restart() {
        let mut watch = BootWatch::new();
        let mut failed = vm("running", "starting containers", vec![step("starting containers", 1)]);
        watch.observe(&failed);
        failed.events.push(event("boot.error", "failed to start containers", 2));
        failed.boot_error = "failed to start containers".to_owned();
        assert_eq!(told(&watch.observe(&failed)), "error failed to start containers");
        assert_eq!(told(&watch.observe(&failed)), "");
        // The VMM restarts: events are lost, the step is one of its own.
        let mut after = vm("running", "running", vec![]);
        assert_eq!(told(&watch.observe(&after)), "step running (vmm)");
        after.boot_error = "late".to_owned();
        assert_eq!(told(&watch.observe(&after)), "error late");
    }
}
