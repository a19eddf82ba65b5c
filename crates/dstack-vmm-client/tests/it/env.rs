//! Environments: the recorded answers of a KMS, and the way of a secret from file to guest.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use dstack_check::Hinted;
use dstack_vmm_client::api::PublicKeyResponse;
use dstack_vmm_client::env::{
    EnvFile, EnvPublicKey, SignatureError, SignatureForm, SignaturePolicy, SignerKey, check_allowed,
    legacy_digest, open, seal, v1_digest, verify_env_key,
};
use dstack_vmm_client::ids::AppId;
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, SecretKey};
use serde_json::Value;

struct Recorded {
    app_id: AppId,
    answer: PublicKeyResponse,
}

fn kms() -> (Value, Vec<Recorded>) {
    let kms: Value = serde_json::from_str(include_str!("../fixtures/env/kms.json")).unwrap();
    let recorded = kms["answers"].as_array().unwrap().iter().map(|one| Recorded {
        app_id: serde_json::from_value(one["app_id"].clone()).unwrap(),
        answer: serde_json::from_value(one["answer"].clone()).unwrap(),
    });
    let recorded = recorded.collect();
    (kms, recorded)
}

fn root_key(kms: &Value) -> SignerKey {
    kms["k256_pubkey"].as_str().unwrap().parse().unwrap()
}

#[test]
fn recorded_keys_are_verified() {
    let (kms, recorded) = kms();
    assert_eq!(recorded.len(), 2);
    let policy = SignaturePolicy::pinned([root_key(&kms)]);
    for Recorded { app_id, answer } in &recorded {
        let verified = verify_env_key(answer, app_id, answer.timestamp + 10, &policy).unwrap();
        assert_eq!(verified.form, SignatureForm::V1 { timestamp: answer.timestamp });
        assert_eq!(verified.key.as_bytes()[..], answer.public_key);

        let mut old = answer.clone();
        old.signature_v1.clear();
        let refused = verify_env_key(&old, app_id, answer.timestamp, &policy).unwrap_err();
        assert_eq!(refused, SignatureError::NoFreshness);
        let lenient = policy.clone().allow_legacy_without_freshness();
        let verified = verify_env_key(&old, app_id, answer.timestamp, &lenient).unwrap();
        assert_eq!(verified.form, SignatureForm::Legacy);
    }
    // One app's key is no key of another.
    let swapped =
        verify_env_key(&recorded[0].answer, &recorded[1].app_id, recorded[0].answer.timestamp, &policy);
    assert!(matches!(swapped, Err(SignatureError::UntrustedSigner { .. })));
}

#[test]
fn recorded_signatures_are_made_again_from_the_root_key() {
    let (kms, recorded) = kms();
    let secret: SecretKey = kms["root_k256_secret"].as_str().unwrap().parse().unwrap();
    let sign = |digest| {
        let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &secret);
        let (id, compact) = signature.serialize_compact();
        [&compact[..], &[id.to_u8()]].concat()
    };
    for Recorded { app_id, answer } in &recorded {
        let key = EnvPublicKey::from_bytes(answer.public_key.as_slice().try_into().unwrap());
        assert_eq!(sign(legacy_digest(app_id, &key)), answer.signature);
        assert_eq!(sign(v1_digest(app_id, answer.timestamp, &key)), answer.signature_v1);
    }
}

#[test]
fn from_a_file_to_the_guest() {
    let (kms, recorded) = kms();
    let Recorded { app_id, answer } = &recorded[0];
    let file = EnvFile::parse(b"export TOKEN='it\\'s' # secret\r\nPEM=\"-----BEGIN\\nEND\"\n").unwrap();
    let allowed = ["PEM", "TOKEN", "UNUSED"].map(str::to_owned);
    assert_eq!(check_allowed(file.environment.names(), &allowed).unwrap().without_value, ["UNUSED"]);
    let policy = SignaturePolicy::pinned([root_key(&kms)]);
    let verified = verify_env_key(answer, app_id, answer.timestamp, &policy).unwrap();
    let blob = seal(&file.environment, &verified.key).unwrap();

    // What the KMS derives for the app id of zeros and hands to its guest.
    let mut secret = [0; 32];
    hex::decode_to_slice(kms["env_secret_of_app_zero"].as_str().unwrap(), &mut secret).unwrap();
    assert_eq!(EnvPublicKey::of_secret(&secret), verified.key);
    assert_eq!(open(&secret, &blob).unwrap(), file.environment);
}

#[test]
fn an_unpinned_signer_is_named_with_what_to_do() {
    let (kms, recorded) = kms();
    let Recorded { app_id, answer } = &recorded[0];
    let error = verify_env_key(answer, app_id, answer.timestamp, &SignaturePolicy::pinned([])).unwrap_err();
    let root = root_key(&kms).to_string();
    assert!(error.to_string().contains(&root));
    assert!(error.hint().unwrap().as_str().contains(&format!("pin {root}")));
}
