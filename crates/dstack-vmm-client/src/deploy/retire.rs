//! The end of an app on a host.

use super::apply::{Deployment, Event, OnEvent};
use super::error::DeployError;
use super::history::Entry;
use super::run::revoke_unneeded;
use super::store::LockedStore;
use crate::app_compose::ComposeHash;
use crate::client::{Condition, wait_for};
use crate::error::ApiFailure;
use crate::ids::AppId;

/// Removes the VM, then its traces here, then what was allowed for it. A call that was broken off is made good by the next:
/// the record says that the VM was there until all of it is done.
pub(super) async fn remove(
    deployment: &Deployment<'_>,
    lock: &LockedStore,
    vm_id: &str,
    on_event: OnEvent<'_>,
) -> Result<Vec<ComposeHash>, DeployError> {
    let call = |action: &'static str| move |source: crate::Error| DeployError::Vmm { action, source };
    let vm = deployment.vmm.info(vm_id).await.map_err(call("look at the VM"))?;
    let history = lock.history()?;
    let recorded = history.current(deployment.host).filter(|entry| entry.vm_id == vm_id);
    let journal = lock.journal(deployment.host)?.filter(|journal| journal.vm_id.as_deref() == Some(vm_id));
    let app_id = vm
        .as_ref()
        .map(|vm| &vm.app_id)
        .or(recorded.map(|entry| &entry.app_id))
        .or(journal.as_ref().map(|journal| &journal.app_id))
        .ok_or_else(|| DeployError::Gone { vm_id: vm_id.to_owned() })?;
    if vm.is_some() {
        match deployment.vmm.remove_vm(vm_id).await {
            Ok(()) => {}
            Err(error) if error.api_failure() == Some(ApiFailure::VmNotFound) => {}
            Err(source) => return Err(DeployError::Vmm { action: "remove the VM", source }),
        }
        let mut report = |progress: &crate::client::Progress| on_event(&Event::of_progress(progress));
        let options = &deployment.options.wait_options;
        wait_for(deployment.vmm, vm_id, &Condition::Gone, options, &mut report).await.map_err(|source| {
            DeployError::Wait { vm_id: vm_id.to_owned(), wanted: "gone", source: Box::new(source) }
        })?;
    }
    let revoked = match (deployment.authorizer, app_id.parse::<AppId>()) {
        (Some(authorizer), Ok(app_id)) => {
            let leaving = super::run::Leaving::Vm { host: deployment.host, id: vm_id };
            revoke_unneeded(lock, authorizer, &app_id, 0, leaving).await?
        }
        _ => Vec::new(),
    };
    if let Some(current) = recorded {
        lock.amend(&Entry { removed: true, ..current.clone() })?;
    }
    if journal.is_some() {
        lock.clear_journal(deployment.host)?;
    }
    Ok(revoked)
}
