//! A run while it goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use cli_support::{Progress, Step};
use dstack_vmm_client::deploy::{self, DeployError, Event};
use dstack_vmm_client::vm::VmStatus;

use super::Job;
use crate::timeline;

/// The progress of one host: what happened as lines with seconds, what happens now below them.
pub(super) struct Live {
    prefix: String,
    started: Instant,
    is_live: bool,
    /// The step of the program's output. Taken when the run ends.
    step: Mutex<Option<Step>>,
    /// The VM is being brought down. What the VMM tells then of its boot is the one that ends.
    going_down: AtomicBool,
}

impl Live {
    pub(super) fn new(job: &Job, several: bool, progress: &Progress) -> Self {
        let host = &job.host.name;
        Self {
            prefix: if several { format!("{host}  ") } else { String::new() },
            started: Instant::now(),
            is_live: progress.is_live(),
            going_down: AtomicBool::new(false),
            step: Mutex::new(Some(progress.step(format_args!("{} on {host}", job.desired.name)))),
        }
    }

    /// Shows an event.
    pub(super) fn tell(&self, event: &Event) {
        let (kind, text) = match event {
            // On a terminal the step that goes on is the live line; elsewhere its end says enough.
            Event::Started { step } => {
                let down = matches!(step, deploy::Step::Stop | deploy::Step::Restart);
                self.going_down.store(down, Ordering::Relaxed);
                if self.is_live {
                    self.with(|live| live.update(step));
                }
                return;
            }
            Event::Finished { step } => ("done", step.to_string()),
            Event::Vm { text } if self.going_down.load(Ordering::Relaxed) && !is_about_the_end(text) => {
                return;
            }
            Event::Vm { text } => ("vm", vm_text(text)),
            Event::Note { text } => ("note", text.clone()),
            _ => return,
        };
        let seconds = format!("+{:.1}", self.started.elapsed().as_secs_f64());
        self.with(|live| live.line(format_args!("{}{seconds:>6} s  {kind:<5} {text}", self.prefix)));
    }

    pub(super) fn done(&self) {
        if let Some(step) = self.step.lock().unwrap_or_else(PoisonError::into_inner).take() {
            step.done("");
        }
    }

    /// The only host's error is the program's own and told at its end.
    pub(super) fn failed(&self, several: bool, error: &DeployError) {
        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(step), true) = (step, several) {
            step.failed(error);
        }
    }

    fn with(&self, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self.step.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            change(step);
        }
    }
}

/// A state of the VM, or a step of its shutdown.
fn is_about_the_end(text: &str) -> bool {
    text.starts_with("shutdown: ") || !matches!(VmStatus::from(text), VmStatus::Other(_) | VmStatus::Running)
}

/// An event of the guest comes as its name and its body.
fn vm_text(text: &str) -> String {
    match text.split_once(": ") {
        Some((event, body)) => match timeline::words(event, body) {
            words if words == body => text.to_owned(),
            words => words.into_owned(),
        },
        None => text.to_owned(),
    }
}
