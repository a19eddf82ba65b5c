//! Which VM of a host is the app's.

use dstack_check::{Finding, Fix};

use super::checks;
use super::observe::{Observed, hash_of, status};
use super::plan::{PlanContext, Target};
use super::resolve::Desired;
use crate::api::VmInfo;
use crate::vm::VmStatus;

/// What was found.
pub(super) struct Selected<'a> {
    /// The VM; `None` to make one.
    pub(super) vm: Option<&'a VmInfo>,
    pub(super) findings: Vec<Finding>,
}

/// The VM that is the app's: the one the caller names, the one a broken-off run made, the one this directory has a record
/// of, or the only one with the app's name that is plainly the same app.
pub(super) fn select<'a>(
    desired: &Desired,
    observed: &'a Observed,
    context: &PlanContext<'_>,
) -> Selected<'a> {
    let mut selected = choose(desired, observed, context);
    if let Some(vm) = selected.vm.filter(|vm| status(vm) == VmStatus::Removing) {
        selected.findings.push(
            checks::VM
                .fail()
                .observed(format!("VM {} is being removed", vm.id))
                .fix(Fix::new("wait until it is gone, then plan again")),
        );
    }
    selected
}

fn choose<'a>(desired: &Desired, observed: &'a Observed, context: &PlanContext<'_>) -> Selected<'a> {
    let found = |vm: &'a VmInfo| Selected { vm: Some(vm), findings: Vec::new() };
    match context.target {
        Target::Vm(id) => {
            return observed.candidate(id).map_or_else(
                || Selected {
                    vm: None,
                    findings: vec![checks::VM.fail().observed(format!("there is no VM {id}"))],
                },
                found,
            );
        }
        Target::New => return Selected { vm: None, findings: Vec::new() },
        Target::Auto => {}
    }
    if let Some(journal) = context.journal {
        if let Some(vm) = journal.vm_id.as_deref().and_then(|id| observed.candidate(id)) {
            return found(vm);
        }
        if let Some(known) = &journal.known_ids {
            let made = |vm: &&VmInfo| {
                vm.name == journal.name
                    && vm.app_id.eq_ignore_ascii_case(&journal.app_id)
                    && hash_of(vm) == Some(journal.hash)
                    && !known.contains(&vm.id)
            };
            let made: Vec<&VmInfo> = observed.candidates.iter().filter(made).collect();
            match made[..] {
                [] => {}
                [vm] => return found(vm),
                _ => {
                    return ambiguous(
                        "the broken-off run made one of these VMs, and it is not known which",
                        &made,
                    );
                }
            }
        }
    }
    let mut findings = Vec::new();
    if let Some(entry) = context.history.current(context.host) {
        if let Some(vm) = observed.candidate(&entry.vm_id) {
            return found(vm);
        }
        findings.push(checks::VM.warn().observed(format!(
            "VM {}, which ran version #{}, is no longer on the host",
            entry.vm_id, entry.seq
        )));
    }
    let hash = desired.hash();
    let same_app = |vm: &&VmInfo| match desired.app_id {
        Some(app_id) => vm.app_id.eq_ignore_ascii_case(&app_id.to_string()),
        None => {
            hash_of(vm) == Some(hash) || vm.app_id.eq_ignore_ascii_case(&desired.new_app_id().to_string())
        }
    };
    let named: Vec<&VmInfo> = observed
        .candidates
        .iter()
        .filter(|vm| vm.name == desired.name && status(vm) != VmStatus::Removing)
        .collect();
    let ours: Vec<&VmInfo> = named.iter().copied().filter(same_app).collect();
    match (&ours[..], &named[..]) {
        ([vm], _) => Selected { vm: Some(vm), findings },
        ([], []) => Selected { vm: None, findings },
        ([], others) => {
            ambiguous("VMs of this name are there, and nothing shows that they are this app", others)
        }
        (several, _) => ambiguous("several VMs are this app", several),
    }
}

fn ambiguous<'a>(why: &str, vms: &[&VmInfo]) -> Selected<'a> {
    let list: Vec<String> =
        vms.iter().map(|vm| format!("{} ({}, app {})", vm.id, vm.status, vm.app_id)).collect();
    let finding = checks::VM
        .fail()
        .observed(format!("{why}: {}", list.join(", ")))
        .fix(Fix::new("name the VM to change, say that a new one is wanted, or give the app another name"));
    Selected { vm: None, findings: vec![finding] }
}
