//! The life of a VM: made, started, stopped, shut down, removed, read again.

use dstack_vmm_client::api::{Id, VmConfiguration};
use dstack_vmm_client::app_compose::{ComposeHash, KeyProvider};
use dstack_vmm_client::{DstackVersion, ids};
use ring::rand::{SecureRandom, SystemRandom};

use super::machine::Machine;
use super::node::{Node, State};
use super::timers::Action;
use super::validate;
use crate::boot::Outcome;
use crate::clock::rfc3339;
use crate::manifest::{InstanceInfo, Manifest, Process, Shared};
use crate::rpc::RpcError;
use crate::store::Store;
use crate::timeline::{BootFacts, Happening, timeline};

/// How long a removed VM is still listed.
const REMOVAL_MS: u64 = 500;
/// How long the pull of an image takes.
const PULL_MS: u64 = 500;

type Done = Result<(), RpcError>;

impl Node {
    // Making.

    pub(crate) fn create(&self, request: &VmConfiguration) -> Result<Id, RpcError> {
        let mut state = self.settled();
        let manifest = self.manifest_of(&state, request)?;
        let shared = Shared {
            compose: request.compose_file.clone(),
            encrypted_env: request.encrypted_env.clone(),
            user_config: request.user_config.clone(),
        };
        let id = manifest.id.clone();
        let unwritten =
            |error: std::io::Error| RpcError::text(format!("Failed to write the work dir: {error}"));
        self.store.create(&manifest, &shared, !request.stopped).map_err(unwritten)?;
        if request.app_id.is_some() {
            let given = InstanceInfo { app_id: manifest.app_id.clone(), ..InstanceInfo::default() };
            self.store.write_instance_info(&id, &given).map_err(unwritten)?;
        }
        match self.machine(&mut state, manifest, shared) {
            Ok(machine) => state.insert(machine),
            Err(error) => {
                // Nothing stays behind of a VM that could not be loaded.
                let _ = self.store.remove(&id);
                return Err(error.context("Failed to load VM"));
            }
        }
        if !request.stopped {
            self.launch(&mut state, &id, self.clock.now_ms());
        }
        let mut reply = Id::default();
        reply.id = id;
        Ok(reply)
    }

    fn manifest_of(&self, state: &State, request: &VmConfiguration) -> Result<Manifest, RpcError> {
        let settings = &self.settings;
        validate::name(&request.name)?;
        let port_map = validate::new_ports(&request.ports, settings)?;
        if self.capabilities().port_conflicts_refused {
            validate::distinct_ports(&port_map)?;
            if !port_map.is_empty() {
                for vm in state.vms() {
                    validate::free_ports(&port_map, &vm.manifest.id, &vm.manifest.port_map)?;
                }
            }
        }
        let gpus = validate::gpus(request.gpus.as_ref(), settings)?;
        let networks =
            validate::networks(request.networking.as_ref(), &request.networks, self.version, settings)?;
        let next = self.version != DstackVersion::V0_5;
        let simulated_tee = request.simulated_tee.clone().filter(|_| next);
        if next {
            validate::simulated_tee(simulated_tee.as_deref(), settings)?;
            self.check_volumes(&request.compose_file)?;
        }
        let app_id = match &request.app_id {
            Some(given) => validate::app_id(given),
            None => {
                ids::AppId::from_compose_hash(&ComposeHash::of(request.compose_file.as_bytes())).to_string()
            }
        };
        Ok(Manifest {
            id: random_uuid()?,
            name: request.name.clone(),
            app_id,
            vcpu: request.vcpu,
            memory: request.memory,
            disk_size: request.disk_size,
            image: request.image.clone(),
            port_map,
            created_at_ms: state.next_creation_ms(self.clock.now_ms()),
            hugepages: request.hugepages,
            pin_numa: request.pin_numa,
            gpus,
            kms_urls: request.kms_urls.clone(),
            gateway_urls: request.gateway_urls.clone(),
            no_tee: request.no_tee || simulated_tee.is_some(),
            networking: networks.first().cloned(),
            networks: if next { networks } else { Vec::new() },
            simulated_tee,
        })
    }

    /// The coming version reads the compose early, for its read-only volumes.
    fn check_volumes(&self, compose: &str) -> Done {
        let app: serde_json::Value = serde_json::from_str(compose)
            .map_err(|error| RpcError::text(format!("invalid app compose JSON: {error}")))?;
        let volumes = app.get("verity_volumes").and_then(serde_json::Value::as_array);
        if volumes.is_some_and(|volumes| !volumes.is_empty()) && self.settings.volumes_dir.is_none() {
            return Err(RpcError::text("verity volumes need cvm.volumes_dir to be configured"));
        }
        Ok(())
    }

    // Starting and stopping.

    pub(crate) fn start(&self, id: &str) -> Done {
        self.try_start(id).map_err(|error| error.context("Failed to start VM"))
    }

