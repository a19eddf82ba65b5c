//! What do quote, event log and the guest's own words prove about a CVM?

mod checks;
mod compose;
mod evidence;
mod identity;
mod log;
mod quote;
mod subject;
mod tcb_info;

pub use checks::CVM_CHECKS;
pub use evidence::{CvmEvidence, EvidenceError};

use dstack_check::{Catalogue, CheckDef, Finding, Report};

use super::{Verifier, conclude};
use subject::Subject;

impl Verifier {
    /// Judges the evidence about an app.
    ///
    /// `name` is the report's subject, such as the app's name or its URL.
    pub fn app(&self, name: impl Into<String>, evidence: &CvmEvidence) -> Report {
        // A test constructs the same catalogue: ids, parents and order are constants.
        let catalogue = Catalogue::new(CVM_CHECKS.iter().copied()).expect("the checks form a catalogue");
        let subject = Subject::new(evidence, self);
        let report = Report::evaluate(name, &catalogue, |check| evaluate(check, &subject));
        let report =
            if subject.emulated().is_some() { report.with_meta("evidence", "EMULATED") } else { report };
        conclude::conclude(report, &self.policy)
    }
}

fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    match check.id {
        "eventlog.readable" => log::readable(check, subject),
        "eventlog.digests" => log::digests(check, subject),
        "eventlog.order" => log::order(check, subject),
        "eventlog.replay-rtmr3" => log::replay_rtmr3(check, subject),
        "eventlog.replay-boot" => log::replay_boot(check, subject),
        "eventlog.boot-complete" => log::boot_complete(check, subject),
        "quote.present" => quote::present(check, subject),
        "quote.readable" => quote::readable(check, subject),
        "quote.signature" => quote::signature(check, subject),
        "quote.debug" => quote::debug(check, subject),
        "quote.module-signer" => quote::module_signer(check, subject),
        "quote.service-td" => quote::service_td(check, subject),
        "quote.report-data" => quote::report_data(check, subject),
        "app.compose.hash" => compose::reported(check, subject),
        "app.compose.deployed" => compose::deployed(check, subject),
        "app.mrconfigid.compose" => compose::mr_config_id(check, subject),
        "app.id.app-id" => identity::app_id(check, subject),
        "app.id.instance-id" => identity::instance_id(check, subject),
        "app.key-provider" => identity::key_provider(check, subject),
        "app.tcb-info.consistent" => tcb_info::consistent(check, subject),
        _ => check.unknown("this version does not know how to carry the check out"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    #[test]
    fn the_checks_form_a_catalogue_and_each_is_carried_out() {
        let catalogue = Catalogue::new(CVM_CHECKS.iter().copied()).unwrap();
        assert_eq!(catalogue.len(), CVM_CHECKS.len());
        let (evidence, verifier) =
            (CvmEvidence::default(), Verifier::new(Policy::default(), std::time::SystemTime::UNIX_EPOCH));
        let subject = Subject::new(&evidence, &verifier);
        for check in CVM_CHECKS {
            let finding = evaluate(check, &subject);
            assert_eq!(finding.id.as_str(), check.id);
            assert!(!format!("{:?}", finding.status).contains("does not know how"), "{}", check.id);
        }
    }
}
