//! Event logs: what is read is written and read again, and replays alike.

use dstack_attestation::event_log::{EventLog, Limits, Rtmr};
use dstack_attestation::{CvmEvidence, Policy, Verifier};
use dstack_check::{Status, Verdict};

use crate::quote::now;

/// Takes any bytes for an event log in JSON.
pub fn run(data: &[u8]) {
    judge(data);
    let Ok(log) = EventLog::parse_within(data, &Limits::default()) else { return };
    let again = EventLog::parse(&log.to_json()).expect("what was written can be read");
    assert_eq!(again, log);
    assert_eq!(again.replay(), log.replay());
    let replayed = log.replay();
    for rtmr in Rtmr::ALL {
        assert!(log.prefix_with(rtmr, &replayed.get(rtmr)).is_some(), "the whole log is a prefix");
        assert_eq!(log.register_divergence(rtmr, &replayed.get(rtmr)), None);
    }
    let system = log.system_events();
    let entries = log.entries();
    if let Some(ready) = system.system_ready {
        assert_eq!(entries.get(ready).map(|entry| entry.name()), Some("system-ready"));
    }
    assert!(system.app_events <= log.runtime_events().count());
    assert!(log.runtime_events().count() <= entries.len());
}

/// A log alone is no evidence: without a quote, nothing that stands on one passes.
fn judge(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut evidence = CvmEvidence::new();
    evidence.event_log = Some(text.to_owned());
    let report = Verifier::new(Policy::new(), now()).app("fuzz", &evidence);
    assert_ne!(report.verdict(), Verdict::Ok);
    let replay = report.get("eventlog.replay-rtmr3").map(|finding| &finding.status);
    assert_ne!(replay, Some(&Status::Pass));
}
