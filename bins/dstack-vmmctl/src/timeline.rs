//! The life of a VM, and what it publishes, as lines of text.

use std::borrow::Cow;

use dstack_vmm_client::api::{GuestEvent, PortMapping};
use dstack_vmm_client::client::Progress;
use dstack_vmm_client::vm::VmStatus;

/// One event of a boot or shutdown as a line: seconds since the first event, what it is, and its text.
///
/// ```
/// use dstack_vmm_client::api::GuestEvent;
///
/// let mut event = GuestEvent::default();
/// event.event = "boot.progress".into();
/// event.body = "requesting app keys".into();
/// event.timestamp = 1_500;
/// assert_eq!(dstack_vmmctl::timeline::line(&event, 1_000), "  +0.5 s  boot      requesting app keys");
/// ```
pub fn line(event: &GuestEvent, first: u64) -> String {
    let kind = match event.event.as_str() {
        "boot.progress" => "boot",
        "boot.error" => "error",
        "shutdown.progress" => "shutdown",
        "instance.info" => "identity",
        other => other,
    };
    row(Some(event.timestamp), first, kind, &words(&event.event, &event.body))
}

/// The text of an event. The guest tells its identity as JSON, of which the instance id is what is asked for later.
pub fn words<'a>(event: &str, body: &'a str) -> Cow<'a, str> {
    let identity =
        (event == "instance.info").then(|| serde_json::from_str::<serde_json::Value>(body).ok()).flatten();
    match identity.as_ref().and_then(|identity| identity.get("instance_id")?.as_str()) {
        Some(id) if !id.is_empty() => Cow::Owned(format!("instance id {id}")),
        _ => Cow::Borrowed(body),
    }
}

/// Every event of a VM as lines, from the first to the last the VMM still holds.
pub fn lines(events: &[GuestEvent]) -> Vec<String> {
    let first = events.first().map_or(0, |event| event.timestamp);
    events.iter().map(|event| line(event, first)).collect()
}

/// A published port: `tcp 127.0.0.1:8080 -> 80`.
pub fn port(port: &PortMapping) -> String {
    let address = match port.host_address.as_str() {
        "" => "(default address)".to_owned(),
        v6 if v6.contains(':') => format!("[{v6}]"),
        v4 => v4.to_owned(),
    };
    format!("{} {address}:{} -> {}", port.protocol, port.host_port, port.vm_port)
}

fn row(at: Option<u64>, first: u64, kind: &str, text: &str) -> String {
    let seconds =
        at.map_or_else(String::new, |at| format!("+{:.1}", at.saturating_sub(first) as f64 / 1_000.0));
    let unit = if seconds.is_empty() { ' ' } else { 's' };
    format!("{seconds:>6} {unit}  {kind:<8}  {text}")
}

/// The same lines while it happens: what a wait reports, one after the other.
#[derive(Debug, Default)]
pub struct Live {
    /// The time of the first event.
    first: Option<u64>,
}

/// What to show of one report.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct News {
    /// Where the VM is now, in a few words.
    pub state: String,
    /// The line of the timeline; `None` for what the state says already.
    pub line: Option<String>,
}

impl Live {
    /// The words for a report.
    pub fn tell(&mut self, progress: &Progress) -> News {
        let (at, kind, text) = match progress {
            Progress::Step { step, at_ms } => (*at_ms, "boot", step.as_str()),
            Progress::BootError { error, at_ms } => (*at_ms, "error", error.as_str()),
            Progress::Shutdown { step, at_ms } => (Some(*at_ms), "shutdown", step.as_str()),
            Progress::Event(event) => {
                let first = *self.first.get_or_insert(event.timestamp);
                return News { state: event.event.clone(), line: Some(line(event, first)) };
            }
            Progress::Unreachable { error } => (None, "vmm", error.as_str()),
            Progress::Reachable => (None, "vmm", "answers again"),
            Progress::Status(VmStatus::Exited) => (None, "vm", "exited"),
            Progress::Status(status) => return News { state: status.to_string(), line: None },
            _ => return News { state: String::new(), line: None },
        };
        // What the VMM itself says has no time; the count begins with the first event that has one.
        let first = at.map_or(0, |at| *self.first.get_or_insert(at));
        News { state: text.to_owned(), line: Some(row(at, first, kind, text)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dstack_vmm_client::vm::BootStep;

    #[test]
    fn lines_while_it_happens_are_those_of_the_timeline() {
        let mut live = Live::default();
        let mut tell = |progress: Progress| live.tell(&progress).line.unwrap_or_else(|| "-".to_owned());
        let step = |step: &str, at_ms| Progress::Step { step: BootStep::from(step), at_ms };
        let told = [
            tell(Progress::Status(VmStatus::Running)),
            tell(step("booting", None)),
            tell(step("requesting app keys", Some(10_000))),
            tell(Progress::BootError { error: "no keys".to_owned(), at_ms: Some(12_340) }),
        ];
        assert_eq!(
            told,
            [
                "-",
                "          boot      booting",
                "  +0.0 s  boot      requesting app keys",
                "  +2.3 s  error     no keys"
            ]
        );
    }
}
