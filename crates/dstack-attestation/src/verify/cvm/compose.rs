//! Checks of the app-compose.

use dstack_check::{CheckDef, Finding, Fix};
use serde::Deserialize;

use crate::event_log::KeyProvider;
use crate::verify::compose::forms::{Form, other_form};
use crate::verify::cvm::subject::{Part, Subject, one_of};
use crate::{Digest32, Id20, MrConfigId, hash};

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] = &[
    CheckDef::new("app.compose.hash", "the app-compose that the guest shows is the one that was measured")
        .layer("app")
        .parents(&["eventlog.readable"])
        .needs("the app-compose text from the guest's tcb_info")
        .why("reading the shown app-compose tells nothing about the app when another one was measured")
        .proves("the app-compose text that the guest shows has the hash that the log says was measured")
        .leaves_open("whether it is the one you expect, and whether the log is that of the quote"),
    CheckDef::new("app.compose.deployed", "the measured app-compose is the one that was deployed")
        .layer("app")
        .parents(&["eventlog.readable"])
        .needs("the app-compose that was deployed, or its hash")
        .why("the app-compose decides which code runs")
        .proves("the compose hash in the log is one of those that the caller expects")
        .leaves_open(
            "what the app-compose pulls in from outside: images without a digest, environment, whatever it downloads",
        ),
    CheckDef::new("app.mrconfigid.compose", "the CVM was created for the measured app-compose")
        .layer("app")
        .parents(&["eventlog.readable", "quote.readable"])
        .why("MRCONFIGID is fixed before the guest starts and cannot be changed from inside")
        .proves("the host committed to the measured app-compose when it created the CVM, and the hardware kept that")
        .leaves_open("whether the guest's OS held to it: the host chooses MRCONFIGID, and the OS compares"),
];

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    Some(match check.id {
        "app.compose.hash" => reported(check, subject),
        "app.compose.deployed" => deployed(check, subject),
        "app.mrconfigid.compose" => mr_config_id(check, subject),
        _ => return None,
    })
}

const NO_EVENT: &str = "the log has no readable compose-hash event before system-ready";

fn reported(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let Some(logged) = subject.system.compose_hash else { return check.fail().observed(NO_EVENT) };
    let Some(text) = subject.app_compose() else {
        if subject.policy.compose_hashes.contains(&logged) {
            return check.not_applicable().observed(format!(
                "the guest shows no app-compose; the measured compose hash {logged} is one that the policy names"
            ));
        }
        return check
            .unknown("the guest shows no app-compose")
            .fix(Fix::new("set public_tcbinfo in the app-compose, or ask the operator for the text"));
    };
    let shown = hash::sha256(&[text.as_bytes()]);
    if shown == logged {
        return check.pass().observed(format!("compose hash {logged}"));
    }
    check
        .fail()
        .observed(format!("the shown text hashes to {shown}"))
        .expected(format!("the measured compose hash {logged}"))
        .evidence("app_compose", excerpt(text))
        .fix(Fix::new(
            "do not rely on the app-compose the guest shows: the running app was started from another one",
        ))
}

fn deployed(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let allowed = &subject.policy.compose_hashes;
    if allowed.is_empty() {
        return check.not_applicable();
    }
    let Some(logged) = subject.system.compose_hash else { return check.fail().observed(NO_EVENT) };
    if allowed.contains(&logged) {
        return check
            .pass()
            .observed(format!("compose hash {logged}"))
            .trusting("the expected compose hash, which the caller gave");
    }
    let finding = check
        .fail()
        .observed(format!("measured compose hash {logged}"))
        .expected(format!("compose hash {}", one_of(allowed)));
    match advice(subject, &logged) {
        Some(fix) => finding.fix(Fix::new(fix)),
        None => finding.fix(Fix::new(
            "compare the app-compose you deployed with the one that runs, and deploy again if they differ",
        )),
    }
}

