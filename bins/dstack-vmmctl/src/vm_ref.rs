//! Which VM is meant: by id, by the beginning of an id, or by name.

use cli_support::CliError;
use dstack_vmm_client::api::{StatusRequest, VmInfo};
use dstack_vmm_client::client::VmmApi;

use crate::failure::IntoCli;

/// The VM that a text means on a host.
///
/// # Errors
/// None is meant, or several are: the message lists them.
pub async fn resolve(host: &dyn VmmApi, text: &str) -> Result<VmInfo, CliError> {
    if let Some(info) = host.info(text).await.into_cli()? {
        return Ok(info);
    }
    let mut request = StatusRequest::default();
    request.keyword = text.to_owned();
    request.brief = true;
    let found = host.status(&request).await.into_cli()?.vms;
    let id = choose(text, &found, host.endpoint())?;
    match host.info(&id).await.into_cli()? {
        Some(info) => Ok(info),
        None => Err(CliError::no(format!("the VM {id} has just gone from {}", host.endpoint()))),
    }
}

/// The one VM among `found` whose name is the text, or whose id begins with it.
fn choose(text: &str, found: &[VmInfo], endpoint: &str) -> Result<String, CliError> {
    let named: Vec<&VmInfo> = found.iter().filter(|vm| vm.name == text).collect();
    let begun: Vec<&VmInfo> = found.iter().filter(|vm| vm.id.starts_with(text)).collect();
    let candidates = if named.is_empty() { begun } else { named };
    match candidates.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err(CliError::no(format!("no VM is called {text:?} on {endpoint}"))
            .hint("`dstack-vmmctl ls` lists names and ids")),
        several => {
            let list: Vec<String> =
                several.iter().map(|vm| format!("{} ({}, {})", vm.id, vm.name, vm.status)).collect();
            Err(CliError::conflict(format!("{text:?} means {} VMs: {}", several.len(), list.join("; ")))
                .hint("give the id instead, or enough of its beginning"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(id: &str, name: &str) -> VmInfo {
        let mut vm = VmInfo::default();
        id.clone_into(&mut vm.id);
        name.clone_into(&mut vm.name);
        "running".clone_into(&mut vm.status);
        vm
    }

    #[test]
    fn a_name_wins_over_the_beginning_of_an_id() {
        let found = [vm("ab12", "web"), vm("web1", "other")];
        assert_eq!(choose("web", &found, "unix:/x").unwrap(), "ab12");
        assert_eq!(choose("web1", &found, "unix:/x").unwrap(), "web1");
    }

    #[test]
    fn several_are_listed_and_nothing_is_chosen() {
        let found = [vm("ab12", "web"), vm("cd34", "web")];
        let error = choose("web", &found, "unix:/x").unwrap_err();
        assert_eq!(error.to_string(), "\"web\" means 2 VMs: ab12 (web, running); cd34 (web, running)");
        let error = choose("nope", &found, "unix:/x").unwrap_err();
        assert_eq!(error.to_string(), "no VM is called \"nope\" on unix:/x");
    }
}
