//! What do quote, event log and the guest's own words prove about a CVM?

mod attestation;
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
pub(super) use subject::{Part, Subject, list, one_of};

/// One file of checks: which there are, and how they are carried out.
struct Room {
    checks: &'static [CheckDef],
    evaluate: fn(&CheckDef, &Subject<'_>) -> Option<Finding>,
}

macro_rules! rooms {
    ($($room:ident),+) => { &[$(Room { checks: $room::CHECKS, evaluate: $room::evaluate }),+] };
}

const ROOMS: &[Room] = rooms![quote, log, attestation, os, compose, identity, tcb_info, operator, freshness];

/// Every check that [`Verifier::app`] carries out. Reports about a KMS, a gateway, an ingress or a certificate have
/// them too, for the CVM behind the evidence.
pub fn cvm_checks() -> impl Iterator<Item = CheckDef> {
    ROOMS.iter().flat_map(|room| room.checks).copied()
}

/// Those of them that need nothing but a quote.
fn quote_checks() -> Vec<CheckDef> {
    let of_a_quote = |id: &str| ["quote.", "os.", "policy."].iter().any(|layer| id.starts_with(layer));
    cvm_checks()
        .filter(|check| of_a_quote(check.id) && check.parents.iter().all(|parent| of_a_quote(parent)))
        .collect()
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
        self.judge(
            name,
            evidence,
            &cvm_checks().chain(more.iter().copied()).collect::<Vec<_>>(),
            |check, subject| more.contains(check).then(|| judge(check, subject)),
        )
    }

    /// Judges a quote of which nothing else is known: with the checks that stand on a quote alone.
    pub(super) fn quote_alone(&self, name: impl Into<String>, evidence: &CvmEvidence) -> Report {
        self.judge(name, evidence, &quote_checks(), |_, _| None)
    }

    fn judge(
        &self,
        name: impl Into<String>,
        evidence: &CvmEvidence,
        checks: &[CheckDef],
        judge: impl Fn(&CheckDef, &Subject<'_>) -> Option<Finding>,
    ) -> Report {
        // A test constructs the same catalogues: ids, parents and order are constants.
        let catalogue = Catalogue::new(checks.iter().copied()).expect("the checks form a catalogue");
        let subject = Subject::new(evidence, self);
        let report = Report::evaluate(name, &catalogue, |check| {
            judge(check, &subject).unwrap_or_else(|| evaluate(check, &subject))
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
        assert!(Catalogue::new(quote_checks()).is_ok());
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