/// Why the hash differs, where it is only for the form of the same app-compose.
fn advice(subject: &Subject<'_>, logged: &Digest32) -> Option<&'static str> {
    subject.policy.composes.iter().find_map(|bytes| advice_about(bytes, subject, logged))
}

fn advice_about(bytes: &[u8], subject: &Subject<'_>, logged: &Digest32) -> Option<&'static str> {
    if let Some(form) = other_form(bytes, |hash| hash == logged) {
        return Some(form.advice());
    }
    // The forms that tools write are not all there are: the text that was measured may be at hand.
    let shown = subject.app_compose().filter(|text| hash::sha256(&[text.as_bytes()]) == *logged)?;
    let same = |a: &[u8], b: &[u8]| {
        let a: serde_json::Value = serde_json::from_slice(a).ok()?;
        let b: serde_json::Value = serde_json::from_slice(b).ok()?;
        Some(a == b)
    };
    let same = same(bytes, shown.as_bytes()) == Some(true);
    same.then_some(Form::Rewritten.advice())
}

fn mr_config_id(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let Part::Read(quote) = &subject.quote else { return check.not_applicable() };
    let bytes = quote.report.creator.mr_config_id;
    let committed = match MrConfigId::parse(&bytes) {
        Ok(committed) => committed,
        Err(error) => {
            return check.unknown(error.to_string()).observed(bytes.to_string());
        }
    };
    let Some(logged) = subject.system.compose_hash else { return check.fail().observed(NO_EVENT) };
    let computed = match committed {
        MrConfigId::Unused => {
            return check
                .warn()
                .observed("MRCONFIGID is zero: nothing was committed to")
                .fix(Fix::new("use an OS image of dstack 0.5.2 or later"));
        }
        MrConfigId::V1 { .. } => MrConfigId::v1(logged),
        MrConfigId::V2 { .. } => match version_2(subject, &logged) {
            Ok(computed) => computed,
            Err(why) => return check.unknown(why),
        },
        MrConfigId::V3 { .. } => match version_3(subject, &logged) {
            Ok(computed) => computed,
            Err(Obstacle::Unknown(why)) => return check.unknown(why),
            Err(Obstacle::Wrong(what)) => return check.fail().observed(what).expected(logged.to_string()),
        },
    };
    let version = committed.version();
    if computed == committed {
        return check.pass().observed(format!("version {version}, compose hash {logged}"));
    }
    check
        .fail()
        .observed(format!("MRCONFIGID {}", committed.to_bytes()))
        .expected(format!("MRCONFIGID {}, for the measured compose hash {logged}", computed.to_bytes()))
        .fix(Fix::new("do not trust the CVM: it was created for another app-compose than it says it runs"))
}

fn version_2(subject: &Subject<'_>, logged: &Digest32) -> Result<MrConfigId, String> {
    let system = &subject.system;
    let app_id = system.app_id.ok_or("MRCONFIGID has version 2, and the log has no app-id event")?;
    let provider = system
        .key_provider
        .as_ref()
        .ok_or("MRCONFIGID has version 2, and the log has no key-provider event")?;
    let (kind, id) = readable_provider(provider)?;
    Ok(MrConfigId::v2(logged, &app_id, kind, &id))
}

fn readable_provider(provider: &KeyProvider) -> Result<(crate::event_log::KeyProviderKind, Vec<u8>), String> {
    let kind = provider.kind().ok_or_else(|| format!("the key provider {:?} is not known", provider.name))?;
    let id = provider.id_bytes().map_err(|error| format!("the key provider's id: {error}"))?;
    Ok((kind, id))
}

enum Obstacle {
    Unknown(String),
    Wrong(String),
}

/// The members of a version 3 document that a log can be held against.
#[derive(Deserialize)]
struct Document {
    version: u64,
    compose_hash: Digest32,
    #[serde(default)]
    app_id: Option<Id20>,
}

fn version_3(subject: &Subject<'_>, logged: &Digest32) -> Result<MrConfigId, Obstacle> {
    let Some(text) = subject.evidence.mr_config_document.as_deref() else {
        let why = "MRCONFIGID has version 3, and the document it stands for was not given";
        return Err(Obstacle::Unknown(why.to_owned()));
    };
    let document: Document = serde_json::from_str(text)
        .map_err(|error| Obstacle::Unknown(format!("the document behind MRCONFIGID: {error}")))?;
    if document.version != 3 {
        return Err(Obstacle::Wrong(format!(
            "the document behind MRCONFIGID has version {}",
            document.version
        )));
    }
    if document.compose_hash != *logged {
        return Err(Obstacle::Wrong(format!(
            "the document behind MRCONFIGID names {}",
            document.compose_hash
        )));
    }
    match (document.app_id, subject.system.app_id) {
        (Some(named), Some(app)) if named != app => {
            Err(Obstacle::Wrong(format!("the document behind MRCONFIGID names app {named}, the log {app}")))
        }
        _ => Ok(MrConfigId::v3(text.as_bytes())),
    }
}

/// The beginning of the text, so that a reader recognises it.
fn excerpt(text: &str) -> String {
    text.chars().take(200).collect()
}
