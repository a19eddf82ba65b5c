//! Where the agent listens: the app's sockets, and the surfaces on other listeners.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use http::StatusCode;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use super::{GuestAgent, external};
use crate::rpc::{Call, Mount, bytes_reply};

/// The port of the external surface in a CVM (upstream `guest-agent/dstack.toml`).
pub(crate) const EXTERNAL_PORT: u16 = 8090;
/// The name of the app's socket.
const DSTACK_SOCKET: &str = "dstack.sock";
/// The name of the app's legacy socket.
const TAPPD_SOCKET: &str = "tappd.sock";

/// Answers a call on one of the surfaces.
type Answer = fn(&GuestAgent, &Call) -> Response;

/// A surface: a mount of the RPC, and who answers.
fn surface(mount: Mount, answer: Answer) -> MethodRouter<GuestAgent> {
    let handler = move |State(agent): State<GuestAgent>, request: Request| async move {
        match Call::read(mount, request).await {
            Ok(call) => answer(&agent, &call),
            Err(response) => response,
        }
    };
    get(handler).post(handler)
}

/// The reply to a path that no surface has.
pub(super) async fn not_found() -> Response {
    bytes_reply(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "not found\n")
}

impl GuestAgent {
    /// What the agent serves on `dstack.sock`: `/<Method>`.
    pub fn dstack_router(&self) -> Router {
        let methods = surface(Mount::PLAIN, Self::guest_call);
        Router::new().route("/{method}", methods).fallback(not_found).with_state(self.clone())
    }

    /// What the agent serves on the legacy `tappd.sock`: `/prpc/Tappd.<Method>`.
    pub fn tappd_router(&self) -> Router {
        let methods = surface(Mount::with_prefix("Tappd."), Self::tappd_call);
        Router::new().route("/prpc/{method}", methods).fallback(not_found).with_state(self.clone())
    }

    /// What the agent serves to its VMM: `/api/<Method>`.
    pub fn guest_api_router(&self) -> Router {
        let methods = surface(Mount::PLAIN, Self::guest_api);
        Router::new().route("/api/{method}", methods).fallback(not_found).with_state(self.clone())
    }

    /// What the agent serves to the outside, in a real guest on TCP port 8090: `/prpc/Worker.<Method>`, a page about the
    /// app, and as far as the app-compose allows metrics and the logs of containers.
    pub fn external_router(&self) -> Router {
        let methods = surface(Mount::with_prefix("Worker."), Self::worker_call);
        external::routes(Router::new().route("/prpc/{method}", methods))
            .fallback(not_found)
            .with_state(self.clone())
    }

    /// Opens the app's sockets, `dstack.sock` and `tappd.sock`, in a directory. They are served until the result is
    /// dropped.
    ///
    /// # Errors
    ///
    /// When a socket cannot be opened. The path of a Unix socket has at most 107 bytes on Linux.
    pub fn open_sockets(&self, directory: &Path) -> io::Result<Sockets> {
        let mut sockets = Sockets { served: Vec::new(), published: Vec::new() };
        sockets.open(directory.join(DSTACK_SOCKET), self.dstack_router())?;
        sockets.open(directory.join(TAPPD_SOCKET), self.tappd_router())?;
        Ok(sockets)
    }
}

/// Open sockets of an app. Dropping it closes them and removes their files.
#[derive(Debug)]
pub struct Sockets {
    served: Vec<(PathBuf, JoinHandle<()>)>,
    published: Vec<JoinHandle<()>>,
}

impl Sockets {
    /// The paths of the sockets, `dstack.sock` first.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.served.iter().map(|(path, _)| path.as_path())
    }

    /// Serves the external surface of an agent at an address of this machine as well, as a published port does.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub fn publish(&mut self, agent: &GuestAgent, address: SocketAddr) -> io::Result<()> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let router = agent.external_router();
        self.published.push(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "a published port of the guest agent was closed");
            }
        }));
        Ok(())
    }

    fn open(&mut self, path: PathBuf, router: Router) -> io::Result<()> {
        // The file of a guest that is gone would be in the way; a live one is not, since a guest has its directory for
        // itself.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "a socket of the guest agent was closed");
            }
        });
        self.served.push((path, task));
        Ok(())
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for task in &self.published {
            task.abort();
        }
        for (path, task) in &self.served {
            task.abort();
            // Nobody is left to tell; the next guest removes the file before it listens.
            let _ = std::fs::remove_file(path);
        }
    }
}
