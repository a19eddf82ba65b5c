//! The project file: finding it, and reading the files it names.

use std::path::{Path, PathBuf};

use cli_support::{CliError, ExitCode};
use dstack_vmm_client::client::VmmApi;
use dstack_vmm_client::deploy::project::FILE_NAME;
use dstack_vmm_client::deploy::store::DIR_NAME;
use dstack_vmm_client::deploy::{AllowlistFile, Desired, Project, ProjectFiles, Store};

use crate::context::Context;
use crate::hosts::Host;

use crate::files;

/// A project file that was read.
#[derive(Debug)]
pub(crate) struct LoadedProject {
    /// The file.
    pub(crate) path: PathBuf,
    /// The directory its paths are relative to.
    pub(crate) dir: PathBuf,
    /// What it says.
    pub(crate) project: Project,
}

/// The project that is named, else the one of this directory or of the nearest above that has one.
///
/// # Errors
/// The one that is named is not there, or what is there cannot be used.
pub(crate) fn find(named: Option<&Path>) -> Result<Option<LoadedProject>, CliError> {
    if let Some(path) = named {
        let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
        return read(path).map(Some);
    }
    // The path is kept short for messages: `dstack.toml` here, `../dstack.toml` one above.
    let Ok(here) = std::env::current_dir() else { return Ok(None) };
    let mut prefix = PathBuf::new();
    for _ in here.ancestors() {
        let path = prefix.join(FILE_NAME);
        if path.is_file() {
            return read(path).map(Some);
        }
        prefix.push("..");
    }
    Ok(None)
}

/// The project that a command needs.
///
/// # Errors
/// As [`find`], or when there is none.
pub(crate) fn required(named: Option<&Path>) -> Result<LoadedProject, CliError> {
    find(named)?.ok_or_else(|| {
        CliError::usage(format!("there is no {FILE_NAME} here or in a directory above"))
            .hint("`dstack-vmmctl init` writes one")
            .hint("`--project PATH` names one that is elsewhere")
    })
}

fn read(path: PathBuf) -> Result<LoadedProject, CliError> {
    let text = files::read_text(&path)?;
    let project = Project::parse(&text)
        .map_err(|error| CliError::hinted(ExitCode::Usage, error).context(path.display()))?;
    let dir = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(LoadedProject { path, dir, project })
}

impl LoadedProject {
    /// What the project wants to run, from the contents of its files.
    ///
    /// # Errors
    /// A file cannot be read, or is not what it should be.
    pub(crate) fn resolve(&self) -> Result<Desired, CliError> {
        let mut contents = ProjectFiles::new();
        for (role, name) in self.project.files() {
            let path = self.path_of(name);
            if !path.exists() {
                // The library has a better word for a file that is missing.
                continue;
            }
            let bytes =
                if role.is_secret() { files::read_secret(&path)?.to_vec() } else { files::read(&path)? };
            contents.insert(name, bytes);
        }
        self.project
            .resolve(&contents)
            .map_err(|error| CliError::hinted(ExitCode::Usage, error).context(self.path.display()))
    }
}

impl LoadedProject {
    /// A path as the project writes it, seen from here; without a needless `./`.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        if self.dir == Path::new(".") { PathBuf::from(name) } else { self.dir.join(name) }
    }

    /// Where applied versions are kept.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.path_of(DIR_NAME))
    }

    /// The allow-list that deployments keep in step, where the project names one.
    pub(crate) fn authorizer(&self) -> Option<AllowlistFile> {
        self.project.authorization.file.as_ref().map(|file| AllowlistFile::new(self.path_of(file)))
    }

    /// The hosts to deploy to. One that is named by its URL and stands in the project goes by its name there, so that the
    /// record of it is found again.
    ///
    /// # Errors
    /// None is known, or a client cannot be made.
    pub(crate) fn hosts(&self, context: &Context) -> Result<Vec<Host>, CliError> {
        let mut hosts = context.several()?;
        for host in &mut hosts {
            let known = self.project.hosts.iter().find(|known| known.endpoint == host.client.endpoint());
            if let Some(known) = known {
                host.name.clone_from(&known.name);
            }
        }
        Ok(hosts)
    }
}
