//! A run while it goes on.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use cli_support::{Progress, Step};
use dstack_vmm_client::deploy::{DeployError, Event};

use super::Job;

/// The progress of one host: what happened as lines with seconds, what happens now below them.
pub(super) struct Live {
    prefix: String,
    started: Instant,
    is_live: bool,
    /// Taken when the run ends.
    step: Mutex<Option<Step>>,
}

impl Live {
    pub(super) fn new(job: &Job, several: bool, progress: &Progress) -> Self {
        let host = &job.host.name;
        Self {
            prefix: if several { format!("{host}  ") } else { String::new() },
            started: Instant::now(),
            is_live: progress.is_live(),
            step: Mutex::new(Some(progress.step(format_args!("{} on {host}", job.desired.name)))),
        }
    }

    /// Shows an event.
    pub(super) fn tell(&self, event: &Event) {
        let (kind, text) = match event {
            // On a terminal the step that goes on is the live line; elsewhere its end says enough.
            Event::Started { step } => {
                if self.is_live {
                    self.with(|live| live.update(step));
                }
                return;
            }
            Event::Finished { step } => ("done", step.to_string()),
            Event::Vm { text } => ("vm", text.clone()),
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
