//! Waiting until a VM is as wanted.

use std::fmt;
use std::time::Duration;

use dstack_check::{Hint, Hinted};
use tokio::time::Instant;

use super::api_trait::VmmApi;
use super::boot_watch::{BootWatch, Progress};
use crate::api::VmInfo;
use crate::error::Error;
use crate::vm::{BootStep, VmStatus};

/// What to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// The VM has this state.
    Status(VmStatus),
    /// The VM has come to this boot step, or a later one.
    Step(BootStep),
    /// The app was started. Where the VMM cannot know, because it was restarted or the image is old, the guest agent's
    /// answer counts.
    Booted,
    /// The VM does not run and will not be started again.
    Stopped,
    /// There is no such VM any more.
    Gone,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Step(step) => write!(f, "at boot step {:?}", step.as_str()),
            Self::Booted => f.write_str("booted"),
            Self::Stopped => f.write_str("stopped"),
            Self::Gone => f.write_str("gone"),
        }
    }
}

impl Condition {
    /// Whether it needs a VM that runs or is about to.
    fn needs_running(&self) -> bool {
        matches!(self, Self::Step(_) | Self::Booted | Self::Status(VmStatus::Running))
    }
}

/// How to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitOptions {
    /// How long. 10 minutes: a first boot pulls images.
    pub timeout: Duration,
    /// Pause between two looks while something happens. 100 ms.
    pub shortest_pause: Duration,
    /// The longest pause, reached while nothing happens. 2 s.
    pub longest_pause: Duration,
    /// How long a VM may be stopped, or exited without a reason, before that counts as failed. 10 s: the VMM starts a VM
    /// that has exited again.
    pub down_grace: Duration,
    /// How long a VM may run on after it reported a boot error. 60 s: some errors are not the end of the boot.
    pub error_grace: Duration,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(600),
            shortest_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
            down_grace: Duration::from_secs(10),
            error_grace: Duration::from_secs(60),
        }
    }
}

/// How a VM was when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastSeen {
    /// Its state.
    pub status: VmStatus,
    /// Its boot step.
    pub step: BootStep,
    /// Its boot error, empty for none.
    pub boot_error: String,
}

/// Why the VM did not become as wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// It took too long.
    #[error("VM {id} is not {condition} after {after:?}: its state is {}, its boot step {:?}", last.status, last.step.as_str())]
    TimedOut {
        /// Id of the VM.
        id: String,
        /// What was waited for.
        condition: Condition,
        /// How long.
        after: Duration,
        /// How it was at the end.
        last: Box<LastSeen>,
    },
    /// The guest reported an error and does not go on.
    #[error("VM {id} failed to boot at step {:?}: {error}", step.as_str())]
    BootFailed {
        /// Id of the VM.
        id: String,
        /// The step it was at.
        step: BootStep,
        /// The guest's words.
        error: String,
        /// Its state.
        status: VmStatus,
    },
    /// It went down without a reason.
    #[error("VM {id} is {status} and does not come up, its last boot step was {:?}", step.as_str())]
    Down {
        /// Id of the VM.
        id: String,
        /// Its state.
        status: VmStatus,
        /// The step it was at.
        step: BootStep,
    },
    /// There is no such VM, or no longer.
    #[error("there is no VM {id}{}", if *seen { " any more" } else { "" })]
    Vanished {
        /// Id of the VM.
        id: String,
        /// Whether it was there when the wait began.
        seen: bool,
    },
    /// Somebody removes it.
    #[error("VM {id} is being removed")]
    BeingRemoved {
        /// Id of the VM.
        id: String,
    },
    /// The VMM could not be asked, at the end or in a way that will not change.
    #[error("cannot see how VM {id} does")]
    Call {
        /// Id of the VM.
        id: String,
        /// Why not.
        #[source]
        source: Error,
    },
}

