//! The hosts that are known on this machine: named, listed in a project, or found.

use std::path::{Path, PathBuf};

use cli_support::{CliError, SecretSource};
use dstack_vmm_client::discovery::{self, DstackupState, LocalVmm};

use super::ConnectArgs;
use super::credentials::TokenPlace;
use crate::project::{self, LoadedProject};

/// The socket that a VMM has where nothing else is said.
const DEFAULT_SOCKET: &str = "/run/dstack/vmm.sock";

/// Where upstream's installer keeps its state, without a prefix.
const DSTACKUP_DIR: &str = "/var/lib/dstack";

/// How a host came to be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `--vmm`.
    Option,
    /// `DSTACK_VMM_URL`.
    Variable,
    /// A project file.
    Project(PathBuf),
    /// An installation by dstackup.
    Dstackup(PathBuf),
    /// A VMM that runs here and says so in a file.
    Discovery(PathBuf),
    /// A socket at the usual place.
    DefaultSocket,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Option => f.write_str("--vmm"),
            Self::Variable => f.write_str("DSTACK_VMM_URL"),
            Self::Project(path) | Self::Dstackup(path) | Self::Discovery(path) => {
                write!(f, "{}", path.display())
            }
            Self::DefaultSocket => f.write_str("usual place"),
        }
    }
}

/// A host before anything is sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownHost {
    /// Its name.
    pub(crate) name: String,
    /// Where its VMM is, as it was written.
    pub(crate) endpoint: String,
    /// How it came to be known.
    pub(crate) source: Source,
    /// Where its token is.
    pub(crate) token: Option<TokenPlace>,
    /// Certificate authority to trust.
    pub(crate) ca_file: Option<PathBuf>,
    /// The vmm.toml of a VMM on this machine, where it says.
    pub(crate) config_file: Option<PathBuf>,
}

impl KnownHost {
    fn new(name: &str, endpoint: String, source: Source) -> Self {
        Self { name: name.to_owned(), endpoint, source, token: None, ca_file: None, config_file: None }
    }

    #[cfg(test)]
    pub(crate) fn for_test(name: &str) -> Self {
        Self::new(name, "unix:/run/dstack/vmm.sock".to_owned(), Source::DefaultSocket)
    }
}

/// Where hosts were looked for, and what was found there.
#[derive(Default)]
pub(crate) struct Search {
    /// What was found, in the order of the places.
    pub(crate) hosts: Vec<KnownHost>,
    /// The places.
    pub(crate) looked: Vec<String>,
    /// What could not be read on the way.
    pub(crate) problems: Vec<String>,
}

impl Search {
    fn place(&mut self, place: impl std::fmt::Display) {
        self.looked.push(place.to_string());
    }

    /// Adds hosts, without those whose endpoint is known by an earlier place.
    fn add(&mut self, found: impl IntoIterator<Item = KnownHost>) {
        for host in found {
            if !self.hosts.iter().any(|known| known.endpoint == host.endpoint) {
                self.hosts.push(host);
            }
        }
    }
}

impl ConnectArgs {
    /// The hosts that the options select; without options those of the first place that knows any.
    ///
    /// # Errors
    /// None is known, or one that is named is not.
    pub(crate) fn selected(&self) -> Result<Vec<KnownHost>, CliError> {
        if !self.host.is_empty() {
            return self.by_name();
        }
        if let Some(host) = self.by_url() {
            return Ok(vec![host]);
        }
        let mut search = Search::default();
        search.place("DSTACK_VMM_URL");
        search.place("dstack.toml here and above");
        if let Some(project) = project::find(self.project())? {
            search.add(of_project(&project));
        }
        for look in PLACES {
            if !search.hosts.is_empty() {
                return Ok(search.hosts);
            }
            look(&mut search);
        }
        if !search.hosts.is_empty() {
            return Ok(search.hosts);
        }
        let mut error =
            CliError::usage("no VMM is known here").hint(format!("looked for {}", search.looked.join(", ")));
        for problem in search.problems {
            error = error.hint(problem);
        }
        Err(error.hint("name one with `--vmm unix:/path/to/vmm.sock`, or list hosts in a dstack.toml (`dstack-vmmctl init` writes one)"))
    }

    /// Every host that is known, whichever place it is from.
    ///
    /// # Errors
    /// The project file cannot be used.
    pub(crate) fn everything(&self) -> Result<Search, CliError> {
        let mut search = Search::default();
        search.place("--vmm and DSTACK_VMM_URL");
        search.add(self.by_url());
        search.place("dstack.toml here and above");
        if let Some(project) = project::find(self.project())? {
            search.add(of_project(&project));
        }
        for look in PLACES {
            look(&mut search);
        }
        Ok(search)
    }

