//! The check of the key to which environments are sealed.

use std::time::{Duration, SystemTime};

use dstack_check::{CheckDef, Finding, Fix};

use super::Kms;
use super::read::{EnvKey, k256_key};
use crate::key_chain::{CompressedKey, env_key_signer};
use crate::verify::cvm::Subject;

/// How far ahead of the verifier's clock the KMS's may be.
const MAX_CLOCK_AHEAD: Duration = Duration::from_secs(60);

pub(super) fn signature(check: &CheckDef, kms: &Kms<'_>, subject: &Subject<'_>) -> Finding {
    let key = match &kms.env_key {
        None => return check.not_applicable().observed("no env key was given"),
        Some(Err(why)) => return check.unknown(why),
        Some(Ok(key)) => key,
    };
    let Some((source, root)) = root(kms) else {
        return check.unknown("no k256 key of the KMS was given to hold the signature against");
    };
    let root = match k256_key(root) {
        Ok(root) => root,
        Err(why) => return check.unknown(format!("the k256 key of {source} cannot be read: {why}")),
    };
    if key.public_key.len() != 32 {
        return check
            .fail()
            .observed(format!("an env key of {} bytes", key.public_key.len()))
            .expected("an X25519 key of 32 bytes")
            .fix(Fix::new("seal nothing to this key"));
    }
    let wrong = wrong(key, root);
    let expected = format!("signed by {root}, the k256 key of {source}");
    if !wrong.is_empty() {
        return check.fail().observed(wrong.join("\n")).expected(expected).fix(Fix::new(
            "seal nothing to this key: ask the KMS itself for it, and make sure that the app id is the one you asked about",
        ));
    }
    let finding = match &key.timed {
        None => check
            .warn()
            .observed("signed without a time")
            .fix(Fix::new("upgrade the KMS: without a time, an old answer can be played back")),
        Some((timestamp, _)) => of_time(check, *timestamp, subject),
    };
    finding.expected(expected).evidence("env key", hex::encode(&key.public_key))
}

/// The KMS's k256 key and where it is from, the best attested first.
fn root<'k>(kms: &'k Kms<'_>) -> Option<(&'static str, &'k [u8])> {
    let bootstrap = kms.bootstrap().map(|bootstrap| ("the bootstrap", bootstrap.k256_pubkey.as_slice()));
    let registered = || kms.evidence.registered_k256.as_deref().map(|key| ("the registration", key));
    let meta = || kms.meta().map(|meta| ("GetMeta", meta.k256_pubkey.as_slice()));
    bootstrap.or_else(registered).or_else(meta)
}

/// What is wrong with the signatures, in words.
fn wrong(key: &EnvKey, root: CompressedKey) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut hold = |which: &str, timestamp, signature: &[u8]| match env_key_signer(
        &key.app_id,
        &key.public_key,
        timestamp,
        signature,
    ) {
        Ok(signer) if signer == root => {}
        Ok(signer) => wrong.push(format!("{which} is by {signer}")),
        Err(error) => wrong.push(format!("{which}: {error}")),
    };
    match &key.timed {
        None => hold("signature", None, &key.signature),
        Some((timestamp, signature)) => {
            hold("signature_v1", Some(*timestamp), signature);
            // Newer answers carry the old signature as well; where it is there, it has to fit.
            if !key.signature.is_empty() {
                hold("signature", None, &key.signature);
            }
        }
    }
    wrong
}

fn of_time(check: &CheckDef, timestamp: u64, subject: &Subject<'_>) -> Finding {
    const CLOCK: &str = "the clock of the system that verifies";
    let now = subject.verifier.now();
    let Some(signed) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(timestamp)) else {
        return check.unknown(format!("the time of the signature, {timestamp}, is no time"));
    };
    let age = match now.duration_since(signed) {
        Ok(age) => age,
        Err(ahead) if ahead.duration() <= MAX_CLOCK_AHEAD => Duration::ZERO,
        Err(ahead) => {
            return check
                .warn()
                .observed(format!("signed {} s in the future", ahead.duration().as_secs()))
                .trusting(CLOCK)
                .fix(Fix::new("set the clocks of the KMS and of this machine"));
        }
    };
    let observed = format!("signed {} s ago", age.as_secs());
    match subject.policy.max_evidence_age {
        Some(max) if age > max => check
            .fail()
            .observed(format!("{observed}, older than the {} s that the policy allows", max.as_secs()))
            .trusting(CLOCK)
            .fix(Fix::new("ask the KMS for the env key again")),
        Some(_) => check.pass().observed(observed).trusting(CLOCK),
        None => check.pass().observed(observed),
    }
}