impl Hinted for WaitError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::TimedOut { last, .. } if !last.boot_error.is_empty() => {
                Some(Hint::new(format!("it reported {:?}; read its serial log", last.boot_error)))
            }
            Self::TimedOut { condition, last, .. } => match (condition, &last.status) {
                (Condition::Gone, VmStatus::Removing) => Some(Hint::from(
                    "its process does not end; look at the supervisor's processes and the VMM's log",
                )),
                (Condition::Stopped, VmStatus::Running | VmStatus::Stopping) => {
                    Some(Hint::from("the guest does not power off; a forced stop ends it at once"))
                }
                _ => last.step.when_stuck().map(Hint::from),
            },
            Self::BootFailed { step, .. } => Some(match step.when_stuck() {
                Some(reason) if reason.contains("serial log") => Hint::from(reason),
                Some(reason) => Hint::new(format!("{reason}; the serial log says more")),
                None => Hint::from("read the serial log, beginning with the last step"),
            }),
            Self::Down { status: VmStatus::Stopped, .. } => Some(Hint::from("start it; nothing else will")),
            Self::Down { .. } => Some(Hint::from(
                "its process ended: the VMM's stderr log of the VM has QEMU's reason, such as a host port that is taken or no TDX",
            )),
            Self::Vanished { .. } | Self::BeingRemoved { .. } => {
                Some(Hint::from("list the VMs; ids are full UUIDs, and a removed VM is gone with its disk"))
            }
            Self::Call { source, .. } => source.hint(),
        }
    }
}

/// Waits until a VM is as wanted, and reports each step once.
///
/// The VMM is asked again and again, often while something happens and every
/// [`longest_pause`](WaitOptions::longest_pause) while nothing does. Lost connections are ridden out within the time.
/// It ends early where waiting is of no use: the VM is gone, is being removed, or failed to boot.
///
/// Returns the VM as last seen; `None` for [`Condition::Gone`].
///
/// # Errors
/// See [`WaitError`].
pub async fn wait_for(
    vmm: &dyn VmmApi,
    id: &str,
    condition: &Condition,
    options: &WaitOptions,
    on_progress: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Option<VmInfo>, WaitError> {
    let mut wait = Wait {
        vmm,
        id,
        condition,
        options,
        watch: BootWatch::new(),
        started: Instant::now(),
        seen: None,
        down_since: None,
        error_since: None,
        unreachable: None,
    };
    let mut pause = options.shortest_pause;
    loop {
        let (outcome, progress) = wait.look().await?;
        for step in &progress {
            on_progress(step);
        }
        if let Some(outcome) = outcome {
            return Ok(outcome);
        }
        let left = options.timeout.saturating_sub(wait.started.elapsed());
        if left.is_zero() {
            return Err(wait.timed_out());
        }
        pause = if progress.is_empty() {
            (pause * 3 / 2).min(options.longest_pause)
        } else {
            options.shortest_pause
        };
        tokio::time::sleep(pause.min(left)).await;
    }
}

struct Wait<'a> {
    vmm: &'a dyn VmmApi,
    id: &'a str,
    condition: &'a Condition,
    options: &'a WaitOptions,
    watch: BootWatch,
    started: Instant,
    /// The VM as last seen.
    seen: Option<VmInfo>,
    down_since: Option<Instant>,
    /// When the boot error that still stands, or the last progress after it, came.
    error_since: Option<Instant>,
    unreachable: Option<Error>,
}

/// The end of the wait, and what to report.
type Look = (Option<Option<VmInfo>>, Vec<Progress>);

