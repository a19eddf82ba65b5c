//! Keys and signature chains, checked with nothing but the curves and hashes.

use dstack_vmm_client::DstackVersion;
use ring::digest;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId, Signature};
use secp256k1::{Message, PublicKey, SecretKey};
use serde_json::{Value, json};
use tiny_keccak::Hasher as _;

use super::{COMPOSE, Guest, bytes, recorded_answer};

fn keccak256(message: &[u8]) -> [u8; 32] {
    let mut keccak = tiny_keccak::Keccak::v256();
    keccak.update(message);
    let mut hash = [0; 32];
    keccak.finalize(&mut hash);
    hash
}

/// Who signed the keccak-256 of the message.
fn signer(signature: &[u8], message: &[u8]) -> PublicKey {
    let recovery = RecoveryId::try_from(i32::from(signature[64])).unwrap();
    let signature = RecoverableSignature::from_compact(&signature[..64], recovery).unwrap();
    signature.recover(Message::from_digest(keccak256(message))).unwrap()
}

/// Follows the two signatures from a public key to the KMS's root key.
fn root_of(chain: &[Vec<u8>], purpose: &str, public_key: &[u8], app_id: &[u8]) -> PublicKey {
    let app_key = signer(&chain[0], format!("{purpose}:{}", hex::encode(public_key)).as_bytes());
    signer(&chain[1], &[b"dstack-kms-issued:", app_id, &app_key.serialize()].concat())
}

fn chain(answer: &Value, member: &str) -> Vec<Vec<u8>> {
    answer[member].as_array().unwrap().iter().map(bytes).collect()
}

fn public_key_of(algorithm: &str, secret: &[u8]) -> Vec<u8> {
    let secret: [u8; 32] = secret.try_into().unwrap();
    match algorithm {
        "ed25519" => ed25519_dalek::SigningKey::from_bytes(&secret).verifying_key().to_bytes().to_vec(),
        _ => SecretKey::from_secret_bytes(secret).unwrap().public_key().serialize().to_vec(),
    }
}

// The recorded agent's keys are not known, but its answers must agree with each other about who signed.
#[test]
fn recorded_chains_lead_to_one_root() {
    let app_id = bytes(&recorded_answer("info")["app_id"]);
    let secp = recorded_answer("getkey");
    let public = public_key_of("secp256k1", &bytes(&secp["key"]));
    let root = root_of(&chain(&secp, "signature_chain"), "sign", &public, &app_id);
    let ed = recorded_answer("getkey-ed");
    let public = public_key_of("ed25519", &bytes(&ed["key"]));
    assert_eq!(root_of(&chain(&ed, "signature_chain"), "sign", &public, &app_id), root);
    for name in ["sign-ed", "sign-k"] {
        let signed = recorded_answer(name);
        let links = chain(&signed, "signature_chain");
        assert_eq!(root_of(&links[1..], "signing", &bytes(&signed["public_key"]), &app_id), root, "{name}");
    }
}

#[tokio::test]
async fn chains_lead_to_the_root_of_the_kms() {
    for version in DstackVersion::ALL {
        let guest = Guest::with_compose(version, COMPOSE);
        let root = guest.kms.k256_pubkey();
        for (algorithm, purpose) in [("", "a"), ("secp256k1", ""), ("k256", "x:y"), ("ed25519", "sign")] {
            let request = json!({ "path": "/p", "purpose": purpose, "algorithm": algorithm });
            let answer = guest.ask("GetKey", &request).await;
            let public = public_key_of(algorithm, &bytes(&answer["key"]));
            let links = chain(&answer, "signature_chain");
            let found = root_of(&links, purpose, &public, guest.agent.app_id().as_ref());
            assert_eq!(found.serialize(), root, "{version} {algorithm}");
            let legacy = guest.tappd("DeriveK256Key", &request).await;
            assert_eq!(
                legacy,
                json!({ "k256_key": answer["key"], "k256_signature_chain": answer["signature_chain"] })
            );
        }
    }
}

#[tokio::test]
async fn keys_follow_from_app_and_path_alone() {
    let ask = async |compose: &str, path: &str| {
        let guest = Guest::with_compose(DstackVersion::V0_5, compose);
        guest.ask("GetKey", &json!({ "path": path })).await["key"].clone()
    };
    let key = ask(COMPOSE, "/a").await;
    assert_eq!(key, ask(COMPOSE, "/a").await);
    assert_ne!(key, ask(COMPOSE, "/b").await);
    assert_ne!(key, ask(&COMPOSE.replace("guest-agent", "other"), "/a").await);
}

