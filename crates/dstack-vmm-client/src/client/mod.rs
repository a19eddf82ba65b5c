//! The client half: a connection to one VMM.
//!
//! [`Client`] is cheap to clone and keeps one pool of connections; every method of the RPC is a method of [`VmmApi`].
//!
//! ```no_run
//! use dstack_vmm_client::client::{Client, VmmApi};
//!
//! # async fn run() -> dstack_vmm_client::Result<()> {
//! let client = Client::new("unix:/run/dstack/vmm.sock".parse()?)?;
//! for image in client.list_images().await? {
//!     println!("{} {}", image.name, image.version);
//! }
//! # Ok(())
//! # }
//! ```

mod api_trait;
mod boot_watch;
mod builder;
mod call;
mod capability;
mod connect;
mod credentials;
mod endpoint;
mod follow;
mod follow_options;
mod history;
mod line_splitter;
mod lines;
mod logs;
mod pages;
mod search;
mod tls;
mod vmm;
mod wait;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::Full;
use hyper_util::client::legacy::Client as HttpClient;
use tokio::sync::OnceCell;

pub use api_trait::VmmApi;
pub use boot_watch::{BootWatch, Progress};
pub use builder::{Builder, RetryPolicy};
pub use capability::ServerVersion;
pub use connect::{Dial, Socket};
pub use credentials::Credentials;
pub use endpoint::Endpoint;
pub use follow_options::FollowOptions;
pub use line_splitter::{LineSplitter, LogLine};
pub use lines::LineStream;
pub use logs::{LogChannel, LogEvent, LogRequest, LogStream, UnknownChannel};
pub use pages::{Listing, list, list_all};
pub use wait::{Condition, LastSeen, WaitError, WaitOptions, wait_for};

use connect::Connector;

/// A client of one VMM.
///
/// A clone shares connections, credentials and what was learned about the server. Dropping the last one closes the
/// connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Arc<Endpoint>,
    authorization: Option<HeaderValue>,
    /// Connections are kept and used again.
    pooled: HttpClient<Connector, Full<Bytes>>,
    /// Every call has a connection of its own: what may not be repeated must not meet one that the server is closing.
    fresh: HttpClient<Connector, Full<Bytes>>,
    timeout: Duration,
    method_timeouts: HashMap<&'static str, Duration>,
    max_reply_bytes: usize,
    retry: RetryPolicy,
    follow: FollowOptions,
    version: OnceCell<ServerVersion>,
}

impl Client {
    /// A client without credentials and with the usual limits.
    ///
    /// # Errors
    /// None today; the signature leaves room for a platform without them.
    pub fn new(endpoint: Endpoint) -> crate::Result<Self> {
        Self::builder(endpoint).build()
    }

    /// Starts to make a client.
    pub fn builder(endpoint: Endpoint) -> Builder {
        Builder::new(endpoint)
    }

    /// Where the VMM is.
    pub fn target(&self) -> &Endpoint {
        &self.inner.endpoint
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.inner.endpoint)
            .field("credentials", &self.inner.authorization.is_some())
            .finish_non_exhaustive()
    }
}
