//! Everything that is asked, before anything is judged.

use std::os::unix::fs::PermissionsExt;

use cli_support::CliError;
use dstack_vmm_client::api::{GetMetaResponse, ImageInfo, PublicKeyResponse, StatusRequest, VmInfo};
use dstack_vmm_client::client::{Endpoint, Listing, ServerVersion, VmmApi, list_all};
use dstack_vmm_client::deploy::{Authorizer, DeployError, DeployOptions, Deployment, Desired, Plan};
use dstack_vmm_client::ids::AppId;
use dstack_vmm_client::{Error, Result};

use crate::context::Context;
use crate::hosts::KnownHost;
use crate::project::{self, LoadedProject};

/// The project of this directory, as far as it can be used.
pub(super) enum Project {
    /// There is none.
    None,
    /// There is one and it is invalid.
    Invalid(CliError),
    /// There is one.
    Loaded(Box<LoadedProject>),
}

/// What is known of a host and of the project there.
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) endpoint: String,
    pub(super) source: String,
    /// The endpoint as it was read.
    pub(super) parsed: Result<Endpoint>,
    /// Whether there are credentials, or why they cannot be read.
    pub(super) credentials: std::result::Result<bool, String>,
    /// Permission bits of the socket, where it is one.
    pub(super) socket_mode: Option<u32>,
    /// `None` where nothing could be asked.
    pub(super) version: Option<Result<ServerVersion>>,
    /// The same question without credentials, over TCP.
    pub(super) without_credentials: Option<Result<()>>,
    pub(super) images: Option<Result<Vec<ImageInfo>>>,
    pub(super) meta: Option<Result<GetMetaResponse>>,
    pub(super) port_mapping: Option<Result<bool>>,
    pub(super) vms: Option<Result<Vec<VmInfo>>>,
    pub(super) key: Option<Result<PublicKeyResponse>>,
    pub(super) now: u64,
    pub(super) project: ProjectFacts,
}

/// What is known of the project.
pub(super) enum ProjectFacts {
    None,
    /// Why the file is invalid.
    Invalid(String, Vec<String>),
    /// It is valid and its files are not.
    Unresolved(String, Vec<String>),
    Resolved(Box<Resolved>),
}

/// A project whose files make an app.
pub(super) struct Resolved {
    pub(super) path: String,
    pub(super) desired: Desired,
    /// What a deployment to the host would do; `None` where it cannot be asked.
    pub(super) plan: Option<std::result::Result<Plan, DeployError>>,
    /// The allow-list and what it says about the hash; `None` where the project has none.
    pub(super) allowed: Option<(String, std::result::Result<bool, String>)>,
}

impl Facts {
    /// Nothing was asked.
    #[cfg(test)]
    pub(super) fn nothing() -> Self {
        Self::new(KnownHost::for_test("host"), "unix:/run/dstack/vmm.sock".parse(), Ok(false))
    }

    fn new(
        host: KnownHost,
        parsed: Result<Endpoint>,
        credentials: std::result::Result<bool, String>,
    ) -> Self {
        Self {
            source: host.source.to_string(),
            name: host.name,
            endpoint: host.endpoint,
            parsed,
            credentials,
            socket_mode: None,
            version: None,
            without_credentials: None,
            images: None,
            meta: None,
            port_mapping: None,
            vms: None,
            key: None,
            now: jiff::Timestamp::now().as_second().max(0).unsigned_abs(),
            project: ProjectFacts::None,
        }
    }
}

/// What to look at: the project, and the hosts that are meant.
///
/// # Errors
/// No host is known.
pub(super) fn subjects(context: &Context) -> std::result::Result<(Project, Vec<KnownHost>), CliError> {
    let project = match project::find(context.connect.project()) {
        Ok(None) => Project::None,
        Ok(Some(project)) => Project::Loaded(Box::new(project)),
        // With a host named otherwise, the file is one more thing to judge. Without, there is nothing to go on with.
        Err(error) => Project::Invalid(error),
    };
    match context.connect.selected() {
        Ok(hosts) => Ok((project, hosts)),
        Err(error) => Err(error),
    }
}

