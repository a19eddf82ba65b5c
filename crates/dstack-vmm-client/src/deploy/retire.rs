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

pub(super) async fn remove(
    deployment: &Deployment<'_>,
    lock: &LockedStore,
    vm_id: &str,
    on_event: OnEvent<'_>,
) -> Result<Vec<ComposeHash>, DeployError> {
    let call = |action: &'static str| move |source: crate::Error| DeployError::Vmm { action, source };
    let vm = deployment.vmm.info(vm_id).await.map_err(call("look at the VM"))?;
    let vm = vm.ok_or_else(|| DeployError::Gone { vm_id: vm_id.to_owned() })?;
    match deployment.vmm.remove_vm(vm_id).await {
        Ok(()) => {}
        Err(error) if error.api_failure() == Some(ApiFailure::VmNotFound) => {}
        Err(source) => return Err(DeployError::Vmm { action: "remove the VM", source }),
    }
    let mut report = |progress: &crate::client::Progress| on_event(&Event::of_progress(progress));
    wait_for(deployment.vmm, vm_id, &Condition::Gone, &deployment.options.wait_options, &mut report)
        .await
        .map_err(|source| DeployError::Wait {
            vm_id: vm_id.to_owned(),
            wanted: "gone",
            source: Box::new(source),
        })?;
    let history = lock.history()?;
    if let Some(current) = history.current(deployment.host).filter(|entry| entry.vm_id == vm_id) {
        lock.amend(&Entry { removed: true, ..current.clone() })?;
    }
    if lock.journal(deployment.host)?.is_some_and(|journal| journal.vm_id.as_deref() == Some(vm_id)) {
        lock.clear_journal(deployment.host)?;
    }
    match (deployment.authorizer, vm.app_id.parse::<AppId>()) {
        (Some(authorizer), Ok(app_id)) => revoke_unneeded(lock, authorizer, &app_id, 0, None).await,
        _ => Ok(Vec::new()),
    }
}
