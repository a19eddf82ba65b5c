//! Which hosts are meant, and how they are reached.

mod credentials;
mod known;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cli_support::{CliError, Progress, SecretSource};
use dstack_vmm_client::api::method;
use dstack_vmm_client::client::{Builder, Client, Endpoint, VmmApi};

use crate::failure::IntoCli;
use crate::files;

pub(crate) use known::{KnownHost, Source};

/// How hosts are found and reached; every command has these options.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectArgs {
    /// VMM to talk to: unix:/path/to/vmm.sock, http://host:port or https://host
    #[arg(long, global = true, value_name = "URL", env = "DSTACK_VMM_URL", hide_env_values = true)]
    vmm: Option<String>,
    /// Hosts to talk to, by their names (`dstack-vmmctl hosts` lists them), separated by commas
    #[arg(long, global = true, value_name = "NAMES", value_delimiter = ',')]
    host: Vec<String>,
    /// Where the API token is: a file, env:NAME, or - for stdin [default: the host's own, then env:DSTACK_VMM_TOKEN]
    #[arg(long, global = true, value_name = "SOURCE")]
    token_from: Option<SecretSource>,
    /// User for Basic authentication; the token is then the password
    #[arg(long, global = true, value_name = "NAME")]
    user: Option<String>,
    /// Also trust the certificate authority in this PEM file for https
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Accept every certificate: whoever is on the way can read the token and answer for the VMM
    #[arg(long, global = true)]
    danger_accept_invalid_certs: bool,
    /// Longest time for one call to a VMM [default: 30, and more for calls that start or stop something]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: Option<u64>,
    /// Project file, or the directory it is in [default: dstack.toml here or in the nearest directory above]
    #[arg(long, global = true, value_name = "PATH")]
    project: Option<PathBuf>,
}

/// A host and a client of its VMM.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its name in commands and in the history of deployments.
    pub(crate) name: String,
    /// How it came to be known.
    pub(crate) source: Source,
    /// A client with the credentials of the host.
    pub(crate) client: Client,
    /// The vmm.toml of a VMM on this machine, where it says.
    pub(crate) config_file: Option<PathBuf>,
}

impl ConnectArgs {
    /// The project file that was named, if one was.
    pub(crate) fn project(&self) -> Option<&Path> {
        self.project.as_deref()
    }

    /// The options that make another command talk to the same host, with a space before each; empty where it does so anyway.
    pub(crate) fn again(&self, host: &Host) -> String {
        let mut options = match &self.project {
            Some(path) => format!(" --project {}", path.display()),
            None => String::new(),
        };
        match host.source {
            Source::Option => options.push_str(&format!(" --vmm {}", host.client.endpoint())),
            Source::Variable => {}
            _ if self.selected().is_ok_and(|hosts| hosts.len() == 1) && self.host.is_empty() => {}
            _ => options.push_str(&format!(" --host {}", host.name)),
        }
        options
    }

    /// The one host that the command line or the environment names; `None` when they name none.
    ///
    /// # Errors
    /// They name several or one that is not known, or the client cannot be made.
    pub(crate) fn given(&self, progress: &Progress) -> Result<Option<Host>, CliError> {
        let named = !self.host.is_empty() || self.vmm.as_ref().is_some_and(|url| !url.is_empty());
        if named { self.one(progress).map(Some) } else { Ok(None) }
    }

    /// The one host that is meant.
    ///
    /// # Errors
    /// None is known, several are, or the client cannot be made.
    pub(crate) fn one(&self, progress: &Progress) -> Result<Host, CliError> {
        let mut hosts = self.selected()?;
        if hosts.len() > 1 {
            let names: Vec<String> =
                hosts.iter().map(|host| format!("{} ({})", host.name, host.endpoint)).collect();
            return Err(CliError::usage(format!(
                "this command talks to one host, and there are {}: {}",
                names.len(),
                names.join(", ")
            ))
            .hint(format!("choose one, such as `--host {}`", hosts[0].name)));
        }
        // `selected` gives at least one.
        match hosts.pop() {
            Some(host) => self.connect(host, progress),
            None => Err(CliError::bug("no host was selected")),
        }
    }

    /// All hosts that are meant.
    ///
    /// # Errors
    /// None is known, or a client cannot be made.
    pub(crate) fn several(&self, progress: &Progress) -> Result<Vec<Host>, CliError> {
        self.selected()?.into_iter().map(|host| self.connect(host, progress)).collect()
    }

    /// Makes the client of a host. Nothing is sent.
    ///
    /// # Errors
    /// The endpoint is none, or the token or the certificate cannot be read.
    pub(crate) fn connect(&self, host: KnownHost, progress: &Progress) -> Result<Host, CliError> {
        let named = |error: CliError| match host.source {
            Source::Option | Source::Variable => error,
            _ => error.context(format_args!("host {}", host.name)),
        };
        let client = self.client(&host, progress).map_err(named)?;
        Ok(Host { name: host.name, source: host.source, client, config_file: host.config_file })
    }

    /// A client of something beside the VMM, such as a guest agent. The token of the VMM is not for it.
    ///
    /// # Errors
    /// The certificate authority cannot be read.
    pub(crate) fn without_credentials(&self, endpoint: Endpoint) -> Result<Client, CliError> {
        self.builder(endpoint, None)?.build().into_cli()
    }

    fn client(&self, host: &KnownHost, progress: &Progress) -> Result<Client, CliError> {
        let endpoint: Endpoint = host.endpoint.parse::<Endpoint>().into_cli()?;
        let credentials = self.credentials(host, progress)?;
        if credentials.is_some() && endpoint.is_cleartext_remote() {
            progress.warning(format_args!(
                "the token goes to {endpoint} in the clear, where everybody on the way can read it; use https or an SSH tunnel"
            ));
        }
        if self.danger_accept_invalid_certs && endpoint.is_tls() {
            progress.warning(format_args!("the certificate of {endpoint} is not verified"));
        }
        let mut builder = self.builder(endpoint, host.ca_file.as_deref())?;
        if let Some(credentials) = credentials {
            builder = builder.credentials(credentials);
        }
        builder.build().into_cli()
    }

    /// What the options say about every connection.
    ///
    /// # Errors
    /// A certificate authority cannot be read.
    pub(crate) fn builder(&self, endpoint: Endpoint, ca_file: Option<&Path>) -> Result<Builder, CliError> {
        let mut builder =
            Client::builder(endpoint).danger_accept_invalid_certs(self.danger_accept_invalid_certs);
        if let Some(seconds) = self.timeout {
            // The limit is for every call: whoever gives one wants to be back by then.
            let limit = Duration::from_secs(seconds);
            builder = builder
                .timeout(limit)
                .connect_timeout(limit.min(Duration::from_secs(5)))
                .timeout_of::<method::CreateVm>(limit)
                .timeout_of::<method::StartVm>(limit)
                .timeout_of::<method::StopVm>(limit)
                .timeout_of::<method::ShutdownVm>(limit)
                .timeout_of::<method::DeleteImage>(limit)
                .timeout_of::<method::GetAppEnvEncryptPubKey>(limit)
                .timeout_of::<method::ReloadVms>(limit);
        }
        for file in self.ca_file.as_deref().into_iter().chain(ca_file) {
            builder = builder.add_ca_pem(files::read(file)?);
        }
        Ok(builder)
    }
}
