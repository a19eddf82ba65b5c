//! Values computed by another implementation of the formulas (Python's hashlib, and a Keccak written out), or taken from
//! upstream's own tests. Where the crate's unit tests have a vector already, it is not repeated here.

use dstack_attestation::event_log::{
    DigestVersion, Event, EventLog, EventLogBuilder, EventName, KeyProvider, KeyProviderKind, Rtmr,
    RuntimeEvent,
};
use dstack_attestation::key_chain::KeyChain;
use dstack_attestation::quote::TdxQuote;
use dstack_attestation::report_data::{
    self, HashAlgorithm, TAG_ACME_ACCOUNT, TAG_KMS_ROOT_CA, TAG_RATLS_CERT, TAG_ZT_CERT,
};
use dstack_attestation::{
    CreatorFields, Digest32, Digest48, Id20, Measurements, MrConfigDocument, MrConfigId, Policy,
};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, PublicKey, SecretKey};

use crate::evidence::{get_quote, info, response};

/// Every event of a KMS boot on branch next that this crate knows, except the ones that stand for a text of their own.
fn full_boot() -> Vec<RuntimeEvent> {
    [
        Event::SystemPreparing,
        Event::AppId([0x11; 20].into()),
        Event::ComposeHash([0x22; 32].into()),
        Event::InitScriptHash([0x66; 32].into()),
        Event::GpuPolicyHash([0x55; 32].into()),
        Event::InstanceId(Some([0x33; 20].into())),
        Event::BootMrDone,
        Event::MrKms([0x77; 32].into()),
        Event::OsImageHash([0x44; 32].into()),
        Event::KeyProvider(KeyProvider::new(KeyProviderKind::Kms, &[0x30, 0x59])),
        Event::StorageFs("zfs".to_owned()),
        Event::SystemReady,
    ]
    .iter()
    .map(Event::to_runtime)
    .collect()
}

fn rtmr3(version: impl Fn(usize) -> DigestVersion) -> String {
    let entries = full_boot().into_iter().enumerate().map(|(index, event)| event.entry(version(index)));
    EventLog::from_entries(entries.collect()).replay().get(Rtmr::Rtmr3).to_string()
}

#[test]
fn rtmr3_of_a_full_boot_in_either_version_and_mixed() {
    assert_eq!(
        rtmr3(|_| DigestVersion::V1),
        "991ee71e504d956e6492e3122e889db63144909a736e001246cf5756373e3a21cba775b2a170d4cc5cb37a2ce867074b"
    );
    assert_eq!(
        rtmr3(|_| DigestVersion::V2),
        "99515c646417d33e1d6b819fc8d140d02d5928ced59c2905609614b13b387f8144a1ad67cb2c58ebffaf27527dbc2cbb"
    );
    assert_eq!(
        rtmr3(|index| if index % 2 == 1 { DigestVersion::V2 } else { DigestVersion::V1 }),
        "7b85753c14638534405338552f63356231d4e18a406434fca743fbb3332b7191843fd0484efb7276836adaacb58ac937"
    );
}

#[test]
fn the_full_boot_is_in_order_and_its_text_replays_without_any_digest() {
    let builder =
        full_boot().into_iter().fold(EventLogBuilder::new(DigestVersion::V1), EventLogBuilder::runtime);
    let log = builder.build();
    assert_eq!(log.system_events().problems, []);
    assert_eq!(log.system_events().mr_kms, Some([0x77; 32].into()));
    let mut stripped: Vec<serde_json::Value> = serde_json::from_str(&log.to_json()).unwrap();
    stripped.iter_mut().for_each(|entry| entry["digest"] = "".into());
    let read = EventLog::parse(&serde_json::Value::from(stripped).to_string()).unwrap();
    assert!(read.entries().iter().all(|entry| entry.stated_digest().is_none()));
    assert_eq!(read.replay(), log.replay());
}

#[test]
fn a_version_2_digest_over_a_name_that_must_be_escaped() {
    let event = RuntimeEvent::new("a\"\\\n\u{e9}\u{1f600}", [0x00, 0xff]);
    assert_eq!(
        event.digest(DigestVersion::V2).to_string(),
        "9d9f70a497fcd22a8a81d7f4dc0a97020f0ea7f872b1192ca8da179b70c5878d65c353cc8fdc648a9c61009cbdcf7f6a"
    );
}

