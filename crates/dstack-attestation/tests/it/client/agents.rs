//! Guest agents: those of the emulator, both versions, over each of their services.

use std::time::{Duration, SystemTime};

use dstack_attestation::agent::{DeriveKeyArgs, GetKeyArgs, GetTlsKeyArgs, SignRequest, VerifyRequest};
use dstack_attestation::client::{
    self, AgentCapabilities, AgentClient, BearerToken, Endpoint, FetchError, GuestProxy, LegacyAgentClient,
    Surface,
};
use dstack_attestation::quote::TdxQuote;
use dstack_attestation::report_data::{self, HashAlgorithm, ReportData, TAG_APP_DATA};
use dstack_attestation::{Policy, Verifier};
use dstack_check::{Hinted as _, Status};
use dstack_emulator::Emulator;
use dstack_emulator::agent::{GuestAgent, GuestSpec, Sockets};
use dstack_emulator::clock::Clock;
use dstack_emulator::kms::{Kms, RootKeys};
use dstack_vmm_client::DstackVersion;

use super::play::{Server, answer, json, patient, post};

const COMPOSE: &str = r#"{"manifest_version":2,"name":"web","runner":"docker-compose","docker_compose_file":"services: {}","kms_enabled":true}"#;

pub(super) fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

/// A guest with open sockets and a published port.
pub(super) struct Guest {
    pub(super) agent: GuestAgent,
    _sockets: Sockets,
    directory: tempfile::TempDir,
    port: u16,
}