#[tokio::test]
async fn without_a_provider_keys_last_one_boot_and_have_no_root() {
    let compose = COMPOSE.replace("\"kms_enabled\":true", "\"kms_enabled\":false");
    let guest = Guest::with_compose(DstackVersion::V0_5, &compose);
    let first = guest.ask("GetKey", &json!({})).await;
    assert_eq!(first["signature_chain"][1], "");
    let again = Guest::with_compose(DstackVersion::V0_5, &compose);
    assert_ne!(first["key"], again.ask("GetKey", &json!({})).await["key"]);
    let local = compose.replace("\"kms_enabled\":false", "\"key_provider\":\"local\"");
    let one = Guest::with_compose(DstackVersion::V0_5, &local).ask("GetKey", &json!({})).await;
    let two = Guest::with_compose(DstackVersion::V0_5, &local).ask("GetKey", &json!({})).await;
    assert_eq!(one["key"], two["key"]);
}

#[tokio::test]
async fn signatures_verify_and_their_chains_lead_to_the_root() {
    let guest = Guest::with_compose(DstackVersion::Next, COMPOSE);
    let digest = digest::digest(&digest::SHA256, b"hello");
    for (algorithm, data) in
        [("ed25519", b"hello".as_slice()), ("secp256k1", b"hello"), ("secp256k1_prehashed", digest.as_ref())]
    {
        let request = json!({ "algorithm": algorithm, "data": hex::encode(data) });
        let answer = guest.ask("Sign", &request).await;
        let (signature, public) = (bytes(&answer["signature"]), bytes(&answer["public_key"]));
        if algorithm == "ed25519" {
            let key = ed25519_dalek::VerifyingKey::from_bytes(public.as_slice().try_into().unwrap()).unwrap();
            key.verify_strict(data, &ed25519_dalek::Signature::from_slice(&signature).unwrap()).unwrap();
        } else {
            // Both forms sign the same digest, one of them hashing first.
            let message = Message::from_digest(digest.as_ref().try_into().unwrap());
            let key = PublicKey::from_slice(&public).unwrap();
            Signature::from_compact(&signature).unwrap().verify(message, &key).unwrap();
        }
        let links = chain(&answer, "signature_chain");
        assert_eq!(links[0], signature);
        let root = root_of(&links[1..], "signing", &public, guest.agent.app_id().as_ref());
        assert_eq!(root.serialize(), guest.kms.k256_pubkey());
        let mut check = request.clone();
        check["signature"] = answer["signature"].clone();
        check["public_key"] = answer["public_key"].clone();
        assert_eq!(guest.ask("Verify", &check).await["valid"], true, "{algorithm}");
        check["data"] = json!("00".repeat(32));
        assert_eq!(guest.ask("Verify", &check).await["valid"], false, "{algorithm}");
        check["public_key"] = json!("00");
        assert!(!guest.refusal("Verify", &check).await.is_empty());
    }
}

#[tokio::test]
async fn other_algorithms_are_refused_in_the_servers_words() {
    let guest = Guest::with_compose(DstackVersion::Next, COMPOSE);
    for (method, algorithm) in
        [("GetKey", "rsa"), ("GetKey", "secp256k1_prehashed"), ("Sign", ""), ("Sign", "x"), ("Verify", "x")]
    {
        let words = guest.refusal(method, &json!({ "algorithm": algorithm })).await;
        assert_eq!(words, "Unsupported algorithm", "{method} {algorithm}");
    }
}

// The legacy agent turns the same 32 bytes into a P-256 key that GetKey gives out as a secp256k1 or ed25519 one.
#[tokio::test]
async fn a_derived_tls_key_has_the_scalar_of_the_derived_key() {
    let scalar = |pem: &str| {
        use p256::pkcs8::DecodePrivateKey as _;
        p256::SecretKey::from_pkcs8_pem(pem).unwrap().to_bytes().to_vec()
    };
    let recorded = recorded_answer("tappd-key");
    assert_eq!(scalar(recorded["key"].as_str().unwrap()), bytes(&recorded_answer("getkey")["key"]));
    let guest = Guest::with_compose(DstackVersion::V0_5, COMPOSE);
    let ours = guest.tappd("DeriveKey", &json!({ "path": "/a", "subject": "x" })).await;
    assert_eq!(
        scalar(ours["key"].as_str().unwrap()),
        bytes(&guest.ask("GetKey", &json!({ "path": "/a" })).await["key"])
    );
    let random = json!({ "path": "/a", "subject": "x", "random_seed": true });
    assert_ne!(
        guest.tappd("DeriveKey", &random).await["key"],
        guest.tappd("DeriveKey", &random).await["key"]
    );
}