#[test]
fn an_empty_instance_id_is_measured_as_nothing() {
    let event = Event::InstanceId(None).to_runtime();
    assert_eq!((event.name(), event.payload()), ("instance-id", [].as_slice()));
}

#[test]
fn compose_hashes_are_over_the_bytes_as_they_are() {
    let hash =
        |text: &str| Policy::new().compose(text).compose_hashes.into_iter().next().unwrap().to_string();
    assert_eq!(hash("{}"), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    assert_eq!(hash("{\"a\":1}"), "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862");
    assert_ne!(hash("{\"a\":1}"), hash("{\"a\": 1}"));
    assert_ne!(hash("{}"), hash("{}\n"));
}

fn measurements() -> Measurements {
    let [mrtd, rtmr0, rtmr1, rtmr2, rtmr3] =
        [0xa0, 0xa1, 0xa2, 0xa3, 0xa4].map(|byte| Digest48::new([byte; 48]));
    Measurements { mrtd, rtmr0, rtmr1, rtmr2, rtmr3 }
}

#[test]
fn system_measurement() {
    let provider = br#"{"name":"kms","id":"3059"}"#;
    assert_eq!(KeyProvider::new(KeyProviderKind::Kms, &[0x30, 0x59]).to_json().as_bytes(), provider);
    assert_eq!(
        measurements().mr_system(None).to_string(),
        "29aafced5e514706f7f6177da030bf9138ea7a1f927be73b34b2cfb023ab4e5b"
    );
    assert_eq!(
        measurements().mr_system(Some(provider)).to_string(),
        "ee4aa75b9a8599e6b473c86ff0a3df13ce5b0de5933597289d21689c39b19440"
    );
}

#[test]
fn aggregated_measurement_with_and_without_the_creators_fields() {
    let aggregated = |creator: CreatorFields| measurements().mr_aggregated(&creator).to_string();
    assert_eq!(
        aggregated(CreatorFields::default()),
        "d17f14c0591138e6e8ef51381d2921c0ee9f3738811e465722a65dfa116e6e93"
    );
    let config = CreatorFields { mr_config_id: [1; 48].into(), ..CreatorFields::default() };
    assert_eq!(aggregated(config), "519775aa66f1ef53413dbeed352a0ea619f6fe2de6fb46bd2f05793bf17c4ff6");
    let owner = CreatorFields { mr_owner_config: [2; 48].into(), ..CreatorFields::default() };
    assert_eq!(aggregated(owner), "9191eb49a845f54fb55c9e37f338272ff5fed0082eeefe07ce929b00c5dc4554");
}

#[test]
fn measurements_of_the_recorded_agent() {
    let answer = get_quote();
    let quote = TdxQuote::parse_hex(answer["quote"].as_str().unwrap()).unwrap();
    let log = EventLog::parse(answer["event_log"].as_str().unwrap()).unwrap();
    let measured = quote.report.measurements;
    let provider = log.system_events().key_provider_payload.unwrap();
    assert_eq!(
        measured.mr_system(Some(&provider)).to_string(),
        "51ea38f8eee6dc72dbae9b74531ae6d6204295d265dabb4e6c34621a2a1a1197"
    );
    assert_eq!(
        measured.mr_aggregated(&quote.report.creator).to_string(),
        "85334a62c97d0f8bf82d0245d31b539d17a2d7c258e2a13efc928aaea0e107cb"
    );
    assert_eq!(measured.mr_aggregated(&quote.report.creator).to_string(), info()["mr_aggregated"]);
    assert_eq!(
        log.replay_to_boot_mr_done().unwrap().get(Rtmr::Rtmr3).to_string(),
        "161d4d87fecefcad09ed96ba8f901e58eca0f422b8155e2829ef94ce084a757e88c7f4be29df017ed72531e8efb643b7"
    );
}

#[test]
fn mr_config_id_of_version_2_for_each_kind_of_key_provider() {
    for (kind, digest) in [
        (KeyProviderKind::None, "6c7beb3930471ccb2ec706a9f552da86fb9f9bfcfcc2d3ed200c7e3dd4a982ee"),
        (KeyProviderKind::Local, "57edb6ccd079b0a63e4c612e4ac84c0ad905a481f0c8619dccdc3de87882b5ca"),
        (KeyProviderKind::Kms, "7f2ca741da9d356026ab20ca640abf06198829a128817b091bbc9aec1ed97b60"),
        (KeyProviderKind::Tpm, "548026df2fd1222982913d29948dd168bf2568f80d77633d40df9c7ba69d97ec"),
    ] {
        let id = MrConfigId::v2(&[0x22; 32].into(), &[0x11; 20].into(), kind, &[0x33; 32]);
        let expected: Digest48 = format!("02{digest}{}", "00".repeat(15)).parse().unwrap();
        assert_eq!(id.to_bytes(), expected, "{kind:?}");
    }
}

#[test]
fn mr_config_id_of_version_3_for_short_documents() {
    let document = MrConfigDocument::new([0x22; 32].into(), "none");
    let digest = |document: &MrConfigDocument| MrConfigId::v3(&document.to_bytes()).to_bytes().to_string();
    assert_eq!(digest(&document)[2..66], *"125d0e105e53a39d1d71fff182fc173612a5b9e42c18f78f1d2fd272d35ae649");
    let document = document.init_script_hashes(vec![[0x66; 32].into(), [0x77; 32].into()]);
    assert_eq!(digest(&document)[2..66], *"eae83906ff78e250223277238839022523abb81802f3a7229875eb8d59539250");
}

#[test]
fn every_hash_of_report_data() {
    for (algorithm, expected) in [
        (HashAlgorithm::Sha256, "57d90585d4b2cce9b2818a7b2a01398d5d2d6a8cb7ca8b735acb8d3203cf8a77"),
        (
            HashAlgorithm::Sha384,
            "1a316c913dd051238ab7414cd2fbbf48e4f16c8c6c00adb2a2f975d6ce01b43f844c6dc053262f3283ba928c7b883f60",
        ),
        (
            HashAlgorithm::Sha512,
            "e39fd3dbee991d65e65cc38c6e9d664324929816279a19b495bcd3f77a62d81949ba61282d8a732916d39bb9f6a6a16d11211c0d800b6ffc56ecf74419a7c835",
        ),
        (HashAlgorithm::Sha3_256, "393205b584269b6c90c9c2ebea4f782ca50b4d13771568f83c868788dfadb821"),
        (
            HashAlgorithm::Sha3_384,
            "74ae0b2a56d9367f1678987363eb63649d4d26a00a3adf440f6aac6fd15d95808aeb015c138fc8e842dcbd81aaa3fe5b",
        ),
        (
            HashAlgorithm::Sha3_512,
            "b0c3ee1f3a00e4d97dc29a8f69da29d724494ba2f3f46d8c987bccd96bd1af9e64c73bf81c0048fd51ae8d71391b6da0c9e2c62c748fda447e996f4c45c4516c",
        ),
        (HashAlgorithm::Keccak256, "8ed51239a438104e85ca8d86fa87fbc67c21d00b124c0ff7eceee34309f5f362"),
        (
            HashAlgorithm::Keccak384,
            "8c5fbcff05a0470bdfd593a9db68a1b165694bf1a07c7555e8d46750d802e4c524caf153b8874f4d1def46abc50859da",
        ),
        (
            HashAlgorithm::Keccak512,
            "2b7e3f26c05a7787eea41af69ebb04b8d7fa57748974530ee1a430c1b547bee3ec73472770c45b11e7420930d7daa295eb77cb5bf96b328a7513d62a99c5070e",
        ),
    ] {
        let data = report_data::tagged(algorithm, report_data::TAG_APP_DATA, b"hello").unwrap();
        assert_eq!(data.to_string(), format!("{expected:0<128}"), "{algorithm}");
    }
}

#[test]
fn report_data_of_certificates_and_accounts() {
    let tagged = |tag, content: &[u8]| {
        report_data::tagged(HashAlgorithm::default(), tag, content).unwrap().to_string()
    };
    let key = [0x30; 91];
    assert_eq!(
        tagged(TAG_RATLS_CERT, &key),
        "17a613d2b5e3e8fcc14646b0cd142ffaba430bd2d0f3e95a307a21bdcad6e1b92d93201f87f408a1e0cc985b47c5a75a5123e4853f71547d2d84c8e9aa6f1e30"
    );
    assert_eq!(
        tagged(TAG_KMS_ROOT_CA, &key),
        "d29b55e99da77a7886e3b72a8ae5a5e056426387646c77506d5e494d1d54b98f082e489f81d50746d1fa6204226416a6c29e5d4f0baae5c1e0827cb719c9b41e"
    );
    assert_eq!(
        tagged(TAG_ZT_CERT, &key),
        "a3b40d92ef859f987d2eea0ac33519166a525460f6e0fd7239b28f72f34cb5e90c57e9430b61fd7c7e3c4bc5cebf434cf947920b960886db332a5f7e0a94c442"
    );
    assert_eq!(
        tagged(TAG_ACME_ACCOUNT, b"https://acme.example.com/acct/1"),
        "83642f050960e8ac2b349a128b519c0203468d60a252fcafc10dc627d00212322793aa39d92bb0e5e59b9a10c3dc013504b7decfcb5a40fb3bed6b0d0a591f98"
    );
}

#[test]
fn report_data_of_a_kms_bootstrap() {
    let data = report_data::kms_bootstrap(&[0x30; 91], &[0x02; 33]);
    let expected = "b571571d70bea2e6114e8de7f5d4243b5ce75996a9946f0fd8861518a3050f2c";
    assert_eq!(data.to_string(), format!("{expected:0<128}"));
}

/// The external service quotes the public key of an app's signing key as text.
#[test]
fn report_data_of_an_app_key() {
    let answer = response(include_str!("../fixtures/agent/get-attestation-for-app-key.json"));
    let quote = TdxQuote::parse_hex(answer["quote"].as_str().unwrap()).unwrap();
    let text = b"dip1::ed25519-pk:aY9WvVh9jOPKjbDhw2G6nRkAifmNxNnfgA_5LtBzpl0";
    assert_eq!(quote.report.report_data, report_data::padded(text).unwrap());
}

/// The agent knows no device id off TDX hardware and then says the hash of nothing.
#[test]
fn the_device_id_that_stands_for_none() {
    assert_eq!(info()["device_id"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let nothing: Digest32 = Policy::new().compose("").compose_hashes.into_iter().next().unwrap();
    assert_eq!(info()["device_id"], nothing.to_string());
}

fn sign(secret: &SecretKey, digest: [u8; 32]) -> Vec<u8> {
    let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), secret);
    let (recovery_id, compact) = signature.serialize_compact();
    let id = recovery_id.to_u8();
    compact.into_iter().chain([id]).collect()
}

/// The messages of a key chain, written out byte by byte, so that the test does not share the code's idea of them.
#[test]
fn a_key_chain_signed_by_hand() {
    let [root, app, key] = [3, 5, 7].map(|byte| SecretKey::from_secret_bytes([byte; 32]).unwrap());
    let public = |secret: &SecretKey| PublicKey::from_secret_key(secret).serialize();
    let keccak = |bytes: &[u8]| -> [u8; 32] {
        let mut hasher = tiny_keccak::Keccak::v256();
        let mut digest = [0; 32];
        tiny_keccak::Hasher::update(&mut hasher, bytes);
        tiny_keccak::Hasher::finalize(hasher, &mut digest);
        digest
    };
    let app_id = Id20::new([0x11; 20]);
    let by_app = sign(&app, keccak(format!("signing:{}", hex::encode(public(&key))).as_bytes()));
    let issued: Vec<u8> =
        b"dstack-kms-issued:".iter().copied().chain([0x11; 20]).chain(public(&app)).collect();
    let by_kms = sign(&root, keccak(&issued));
    let chain = KeyChain {
        purpose: "signing",
        public_key: &public(&key),
        app_id: &app_id,
        by_app: &by_app,
        by_kms: &by_kms,
    };
    assert_eq!(chain.verify(&public(&root).into()), Ok(public(&app).into()));
    let foreign = chain.verify(&public(&key).into());
    assert!(foreign.is_err());
}

#[test]
fn event_names_are_those_of_dstack() {
    let names = [
        "system-preparing",
        "app-id",
        "compose-hash",
        "init-script-hash",
        "gpu-policy-hash",
        "gpu-attestation",
        "instance-id",
        "boot-mr-done",
        "mr-kms",
        "os-image-hash",
        "key-provider",
        "storage-fs",
        "system-ready",
    ];
    assert_eq!(EventName::ALL.map(EventName::as_str), names);
}
