//! The sentences of the conclusions.

use dstack_check::{Answer, Finding, Report, Status};

use super::{Genuine, Outcome};
use crate::Aspect;
use crate::verify::cvm::Subject;

/// What is taken on trust where the OS is not shown.
pub(super) const TRUSTED_OS: &str =
    "that the operating system which measured this is a genuine dstack image, which is not shown";

/// The answer in one sentence.
pub(super) fn statement(outcome: &Outcome<'_>, answer: Answer, subject: &Subject<'_>) -> String {
    let sentence = match answer {
        Answer::Shown | Answer::WithReserve => affirmed(outcome, subject),
        Answer::Refuted => refuted(outcome.aspect).to_owned(),
        _ => not_shown(outcome, subject),
    };
    // The first ones are enough to go on: the findings say the rest.
    let worst = outcome.obstacles.iter().filter(|finding| speaks_for(&finding.status, answer));
    let ids: Vec<&str> = worst.map(|finding| finding.id.as_str()).take(3).collect();
    if ids.is_empty() { sentence } else { format!("{sentence}; see {}", ids.join(", ")) }
}

/// Whether a finding with this status is why an answer is not a better one.
const fn speaks_for(status: &Status, answer: Answer) -> bool {
    match answer {
        Answer::Refuted => matches!(status, Status::Fail),
        Answer::WithReserve => {
            matches!(status, Status::Warn | Status::Pass | Status::Unknown { .. } | Status::Skipped { .. })
        }
        Answer::NotShown => !matches!(status, Status::Pass | Status::Warn),
        _ => false,
    }
}

fn affirmed(outcome: &Outcome<'_>, subject: &Subject<'_>) -> String {
    match outcome.aspect {
        Aspect::Hardware => {
            "a quote signed on TDX hardware, in a state that the policy accepts, stands behind this"
                .to_owned()
        }
        Aspect::Os => {
            let named = passed(outcome, "os.measurements").and_then(|finding| finding.observed.as_deref());
            let named = named.and_then(|text| text.lines().next()).map(|text| format!(": {text}"));
            format!("the CVM runs an operating system that you named{}", named.unwrap_or_default())
        }
        Aspect::Code => match subject.system.compose_hash {
            Some(hash) if passed(outcome, "app.compose.deployed").is_some() => {
                format!("the CVM runs an app-compose that you named, with compose hash {hash}")
            }
            _ => "the CVM runs a deployment whose measurements you named".to_owned(),
        },
        Aspect::Identity => identity(outcome, subject),
        Aspect::Freshness => {
            if passed(outcome, "quote.report-data").is_some() {
                "the quote was made in answer to your challenge".to_owned()
            } else {
                "the evidence is no older than the policy allows, going by what its bearer says".to_owned()
            }
        }
        Aspect::Operator => operator(outcome),
    }
}

fn identity(outcome: &Outcome<'_>, subject: &Subject<'_>) -> String {
    let bound = [
        ("cert.key-binding", "this CVM asked for a quote over the certificate's key"),
        ("kms.bootstrap.key-match", "this CVM asked for a quote over the root keys of the KMS"),
        ("ingress.quote-binding", "this CVM asked for a quote over the files in the evidence"),
        ("gateway.evidence.binding", "this CVM asked for a quote over what the gateway shows it for"),
    ];
    let bound =
        bound.iter().find(|(id, _)| passed(outcome, id).is_some()).map(|(_, words)| (*words).to_owned());
    let app = subject.system.app_id.map(|app| format!("app {app}"));
    match (bound, app) {
        (Some(bound), Some(app)) => format!("{bound}, and it runs {app}"),
        (Some(bound), None) => bound,
        (None, Some(app)) => format!("the CVM is that of {app}, and every id that was named fits"),
        (None, None) => "every id that was named fits the CVM".to_owned(),
    }
}

fn operator(outcome: &Outcome<'_>) -> String {
    let can = [
        ("operator.environment", "choose values of environment variables"),
        ("operator.upgrades", "replace the app by another with the same keys"),
        ("operator.logs", "let anybody read what the app logs"),
        ("operator.clock", "set the clock of the CVM"),
        ("operator.pre-launch", "have scripts of the app-compose run before the containers"),
        ("operator.images", "have other images run under the names in the app-compose"),
        ("kms.meta.production", "let apps have keys by settings of the KMS that allow more than its policy"),
    ];
    let open: Vec<&str> = can
        .iter()
        .filter(|(id, _)| {
            let warned = |finding: &&&Finding| finding.id.as_str() == *id && finding.status == Status::Warn;
            outcome.grounds.iter().any(|finding| warned(&finding))
        })
        .map(|(_, words)| *words)
        .collect();
    match open.as_slice() {
        [] => "the app-compose leaves nothing open that these checks know".to_owned(),
        [only] => format!("the app-compose leaves it open to {only}"),
        [first @ .., last] => {
            format!("the app-compose leaves it open to {} and to {last}", first.join(", to "))
        }
    }
}

