//! How a client is made.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::OnceCell;

use super::connect::{Connector, Dial};
use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::follow_options::FollowOptions;
use super::tls::{TlsOptions, certificates};
use super::{Client, Inner};
use crate::api::Method;
use crate::error::Result;

const MIB: usize = 1024 * 1024;

/// Methods that do more than look something up, and how long they get. The VMM starts the VM, asks the guest or the KMS
/// before it answers; its own calls to the KMS end after 60 s.
const SLOW_METHODS: &[(&str, Duration)] = &[
    ("CreateVm", Duration::from_secs(120)),
    ("StartVm", Duration::from_secs(120)),
    ("StopVm", Duration::from_secs(60)),
    ("ShutdownVm", Duration::from_secs(60)),
    ("DeleteImage", Duration::from_secs(60)),
    ("GetAppEnvEncryptPubKey", Duration::from_secs(75)),
    ("ReloadVms", Duration::from_secs(120)),
];

/// How often and how fast a call is repeated that may be repeated.
///
/// Only methods that [`Repeat::Safe`](crate::api::Repeat::Safe) marks are, and only where there was no connection or
/// it was lost; an answer of the server is never questioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Repetitions beside the first attempt. 2.
    pub retries: u32,
    /// Pause before the first repetition; it doubles each time. 50 ms.
    pub first_pause: Duration,
    /// The longest pause. 1 s.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: 2, first_pause: Duration::from_millis(50), longest_pause: Duration::from_secs(1) }
    }
}

impl RetryPolicy {
    /// Never repeats.
    pub fn never() -> Self {
        Self { retries: 0, ..Self::default() }
    }

    /// The pause before repetition `number`, counted from 0.
    pub(crate) fn pause(&self, number: u32) -> Duration {
        self.first_pause.saturating_mul(2u32.saturating_pow(number)).min(self.longest_pause)
    }
}

/// Makes a [`Client`].
///
/// ```
/// use std::time::Duration;
/// use dstack_vmm_client::client::{Client, Credentials};
///
/// let client = Client::builder("https://vmm.example.com".parse()?)
///     .credentials(Credentials::bearer("token from a file"))
///     .timeout(Duration::from_secs(10))
///     .build()?;
/// # Ok::<(), dstack_vmm_client::Error>(())
/// ```
pub struct Builder {
    endpoint: Endpoint,
    credentials: Option<Credentials>,
    connect_timeout: Duration,
    timeout: Duration,
    method_timeouts: HashMap<&'static str, Duration>,
    max_reply_bytes: usize,
    retry: RetryPolicy,
    follow: FollowOptions,
    ca_pem: Vec<Vec<u8>>,
    only_given_ca: bool,
    accept_invalid_certs: bool,
    dial: Option<Arc<dyn Dial>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("endpoint", &self.endpoint)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            credentials: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            method_timeouts: SLOW_METHODS.iter().copied().collect(),
            max_reply_bytes: 64 * MIB,
            retry: RetryPolicy::default(),
            follow: FollowOptions::default(),
            ca_pem: Vec::new(),
            only_given_ca: false,
            accept_invalid_certs: false,
            dial: None,
        }
    }

    /// What to show to be let in. None by default.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// How long a connection may take, TLS handshake included. 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long a call may take, with connecting and repetitions. 30 s; methods for which the VMM has to start, stop or
    /// ask something get more, unless [`timeout_of`](Self::timeout_of) says otherwise.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How long calls of one method may take.
    #[must_use]
    pub fn timeout_of<M: Method>(mut self, limit: Duration) -> Self {
        self.method_timeouts.insert(M::NAME, limit);
        self
    }

    /// The longest reply that is read, in bytes. 64 MiB. Logs are streams and have no limit.
    #[must_use]
    pub fn max_reply_bytes(mut self, limit: usize) -> Self {
        self.max_reply_bytes = limit;
        self
    }

    /// How calls that may be repeated are.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How logs are followed.
    #[must_use]
    pub fn follow(mut self, options: FollowOptions) -> Self {
        self.follow = options;
        self
    }

    /// Also trusts the authorities in this PEM text, beside those of the machine.
    #[must_use]
    pub fn add_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem.push(pem.into());
        self
    }

    /// Trusts the authorities in this PEM text (and in those given with [`add_ca_pem`](Self::add_ca_pem)) and no others.
    #[must_use]
    pub fn only_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem.push(pem.into());
        self.only_given_ca = true;
        self
    }

    /// Accepts every certificate: whoever sits on the way can read the credentials and answer in the VMM's place.
    #[must_use]
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.accept_invalid_certs = accept;
        self
    }

    /// Makes connections in place of the operating system.
    #[must_use]
    pub fn dial(mut self, dial: Arc<dyn Dial>) -> Self {
        self.dial = Some(dial);
        self
    }

    /// The client. It connects at its first call.
    ///
    /// # Errors
    /// When the credentials cannot be sent, or a text of certificate authorities holds none.
    pub fn build(self) -> Result<Client> {
        let authorization = self.credentials.as_ref().map(Credentials::header).transpose()?;
        let mut tls = TlsOptions::default();
        tls.only_extra = self.only_given_ca;
        tls.accept_anything = self.accept_invalid_certs;
        for pem in &self.ca_pem {
            tls.extra.extend(certificates(pem)?);
        }
        let endpoint = Arc::new(self.endpoint);
        let connector = Connector::new(Arc::clone(&endpoint), self.dial, tls, self.connect_timeout);
        let mut http = HttpClient::builder(TokioExecutor::new());
        // The VMM closes a connection that was idle for 10 s (its `keep_alive`). Letting go first keeps a call from
        // being written into a connection that is about to close.
        http.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(6));
        // Bounds what a log costs in memory, and how long a header may be.
        http.http1_max_buf_size(64 * 1024);
        let pooled = http.build(connector.clone());
        let fresh = http.pool_max_idle_per_host(0).build(connector);
        Ok(Client {
            inner: Arc::new(Inner {
                endpoint,
                authorization,
                pooled,
                fresh,
                timeout: self.timeout,
                method_timeouts: self.method_timeouts,
                max_reply_bytes: self.max_reply_bytes,
                retry: self.retry,
                follow: self.follow,
                version: OnceCell::new(),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        let pauses: Vec<_> = (0..7).map(|number| policy.pause(number).as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(policy.pause(u32::MAX), Duration::from_secs(1));
    }

    #[test]
    fn a_client_that_could_not_work_is_not_made() {
        let endpoint: Endpoint = "https://vmm.example.com".parse().unwrap();
        assert!(Client::builder(endpoint.clone()).credentials(Credentials::bearer("")).build().is_err());
        assert!(Client::builder(endpoint.clone()).add_ca_pem("no certificate").build().is_err());
        assert!(
            Client::builder(endpoint)
                .only_ca_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
                .build()
                .is_err()
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let builder = Client::builder("unix:/run/vmm.sock".parse().unwrap())
            .credentials(Credentials::bearer("hunter2"));
        assert!(!format!("{builder:?}").contains("hunter2"));
        assert!(!format!("{:?}", builder.build().unwrap()).contains("hunter2"));
    }
}
