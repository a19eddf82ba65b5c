//! From wishes to a running emulator.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::config::{AddressError, ListenAddress, VmmConfig};

use crate::auth::{Auth, HtpasswdError};
use crate::boot::BootProfile;
use crate::clock::Clock;
use crate::discovery::{Announced, Discoverable};
use crate::emulator::Emulator;
use crate::fault::Faults;
use crate::kms::{Kms, KmsError, RootKeys};
use crate::settings::Settings;
use crate::store::{Store, write_atomic};
use crate::vmm::{Images, Listener, Node, Profiles, random_uuid, serve};

/// Directory of pretended images, in the run directory.
const IMAGE_DIR: &str = ".emulated-images";
/// File of the KMS's root keys, in the run directory.
const KMS_FILE: &str = ".emulated-kms.json";
/// Socket where nothing else was asked for, in the run directory.
const SOCKET: &str = ".vmm.sock";

/// Why the emulator does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The run directory cannot be used.
    #[error("cannot use the run directory {}", path.display())]
    RunDir {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A listener cannot be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address, as it was asked for.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The discovery file cannot be written.
    #[error("cannot announce the emulator in {}", path.display())]
    Discovery {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file of users cannot be used.
    #[error(transparent)]
    Htpasswd(#[from] HtpasswdError),
    /// The root keys of the KMS cannot be used.
    #[error("cannot use the root keys of the KMS")]
    Kms(#[from] KmsError),
    /// The address in the configuration is none to listen on.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// What an emulator is made of. Everything has a default: without a run directory it lives in a temporary one, without a
/// listener on a unix socket in there.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    version: DstackVersion,
    settings: Settings,
    run_dir: Option<PathBuf>,
    listeners: Vec<Listener>,
    clock: Clock,
    faults: Faults,
    profiles: Profiles,
    root_keys: Option<RootKeys>,
    discovery_dir: Option<PathBuf>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            version: DstackVersion::V0_5,
            settings: Settings::default(),
            run_dir: None,
            listeners: Vec::new(),
            clock: Clock::real(),
            faults: Faults::new(),
            profiles: Profiles::default(),
            root_keys: None,
            discovery_dir: None,
        }
    }

    /// Which version of dstack it plays. Without a wish the stable one.
    pub fn version(mut self, version: DstackVersion) -> Self {
        self.version = version;
        self
    }

    /// Takes over what a `vmm.toml` says: settings, run directory, image directory and address. `home` stands for the home
    /// directory of the VMM's user, which some defaults are in.
    ///
    /// The `kms_url` that the VMM falls back to means the built-in KMS here.
    ///
    /// # Errors
    /// When the address is none to listen on.
    pub fn config(mut self, config: &VmmConfig, home: &Path) -> Result<Self, StartError> {
        self.settings = Settings::from_config(config, home);
        self.run_dir = Some(config.run_dir(home));
        self.listeners = vec![match config.listen()? {
            ListenAddress::Unix(path) => Listener::Unix(path),
            ListenAddress::Tcp(address) => Listener::Tcp(address.to_string()),
            other => {
                return Err(AddressError::Malformed { address: other.endpoint(Path::new("/")) }.into());
            }
        }];
        Ok(self)
    }

    /// Settings of the node.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Changes some settings of the node.
    pub fn configure(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Asks for credentials and accepts this token, besides any that were accepted before.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.settings.auth_enabled = true;
        self.settings.auth_tokens.push(token.into());
        self
    }

    /// Directory of the VMs, made if missing. What is in there is loaded, so that state survives the emulator.
    pub fn run_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.run_dir = Some(path.into());
        self
    }

    /// Directory of guest images. Without one there are pretended images.
    pub fn image_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.image_path = Some(path.into());
        self
    }

    /// Forgets the listeners named so far, such as the one of the configuration.
    pub fn no_listeners(mut self) -> Self {
        self.listeners.clear();
        self
    }

    /// Listens on a unix socket as well. A file that is there is replaced.
    pub fn listen_unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.listeners.push(Listener::Unix(path.into()));
        self
    }

    /// Listens on a TCP address as well, such as `127.0.0.1:0` for any free port.
    pub fn listen_tcp(mut self, address: impl Into<String>) -> Self {
        self.listeners.push(Listener::Tcp(address.into()));
        self
    }

    /// Takes the time from this clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Lets these faults happen.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// How guests boot.
    pub fn boot(mut self, profile: BootProfile) -> Self {
        self.profiles.default = profile;
        self
    }

    /// How the guests of VMs with this name boot.
    pub fn boot_named(mut self, name: impl Into<String>, profile: BootProfile) -> Self {
        self.profiles.by_name.insert(name.into(), profile);
        self
    }

    /// Root keys of the built-in KMS. Without them it has keys of its own, which it keeps in the run directory.
    pub fn root_keys(mut self, keys: RootKeys) -> Self {
        self.root_keys = Some(keys);
        self
    }

    /// Announces the emulator by a discovery file in this directory, as a VMM announces itself in
    /// `$XDG_RUNTIME_DIR/dstack-vmm`, for as long as it runs.
    pub fn discovery_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.discovery_dir = Some(path.into());
        self
    }

    /// Starts the emulator. It runs on the current tokio runtime until it is dropped.
    ///
    /// # Errors
    /// [`StartError`] when a directory, a file or an address cannot be used.
    pub async fn start(self) -> Result<Emulator, StartError> {
        let temporary = match &self.run_dir {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(|source| StartError::RunDir {
                path: PathBuf::from("in the temporary directory"),
                source,
            })?),
        };
        let run_dir = match (&self.run_dir, &temporary) {
            (Some(path), _) => path.as_path(),
            (None, Some(temporary)) => temporary.path(),
            (None, None) => Path::new("."),
        };
        let unusable = |source| StartError::RunDir { path: run_dir.to_owned(), source };
        let store = Store::open(run_dir, self.version).map_err(unusable)?;
        let images = self.images(&store).map_err(unusable)?;
        let kms = self.kms(&store, unusable)?;
        let discovery_dir = self.discovery_dir;
        let settings = self.settings;
        let mut auth = Auth::new(settings.auth_enabled, &settings.auth_tokens);
        if let Some(file) = settings.auth_htpasswd_file.as_deref().filter(|_| settings.auth_enabled) {
            auth = auth.with_htpasswd(file)?;
        }
        let mut listeners = self.listeners;
        if listeners.is_empty() {
            listeners.push(Listener::Unix(store.root().join(SOCKET)));
        }
        let node = Node::new(self.version, settings, self.clock, store, images, kms, self.profiles);
        let node = Arc::new(node);
        node.load();
        let served = serve(&node, &auth, &self.faults, &listeners)
            .await
            .map_err(|(address, source)| StartError::Listen { address, source })?;
        let time = tokio::spawn({
            let node = Arc::clone(&node);
            async move { node.keep_time().await }
        });
        let endpoint = served.first().map(|served| served.endpoint.as_str()).unwrap_or_default();
        let discoverable = match &discovery_dir {
            Some(dir) => Some(
                announce(dir, &node, endpoint)
                    .map_err(|source| StartError::Discovery { path: dir.clone(), source })?,
            ),
            None => None,
        };
        tracing::info!(version = %self.version, "EMULATED VMM is up, nothing in it runs in a TEE");
        Ok(Emulator { discoverable, served, time, faults: self.faults, node, temporary })
    }

    fn images(&self, store: &Store) -> io::Result<Images> {
        let dir = match &self.settings.image_path {
            Some(dir) => dir.clone(),
            None => {
                let dir = store.root().join(IMAGE_DIR);
                if !dir.exists() {
                    Images::pretend(&dir, "dstack-0.5.11")?;
                    if self.version != DstackVersion::V0_5 {
                        Images::pretend(&dir, "dstack-0.6.0")?;
                    }
                }
                dir
            }
        };
        let tags = (!self.settings.registry.is_empty()).then(|| self.settings.registry_tags.clone());
        Ok(Images::at(dir, self.version, tags))
    }

    fn kms(&self, store: &Store, unusable: impl Fn(io::Error) -> StartError) -> Result<Kms, StartError> {
        let file = store.root().join(KMS_FILE);
        let keys = match &self.root_keys {
            Some(keys) => keys.clone(),
            None => match std::fs::read_to_string(&file) {
                Ok(text) => RootKeys::from_json(&text)?,
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
                Err(_) => {
                    let keys = RootKeys::random()?;
                    write_atomic(&file, keys.to_json().as_bytes()).map_err(unusable)?;
                    keys
                }
            },
        };
        Ok(Kms::new(&keys, self.clock.now_ms() / 1000)?)
    }
}

fn announce(dir: &Path, node: &Node, endpoint: &str) -> io::Result<Discoverable> {
    let image_path = node.settled().images.dir().to_owned();
    let id = random_uuid().map_err(|error| io::Error::other(error.into_text()))?;
    Discoverable::announce(
        dir,
        &Announced {
            id: &id,
            endpoint,
            image_path: &image_path,
            run_path: node.store.root(),
            node_name: &node.settings.node_name,
            version: node.version.capabilities().reference,
            started_at: node.clock.now_ms() / 1000,
        },
    )
}