    fn try_start(&self, id: &str) -> Done {
        let mut state = self.settled();
        self.check_id(id)?;
        let manifest = self.store.manifest(id)?;
        if state.vm(id).is_none() {
            // A directory that was put there while nobody looked.
            let machine = self.machine(&mut state, manifest, self.store.shared(id))?;
            state.insert(machine);
        }
        let Some(machine) = state.vm_mut(id) else { return Err(RpcError::text("VM not found")) };
        if machine.removing {
            return Err(RpcError::text("VM is being removed"));
        }
        self.store.set_started(id, true).map_err(|error| error.context("Failed to set started"))?;
        machine.started = true;
        machine.restarts = 0;
        if machine.running() {
            machine.note_start(true);
        } else {
            self.launch(&mut state, id, self.clock.now_ms());
        }
        Ok(())
    }

    /// Starts the process of a VM and plans its boot.
    pub(crate) fn launch(&self, state: &mut State, id: &str, at: u64) {
        state.pids += 1;
        let pid = state.pids;
        let Some(machine) = state.vm_mut(id) else { return };
        machine.run += 1;
        machine.started = true;
        machine.guest = None;
        machine.process = Some(Process { pid, started_at_ms: at, ended_at_ms: None, exit_code: None });
        machine.note_start(false);
        self.keep_process(machine);
        let profile = {
            let profiles = self.profiles.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            profiles.by_name.get(&machine.manifest.name).unwrap_or(&profiles.default).clone()
        };
        let mut facts = self.boot_facts(machine);
        let run = machine.run;
        facts.port_taken = taken_port(state, id);
        let mark = format!("===== boot @ {} =====", rfc3339(at));
        let serial = self.version != DstackVersion::V0_5 && profile.outcome != Outcome::NoGuest;
        for channel in ["stdout", "stderr"].into_iter().chain(serial.then_some("serial")) {
            self.log(id, channel, &mark);
        }
        for (after, what) in timeline(&profile, &facts) {
            // Without `shared_ro` an image has no way to tell the VMM anything.
            if state.vm(id).is_some_and(|vm| !vm.image.shared_ro)
                && matches!(&what, Happening::Event { event: "boot.progress", .. })
            {
                continue;
            }
            state.timers.plan(at + after, Action::Happening { vm: id.to_owned(), run, what });
        }
        self.planned.notify_one();
    }

    fn boot_facts(&self, machine: &Machine) -> BootFacts {
        let m = &machine.manifest;
        let app = self.app(&machine.shared.compose).ok();
        let no_disk = app.as_ref().is_none_or(|app| app.key_provider_kind() == KeyProvider::None);
        let identity = self.identify(machine, app.as_ref());
        BootFacts {
            version: self.version,
            image: m.image.clone(),
            vcpu: m.vcpu.max(1),
            memory_mib: m.memory,
            compose_hash: ComposeHash::of(machine.shared.compose.as_bytes()).to_string(),
            init_script: app.as_ref().is_some_and(|app| !app.init_scripts.is_empty()),
            // Without a key provider nothing can open the disk of the boot before.
            first_boot: no_disk || machine.instance_id().is_none(),
            gateway: machine.uses_gateway,
            pre_launch: app.as_ref().is_some_and(|app| app.pre_launch_script.is_some()),
            bash: app.as_ref().is_some_and(|app| app.runner == "bash"),
            instance_info: serde_json::to_string(&identity).unwrap_or_default(),
            services: super::guests::services(&machine.shared.compose),
            port_taken: None,
            refusal: self.guest_refusal(machine, app.as_ref()),
        }
    }

    pub(crate) fn stop(&self, id: &str) -> Done {
        self.try_stop(id).map_err(|error| error.context("Failed to stop VM"))
    }

    fn try_stop(&self, id: &str) -> Done {
        let mut state = self.settled();
        self.check_id(id)?;
        self.store.set_started(id, false).map_err(|error| error.context("Failed to set started"))?;
        let now = self.clock.now_ms();
        let Some(machine) = state.vm_mut(id) else { return Err(RpcError::text("VM not found")) };
        machine.started = false;
        if machine.process.is_none() && !self.capabilities().stop_of_never_started_succeeds {
            return Err(RpcError::text("Server returned error: Process not found"));
        }
        self.kill(machine, now);
        Ok(())
    }

    /// Ends the process of a VM at once.
    fn kill(&self, machine: &mut Machine, now: u64) {
        machine.run += 1;
        machine.guest = None;
        if let Some(process) = machine.process.as_mut().filter(|process| process.running()) {
            process.ended_at_ms = Some(now);
            process.exit_code = None;
            self.keep_process(machine);
        }
    }

