//! Checks of the root keys and of the attestation that binds them.

use dstack_check::{CheckDef, Finding, Fix};

use super::Kms;
use super::read::{Bootstrap, k256_key, p256_key};
use crate::report_data;
use crate::verify::cvm::{Part, Subject};

pub(super) fn readable(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    match &kms.bootstrap {
        None => {
            let why = match kms.meta() {
                Some(_) => "no bootstrap answer was given, and GetMeta has no bootstrap_info",
                None => "no bootstrap answer was given",
            };
            check.unknown(why).fix(Fix::new(
                "keep the answer of Onboard.Bootstrap, or bootstrap-info.json from the KMS's certificate directory, and give it here",
            ))
        }
        Some(Err(why)) => check.unknown(why).evidence("source", kms.bootstrap_source),
        Some(Ok(bootstrap)) => {
            check.pass().observed(format!("{}, with {}", kms.bootstrap_source, bootstrap.form))
        }
    }
}

/// Runs a check of the bootstrap. Children of `kms.bootstrap.readable` are skipped without one.
fn on_bootstrap(check: &CheckDef, kms: &Kms<'_>, judge: impl FnOnce(&Bootstrap) -> Finding) -> Finding {
    match kms.bootstrap() {
        Some(bootstrap) => judge(bootstrap),
        None => check.skipped("kms.bootstrap.readable"),
    }
}

pub(super) fn curve(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    on_bootstrap(check, kms, |bootstrap| {
        let mut wrong = Vec::new();
        if let Err(why) = p256_key(&bootstrap.ca_pubkey) {
            wrong.push(format!("ca_pubkey: {why}"));
        }
        if let Err(why) = k256_key(&bootstrap.k256_pubkey) {
            wrong.push(format!("k256_pubkey: {why}"));
        }
        if wrong.is_empty() {
            return check.pass().observed(format!("k256 key {}", hex::encode(&bootstrap.k256_pubkey)));
        }
        check
            .fail()
            .observed(wrong.join("\n"))
            .expected("ca_pubkey: 91 bytes of SubjectPublicKeyInfo with a P-256 key; k256_pubkey: a compressed point of 33 bytes")
            .fix(Fix::new("ask the KMS again, and make sure that nothing on the way changes the answer"))
    })
}

pub(super) fn key_match(check: &CheckDef, kms: &Kms<'_>, subject: &Subject<'_>) -> Finding {
    on_bootstrap(check, kms, |bootstrap| {
        let Part::Read(quote) = &subject.quote else { return check.skipped("quote.readable") };
        let expected = report_data::kms_bootstrap(&bootstrap.ca_pubkey, &bootstrap.k256_pubkey);
        let observed = quote.report.report_data;
        if observed == expected {
            return check.pass().observed(format!("report data {observed}"));
        }
        check
            .fail()
            .observed(format!("report data {observed}"))
            .expected(format!("report data {expected}, from the two keys"))
            .fix(Fix::new(
                "do not use these keys: the attestation is about others. Where the KMS was bootstrapped more than once, take the last answer",
            ))
    })
}

pub(super) fn registered(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    let (k256, ca) = (&kms.evidence.registered_k256, &kms.evidence.registered_ca);
    if k256.is_none() && ca.is_none() {
        return check.not_applicable().observed("no registered keys were given to compare with");
    }
    on_bootstrap(check, kms, |bootstrap| {
        let (mut same, mut found, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (what, registered, own) in
            [("k256 key", k256, &bootstrap.k256_pubkey), ("root CA key", ca, &bootstrap.ca_pubkey)]
        {
            match registered {
                None => {}
                Some(registered) if registered == own => same.push(what),
                Some(registered) => {
                    found.push(format!("{what} {}", hex::encode(own)));
                    expected.push(format!("{what} {}", hex::encode(registered)));
                }
            }
        }
        let finding = if found.is_empty() {
            check.pass().observed(format!("the {} as registered", same.join(" and the ")))
        } else {
            check.fail().observed(found.join("\n")).expected(expected.join("\n")).fix(Fix::new(
                "do not use this KMS for what the registration is about, such as the apps of a contract: it has other root keys",
            ))
        };
        finding.trusting("the registered keys, as the caller gave them")
    })
}
