//! Reading the run directory: when the VMM starts, and when it is told to.

use dstack_vmm_client::api::ReloadVmsResponse;

use super::node::{Node, State};
use super::timers::Action;
use crate::rpc::RpcError;
use crate::timeline::Happening;

impl Node {
    /// Reads the run directory as a VMM does when it starts: processes that ran still run.
    pub(crate) fn load(&self) {
        let mut state = self.settled();
        for id in self.store.ids() {
            if self.store.vm_dir(&id).join(".removing").exists() {
                let _ = self.store.remove(&id);
                continue;
            }
            self.load_one(&mut state, &id);
        }
    }

    /// Loads a VM that is not known; whether it could be.
    fn load_one(&self, state: &mut State, id: &str) -> bool {
        let loaded =
            self.store.manifest(id).and_then(|manifest| self.machine(state, manifest, self.store.shared(id)));
        let machine = match loaded {
            Ok(machine) => machine,
            Err(RpcError::Text(error)) => {
                tracing::warn!(vm = id, error, "cannot load a VM");
                return false;
            }
        };
        let (started, running) = (machine.started, machine.running());
        state.insert(machine);
        let now = self.clock.now_ms();
        if running {
            self.resume(state, id, now);
        } else if started {
            self.launch(state, id, now);
        }
        true
    }

    /// Takes over a process that ran while the VMM was away.
    fn resume(&self, state: &mut State, id: &str, now: u64) {
        state.pids += 1;
        let Some(machine) = state.vm_mut(id) else { return };
        machine.run += 1;
        machine.note_start(true);
        if machine.instance.as_ref().is_some_and(|instance| !instance.instance_id_seed.is_empty()) {
            let up = Action::Happening { vm: id.to_owned(), run: machine.run, what: Happening::AgentUp };
            state.timers.plan(now, up);
            self.planned.notify_one();
        } else {
            // It was still booting, and its next steps were in the memory of the emulator that ended.
            self.launch(state, id, now);
        }
    }

    pub(crate) fn reload(&self) -> ReloadVmsResponse {
        let mut state = self.settled();
        let mut reply = ReloadVmsResponse::default();
        let on_disk = self.store.ids();
        let known: Vec<String> =
            state.vms().filter(|vm| !vm.removing).map(|vm| vm.manifest.id.clone()).collect();
        for id in known.iter().filter(|id| on_disk.binary_search(id).is_err()) {
            state.remove(id);
            reply.removed += 1;
        }
        for id in on_disk {
            if state.vm(&id).is_none() {
                reply.loaded += u32::from(self.load_one(&mut state, &id));
            } else if self.refresh(&mut state, &id).is_ok() {
                reply.updated += 1;
                if state.vm(&id).is_some_and(|vm| vm.started && !vm.running()) {
                    self.launch(&mut state, &id, self.clock.now_ms());
                }
            }
        }
        reply
    }

    /// Reads a known VM again from disk.
    pub(crate) fn refresh(&self, state: &mut State, id: &str) -> Result<(), RpcError> {
        let manifest = self.store.manifest(id)?;
        let shared = self.store.shared(id);
        let (image, app) = self.checked(state, &manifest, &shared)?;
        if let Some(machine) = state.vm_mut(id) {
            machine.manifest = manifest;
            machine.shared = shared;
            machine.image = image;
            machine.uses_gateway = app.uses_gateway();
        }
        Ok(())
    }
}