    fn by_url(&self) -> Option<KnownHost> {
        let endpoint = self.vmm.as_deref().filter(|text| !text.is_empty())?;
        // clap does not say where a global option came from; the two are told apart by what they hold.
        let variable = std::env::var("DSTACK_VMM_URL").is_ok_and(|value| value == endpoint);
        let source = if variable { Source::Variable } else { Source::Option };
        Some(KnownHost::new(endpoint, endpoint.to_owned(), source))
    }

    fn by_name(&self) -> Result<Vec<KnownHost>, CliError> {
        let mut search = Search::default();
        if let Some(project) = project::find(self.project())? {
            search.add(of_project(&project));
        }
        // What runs on this machine is looked for only when the project does not know a name.
        let mut places = PLACES.iter();
        let unknown = loop {
            let missing = self.host.iter().find(|name| !search.hosts.iter().any(|host| host.name == **name));
            match (missing, places.next()) {
                (None, _) => break None,
                (Some(_), Some(look)) => look(&mut search),
                (Some(name), None) => break Some(name),
            }
        };
        if let Some(name) = unknown {
            let known: Vec<&str> = search.hosts.iter().map(|host| host.name.as_str()).collect();
            let error = CliError::usage(format!("no host is called {name:?} here"));
            return Err(if known.is_empty() {
                error.hint("hosts have names in the [[hosts]] tables of a dstack.toml, and there is none here or above")
            } else {
                error.hint(format!("known here: {}", known.join(", ")))
            });
        }
        let mut chosen: Vec<KnownHost> = Vec::new();
        for name in &self.host {
            let host = search.hosts.iter().find(|host| host.name == *name);
            chosen.extend(host.filter(|host| !chosen.contains(host)).cloned());
        }
        Ok(chosen)
    }
}

/// The hosts of a project file.
pub(crate) fn of_project(loaded: &LoadedProject) -> Vec<KnownHost> {
    let to_path = |text: &String| loaded.path_of(text);
    loaded
        .project
        .hosts
        .iter()
        .map(|host| KnownHost {
            name: host.name.clone(),
            endpoint: host.endpoint.clone(),
            source: Source::Project(loaded.path.clone()),
            token: match (&host.token_file, &host.token_env) {
                (Some(file), _) => Some(TokenPlace::Named(SecretSource::File(to_path(file)))),
                (None, Some(name)) => Some(TokenPlace::Named(SecretSource::Env(name.clone()))),
                (None, None) => None,
            },
            ca_file: host.ca_file.as_ref().map(to_path),
            config_file: None,
        })
        .collect()
}

/// The places on this machine, best first.
const PLACES: [fn(&mut Search); 3] = [dstackup, running_here, default_socket];

fn dstackup(search: &mut Search) {
    let path = Path::new(DSTACKUP_DIR).join(discovery::STATE_FILE);
    search.place(path.display());
    match DstackupState::read(Path::new(DSTACKUP_DIR)) {
        Ok(Some(state)) => search.add(state.client_url.map(|url| KnownHost {
            token: state.client_token_path.map(|token| TokenPlace::Found(token.into())),
            config_file: state.config_dir.map(|dir| Path::new(&dir).join("vmm.toml")),
            ..KnownHost::new("dstackup", url, Source::Dstackup(path))
        })),
        Ok(None) => {}
        Err(error) => search.problems.push(with_cause(&error)),
    }
}

fn running_here(search: &mut Search) {
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let uid = rustix::process::getuid().as_raw();
    for directory in discovery::directories(runtime_dir.as_deref(), uid) {
        search.place(directory.display());
        for found in discovery::read_dir(&directory, is_alive) {
            match found {
                Ok(vmm) if !vmm.alive => {}
                Ok(vmm) => match vmm.endpoint() {
                    Ok(endpoint) => search.add([KnownHost {
                        config_file: vmm
                            .file
                            .config_file
                            .as_ref()
                            .map(|file| vmm.file.working_dir.join(file)),
                        ..KnownHost::new(&name(&vmm), endpoint, Source::Discovery(vmm.path))
                    }]),
                    Err(error) => search.problems.push(format!("{}: {error}", vmm.path.display())),
                },
                Err(error) => search.problems.push(with_cause(&error)),
            }
        }
    }
}

/// The name of the node where it has one that can be typed, else the beginning of the id of the run.
fn name(vmm: &LocalVmm) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let node = &vmm.file.node_name;
    if !node.is_empty() && node.chars().all(plain) {
        return node.clone();
    }
    format!("vmm-{}", vmm.file.id.chars().take(8).collect::<String>())
}

fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    // A process of another user may not be signalled, but it is there.
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn default_socket(search: &mut Search) {
    search.place(DEFAULT_SOCKET);
    if std::fs::symlink_metadata(DEFAULT_SOCKET).is_ok() {
        search.add([KnownHost::new("local", format!("unix:{DEFAULT_SOCKET}"), Source::DefaultSocket)]);
    }
}
