//! Checks of what the KMS says about itself.

use dstack_check::{CheckDef, Finding, Fix};

use super::Kms;
use super::read::Meta;

/// What every answer of these checks rests on.
const OWN_WORD: &str = "the KMS's own word: nothing signs GetMeta's answer";

pub(super) fn readable(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    match &kms.meta {
        None => check.not_applicable().observed("no answer of GetMeta was given"),
        Some(Err(why)) => check.unknown(why),
        Some(Ok(meta)) => match &meta.ca {
            Ok(ca) => check.pass().observed(format!("root CA {}", ca.subject)),
            Err(why) => check.unknown(why),
        },
    }
}

/// Runs a check of GetMeta's answer, where there is one.
fn on_meta(check: &CheckDef, kms: &Kms<'_>, judge: impl FnOnce(&Meta) -> Finding) -> Finding {
    match &kms.meta {
        None => check.not_applicable().observed("no answer of GetMeta was given"),
        Some(Err(_)) => check.skipped("kms.meta.readable"),
        Some(Ok(meta)) => judge(meta),
    }
}

pub(super) fn keys(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    on_meta(check, kms, |meta| {
        let Some(bootstrap) = kms.bootstrap() else { return check.skipped("kms.bootstrap.readable") };
        let Ok(ca) = &meta.ca else { return check.skipped("kms.meta.readable") };
        let (mut observed, mut expected) = (Vec::new(), Vec::new());
        for (what, now, then) in [
            ("root CA key", &ca.public_key, &bootstrap.ca_pubkey),
            ("k256 key", &meta.k256_pubkey, &bootstrap.k256_pubkey),
        ] {
            if now != then {
                observed.push(format!("{what} {}", hex::encode(now)));
                expected.push(format!("{what} {}", hex::encode(then)));
            }
        }
        if observed.is_empty() {
            return check.pass().observed(format!("k256 key {}", hex::encode(&meta.k256_pubkey)));
        }
        check.fail().observed(observed.join("\n")).expected(expected.join("\n")).fix(Fix::new(
            "do not use this KMS: the keys it works with are not those that were attested. v0.5.11 makes new keys at every Bootstrap: compare with the last answer",
        ))
    })
}

pub(super) fn bootstrap_info(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    on_meta(check, kms, |meta| {
        match &meta.bootstrap_info {
        None if kms.bootstrap().is_some() => check
            .not_applicable()
            .observed("GetMeta has no bootstrap_info; the answer of Onboard.Bootstrap was given instead"),
        None => check
            .unknown("GetMeta has no bootstrap_info: a KMS that bootstraps by itself (auto_bootstrap_domain) writes none, and one that was onboarded from another has none")
            .fix(Fix::new(
                "bootstrap the KMS through Onboard.Bootstrap, or give the answer that was kept when the first KMS of the site was bootstrapped",
            )),
        Some(Err(why)) => check.unknown(format!("bootstrap_info cannot be read: {why}")),
        Some(Ok(shown)) => {
            let same = |a: &[u8], b: &[u8]| a == b;
            let other = kms.bootstrap().filter(|given| {
                !same(&given.ca_pubkey, &shown.ca_pubkey) || !same(&given.k256_pubkey, &shown.k256_pubkey)
            });
            match other {
                None => check.pass().observed(format!("with {}", shown.form)).trusting(OWN_WORD),
                Some(given) => check
                    .fail()
                    .observed(format!("bootstrap_info about the k256 key {}", hex::encode(&shown.k256_pubkey)))
                    .expected(format!("that of {}", hex::encode(&given.k256_pubkey)))
                    .fix(Fix::new(
                        "make sure that the bootstrap answer is this KMS's own, and the last where there were several",
                    )),
            }
        }
    }
    })
}

pub(super) fn production(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    on_meta(check, kms, |meta| {
        let mut observed = Vec::new();
        if let Some(contract) = &meta.contract {
            let chain = meta.chain_id.map(|id| format!(" on chain {id}")).unwrap_or_default();
            observed.push(format!("contract {contract}{chain}"));
        }
        let gateway = meta.gateway_app_id.as_deref();
        observed.push(format!("gateway app id {}", gateway.unwrap_or("none")));
        if meta.allow_any_upgrade == Some(true) {
            observed.push("allow_any_upgrade".to_owned());
        }
        let finding = match meta.is_dev {
            None => return check.unknown("GetMeta's answer does not say whether authorization is for development"),
            Some(true) => {
                observed.insert(0, "is_dev: every app and every KMS is let in".to_owned());
                check.fail().expected("is_dev false").fix(Fix::new(
                    "set core.auth_api.type to webhook in kms.toml and name an authorization service",
                ))
            }
            Some(false) if gateway == Some("any") => {
                check.warn().expected("the app id of one gateway").fix(Fix::new(
                    "register the gateway's app id: with any, every app can play the gateway and see the traffic of others",
                ))
            }
            Some(false) if meta.allow_any_upgrade == Some(true) => {
                check.warn().expected("allow_any_upgrade false").fix(Fix::new(
                    "use an authorization service that lists the app-composes it allows",
                ))
            }
            Some(false) => check.pass(),
        };
        finding.observed(observed.join("\n")).trusting(OWN_WORD)
    })
}
