//! The KMS against recorded answers of the real one, from whose root keys every signature must come out the same.

use std::sync::Arc;

use dstack_emulator::clock::Clock;
use dstack_emulator::kms::{self, Kms, KmsError, RootKeys};
use serde_json::Value;

use crate::golden_shape::difference;
use crate::raw_http::over_unix;

fn golden() -> Value {
    serde_json::from_str(include_str!("../fixtures/golden/kms-next.json")).unwrap()
}

/// The KMS with the root keys of the recorded one.
fn recorded_kms(golden: &Value) -> Kms {
    let secret = |name: &str| {
        let mut bytes = [0; 32];
        hex::decode_to_slice(golden[name].as_str().unwrap(), &mut bytes).unwrap();
        bytes
    };
    let keys = RootKeys::new(&secret("root_ca_p256_scalar"), &secret("root_k256_secret"));
    Kms::new(&keys, 1_795_291_199).unwrap()
}

#[test]
fn env_keys_and_both_signatures_are_those_of_the_recorded_kms() {
    let golden = golden();
    let kms = recorded_kms(&golden);
    let mut compared = 0;
    for exchange in golden["exchanges"].as_array().unwrap() {
        if exchange["status"] != 200 || !exchange["path"].as_str().unwrap().contains("EnvEncryptPubKey") {
            continue;
        }
        let app_id = hex::decode(exchange["request"]["app_id"].as_str().unwrap()).unwrap();
        let recorded = &exchange["response"];
        let reply = kms.public_key_response(&app_id, recorded["timestamp"].as_u64().unwrap()).unwrap();
        assert_eq!(&serde_json::to_value(reply).unwrap(), recorded, "{}", exchange["name"]);
        compared += 1;
    }
    assert_eq!(compared, 2);
}

#[test]
fn the_root_keys_are_those_of_the_recorded_certificate_and_metadata() {
    let golden = golden();
    let kms = recorded_kms(&golden);
    let meta = &golden["exchanges"][0]["response"];
    assert_eq!(hex::encode(kms.k256_pubkey()), meta["k256_pubkey"].as_str().unwrap());
    let certificate = crate::x509::Certificate::from_pem(meta["ca_cert"].as_str().unwrap());
    assert_eq!(kms.ca_pubkey(), certificate.public_key_info);
    // Ours says that it is emulated; the key is the same.
    let ours = crate::x509::Certificate::from_pem(kms.ca_cert());
    assert_eq!(ours.public_key_info, certificate.public_key_info);
    assert!(ours.subject.windows(8).any(|window| window == b"EMULATED"));
    ours.verify(&certificate.public_key_info);
}

#[test]
fn app_ids_of_other_lengths_are_refused_in_the_servers_words() {
    let kms = recorded_kms(&golden());
    for length in [0, 1, 19, 21, 32] {
        assert_eq!(kms.public_key_response(&vec![0; length], 0), Err(KmsError::AppIdLength));
    }
}

#[tokio::test]
async fn every_recorded_exchange_is_answered_alike() {
    let golden = golden();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("kms.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let router = kms::router(Arc::new(recorded_kms(&golden)), Clock::manual());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut compared = 0;
    for exchange in golden["exchanges"].as_array().unwrap() {
        let name = exchange["name"].as_str().unwrap();
        // Of another listener: the administrator's.
        if name == "admin-noauth" {
            continue;
        }
        let path = exchange["path"].as_str().unwrap();
        let verb = if path == "/health" { "GET" } else { "POST" };
        // The recorder wrote JSON as Python does; columns in error texts depend on it.
        let request = exchange["request"].to_string().replace("\":", "\": ").replace(",\"", ", \"");
        let reply = over_unix(&socket, verb, path, Some(&request)).await;
        assert_eq!(u64::from(reply.status), exchange["status"].as_u64().unwrap(), "{name}");
        assert_eq!(reply.content_type.as_deref(), exchange["content_type"].as_str(), "{name}");
        match exchange.get("response") {
            Some(recorded) => assert_eq!(difference(name, recorded, &reply.json()), None),
            None => assert_eq!(reply.text(), exchange["response_text"].as_str().unwrap(), "{name}"),
        }
        compared += 1;
    }
    assert_eq!(compared, 13);
    server.abort();
}

#[tokio::test]
async fn protobuf_says_the_same_as_json() {
    use prost::Message as _;
    let kms = Arc::new(recorded_kms(&golden()));
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("kms.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let clock = Clock::manual();
    let router = kms::router(Arc::clone(&kms), clock.clone());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut app_id = dstack_vmm_client::api::AppId::default();
    app_id.app_id = vec![7; 20];
    let stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    let path = "/prpc/KMS.GetAppEnvEncryptPubKey";
    let body = app_id.encode_to_vec();
    let reply =
        crate::raw_http::exchange(stream, "POST", path, "application/octet-stream", Some(&body)).await;
    assert_eq!(reply.content_type.as_deref(), Some("application/octet-stream"));
    let read = dstack_vmm_client::api::PublicKeyResponse::decode(reply.body.as_slice()).unwrap();
    assert_eq!(read, kms.public_key_response(&[7; 20], clock.now_ms() / 1000).unwrap());
    server.abort();
}

#[test]
fn what_a_bootstrapped_kms_shows_is_bound_to_its_keys_and_emulated() {
    use dstack_attestation::ra_tls::{Chain, RaTlsCertificate};
    use dstack_attestation::report_data;
    use dstack_attestation::versioned::VersionedAttestation;
    use dstack_emulator::agent::GuestAgent;
    use dstack_vmm_client::DstackVersion;

    let emulated = |attestation: &VersionedAttestation| {
        let quote = dstack_attestation::quote::TdxQuote::parse(&attestation.quote).unwrap();
        assert!(quote.is_emulated());
        assert_eq!(attestation.contradictions(), []);
        quote.report.report_data
    };
    for version in DstackVersion::ALL {
        let clock = Clock::manual();
        let kms = recorded_kms(&golden());
        let guest = GuestAgent::boot(Kms::guest_spec(version), &kms, clock.clone()).unwrap();
        let info = kms.bootstrap_info(&guest);
        let attestation = VersionedAttestation::decode(&info.attestation).unwrap();
        assert_eq!(emulated(&attestation), report_data::kms_bootstrap(&info.ca_pubkey, &info.k256_pubkey));
        assert!(!attestation.log_is_shortened());
        let now = clock.now_ms() / 1000;
        let identity = kms.server_identity(&guest, "kms.example.com", now).unwrap();
        let chain = RaTlsCertificate::all_from_pem(&identity.chain.concat()).unwrap();
        assert_eq!(Chain::new(&chain).problems(), []);
        assert_eq!(chain[0].usage.as_deref(), Some("kms:rpc"));
        assert_eq!(chain[1].public_key, info.ca_pubkey);
        assert!(chain.iter().all(|certificate| certificate.subject.contains("EMULATED")));
        let attestation = chain[0].attestation().unwrap().unwrap();
        assert_eq!(emulated(&attestation), chain[0].expected_report_data());
        assert!(attestation.log_is_shortened());
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }
}