/// Asks a host.
pub(super) async fn facts(host: KnownHost, project: &Project, context: &Context) -> Facts {
    let parsed = host.endpoint.parse::<Endpoint>();
    let credentials = context.connect.credentials(&host, &context.progress);
    let known = credentials.as_ref().map(Option::is_some).map_err(ToString::to_string);
    let ca_file = host.ca_file.clone();
    let mut facts = Facts::new(host, parsed, known);
    let mut client = None;
    if let Ok(endpoint) = &facts.parsed {
        if let Some(path) = endpoint.socket_path() {
            facts.socket_mode = std::fs::metadata(path).ok().map(|meta| meta.permissions().mode() & 0o7777);
        }
        let build = |credentials| {
            let mut builder = context.connect.builder(endpoint.clone(), ca_file.as_deref()).ok()?;
            if let Some(credentials) = credentials {
                builder = builder.credentials(credentials);
            }
            builder.build().ok()
        };
        client = build(credentials.ok().flatten());
        let version = match &client {
            Some(client) => Some(client.server_version().await.cloned()),
            None => None,
        };
        if endpoint.host_port().is_some()
            && let Some(stranger) = build(None)
        {
            facts.without_credentials = Some(stranger.version().await.map(drop));
        }
        facts.version = version;
    }
    let answers = matches!(&facts.version, Some(Ok(_)));
    if let (Some(client), true) = (&client, answers) {
        facts.images = Some(client.list_images().await);
        facts.meta = Some(client.meta().await);
        let mut one = StatusRequest::default();
        one.brief = true;
        one.page = 1;
        one.page_size = 1;
        facts.port_mapping = Some(client.status(&one).await.map(|answer| answer.port_mapping_enabled));
        facts.vms = Some(list_all(client, Listing::default()).await);
        // Any app id does: the key is derived from it.
        facts.key = Some(client.app_env_encrypt_pub_key(&[0; 20]).await);
    }
    let vmm = client.as_ref().filter(|_| answers).map(|client| client as &dyn VmmApi);
    facts.project = of_project(project, &facts.name, vmm).await;
    facts
}

async fn of_project(project: &Project, host: &str, vmm: Option<&dyn VmmApi>) -> ProjectFacts {
    let hints = |error: &CliError| error.hints().to_vec();
    let loaded = match project {
        Project::None => return ProjectFacts::None,
        Project::Invalid(error) => return ProjectFacts::Invalid(error.to_string(), hints(error)),
        Project::Loaded(loaded) => loaded,
    };
    let desired = match loaded.resolve() {
        Ok(desired) => desired,
        Err(error) => return ProjectFacts::Unresolved(error.to_string(), hints(&error)),
    };
    let (store, authorizer) = (loaded.store(), loaded.authorizer());
    // A host that was named by its URL goes by its name in the project, so that the record of it is found.
    let known =
        vmm.and_then(|vmm| loaded.project.hosts.iter().find(|known| known.endpoint == vmm.endpoint()));
    let host = known.map_or(host, |known| known.name.as_str());
    let options = DeployOptions::default();
    let plan = match vmm {
        Some(vmm) => {
            let mut deployment = Deployment::new(host, vmm, &store, &options);
            if let Some(authorizer) = &authorizer {
                deployment = deployment.authorizer(authorizer);
            }
            Some(deployment.plan(&desired).await)
        }
        None => None,
    };
    let allowed = match &authorizer {
        None => None,
        Some(authorizer) => {
            let planned =
                plan.as_ref().and_then(|plan| plan.as_ref().ok()).and_then(|plan| plan.app_id.parse().ok());
            let app_id: AppId = planned.unwrap_or_else(|| desired.new_app_id());
            let answer = authorizer.is_allowed(&app_id, &desired.hash()).await;
            Some((authorizer.describe(), answer.map_err(|error| super::chain(&error))))
        }
    };
    ProjectFacts::Resolved(Box::new(Resolved {
        path: loaded.path.display().to_string(),
        desired,
        plan,
        allowed,
    }))
}

/// Why a question has no answer.
pub(super) fn why<T>(answer: Option<&Result<T>>) -> std::result::Result<&T, String> {
    match answer {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => Err(super::chain(error)),
        None => Err("it was not asked".to_owned()),
    }
}

/// Whether the error says that a connection was made.
pub(super) fn is_connected(error: &Error) -> bool {
    !matches!(error, Error::Connect { .. } | Error::InvalidEndpoint { .. } | Error::InvalidRequest { .. })
}
