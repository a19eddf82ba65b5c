//! Which VM of a VMM is meant: by id or by name.

use cli_support::{CliError, ExitCode, Secret};
use dstack_vmm_client::Error;
use dstack_vmm_client::api::{StatusRequest, VmInfo};
use dstack_vmm_client::client::{Client, Credentials, VmmApi};

/// The id of the VM that a text means.
///
/// # Errors
/// The VMM cannot be reached, or the text means no VM or several.
pub(crate) async fn id(
    vmm: &str,
    text: &str,
    token: Option<&Secret>,
    ca: Option<&[u8]>,
) -> Result<String, CliError> {
    let mut builder = Client::builder(vmm.parse().map_err(failed)?);
    if let Some(token) = token {
        builder = builder.credentials(Credentials::bearer(token.expose()));
    }
    if let Some(pem) = ca {
        builder = builder.only_ca_pem(pem);
    }
    let host = builder.build().map_err(failed)?;
    if let Some(info) = host.info(text).await.map_err(failed)? {
        return Ok(info.id);
    }
    let mut request = StatusRequest::default();
    request.keyword = text.to_owned();
    request.brief = true;
    choose(text, &host.status(&request).await.map_err(failed)?.vms, vmm)
}

/// The one VM of that name.
fn choose(text: &str, found: &[VmInfo], vmm: &str) -> Result<String, CliError> {
    let named: Vec<&VmInfo> = found.iter().filter(|vm| vm.name == text).collect();
    match named.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err(CliError::no(format!("no VM is called {text:?} on {vmm}"))
            .hint("`dstack-vmmctl ls` lists names and ids")),
        several => {
            let ids: Vec<&str> = several.iter().map(|vm| vm.id.as_str()).collect();
            Err(CliError::conflict(format!("{text:?} means {} VMs: {}", several.len(), ids.join(", ")))
                .hint("give the id instead"))
        }
    }
}

fn failed(error: Error) -> CliError {
    let kind = match &error {
        Error::InvalidEndpoint { .. } | Error::InvalidRequest { .. } => ExitCode::Usage,
        Error::Api { .. } | Error::NoSuchVm { .. } => ExitCode::No,
        _ => ExitCode::Unreachable,
    };
    CliError::hinted(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(id: &str, name: &str) -> VmInfo {
        let mut vm = VmInfo::default();
        id.clone_into(&mut vm.id);
        name.clone_into(&mut vm.name);
        vm
    }

    #[test]
    fn one_name_means_one_vm() {
        let found = [vm("ab12", "web"), vm("cd34", "db"), vm("ef56", "db")];
        assert_eq!(choose("web", &found, "unix:/x").unwrap(), "ab12");
        assert_eq!(
            choose("db", &found, "unix:/x").unwrap_err().to_string(),
            "\"db\" means 2 VMs: cd34, ef56"
        );
        assert_eq!(choose("no", &found, "unix:/x").unwrap_err().kind(), ExitCode::No);
    }
}
