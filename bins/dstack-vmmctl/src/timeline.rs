//! The life of a VM as lines of text.

use dstack_vmm_client::api::GuestEvent;

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
    let seconds = event.timestamp.saturating_sub(first) as f64 / 1_000.0;
    let kind = match event.event.as_str() {
        "boot.progress" => "boot",
        "boot.error" => "error",
        "shutdown.progress" => "shutdown",
        "instance.info" => "identity",
        other => other,
    };
    format!("{:>6} s  {kind:<8}  {}", format!("+{seconds:.1}"), event.body)
}

/// Every event of a VM as lines, from the first to the last the VMM still holds.
pub fn lines(events: &[GuestEvent]) -> Vec<String> {
    let first = events.first().map_or(0, |event| event.timestamp);
    events.iter().map(|event| line(event, first)).collect()
}
