//! What do quote, event log and the guest's own words prove about a CVM?

mod compose;
mod evidence;
mod freshness;
mod identity;
mod log;
mod operator;
mod os;
mod quote;
mod subject;
mod tcb_info;

pub use evidence::{CvmEvidence, EvidenceError};

use dstack_check::{Catalogue, CheckDef, Finding, Report};

use super::{Verifier, conclude};
pub(super) use subject::Subject;

/// One file of checks: which there are, and how they are carried out.
struct Room {
    checks: &'static [CheckDef],
    evaluate: fn(&CheckDef, &Subject<'_>) -> Option<Finding>,
}

macro_rules! rooms {
    ($($room:ident),+) => { &[$(Room { checks: $room::CHECKS, evaluate: $room::evaluate }),+] };
}

const ROOMS: &[Room] = rooms![quote, log, os, compose, identity, tcb_info, operator, freshness];

/// Every check that [`Verifier::app`] carries out. Reports about a KMS, a gateway, an ingress or a certificate have
/// them too, for the CVM behind the evidence.
pub fn cvm_checks() -> impl Iterator<Item = CheckDef> {
    ROOMS.iter().flat_map(|room| room.checks).copied()
}

/// Carries out a check of a CVM.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let found = ROOMS.iter().find_map(|room| (room.evaluate)(check, subject));
    found.unwrap_or_else(|| check.unknown("this version does not know how to carry the check out"))
}

impl Verifier {
    /// Judges the evidence about an app.
    ///
    /// `name` is the report's subject, such as the app's name or its URL.
    pub fn app(&self, name: impl Into<String>, evidence: &CvmEvidence) -> Report {
        self.cvm(name, evidence, &[], |check, _| check.unknown("no such check"))
    }

    /// Judges the CVM behind some evidence with its own checks and with `more`, which may stand on them.
    pub(super) fn cvm(
        &self,
        name: impl Into<String>,
        evidence: &CvmEvidence,
        more: &[CheckDef],
        judge: impl Fn(&CheckDef, &Subject<'_>) -> Finding,
    ) -> Report {
        // A test constructs the same catalogues: ids, parents and order are constants.
        let catalogue =
            Catalogue::new(cvm_checks().chain(more.iter().copied())).expect("the checks form a catalogue");
        let subject = Subject::new(evidence, self);
        let report = Report::evaluate(name, &catalogue, |check| {
            if more.contains(check) { judge(check, &subject) } else { evaluate(check, &subject) }
        });
        let report =
            if subject.emulated().is_some() { report.with_meta("evidence", "EMULATED") } else { report };
        conclude::conclude(report, &subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    #[test]
    fn the_checks_form_a_catalogue_and_each_is_carried_out() {
        let catalogue = Catalogue::new(cvm_checks()).unwrap();
        assert_eq!(catalogue.len(), cvm_checks().count());
        let (evidence, verifier) =
            (CvmEvidence::default(), Verifier::new(Policy::default(), std::time::SystemTime::UNIX_EPOCH));
        let subject = Subject::new(&evidence, &verifier);
        for check in cvm_checks() {
            let finding = evaluate(&check, &subject);
            assert_eq!(finding.id.as_str(), check.id);
            assert!(!format!("{:?}", finding.status).contains("does not know how"), "{}", check.id);
        }
    }
}
