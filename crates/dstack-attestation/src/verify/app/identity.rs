//! Checks of who the app is and who gives it keys.

use dstack_check::{CheckDef, Finding, Fix};

use crate::event_log::KeyProvider;
use crate::fixed_bytes::decode_hex;
use crate::verify::app::subject::{Subject, list};

/// Texts to hold a measured id against: who says so, and what.
type Claims = Vec<(&'static str, String)>;

pub(super) fn app_id(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let claims = claims(subject.expectation.app_id.as_ref(), subject.evidence.app_id.as_deref());
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

pub(super) fn instance_id(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let claims = claims(subject.expectation.instance_id.as_ref(), subject.evidence.instance_id.as_deref());
    match subject.system.instance_id {
        None => missing(check, "instance-id", &claims),
        Some(id) => {
            let measured = id.map(|id| id.to_string()).unwrap_or_default();
            compare(check, "instance id", &measured, &claims)
        }
    }
}

fn claims(expected: Option<&crate::Id20>, reported: Option<&str>) -> Claims {
    let expected = expected.map(|id| ("expected", id.to_string()));
    // Hex is compared in lower case; VMMs may write 0x in front of ids that came from a chain.
    let reported = reported.map(|text| text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase());
    expected.into_iter().chain(reported.map(|text| ("reported", text))).collect()
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
    let wrong: Vec<String> = claims
        .iter()
        .filter(|(_, text)| text != measured)
        .map(|(who, text)| format!("{who} {}", if text.is_empty() { "none" } else { text }))
        .collect();
    if wrong.is_empty() {
        return check.pass().observed(format!("{what} {shown}"));
    }
    check
        .fail()
        .observed(format!("measured {what} {shown}"))
        .expected(list(&wrong))
        .fix(Fix::new("make sure that the evidence is that of the app and the instance you asked for"))
}

pub(super) fn key_provider(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let expectation = subject.expectation;
    let reported = subject.evidence.key_provider_info.as_deref().filter(|text| !text.is_empty());
    let asked = expectation.key_provider.is_some() || expectation.key_provider_id.is_some();
    let Some(measured) = &subject.system.key_provider else {
        if asked || reported.is_some() {
            return check.fail().observed("the log has no readable key-provider event before system-ready");
        }
        return check.not_applicable();
    };
    let mut wrong = Vec::new();
    if let Some(kind) = expectation.key_provider
        && measured.kind() != Some(kind)
    {
        wrong.push(format!("expected {kind}"));
    }
    if let Some(id) = &expectation.key_provider_id
        && decode_hex(&measured.id).ok().as_ref() != Some(id)
    {
        wrong.push(format!("expected id {}", hex::encode(id)));
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
