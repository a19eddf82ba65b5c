//! TLS servers: whom to believe, and what they showed.

use dstack_attestation::client::{self, AgentClient, ConnectFailure, FetchError, TlsTrust, Transport};

use super::play::{Identity, Server, impatient, json, patient};

const INFO: &str = r#"{"app_id":"11"}"#;

async fn failure(server: &Server, trust: TlsTrust) -> ConnectFailure {
    let transport = Transport::new().trust(trust);
    let error = AgentClient::new(server.endpoint()).transport(transport).info().await.unwrap_err();
    match error {
        FetchError::Connect { failure, .. } => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_is_believed_for_its_authority_only() {
    let identity = Identity::from_ca();
    let server = Server::https(&identity, |_| json(INFO)).await;
    let transport = Transport::new().trust(identity.trust());
    let info = AgentClient::new(server.endpoint()).transport(transport).info().await.unwrap();
    assert_eq!(info.app_id, [0x11]);
    let another = Identity::from_ca();
    assert_eq!(failure(&server, another.trust()).await, ConnectFailure::UntrustedCertificate);
    // Nothing of the request reached the server that was not believed.
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn names_and_dates_count() {
    let elsewhere = Identity::with(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.example.com".try_into().unwrap())];
    });
    let server = Server::https(&elsewhere, |_| json(INFO)).await;
    assert_eq!(failure(&server, elsewhere.trust()).await, ConnectFailure::WrongName);
    let expired = Identity::with(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    });
    let server = Server::https(&expired, |_| json(INFO)).await;
    assert_eq!(failure(&server, expired.trust()).await, ConnectFailure::ExpiredCertificate);
}

#[tokio::test]
async fn a_certificate_of_its_own_making_can_be_pinned() {
    let identity = Identity::self_signed();
    let server = Server::https(&identity, |_| json(INFO)).await;
    for trust in [identity.trust(), TlsTrust::authority_der(identity.chain().remove(0)).unwrap()] {
        let transport = Transport::new().trust(trust);
        AgentClient::new(server.endpoint()).transport(transport).info().await.unwrap();
    }
    assert_eq!(failure(&server, Identity::self_signed().trust()).await, ConnectFailure::UntrustedCertificate);
}

#[tokio::test]
async fn what_is_no_authority_is_refused() {
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(TlsTrust::authorities_pem(text.as_bytes()).is_err(), "{text}");
    }
    assert!(TlsTrust::authority_der(vec![0x30, 0]).is_err());
}

#[tokio::test]
async fn a_probe_shows_the_chain_and_says_what_it_is_worth() {
    let identity = Identity::from_ca();
    let server = Server::https(&identity, |_| json(INFO)).await;
    let of = |trust| Transport::new().trust(trust);
    let port = server.port();
    let peer = client::probe("127.0.0.1", port, "localhost", &of(identity.trust())).await.unwrap();
    assert_eq!((peer.chain, peer.verified), (identity.chain(), Ok(())));
    let peer = client::probe("127.0.0.1", port, "127.0.0.1", &of(identity.trust())).await.unwrap();
    assert_eq!(peer.verified, Ok(()));
    let peer = client::probe("127.0.0.1", port, "other.example.com", &of(identity.trust())).await.unwrap();
    assert_eq!(peer.verified, Err("the certificate is for another name".to_owned()));
    let peer = client::probe("localhost", port, "localhost", &of(Identity::from_ca().trust())).await.unwrap();
    assert_eq!(peer.verified, Err("the certificate does not lead to a trusted authority".to_owned()));
    assert_eq!(peer.chain, identity.chain());
    let peer = client::probe("localhost", port, "localhost", &patient()).await.unwrap();
    assert_eq!(peer.verified, Err("no authority was asked to vouch for the certificate".to_owned()));
    assert!(server.asked().is_empty(), "a probe asks for nothing");
}

#[tokio::test]
async fn a_probe_fails_where_no_tls_is() {
    let server = Server::greeting(b"220 mail.example.com ESMTP\r\n").await;
    let error = client::probe("127.0.0.1", server.port(), "localhost", &patient()).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { failure: ConnectFailure::NotTls, .. }), "{error:?}");
    let silent = Server::http(|_| json(INFO)).await;
    let error = client::probe("127.0.0.1", silent.port(), "localhost", &impatient()).await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error:?}");
    let error = client::probe("127.0.0.1", server.port(), "no name", &patient()).await.unwrap_err();
    assert!(matches!(error, FetchError::InvalidRequest { .. }));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = client::probe("127.0.0.1", port, "localhost", &patient()).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { failure: ConnectFailure::Refused, .. }), "{error:?}");
}

#[tokio::test]
async fn the_authorities_of_the_machine_do_not_believe_a_test() {
    let identity = Identity::from_ca();
    let server = Server::https(&identity, |_| json(INFO)).await;
    let found = failure(&server, TlsTrust::system()).await;
    assert!(
        matches!(found, ConnectFailure::UntrustedCertificate | ConnectFailure::NoAuthorities),
        "{found:?}"
    );
}
