//! Is everything shown that has to be?

use std::collections::BTreeSet;

use dstack_check::{Answer, CheckDef, Conclusion, Finding, Fix, Report};

use super::grounds::BINDINGS;
use crate::verify::cvm::Subject;
use crate::{Aspect, Policy};

/// The check whose answer is worked out from the conclusions.
pub(in crate::verify) const REQUIRED: CheckDef = CheckDef::new(
    "policy.required",
    "everything that is required is shown",
)
.layer("policy")
.needs("what the other checks need")
.why("a report in which nothing failed can still have left the question open that was asked")
.proves("every question that the policy requires an answer to was answered with yes by the findings above")
.leaves_open("whether the policy asks the right questions, and whether its expected values are right");

/// What has to be shown: what the policy requires, else what this kind of subject is nothing without; and whatever the
/// policy names values for, since a value that nothing was compared with did not do its work.
fn aspects(report: &Report, policy: &Policy) -> BTreeSet<Aspect> {
    let mut required = policy.require.clone();
    if required.is_empty() {
        required.insert(Aspect::Hardware);
        if report.get("eventlog.readable").is_some() {
            required.insert(Aspect::Code);
        }
        // A key that is bound to some CVM says nothing while it is not known what runs in there.
        if BINDINGS.iter().any(|id| report.get(id).is_some()) {
            required.insert(Aspect::Identity);
        }
    }
    let tcb = &policy.tcb;
    let asked = [
        (
            Aspect::Hardware,
            policy.max_collateral_age.is_some()
                || tcb.min_evaluation_number.is_some()
                || tcb.allowed_advisories.is_some()
                || !tcb.rejected_advisories.is_empty(),
        ),
        (
            Aspect::Os,
            !(policy.known_good.is_empty()
                && policy.mr_system.is_empty()
                && policy.mr_aggregated.is_empty()
                && policy.os_images.is_empty()),
        ),
        (Aspect::Code, !policy.compose_hashes.is_empty()),
        (
            Aspect::Identity,
            !(policy.app_ids.is_empty()
                && policy.instance_ids.is_empty()
                && policy.device_ids.is_empty()
                && policy.key_providers.is_empty()),
        ),
        (Aspect::Freshness, policy.report_data.is_some() || policy.max_evidence_age.is_some()),
    ];
    required.extend(asked.into_iter().filter(|(_, asked)| *asked).map(|(aspect, _)| aspect));
    required
}

pub(super) fn finding(
    report: &Report,
    subject: &Subject<'_>,
    conclusions: &[(Aspect, Conclusion)],
) -> Finding {
    let required = aspects(report, subject.policy);
    let answers: Vec<(Aspect, Answer)> = required
        .iter()
        .map(|aspect| {
            let conclusion = conclusions.iter().find(|(of, _)| of == aspect);
            (*aspect, conclusion.map_or(Answer::NotShown, |(_, conclusion)| conclusion.answer))
        })
        .collect();
    let excused = |aspect: Aspect| aspect == Aspect::Hardware && subject.emulated_and_accepted();
    let with = |wanted: Answer| -> Vec<Aspect> {
        answers
            .iter()
            .filter(|(aspect, answer)| *answer == wanted && !(wanted == Answer::NotShown && excused(*aspect)))
            .map(|(aspect, _)| *aspect)
            .collect()
    };
    let observed = answers.iter().map(|(aspect, answer)| format!("{aspect} {answer}")).collect::<Vec<_>>();
    let expected = format!("shown: {}", names(&required.iter().copied().collect::<Vec<_>>()));
    let fix = "look at the conclusions of this report: each says what it rests on and what is missing";
    let (refuted, not_shown) = (with(Answer::Refuted), with(Answer::NotShown));
    let finding = if !refuted.is_empty() {
        REQUIRED.fail().fix(Fix::new("do not rely on the subject: the findings that failed speak against it"))
    } else if !not_shown.is_empty() {
        REQUIRED.unknown(format!("not shown: {}", names(&not_shown))).fix(Fix::new(fix))
    } else if answers.iter().all(|(_, answer)| *answer == Answer::Shown) {
        REQUIRED.pass()
    } else if subject.emulated_and_accepted() {
        REQUIRED
            .warn()
            .fix(Fix::new("take evidence from TDX hardware before relying on this: it is EMULATED"))
    } else {
        REQUIRED.warn().fix(Fix::new(fix))
    };
    finding.observed(observed.join(", ")).expected(expected)
}

fn names(aspects: &[Aspect]) -> String {
    aspects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
