//! Where an app-compose comes from.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;

use cli_support::{CliError, ExitCode};
use dstack_vmm_client::app_compose::AppComposeDocument;

use crate::context::Context;
use crate::{files, project, vm_ref};

/// Where an app-compose comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// What a VM has.
    Vm(String),
    /// What the project file makes.
    Project,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("vm:") {
            Some("") => Err("vm: needs the name or the id of a VM".to_owned()),
            Some(vm) => Ok(Self::Vm(vm.to_owned())),
            None if text.is_empty() => Err("the path is empty".to_owned()),
            None if text == "-" => Ok(Self::Stdin),
            None if text == "project" => Ok(Self::Project),
            None => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Stdin => f.write_str("stdin"),
            Self::Vm(vm) => write!(f, "vm:{vm}"),
            Self::Project => f.write_str("project"),
        }
    }
}

impl Source {
    /// The bytes, untouched.
    ///
    /// # Errors
    /// They cannot be had.
    pub(super) async fn bytes(&self, context: &Context) -> Result<Vec<u8>, CliError> {
        match self {
            Self::File(path) => files::read(path),
            Self::Stdin => {
                let mut bytes = Vec::new();
                let read = std::io::stdin().lock().take(files::MAX_BYTES + 1).read_to_end(&mut bytes);
                read.map_err(|error| CliError::new(ExitCode::Usage, error).context("cannot read stdin"))?;
                if bytes.len() as u64 > files::MAX_BYTES {
                    return Err(CliError::usage(format!("stdin is longer than {} bytes", files::MAX_BYTES)));
                }
                Ok(bytes)
            }
            Self::Vm(vm) => {
                let host = context.one()?.client;
                let vm = vm_ref::resolve(&host, vm).await?;
                let text =
                    vm.configuration.map(|configuration| configuration.compose_file).unwrap_or_default();
                if text.is_empty() {
                    return Err(CliError::no(format!(
                        "the VM {} has no app-compose: it is {}",
                        vm.id, vm.status
                    )));
                }
                Ok(text.into_bytes())
            }
            Self::Project => {
                let desired = project::required(context.connect.project())?.resolve()?;
                Ok(desired.compose.bytes().to_vec())
            }
        }
    }

    /// Bytes of this source as a document.
    ///
    /// # Errors
    /// They are none.
    pub(super) fn read(&self, bytes: Vec<u8>) -> Result<AppComposeDocument, CliError> {
        let is_json = bytes.trim_ascii_start().first() == Some(&b'{');
        AppComposeDocument::from_bytes(bytes).map_err(|error| {
            let error = CliError::new(ExitCode::Usage, error).context(self);
            if is_json {
                error.hint(format!("`dstack-vmmctl compose lint {self}` says all that is wrong with it"))
            } else {
                error.hint(format!("is it a Compose file? `dstack-vmmctl compose build {self} --name NAME` makes an app-compose from it"))
            }
        })
    }

    /// The document.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes) and [`read`](Self::read).
    pub(super) async fn document(&self, context: &Context) -> Result<AppComposeDocument, CliError> {
        let bytes = self.bytes(context).await?;
        self.read(bytes)
    }
}
