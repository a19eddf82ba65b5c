//! Waiting for a VM while telling how it goes.

use std::time::Duration;

use cli_support::{CliError, ExitCode, Step};
use dstack_vmm_client::api::VmInfo;
use dstack_vmm_client::client::{Condition, Progress, VmmApi, WaitError, WaitOptions, wait_for};
use dstack_vmm_client::vm::VmStatus;

use crate::failure::from_client;
use crate::timeline::Live;

/// Waits until a VM is as wanted; its boot is told in the step, line by line.
///
/// # Errors
/// It did not come to that, with the usual reason for where it is stuck.
pub(crate) async fn until(
    host: &dyn VmmApi,
    id: &str,
    condition: &Condition,
    limit: Duration,
    step: &mut Step,
) -> Result<Option<VmInfo>, CliError> {
    let mut options = WaitOptions::default();
    options.timeout = limit;
    let mut live = Live::default();
    let goes_down =
        matches!(condition, Condition::Stopped | Condition::Gone | Condition::Status(VmStatus::Exited));
    let mut tell = |progress: &Progress| {
        // The first look at a VM tells of the boot that is behind it, too.
        let of_a_boot =
            matches!(progress, Progress::Step { .. } | Progress::BootError { .. } | Progress::Event(_));
        if !(goes_down && of_a_boot) {
            show(&live.tell(progress), step);
        }
    };
    wait_for(host, id, condition, &options, &mut tell).await.map_err(from_wait)
}

/// Shows one piece of news: the line above the step, the state in it.
pub(crate) fn show(news: &crate::timeline::News, step: &mut Step) {
    match &news.line {
        Some(line) => step.line(line),
        None if news.state.is_empty() => {}
        None => step.update(&news.state),
    }
}

/// A VM that did not become as wanted is the answer no; a VMM that cannot be asked is unreachable.
pub(crate) fn from_wait(error: WaitError) -> CliError {
    let id = match error {
        WaitError::Call { id, source } => {
            return from_client(source).context(format_args!("cannot see how VM {id} does"));
        }
        WaitError::TimedOut { ref id, .. }
        | WaitError::BootFailed { ref id, .. }
        | WaitError::Down { ref id, .. } => Some(id.clone()),
        _ => None,
    };
    let error = CliError::hinted(ExitCode::No, error);
    match id {
        Some(id) => error.hint(format!("`dstack-vmmctl logs {id}` shows its serial log")),
        None => error,
    }
}