impl Wait<'_> {
    async fn look(&mut self) -> Result<Look, WaitError> {
        let vm = match self.vmm.info(self.id).await {
            Ok(vm) => vm,
            Err(error) if is_transient(&error) => {
                let progress = match self.unreachable {
                    None => vec![Progress::Unreachable { error: error.to_string() }],
                    Some(_) => Vec::new(),
                };
                self.unreachable = Some(error);
                return Ok((None, progress));
            }
            Err(source) => return Err(WaitError::Call { id: self.id.to_owned(), source }),
        };
        let mut progress = Vec::new();
        if self.unreachable.take().is_some() {
            progress.push(Progress::Reachable);
        }
        let Some(vm) = vm else {
            return match self.condition {
                Condition::Gone => Ok((Some(None), progress)),
                _ => Err(WaitError::Vanished { id: self.id.to_owned(), seen: self.seen.is_some() }),
            };
        };
        progress.extend(self.watch.observe(&vm));
        let changed = !progress.is_empty();
        let met = self.is_met(&vm).await;
        if !met {
            self.fail_early(&vm, changed)?;
        }
        self.seen = Some(vm.clone());
        Ok((met.then_some(Some(vm)), progress))
    }

    async fn is_met(&self, vm: &VmInfo) -> bool {
        let status = VmStatus::from(vm.status.as_str());
        let step = BootStep::from(vm.boot_progress.as_str());
        match self.condition {
            Condition::Status(wanted) => status == *wanted,
            Condition::Stopped => status == VmStatus::Stopped,
            Condition::Gone => false,
            Condition::Booted => {
                status == VmStatus::Running
                    && match step {
                        BootStep::Done => true,
                        BootStep::RunningSinceBefore | BootStep::NotReported => {
                            self.vmm.guest_info(self.id).await.is_ok()
                        }
                        _ => false,
                    }
            }
            Condition::Step(wanted) => {
                status == VmStatus::Running
                    && match (step.position(), wanted.position()) {
                        (Some(now), Some(wanted)) => now >= wanted,
                        _ => step == *wanted,
                    }
            }
        }
    }

    fn fail_early(&mut self, vm: &VmInfo, changed: bool) -> Result<(), WaitError> {
        let id = || self.id.to_owned();
        let status = VmStatus::from(vm.status.as_str());
        let step = BootStep::from(vm.boot_progress.as_str());
        if status == VmStatus::Removing && *self.condition != Condition::Gone {
            let wanted = matches!(self.condition, Condition::Status(VmStatus::Removing));
            return if wanted { Ok(()) } else { Err(WaitError::BeingRemoved { id: id() }) };
        }
        if !self.condition.needs_running() {
            return Ok(());
        }
        let now = Instant::now();
        let up = matches!(status, VmStatus::Running | VmStatus::Other(_));
        if up {
            self.down_since = None;
        }
        if vm.boot_error.is_empty() {
            self.error_since = None;
        } else {
            if changed {
                self.error_since = None;
            }
            let since = *self.error_since.get_or_insert(now);
            if !up || now - since >= self.options.error_grace {
                return Err(WaitError::BootFailed { id: id(), step, error: vm.boot_error.clone(), status });
            }
        }
        if !up {
            let since = *self.down_since.get_or_insert(now);
            if now - since >= self.options.down_grace {
                return Err(WaitError::Down { id: id(), status, step });
            }
        }
        Ok(())
    }

    fn timed_out(&mut self) -> WaitError {
        let id = self.id.to_owned();
        if let Some(source) = self.unreachable.take() {
            return WaitError::Call { id, source };
        }
        let last = match &self.seen {
            Some(vm) => LastSeen {
                status: vm.status.as_str().into(),
                step: vm.boot_progress.as_str().into(),
                boot_error: vm.boot_error.clone(),
            },
            None => LastSeen {
                status: VmStatus::Other("unknown".to_owned()),
                step: BootStep::None,
                boot_error: String::new(),
            },
        };
        WaitError::TimedOut {
            id,
            condition: self.condition.clone(),
            after: self.options.timeout,
            last: Box::new(last),
        }
    }
}

/// Whether the next look may succeed: the VMM or the way to it is down for a moment.
fn is_transient(error: &Error) -> bool {
    match error {
        Error::Connect { .. } | Error::Timeout { .. } | Error::Interrupted { .. } => true,
        Error::UnexpectedStatus { status, .. } => matches!(status, 429 | 500..=504),
        _ => false,
    }
}