    /// Asks the guest to power off. Only a guest that is up can be asked.
    pub(crate) fn shutdown(&self, id: &str) -> Done {
        let mut state = self.settled();
        let at = self.clock.now_ms();
        let step = self.step_ms();
        let machine = state.vm(id).ok_or_else(|| RpcError::text("vm not found"))?;
        if machine.guest.is_none() {
            return Err(RpcError::text(super::guests::UNREACHABLE));
        }
        let run = machine.run;
        let mut plan = |after: u64, what| {
            state.timers.plan(at + after, Action::Happening { vm: id.to_owned(), run, what });
        };
        let text = "dstack: powering off".to_owned();
        plan(0, Happening::Line { channel: "serial", text });
        plan(0, Happening::Event { event: "shutdown.progress", body: "powering off".to_owned() });
        plan(2 * step, Happening::Exit(0));
        drop(state);
        self.planned.notify_one();
        Ok(())
    }

    fn step_ms(&self) -> u64 {
        let profiles = self.profiles.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        u64::try_from(profiles.default.step.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn remove(&self, id: &str) -> Done {
        let mut state = self.settled();
        let now = self.clock.now_ms();
        let Some(machine) = state.vm_mut(id) else {
            return Err(RpcError::text("Failed to remove VM: VM not found"));
        };
        if machine.removing {
            return Ok(());
        }
        self.kill(machine, now);
        machine.removing = true;
        machine.started = false;
        // So that a restart of the emulator goes on with it.
        let marker = self.store.vm_dir(id).join(".removing");
        if let Err(error) = std::fs::write(marker, b"") {
            tracing::warn!(vm = id, %error, "cannot mark a VM as being removed");
        }
        if self.version != DstackVersion::V0_5 {
            // The coming version deletes what the VM is made of before it forgets the VM.
            machine.process = None;
            machine.shared = Shared::default();
            if let Err(error) = self.store.remove(id) {
                tracing::warn!(vm = id, %error, "cannot delete the directory of a VM");
            }
        }
        state.timers.plan(now + REMOVAL_MS, Action::Gone { vm: id.to_owned() });
        drop(state);
        self.planned.notify_one();
        Ok(())
    }

    // The supervisor.

    pub(crate) fn stop_process(&self, id: &str) -> Done {
        let mut state = self.settled();
        let now = self.clock.now_ms();
        match state.vm_mut(id).filter(|machine| machine.process.is_some()) {
            Some(machine) => {
                if self.version != DstackVersion::V0_5 {
                    // The coming version knows that it is a VM and does not start it again.
                    machine.started = false;
                    self.store.set_started(id, false)?;
                }
                self.kill(machine, now);
                Ok(())
            }
            None => Err(RpcError::text(match self.version {
                DstackVersion::V0_5 => "Server returned error: Process not found",
                _ => "Supervisor process not found",
            })),
        }
    }

    pub(crate) fn remove_process(&self, id: &str) -> Done {
        let mut state = self.settled();
        let machine = state.vm_mut(id).filter(|machine| machine.process.is_some());
        let machine = machine.ok_or_else(|| RpcError::text("Server returned error: Process not found"))?;
        if machine.running() {
            return Err(RpcError::text("Server returned error: Process is running"));
        }
        machine.process = None;
        self.keep_process(machine);
        Ok(())
    }

    // Images.

    pub(crate) fn delete_image(&self, name: &str) -> Done {
        let state = self.settled();
        let user = state.vms().find(|vm| vm.manifest.image == name).map(|vm| vm.manifest.name.clone());
        state.images.delete(name, user.as_deref())
    }

    pub(crate) fn pull_image(&self, tag: &str) -> Done {
        let mut state = self.settled();
        state.images.pull(tag)?;
        state.timers.plan(self.clock.now_ms() + PULL_MS, Action::Pulled { tag: tag.to_owned() });
        drop(state);
        self.planned.notify_one();
        Ok(())
    }

    /// The coming version looks at the form of an id first; v0.5 takes it as a path.
    pub(crate) fn check_id(&self, id: &str) -> Done {
        if self.version == DstackVersion::V0_5 || Store::is_vm_id(id) {
            Ok(())
        } else {
            Err(RpcError::text("invalid VM id"))
        }
    }
}

/// A host port of a VM that another running VM has, or that it wants twice itself. The coming version refuses such VMs;
/// of v0.5 it is QEMU that fails.
fn taken_port(state: &State, id: &str) -> Option<String> {
    let ports = &state.vm(id)?.manifest.port_map;
    let others = state.vms().filter(|vm| vm.manifest.id != id && vm.running());
    validate::first_taken(ports, others.flat_map(|vm| &vm.manifest.port_map))
}

/// A random UUID of version 4.
pub(crate) fn random_uuid() -> Result<String, RpcError> {
    let mut bytes = random_bytes::<16>()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    let (a, rest) = digits.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    Ok(format!("{a}-{b}-{c}-{d}-{e}"))
}

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], RpcError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| RpcError::text("the system has no random numbers"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_4() {
        let id = random_uuid().unwrap();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(Store::is_vm_id(&id));
        assert_ne!(id, random_uuid().unwrap());
    }
}
