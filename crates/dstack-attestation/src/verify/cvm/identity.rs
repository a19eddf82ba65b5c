//! Checks of who the app is and who gives it keys.

use std::collections::BTreeSet;

use dstack_check::{CheckDef, Finding, Fix};

use crate::event_log::KeyProvider;
use crate::fixed_bytes::{decode_hex, parse_hex};
use crate::policy::KeyProviderRule;
use crate::verify::cvm::subject::{Subject, list, one_of};
use crate::{Id20, hash};

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] = &[
    CheckDef::new("app.id.app-id", "the app id is the measured one")
        .layer("identity")
        .parents(&["eventlog.readable"])
        .needs("the app id that is expected, or that the agent or the VMM reports")
        .why("the KMS gives keys by app id")
        .proves("the guest measured this app id before it handed over to the app")
        .leaves_open("whether a KMS gives that app id's keys to this CVM: any OS can measure any id, and a KMS checks it"),
    CheckDef::new("app.id.instance-id", "the instance id is the measured one")
        .layer("identity")
        .parents(&["eventlog.readable"])
        .needs("the instance id that is expected, or that the agent or the VMM reports")
        .why("the evidence may be that of another instance of the app")
        .proves("the guest measured this instance id before it handed over to the app")
        .leaves_open("on which machine the instance runs, and whether it is the only one with this id"),
    CheckDef::new("app.id.device-id", "the CVM runs on an expected machine")
        .layer("identity")
        .parents(&["quote.signature"])
        .needs("the device ids that are allowed, or the one that the agent reports")
        .why("a genuine platform may stand in anybody's cellar, where its owner can probe the memory bus")
        .proves("the quote was signed on the platform whose PPID has this SHA-256, by Intel's certificate of it")
        .leaves_open("where that platform stands and who can touch it"),
    CheckDef::new("app.key-provider", "the key provider is the measured one")
        .layer("identity")
        .parents(&["eventlog.readable"])
        .needs("the key providers that are allowed, or the one that the agent reports")
        .why("whoever gives the keys can read what they protect")
        .proves("the guest measured that it got its keys from this provider; of a KMS, the root CA's public key")
        .leaves_open("whether that provider is good: its own evidence says what it runs"),
];

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    Some(match check.id {
        "app.id.app-id" => app_id(check, subject),
        "app.id.instance-id" => instance_id(check, subject),
        "app.id.device-id" => device_id(check, subject),
        "app.key-provider" => key_provider(check, subject),
        _ => return None,
    })
}

/// On which machine the CVM runs, by the certificate of the platform that signed the quote.
fn device_id(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let allowed = &subject.policy.device_ids;
    let nothing = hash::sha256(&[]);
    let reported = subject.evidence.device_id.as_deref().filter(|text| !text.is_empty());
    // An agent that did not verify its own quote reports the hash of nothing.
    let stated = reported.map(parse_hex::<32>).filter(|read| *read != Ok(nothing));
    let Some(verified) = subject.verified() else {
        let observed = match (&stated, reported) {
            (Some(Ok(id)), _) => format!("device id {id}, by the agent's word"),
            (None, Some(_)) => {
                "the agent reports the hash of nothing: it did not verify its quote".to_owned()
            }
            _ => "no device id".to_owned(),
        };
        if allowed.is_empty() {
            return check.not_applicable().observed(observed);
        }
        return check
            .unknown("only a verified quote says on which machine the CVM runs")
            .observed(observed)
            .fix(Fix::new("give collateral for the platform, so that the quote can be verified"));
    };
    let found = verified.device_id;
    let observed = format!("device id {found}");
    if found == nothing {
        return check.unknown("the platform's certificate has no PPID").observed(observed);
    }
    let mut wrong = Vec::new();
    if !allowed.is_empty() && !allowed.contains(&found) {
        wrong.push(format!("expected {}", one_of(allowed)));
    }
    match &stated {
        Some(Ok(stated)) if *stated != found => wrong.push(format!("reported {stated}")),
        Some(Err(error)) if allowed.is_empty() => {
            return check.unknown(format!("the reported device id: {error}")).observed(observed);
        }
        Some(_) | None => {}
    }
    if !wrong.is_empty() {
        return check.fail().observed(observed).expected(list(&wrong)).fix(Fix::new(
            "find out on whose machine the CVM runs; move it, or allow the machine if you trust who keeps it",
        ));
    }
    if allowed.is_empty() {
        return check.not_applicable().observed(observed);
    }
    check.pass().observed(observed).trusting("the expected device ids, which the caller gave")
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
    check
        .fail()
        .observed(format!("the log has no readable {event} event before system-ready"))
        .fix(boot_again())
}

fn boot_again() -> Fix {
    Fix::new("wait until the guest has booted, and fetch the evidence again")
}

/// What a comparison took on trust: the caller's expectation, or the word of the agent or the VMM.
fn trusted(what: &str, expected: bool) -> String {
    if expected {
        format!("the expected {what}, which the caller gave")
    } else {
        format!("the reported {what}, the word of the agent or the VMM; nobody said what to expect")
    }
}

fn compare(check: &CheckDef, what: &str, measured: &str, claims: &Claims) -> Finding {
    let shown = if measured.is_empty() { "none" } else { measured };
    if claims.is_empty() {
        return check.not_applicable().observed(format!("{what} {shown}"));
    }
    let wrong = claims.wrong(measured);
    let trusted = trusted(what, !claims.allowed.is_empty());
    if wrong.is_empty() {
        return check.pass().observed(format!("{what} {shown}")).trusting(trusted);
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
            return missing_provider(check);
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
    check.pass().observed(observed).trusting(trusted("key provider", asked))
}

fn missing_provider(check: &CheckDef) -> Finding {
    let observed = "the log has no readable key-provider event before system-ready";
    check.fail().observed(observed).fix(boot_again())
}