impl Guest {
    pub(super) fn boot(version: DstackVersion, compose: &str) -> Self {
        let kms = Kms::new(&RootKeys::from_seed(b"client tests").unwrap(), 1_767_225_600).unwrap();
        let agent = GuestAgent::boot(GuestSpec::new(version, compose), &kms, Clock::manual()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut sockets = agent.open_sockets(directory.path()).unwrap();
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        sockets.publish(&agent, ([127, 0, 0, 1], port).into()).unwrap();
        Self { agent, _sockets: sockets, directory, port }
    }

    fn socket(&self, name: &str) -> Endpoint {
        Endpoint::unix(self.directory.path().join(name)).unwrap()
    }

    pub(super) fn app(&self) -> AgentClient {
        AgentClient::new(self.socket("dstack.sock"))
    }

    pub(super) fn public(&self) -> AgentClient {
        AgentClient::new(format!("http://127.0.0.1:{}", self.port).parse().unwrap())
    }

    fn legacy(&self) -> LegacyAgentClient {
        LegacyAgentClient::new(self.socket("tappd.sock"))
    }
}

#[tokio::test]
async fn every_method_of_the_app_service_is_typed() {
    for version in DstackVersion::ALL {
        let guest = Guest::boot(version, COMPOSE);
        let app = guest.app();
        assert_eq!(app.speaks_to(), Surface::App);
        let capabilities = app.capabilities().await.unwrap();
        assert_eq!(capabilities.emit_event, version == DstackVersion::V0_5);
        assert!(capabilities.emulated);

        let mut tls = GetTlsKeyArgs::default();
        tls.subject = "example.com".to_owned();
        tls.usage_ra_tls = true;
        let key = app.get_tls_key(&tls).await.unwrap();
        assert!(key.key.starts_with("-----BEGIN PRIVATE KEY-----") && key.certificate_chain.len() >= 2);
        let mut path = GetKeyArgs::default();
        path.path = "/a".to_owned();
        let key = app.get_key(&path).await.unwrap();
        assert_eq!((key.key.len(), key.signature_chain.len()), (32, 2));

        let quote = app.get_quote(&[0x12, 0x34]).await.unwrap();
        let read = TdxQuote::parse(&quote.quote).unwrap();
        assert_eq!(read.report.report_data, report_data::padded(&[0x12, 0x34]).unwrap());
        assert_eq!(!quote.attestation.is_empty(), capabilities.attestation_in_quote);
        assert!(!app.attest(&[7; 64]).await.unwrap().attestation.is_empty());
        let info = app.info().await.unwrap();
        assert_eq!(info.app_id, guest.agent.app_id().as_bytes());
        assert!(!info.tcb_info.is_empty());

        let mut request = SignRequest::default();
        request.algorithm = "ed25519".to_owned();
        request.data = b"hello".to_vec();
        let signed = app.sign(&request).await.unwrap();
        let mut check = VerifyRequest::default();
        check.algorithm = request.algorithm.clone();
        check.data = request.data.clone();
        check.signature = signed.signature;
        check.public_key = signed.public_key;
        assert!(app.verify(&check).await.unwrap().valid);
        check.data.push(b'!');
        assert!(!app.verify(&check).await.unwrap().valid);

        let (emitted, gpus) = (app.emit_event("my-event", &[1, 2]).await, app.gpu_info().await);
        let absent = match version {
            DstackVersion::V0_5 => {
                emitted.unwrap();
                gpus.unwrap_err()
            }
            _ => {
                gpus.unwrap();
                emitted.unwrap_err()
            }
        };
        assert!(absent.is_not_there(), "{absent}");
        assert!(absent.hint().unwrap().as_str().contains("dstack"), "{absent}");
    }
}

#[tokio::test]
async fn the_public_service_has_its_own_methods() {
    for version in DstackVersion::ALL {
        let guest = Guest::boot(version, COMPOSE);
        let public = guest.public();
        assert_eq!(public.speaks_to(), Surface::Public);
        assert_eq!(
            AgentCapabilities::of(&public.version().await.unwrap()),
            public.capabilities().await.unwrap()
        );
        assert_eq!(public.info().await.unwrap().app_name, "web");
        let quote = public.get_attestation_for_app_key("secp256k1").await.unwrap();
        assert!(quote.report_data.starts_with(b"dip1::secp256k1c-pk:"));
        let error = public.get_attestation_for_app_key("rsa").await.unwrap_err();
        assert!(matches!(&error, FetchError::Api { status: 400, .. }), "{error}");
    }
}

#[tokio::test]
async fn what_a_service_lacks_is_not_asked_for() {
    let server = Server::http(|_| json("{}")).await;
    let public = AgentClient::new(server.endpoint());
    let app = AgentClient::new(server.endpoint()).surface(Surface::App);
    for error in [
        public.get_quote(&[1]).await.unwrap_err(),
        public.get_key(&GetKeyArgs::default()).await.unwrap_err(),
        public.emit_event("a", &[]).await.unwrap_err(),
        app.get_attestation_for_app_key("ed25519").await.unwrap_err(),
        app.get_quote(&[0; 65]).await.unwrap_err(),
        app.attest(&[0; 65]).await.unwrap_err(),
        client::fetch_app(&public, &[1], at()).await.unwrap_err(),
        client::fetch_app(&app, &[0; 65], at()).await.unwrap_err(),
    ] {
        assert!(matches!(error, FetchError::InvalidRequest { .. }), "{error:?}");
    }
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

#[tokio::test]
async fn requests_have_the_form_of_the_rpc() {
    let server = Server::http(|_| json("null")).await;
    let app = AgentClient::new(server.endpoint()).surface(Surface::App).transport(patient());
    app.emit_event("e", &[0xab]).await.unwrap();
    let asked = server.asked();
    let first = asked.first().unwrap();
    assert!(first.head.starts_with("POST /EmitEvent?json HTTP/1.1\r\n"), "{}", first.head);
    assert!(first.head.to_ascii_lowercase().contains("content-type: application/json"), "{}", first.head);
    assert_eq!(first.body, r#"{"event":"e","payload":"ab"}"#);
}

#[tokio::test]
async fn the_legacy_service_is_typed_too() {
    let guest = Guest::boot(DstackVersion::V0_5, COMPOSE);
    let legacy = guest.legacy();
    let mut args = DeriveKeyArgs::default();
    args.path = "/a".to_owned();
    let key = legacy.derive_key(&args).await.unwrap();
    assert_eq!(legacy.derive_key(&args).await.unwrap().key, key.key);
    let key = legacy.derive_k256_key(&GetKeyArgs::default()).await.unwrap();
    assert_eq!(key.k256_key.len(), 32);
    let quote = legacy.tdx_quote(b"hello", HashAlgorithm::Sha512, "").await.unwrap();
    let expected = report_data::tagged(HashAlgorithm::Sha512, TAG_APP_DATA, b"hello").unwrap();
    assert_eq!(TdxQuote::parse(&quote.quote).unwrap().report.report_data, expected);
    let quote = legacy.raw_quote(ReportData::new([9; 64])).await.unwrap();
    assert_eq!(TdxQuote::parse(&quote.quote).unwrap().report.report_data, ReportData::new([9; 64]));
    assert_eq!(legacy.info().await.unwrap().app_name, "web");
    assert!(!legacy.version().await.unwrap().version.is_empty());
    let error = legacy.tdx_quote(b"short", HashAlgorithm::Raw, "").await.unwrap_err();
    assert!(matches!(error, FetchError::InvalidRequest { .. }));
}

#[tokio::test]
async fn what_was_fetched_is_evidence() {
    for version in DstackVersion::ALL {
        let guest = Guest::boot(version, COMPOSE);
        let challenge = [0x5a; 32];
        let fetched = client::fetch_app(&guest.app(), &challenge, at()).await.unwrap();
        assert_eq!(fetched.missing, Vec::<String>::new());
        assert_eq!(fetched.evidence.obtained_at, Some(at()));
        assert!(fetched.evidence.service_versions.iter().any(|version| version.contains("EMULATED")));
        let legacy = client::fetch_legacy_app(&guest.legacy(), &challenge, at()).await.unwrap();
        for evidence in [&fetched.evidence, &legacy.evidence] {
            let policy = Policy::new()
                .compose(COMPOSE)
                .report_data(report_data::padded(&challenge).unwrap())
                .danger_accept_emulated(true);
            let report = Verifier::new(policy, at()).app("web", evidence);
            for id in ["eventlog.replay-rtmr3", "app.compose.deployed", "quote.report-data"] {
                assert_eq!(report.get(id).map(|finding| &finding.status), Some(&Status::Pass), "{id}");
            }
        }
    }
}

#[tokio::test]
async fn the_public_port_says_what_is_missing() {
    let guest = Guest::boot(DstackVersion::Next, COMPOSE);
    let fetched = client::fetch_public_app(&guest.public(), at()).await.unwrap();
    assert!(fetched.evidence.quote.is_some() && fetched.evidence.event_log.is_some());
    assert!(fetched.missing.iter().any(|line| line.contains("challenge")), "{:?}", fetched.missing);
    let quote = TdxQuote::parse(fetched.evidence.quote.as_deref().unwrap()).unwrap();
    assert!(quote.report.report_data.as_bytes().starts_with(b"dip1::ed25519-pk:"));

    let hidden = COMPOSE.replace("\"kms_enabled\"", "\"public_tcbinfo\":false,\"kms_enabled\"");
    let guest = Guest::boot(DstackVersion::Next, &hidden);
    let fetched = client::fetch_public_app(&guest.public(), at()).await.unwrap();
    assert_eq!((&fetched.evidence.tcb_info, &fetched.evidence.app_compose), (&None, &None));
    assert!(fetched.missing.iter().any(|line| line.starts_with("the app-compose")), "{:?}", fetched.missing);
}

#[tokio::test]
async fn an_agent_without_public_quotes_is_told_apart() {
    let server = Server::http(|asked| match asked.path() {
        "/prpc/Worker.Info?json" => json(r#"{"app_id":"11","tcb_info":"{}"}"#),
        _ => answer("400 Bad Request", "", r#"{"error":"Service not found: GetAttestationForAppKey"}"#),
    })
    .await;
    let agent = AgentClient::new(server.endpoint());
    let fetched = client::fetch_public_app(&agent, at()).await.unwrap();
    assert_eq!(fetched.evidence.app_id.as_deref(), Some("11"));
    assert!(fetched.missing[0].starts_with("a quote: "), "{:?}", fetched.missing);
    assert!(fetched.missing.iter().any(|line| line.contains("version")), "{:?}", fetched.missing);
}

#[tokio::test]
async fn a_vmm_passes_on_what_its_guests_say() {
    const TOKEN: &str = "swordfish-token";
    for version in DstackVersion::ALL {
        let builder = Emulator::builder().version(version).clock(Clock::manual()).listen_tcp("127.0.0.1:0");
        let emulator = builder.start().await.unwrap();
        let endpoint = emulator.endpoint().to_owned();
        let address = endpoint.strip_prefix("http://").unwrap();
        let request = serde_json::json!({
            "name": "web", "image": "dstack-0.5.11", "compose_file": COMPOSE, "vcpu": 1, "memory": 1024,
            "disk_size": 5,
        });
        let created = post(address, "/prpc/CreateVm?json", &request).await;
        let id = created["id"].as_str().unwrap();
        let proxy = GuestProxy::new(endpoint.parse().unwrap()).token(BearerToken::new(TOKEN).unwrap());
        let early = proxy.fetch_app(id, at()).await.unwrap_err();
        assert!(matches!(&early, FetchError::Api { status: 400, .. }), "{early}");
        emulator.advance(Duration::from_secs(3));
        let fetched = proxy.fetch_app(id, at()).await.unwrap();
        let agent = emulator.agent(id).unwrap();
        assert_eq!(fetched.evidence.app_id, Some(agent.app_id().to_string()));
        assert!(fetched.evidence.quote.is_none() && fetched.missing[0].starts_with("a quote: "));
        let unknown = proxy.fetch_app("no-such-vm", at()).await.unwrap_err();
        assert!(unknown.hint().is_some(), "{unknown}");
        for text in [format!("{proxy:?}"), format!("{unknown:?}"), format!("{early}")] {
            assert!(!text.contains(TOKEN), "{text}");
        }
    }
}

#[tokio::test]
async fn a_vmm_behind_a_token_is_given_it_and_nobody_else() {
    const TOKEN: &str = "swordfish-token";
    let emulator = Emulator::builder().version(DstackVersion::Next).token(TOKEN).start().await.unwrap();
    let vmm: Endpoint = emulator.endpoint().parse().unwrap();
    let refused = GuestProxy::new(vmm.clone()).fetch_app("x", at()).await.unwrap_err();
    assert!(matches!(&refused, FetchError::Api { status: 401, .. }), "{refused}");
    assert!(refused.hint().unwrap().as_str().contains("token"));
    let known = GuestProxy::new(vmm).token(BearerToken::new(&format!("{TOKEN}\n")).unwrap());
    let error = known.fetch_app("x", at()).await.unwrap_err();
    assert!(matches!(&error, FetchError::Api { status: 400, .. }), "{error}");
    assert!(BearerToken::new(" ").is_err() && BearerToken::new("a\nb").is_err());
    let server = Server::http(|_| json("{}")).await;
    let _ = AgentClient::new(server.endpoint()).info().await;
    assert!(!server.asked()[0].head.to_ascii_lowercase().contains("authorization"));
}
