//! The signature chains of the recorded agent.

use dstack_attestation::key_chain::{CompressedKey, KeyChain, KeyChainError, Link};
use dstack_attestation::{HexError, Id20};
use serde_json::Value;

use crate::evidence::{info, response};

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn app_id() -> Id20 {
    info()["app_id"].as_str().unwrap().parse().unwrap()
}

struct Recorded {
    purpose: &'static str,
    public_key: Vec<u8>,
    by_app: Vec<u8>,
    by_kms: Vec<u8>,
}

impl Recorded {
    fn signed(recorded: &str) -> Self {
        let answer = response(recorded);
        let chain = &answer["signature_chain"];
        let (by_app, by_kms) = (bytes(&chain[1]), bytes(&chain[2]));
        Self { purpose: "signing", public_key: bytes(&answer["public_key"]), by_app, by_kms }
    }

    fn derived() -> Self {
        let answer = response(include_str!("../fixtures/agent/get-key.json"));
        let secret =
            secp256k1::SecretKey::from_secret_bytes(bytes(&answer["key"]).try_into().unwrap()).unwrap();
        let chain = &answer["signature_chain"];
        let (by_app, by_kms) = (bytes(&chain[0]), bytes(&chain[1]));
        let public_key = secp256k1::PublicKey::from_secret_key(&secret).serialize().to_vec();
        Self { purpose: "sign", public_key, by_app, by_kms }
    }

    fn all() -> [Self; 3] {
        [
            Self::derived(),
            Self::signed(include_str!("../fixtures/agent/sign-secp256k1.json")),
            Self::signed(include_str!("../fixtures/agent/sign-ed25519.json")),
        ]
    }

    fn chain<'a>(&'a self, app_id: &'a Id20) -> KeyChain<'a> {
        let Self { purpose, public_key, by_app, by_kms } = self;
        KeyChain { purpose, public_key, app_id, by_app, by_kms }
    }
}

/// The root key of the throw-away KMS of the recording: all chains lead to it.
fn root() -> CompressedKey {
    Recorded::derived().chain(&app_id()).recover().unwrap().kms
}

#[test]
fn every_chain_leads_to_the_same_app_key_and_the_same_root() {
    let app = Recorded::derived().chain(&app_id()).recover().unwrap().app;
    for recorded in Recorded::all() {
        assert_eq!(recorded.chain(&app_id()).verify(&root()), Ok(app));
    }
}

#[test]
fn any_change_leads_elsewhere() {
    let id = app_id();
    for recorded in Recorded::all() {
        let good = recorded.chain(&id);
        let foreign_app = Id20::new([7; 20]);
        let public_key: Vec<u8> = recorded.public_key.iter().map(|byte| byte ^ 1).collect();
        let mut by_app = recorded.by_app.clone();
        by_app[40] ^= 1;
        let mut by_kms = recorded.by_kms.clone();
        by_kms[64] ^= 1;
        for changed in [
            KeyChain { purpose: "other", ..good },
            KeyChain { app_id: &foreign_app, ..good },
            KeyChain { public_key: &public_key, ..good },
            KeyChain { by_app: &by_app, ..good },
            KeyChain { by_kms: &by_kms, ..good },
            KeyChain { by_kms: &recorded.by_app, ..good },
        ] {
            assert!(changed.verify(&root()).is_err(), "{changed:?}");
        }
    }
}

#[test]
fn malformed_signatures_are_named() {
    let (recorded, id) = (Recorded::derived(), app_id());
    let good = recorded.chain(&id);
    let none = KeyChain { by_kms: &[], ..good }.recover();
    assert_eq!(none, Err(KeyChainError::Length { link: Link::Kms, found: 0 }));
    let short = KeyChain { by_app: &recorded.by_app[..64], ..good }.recover().unwrap_err();
    assert_eq!(short.to_string(), "the app key's signature has 64 bytes instead of 65");
    let mut odd = recorded.by_app.clone();
    odd[64] = 27;
    let odd = KeyChain { by_app: &odd, ..good }.recover();
    assert_eq!(odd, Err(KeyChainError::Signature { link: Link::App }));
    let foreign = good.verify(&CompressedKey::new([2; 33])).unwrap_err();
    assert!(foreign.to_string().starts_with("the chain leads to the key 0"), "{foreign}");
    assert_eq!("02".parse::<CompressedKey>(), Err(HexError::Length { expected: 33, found: 1 }));
}
