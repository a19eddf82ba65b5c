//! What tests of checks share: one check asked about one host, and what every answer owes its reader.

use dstack_check::{Finding, Status};

use super::get;
use crate::source::Readings;
use crate::{CollectOptions, HostFacts};

/// The finding of one check. A failure or a warning must say what was expected, what it rests on and what to do.
pub(super) fn asked(id: &str, host: &Readings, options: CollectOptions) -> Finding {
    let facts = HostFacts::collect(host, options);
    let finding = get(id).unwrap().run(&facts);
    if matches!(finding.status, Status::Fail | Status::Warn) {
        assert!(
            finding.fix.is_some() && finding.expected.is_some() && !finding.evidence.is_empty(),
            "{finding:?}"
        );
    }
    finding
}
