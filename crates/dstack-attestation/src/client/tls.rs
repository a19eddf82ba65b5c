//! What a TLS server shows.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::transport::{Place, connect_failure};
use super::{ConnectFailure, FetchError, TlsPeer, Transport};

/// Makes a TLS connection, and notes the certificates that the server shows for a name.
///
/// The connection is made whatever the certificates are worth; [`TlsPeer::verified`] says what the authorities of the
/// transport's [`TlsTrust`](super::TlsTrust) think of them. The server has proved to hold the key of its certificate.
/// Nothing is sent over the connection. `server_name` is a host name or an IP address, and is sent as SNI where it is a
/// name; `host` may be another one, such as the address of one of several gateways.
///
/// # Errors
///
/// [`FetchError::Connect`], [`FetchError::Timeout`]; [`FetchError::InvalidRequest`] when `server_name` is neither a
/// host name nor an address.
pub async fn probe(
    host: &str,
    port: u16,
    server_name: &str,
    transport: &Transport,
) -> Result<TlsPeer, FetchError> {
    let name = ServerName::try_from(server_name.to_owned()).map_err(|_| {
        FetchError::request(format!("{server_name:?} is neither a host name nor an IP address"))
    })?;
    let shown = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let place = Place { endpoint: &shown, what: "the TLS handshake" };
    let limits = transport.limits_in_force();
    let after = limits.total.min(limits.connect);
    match tokio::time::timeout(after, handshake(host, port, name, transport, &place)).await {
        Ok(peer) => peer,
        Err(_) => Err(place.timeout(after)),
    }
}

async fn handshake(
    host: &str,
    port: u16,
    name: ServerName<'static>,
    transport: &Transport,
    place: &Place<'_>,
) -> Result<TlsPeer, FetchError> {
    let trust = transport.trust_in_force().observing();
    let (config, observer) =
        trust.for_connection().await.map_err(|error| place.unconnected(ConnectFailure::Tls, error))?;
    let stream = TcpStream::connect((host, port)).await.map_err(|error| {
        let failure = match connect_failure(&error) {
            // What the system says about a name that has no address has no kind of its own.
            ConnectFailure::Other | ConnectFailure::NoSocket => ConnectFailure::Dns,
            failure => failure,
        };
        place.unconnected(failure, error)
    })?;
    let outcome = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    match (observer.peer(), outcome) {
        // A server that wants a certificate of its caller has shown its own by then.
        (Some(peer), _) => Ok(peer),
        (None, Err(error)) => {
            let failure = match connect_failure(&error) {
                ConnectFailure::Other => ConnectFailure::Tls,
                failure => failure,
            };
            Err(place.unconnected(failure, error))
        }
        (None, Ok(_)) => Err(place.unconnected(ConnectFailure::Tls, "the server showed no certificate")),
    }
}
