//! Checks of who the app is and who gives it keys.

use dstack_check::{CheckDef, Finding, Fix};

use std::collections::BTreeSet;

use crate::Id20;
use crate::event_log::KeyProvider;
use crate::fixed_bytes::decode_hex;
use crate::policy::KeyProviderRule;
use crate::verify::cvm::subject::{Subject, list, one_of};

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] = &[
    CheckDef::new("app.id.app-id", "the app id is the measured one")
        .layer("identity")
        .parents(&["eventlog.readable"])
        .why("the KMS gives keys by app id"),
    CheckDef::new("app.id.instance-id", "the instance id is the measured one")
        .layer("identity")
        .parents(&["eventlog.readable"])
        .why("the evidence may be that of another instance of the app"),
    CheckDef::new("app.key-provider", "the key provider is the measured one")
        .layer("identity")
        .parents(&["eventlog.readable"])
        .why("whoever gives the keys can read what they protect"),
];

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    Some(match check.id {
        "app.id.app-id" => app_id(check, subject),
        "app.id.instance-id" => instance_id(check, subject),
        "app.key-provider" => key_provider(check, subject),
        _ => return None,
    })
}

/// What a measured id is held against, as lower-case hex.
struct Claims {
    /// The ids that the policy allows; empty for all.
    allowed: Vec<String>,
    /// The id that the agent or the VMM reports.
    reported: Option<String>,
}

impl Claims {
    fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.reported.is_none()
    }

    /// What does not fit the measured id, in words.
    fn wrong(&self, measured: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        if !self.allowed.is_empty() && !self.allowed.iter().any(|id| id == measured) {
            wrong.push(format!("expected {}", one_of(&self.allowed)));
        }
        if let Some(reported) = self.reported.as_deref().filter(|id| *id != measured) {
            wrong.push(format!("reported {}", if reported.is_empty() { "none" } else { reported }));
        }
        wrong
    }
}

fn app_id(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let claims = claims(&subject.policy.app_ids, subject.evidence.app_id.as_deref());
    let Some(measured) = subject.system.app_id else {
        return missing(check, "app-id", &claims);
    };
    let finding = compare(check, "app id", &measured.to_string(), &claims);
    match subject.system.compose_hash {
        Some(hash) if hash.as_ref().starts_with(measured.as_ref()) => {
            finding.evidence("event log", "the app id is the beginning of the compose hash")
        }
        _ => {
            finding.evidence("event log", "the app id was given at deployment; it is not the compose hash's")
        }
    }
}

fn instance_id(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let claims = claims(&subject.policy.instance_ids, subject.evidence.instance_id.as_deref());
    match subject.system.instance_id {
        None => missing(check, "instance-id", &claims),
        Some(id) => {
            let measured = id.map(|id| id.to_string()).unwrap_or_default();
            compare(check, "instance id", &measured, &claims)
        }
    }
}

fn claims(allowed: &BTreeSet<Id20>, reported: Option<&str>) -> Claims {
    // Hex is compared in lower case; VMMs may write 0x in front of ids that came from a chain.
    let reported = reported.map(|text| text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase());
    Claims { allowed: allowed.iter().map(ToString::to_string).collect(), reported }
}

fn missing(check: &CheckDef, event: &str, claims: &Claims) -> Finding {
    if claims.is_empty() {
        return check.not_applicable();
    }
    check.fail().observed(format!("the log has no readable {event} event before system-ready"))
}

fn compare(check: &CheckDef, what: &str, measured: &str, claims: &Claims) -> Finding {
    let shown = if measured.is_empty() { "none" } else { measured };
    if claims.is_empty() {
        return check.not_applicable().observed(format!("{what} {shown}"));
    }
    let wrong = claims.wrong(measured);
    if wrong.is_empty() {
        return check.pass().observed(format!("{what} {shown}"));
    }
    check
        .fail()
        .observed(format!("measured {what} {shown}"))
        .expected(list(&wrong))
        .fix(Fix::new("make sure that the evidence is that of the app and the instance you asked for"))
}

fn key_provider(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let allowed = &subject.policy.key_providers;
    let reported = subject.evidence.key_provider_info.as_deref().filter(|text| !text.is_empty());
    let asked = !allowed.is_empty();
    let Some(measured) = &subject.system.key_provider else {
        if asked || reported.is_some() {
            return check.fail().observed("the log has no readable key-provider event before system-ready");
        }
        return check.not_applicable();
    };
    let mut wrong = Vec::new();
    let id = decode_hex(&measured.id).ok();
    let fits =
        |rule: &KeyProviderRule| measured.kind() == Some(rule.kind) && (rule.id.is_none() || rule.id == id);
    if asked && !allowed.iter().any(fits) {
        let rules = allowed.iter().map(|rule| match &rule.id {
            Some(id) => format!("{} with id {}", rule.kind, hex::encode(id)),
            None => rule.kind.to_string(),
        });
        wrong.push(format!("expected {}", one_of(rules)));
    }
    if let Some(text) = reported {
        match serde_json::from_str::<KeyProvider>(text) {
            Ok(stated) if stated != *measured => wrong.push(format!("reported {}", stated.to_json())),
            Ok(_) => {}
            Err(_) if !asked => {
                return check.unknown("key_provider_info is not the JSON it should be");
            }
            Err(_) => wrong.push("reported something that is not the JSON it should be".to_owned()),
        }
    }
    let observed = measured.to_json();
    if !wrong.is_empty() {
        let fix = "make sure that the CVM gets its keys from the provider you trust, and pin it with key_provider_id";
        return check.fail().observed(observed).expected(list(&wrong)).fix(Fix::new(fix));
    }
    if !asked && reported.is_none() {
        return check.not_applicable().observed(observed);
    }
    check.pass().observed(observed)
}