const fn refuted(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Hardware => "no hardware that the policy accepts stands behind this",
        Aspect::Os => "another operating system runs than those that were named",
        Aspect::Code => "what runs is not what was named or shown, or the log does not tell",
        Aspect::Identity => "the evidence is of somebody else than was named",
        Aspect::Freshness => "the evidence does not answer the challenge, or is too old",
        Aspect::Operator => "nothing here keeps the operator out",
    }
}

fn not_shown(outcome: &Outcome<'_>, subject: &Subject<'_>) -> String {
    let fits = outcome.genuine == Genuine::NotShown
        && outcome.obstacles.iter().all(|finding| finding.id.as_str() == "quote.signature")
        && !outcome.nothing_asked;
    if fits && outcome.aspect != Aspect::Hardware {
        return format!("{}, if only the quote were shown to be genuine", claim(outcome, subject));
    }
    match outcome.aspect {
        Aspect::Hardware => "nothing shows that TDX hardware stands behind this".to_owned(),
        Aspect::Os if outcome.nothing_asked => {
            "which operating system runs is not known: no measurements were named to compare with".to_owned()
        }
        Aspect::Os => "which operating system runs is not known".to_owned(),
        Aspect::Code if outcome.nothing_asked => match subject.system.compose_hash {
            Some(hash) => {
                format!("no app-compose or hash was named to compare with; the log has compose hash {hash}")
            }
            None => "no app-compose or hash was named to compare with".to_owned(),
        },
        Aspect::Code => "which app-compose runs is not known".to_owned(),
        Aspect::Identity if outcome.nothing_asked => {
            "no id was named or reported to compare with, and no key is bound to the CVM".to_owned()
        }
        Aspect::Identity => "whose CVM this is, is not known".to_owned(),
        Aspect::Freshness if outcome.nothing_asked => {
            "this may be a recording: no challenge was named that the quote would have to answer".to_owned()
        }
        Aspect::Freshness => "this may be a recording".to_owned(),
        Aspect::Operator => "what the operator can still do is not known".to_owned(),
    }
}

/// What would be shown by a genuine quote.
fn claim(outcome: &Outcome<'_>, subject: &Subject<'_>) -> String {
    match outcome.aspect {
        Aspect::Operator => format!("the shown app-compose counts: {}", operator(outcome)),
        _ => affirmed(outcome, subject),
    }
}

/// What is missing for a better answer, and how it is got.
pub(super) fn missing(outcome: &Outcome<'_>, answer: Answer, report: &Report) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut add = |text: String| {
        if !texts.contains(&text) {
            texts.push(text);
        }
    };
    if outcome.nothing_asked && answer >= Answer::NotShown {
        add(to_name(outcome.aspect).to_owned());
    }
    if answer == Answer::NotShown {
        let untold = outcome.obstacles.iter().filter(|finding| {
            matches!(finding.status, Status::Unknown { .. } | Status::Skipped { .. } | Status::NotApplicable)
        });
        for finding in untold {
            // What stands at the beginning is what is missing, not what follows from it.
            let first = report.root_cause(finding).unwrap_or(finding);
            match (&first.fix, &first.status) {
                (Some(fix), _) => add(format!("{} ({})", fix.action, first.id)),
                (None, Status::Unknown { why }) => add(format!("{why} ({})", first.id)),
                (None, _) if outcome.aspect == Aspect::Operator => add(to_name(Aspect::Operator).to_owned()),
                (None, _) => {}
            }
        }
    }
    if outcome.os_not_shown {
        add(to_name(Aspect::Os).to_owned());
    }
    texts
}

/// What a caller names so that the question can be answered.
const fn to_name(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::Hardware => "collateral for the quote's platform",
        Aspect::Os => {
            "MRTD and RTMR0 to RTMR2 of the OS image in this VM's shape, as dstack-mr computes them, in the policy"
        }
        Aspect::Code => "the app-compose that should run, or its hash, in the policy",
        Aspect::Identity => "the app id, the instance id or the key provider that you expect, in the policy",
        Aspect::Freshness => {
            "a challenge: ask for a quote over random report data of your own, and name it in the policy"
        }
        Aspect::Operator => "the text of the app-compose that was measured",
    }
}

fn passed<'a>(outcome: &Outcome<'a>, id: &str) -> Option<&'a Finding> {
    outcome
        .grounds
        .iter()
        .copied()
        .find(|finding| finding.id.as_str() == id && matches!(finding.status, Status::Pass | Status::Warn))
}
