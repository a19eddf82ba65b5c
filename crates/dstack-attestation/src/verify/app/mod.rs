//! Is this running app the one that was deployed?

mod checks;
mod compose;
mod evidence;
mod expectation;
mod identity;
mod log;
mod quote;
mod subject;
mod tcb_info;

pub use checks::APP_CHECKS;
pub use evidence::{AppEvidence, EvidenceError};
pub use expectation::AppExpectation;

use dstack_check::{Catalogue, CheckDef, Finding, Report};

use subject::Subject;

/// Holds the evidence of one app against what is expected of it.
///
/// `name` is the report's subject, such as the app's name or its URL. Every check of [`APP_CHECKS`] has a finding; a
/// check that stands on one that did not pass is skipped. What cannot be read, or was not given, is unknown and neither
/// passes nor fails.
///
/// This version does not check quote signatures: `app.quote.signature` never passes, so that no report of it has the
/// verdict [`Ok`](dstack_check::Verdict::Ok). Emulated evidence fails, or warns where
/// [`AppExpectation::danger_accept_emulated`] is set; the report's `evidence` meta value then says `EMULATED`.
pub fn verify_app(name: impl Into<String>, evidence: &AppEvidence, expectation: &AppExpectation) -> Report {
    // A test constructs the same catalogue: ids, parents and order are constants.
    let catalogue = Catalogue::new(APP_CHECKS.iter().copied()).expect("the checks form a catalogue");
    let subject = Subject::new(evidence, expectation);
    let report = Report::evaluate(name, &catalogue, |check| evaluate(check, &subject));
    if subject.emulated().is_some() { report.with_meta("evidence", "EMULATED") } else { report }
}

fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    match check.id {
        "app.eventlog.readable" => log::readable(check, subject),
        "app.eventlog.digests" => log::digests(check, subject),
        "app.eventlog.order" => log::order(check, subject),
        "app.eventlog.replay-rtmr3" => log::replay_rtmr3(check, subject),
        "app.eventlog.replay-boot" => log::replay_boot(check, subject),
        "app.boot.complete" => log::boot_complete(check, subject),
        "app.quote.present" => quote::present(check, subject),
        "app.quote.readable" => quote::readable(check, subject),
        "app.quote.signature" => quote::signature(check, subject),
        "app.quote.debug" => quote::debug(check, subject),
        "app.quote.module-signer" => quote::module_signer(check, subject),
        "app.quote.service-td" => quote::service_td(check, subject),
        "app.quote.report-data" => quote::report_data(check, subject),
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

    #[test]
    fn the_checks_form_a_catalogue_and_each_is_carried_out() {
        let catalogue = Catalogue::new(APP_CHECKS.iter().copied()).unwrap();
        assert_eq!(catalogue.len(), APP_CHECKS.len());
        let (evidence, expectation) = (AppEvidence::default(), AppExpectation::default());
        let subject = Subject::new(&evidence, &expectation);
        for check in APP_CHECKS {
            let finding = evaluate(check, &subject);
            assert_eq!(finding.id.as_str(), check.id);
            assert!(!format!("{:?}", finding.status).contains("does not know how"), "{}", check.id);
        }
    }
}
