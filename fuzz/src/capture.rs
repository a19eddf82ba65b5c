//! Captures: what is read is written and read again, and every check has an answer for it.

use dstack_check::Status;
use dstack_hw::capture::{Capture, MadeBy};
use dstack_hw::{CollectOptions, Error, HostFacts, checks};

/// Takes any bytes for a capture.
pub fn run(data: &[u8]) {
    let capture = match Capture::from_bytes(data) {
        Ok(capture) => capture,
        Err(Error::Malformed { why, .. }) => return assert!(!why.is_empty()),
        Err(Error::Schema { found, supported, .. }) => return assert_ne!(found, supported),
        Err(error) => panic!("{error}"),
    };
    let json = capture.to_json();
    let again = Capture::from_json(&json).expect("what was written can be read");
    assert_eq!(again, capture);
    assert_eq!(again.to_json(), json);
    let facts = HostFacts::collect(capture.readings(), CollectOptions::default());
    for check in checks::all() {
        let finding = check.run(&facts);
        assert_eq!(finding.id.as_str(), check.def.id);
        if matches!(finding.status, Status::Fail | Status::Warn) {
            assert!(finding.fix.is_some(), "{} has no fix", finding.id);
        }
    }
    // What is shared is redacted, and redacting it again changes nothing.
    let once = Capture::record(capture.readings(), CollectOptions::default(), MadeBy::new("fuzz", "0"));
    let twice = Capture::record(once.readings(), CollectOptions::default(), MadeBy::new("fuzz", "0"));
    assert_eq!(once.readings(), twice.readings());
}
