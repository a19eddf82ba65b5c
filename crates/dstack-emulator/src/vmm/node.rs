//! The VMM's state: its VMs, what is going to happen to them, and how it is looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dstack_vmm_client::app_compose::AppCompose;
use dstack_vmm_client::{Capabilities, DstackVersion};
use tokio::sync::Notify;

use super::images::{Image, Images};
use super::machine::Machine;
use super::timers::{Action, Timers};
use crate::boot::BootProfile;
use crate::clock::Clock;
use crate::kms::Kms;
use crate::manifest::{InstanceInfo, Manifest, Shared};
use crate::rpc::RpcError;
use crate::settings::Settings;
use crate::store::{Rotation, Store};
use crate::timeline::Happening;

/// What the emulator says wherever a server names its build.
pub(crate) const REVISION: &str = "EMULATED, no TEE";

/// Order of VMs: by the time of their creation, and of equal times by arrival.
type Key = (u64, u64);

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    vms: BTreeMap<Key, Machine>,
    index: HashMap<String, Key>,
    pub(crate) timers: Timers,
    pub(crate) images: Images,
    cids: BTreeSet<u32>,
    arrivals: u64,
    pub(crate) pids: u32,
}

/// How guests boot: a default, and exceptions by the name of a VM.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profiles {
    pub(crate) default: BootProfile,
    pub(crate) by_name: HashMap<String, BootProfile>,
}

/// A VMM.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) version: DstackVersion,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) kms: std::sync::Arc<Kms>,
    pub(crate) profiles: Mutex<Profiles>,
    state: Mutex<State>,
    /// Wakes the task that carries out what is due, when something new is planned.
    pub(crate) planned: Notify,
}

impl State {
    pub(crate) fn vm(&self, id: &str) -> Option<&Machine> {
        self.vms.get(self.index.get(id)?)
    }

    pub(crate) fn vm_mut(&mut self, id: &str) -> Option<&mut Machine> {
        self.vms.get_mut(self.index.get(id)?)
    }

    /// Number of VMs.
    pub(crate) fn count(&self) -> usize {
        self.vms.len()
    }

    /// VMs, oldest first.
    pub(crate) fn vms(&self) -> impl Iterator<Item = &Machine> {
        self.vms.values()
    }

    /// A time of creation that no VM has yet, so that their order is the same after a restart.
    pub(crate) fn next_creation_ms(&self, now: u64) -> u64 {
        self.vms.last_key_value().map_or(now, |((newest, _), _)| now.max(newest.saturating_add(1)))
    }

    pub(crate) fn insert(&mut self, machine: Machine) {
        self.arrivals += 1;
        let key = (machine.manifest.created_at_ms, self.arrivals);
        self.index.insert(machine.manifest.id.clone(), key);
        self.vms.insert(key, machine);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(machine) = self.index.remove(id).and_then(|key| self.vms.remove(&key)) {
            self.cids.remove(&machine.cid);
        }
    }

    /// The lowest CID that no VM has.
    pub(crate) fn take_cid(&mut self, settings: &Settings) -> Result<u32, RpcError> {
        let first = settings.cid_start;
        let past = first.saturating_add(settings.cid_pool_size);
        let in_pool = u32::try_from(self.cids.len()).unwrap_or(u32::MAX);
        // CIDs are mostly taken in order, so the one after as many as there are is mostly free.
        let likely = first.saturating_add(in_pool);
        let cid = if likely < past && !self.cids.contains(&likely) {
            likely
        } else {
            let free = (first..past).find(|cid| !self.cids.contains(cid));
            free.ok_or_else(|| RpcError::text("CID pool exhausted"))?
        };
        self.cids.insert(cid);
        Ok(cid)
    }
}

impl Node {
    pub(crate) fn new(
        version: DstackVersion,
        settings: Settings,
        clock: Clock,
        store: Store,
        images: Images,
        kms: Kms,
        profiles: Profiles,
    ) -> Self {
        Self {
            version,
            settings,
            clock,
            store,
            kms: std::sync::Arc::new(kms),
            profiles: Mutex::new(profiles),
            state: Mutex::new(State {
                vms: BTreeMap::new(),
                index: HashMap::new(),
                timers: Timers::default(),
                images,
                cids: BTreeSet::new(),
                arrivals: 0,
                // Something that looks like a process id of a machine that has been up for a while.
                pids: 20_000,
            }),
            planned: Notify::new(),
        }
    }

    pub(crate) fn capabilities(&self) -> &'static Capabilities {
        self.version.capabilities()
    }

    /// Locks the state after everything that is due by now has happened.
    pub(crate) fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now_ms();
        while let Some((at, action)) = state.timers.due(now) {
            self.carry_out(&mut state, at, action);
        }
        state
    }

    /// Carries out what is due whenever it is, for as long as it is polled.
    pub(crate) async fn keep_time(&self) {
        loop {
            let next = self.settled().timers.next_ms();
            let due = async {
                match next {
                    Some(at) => self.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.planned.notified() => {}
            }
        }
    }

    fn carry_out(&self, state: &mut State, at: u64, action: Action) {
        match action {
            Action::Happening { vm, run, what } => {
                if state.vm(&vm).is_some_and(|machine| machine.run == run) {
                    self.happen(state, at, &vm, what);
                }
            }
            Action::Restart { vm, run } => {
                let due = state.vm_mut(&vm).filter(|machine| machine.run == run && machine.started);
                if let Some(machine) = due {
                    machine.restarts += 1;
                    self.launch(state, &vm, at);
                }
            }
            Action::Gone { vm } => {
                if let Err(error) = self.store.remove(&vm) {
                    tracing::warn!(vm, %error, "cannot delete the directory of a removed VM");
                }
                state.remove(&vm);
            }
            Action::Pulled { tag } => state.images.pulled(&tag),
        }
    }

    fn happen(&self, state: &mut State, at: u64, id: &str, what: Happening) {
        let keep = self.settings.event_buffer_size;
        match what {
            Happening::Line { channel, text } => self.log(id, channel, &text),
            Happening::Event { event, body } => self.notified(state, at, id, event, &body),
            Happening::AgentUp => {
                let Some(machine) = state.vm_mut(id) else { return };
                machine.restarts = 0;
                match self.bring_up(machine) {
                    Ok(guest) => machine.guest = Some(guest),
                    Err(error) => {
                        tracing::warn!(vm = id, %error, "the guest agent does not come up");
                        machine.notice("boot.error", &format!("guest agent: {error}"), at, keep);
                    }
                }
            }
            Happening::Exit(code) => self.exited(state, at, id, code),
        }
    }

    /// Takes note of what a guest told.
    fn notified(&self, state: &mut State, at: u64, id: &str, event: &str, body: &str) {
        let Some(machine) = state.vm_mut(id) else { return };
        machine.notice(event, body, at, self.settings.event_buffer_size);
        match (event, body) {
            ("instance.info", _) => {
                if let Ok(info) = serde_json::from_str::<InstanceInfo>(body) {
                    if let Err(error) = self.store.write_instance_info(id, &info) {
                        tracing::warn!(vm = id, %error, "cannot keep what the guest says about itself");
                    }
                    machine.instance = Some(info);
                }
            }
            ("shutdown.progress", "powering off") => {
                machine.started = false;
                if let Err(RpcError::Text(error)) = self.store.set_started(id, false) {
                    tracing::warn!(vm = id, error, "cannot keep that the guest powers off");
                }
            }
            _ => {}
        }
    }

    fn exited(&self, state: &mut State, at: u64, id: &str, code: i32) {
        let Some(machine) = state.vm_mut(id) else { return };
        machine.guest = None;
        if let Some(process) = &mut machine.process {
            process.ended_at_ms = Some(at);
            process.exit_code = Some(code);
        }
        self.keep_process(machine);
        let (run, restarts, started) = (machine.run, machine.restarts, machine.started);
        if !started || !self.settings.auto_restart_enabled {
            return;
        }
        match self.restart_delay(restarts) {
            Some(delay) => {
                state.timers.plan(at + delay, Action::Restart { vm: id.to_owned(), run });
            }
            None => {
                let body = format!("gave up after {restarts} restarts");
                machine.notice("vmm.auto_restart.exhausted", &body, at, self.settings.event_buffer_size);
            }
        }
    }

    /// When an exited VM is started again, in milliseconds; `None` when it is not any more.
    ///
    /// v0.5 starts it again at the next look, for ever. The coming version waits longer each time and gives up. Both
    /// count from the exit here, while the VMM looks at fixed intervals.
    fn restart_delay(&self, restarts: u32) -> Option<u64> {
        let s = &self.settings;
        let delay = match self.version {
            DstackVersion::V0_5 => s.auto_restart_interval,
            _ if restarts >= s.auto_restart_max_retries => return None,
            _ => {
                let backoff = s.auto_restart_initial_backoff.saturating_mul(1 << restarts.min(16));
                backoff.min(s.auto_restart_max_backoff).max(s.auto_restart_interval)
            }
        };
        u64::try_from(delay.as_millis()).ok()
    }

    /// Writes a line to a log of a VM.
    pub(crate) fn log(&self, id: &str, channel: &str, line: &str) {
        let line = format!("{line}\n");
        if let Err(error) = self.store.append_log(id, channel, line.as_bytes(), self.rotation()) {
            tracing::warn!(vm = id, channel, %error, "cannot write to a log");
        }
    }

    /// When logs begin new files: the coming version rotates, v0.5 does not.
    pub(crate) fn rotation(&self) -> Option<Rotation> {
        let max_bytes = self.settings.log_max_bytes;
        (self.version != DstackVersion::V0_5 && max_bytes > 0)
            .then_some(Rotation { max_bytes, max_backups: self.settings.log_max_backups })
    }

    /// Lets the process of a VM end now.
    pub(crate) fn crash(&self, id: &str, code: i32) {
        let mut state = self.settled();
        if let Some(machine) = state.vm_mut(id).filter(|machine| machine.running()) {
            machine.run += 1;
            self.exited(&mut state, self.clock.now_ms(), id, code);
            drop(state);
            self.planned.notify_one();
        }
    }

    /// Ends the guests, because the emulator ends. Their VMs stay as they are on disk.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for machine in state.vms.values_mut() {
            machine.guest = None;
        }
    }

    pub(crate) fn keep_process(&self, machine: &Machine) {
        let id = &machine.manifest.id;
        if let Err(error) = self.store.write_process(id, machine.process.as_ref()) {
            tracing::warn!(vm = id, %error, "cannot keep the state of a process");
        }
    }

    /// A VM in memory from what is on disk.
    pub(crate) fn machine(
        &self,
        state: &mut State,
        manifest: Manifest,
        shared: Shared,
    ) -> Result<Machine, RpcError> {
        let (image, app) = self.checked(state, &manifest, &shared)?;
        let cid = state.take_cid(&self.settings)?;
        let id = &manifest.id;
        Ok(Machine {
            uses_gateway: app.uses_gateway(),
            image,
            cid,
            started: self.store.started(id),
            removing: false,
            process: self.store.process(id),
            run: 0,
            restarts: 0,
            boot_progress: String::new(),
            boot_error: String::new(),
            shutdown_progress: String::new(),
            events: VecDeque::new(),
            instance: self.store.instance_info(id),
            guest: None,
            manifest,
            shared,
        })
    }

    /// What a VMM checks when it loads a VM: its image and that its compose can be read.
    pub(crate) fn checked(
        &self,
        state: &State,
        manifest: &Manifest,
        shared: &Shared,
    ) -> Result<(Image, AppCompose), RpcError> {
        let image = state.images.load(&manifest.image)?;
        let app = self.app(&shared.compose).map_err(|error| error.context("Failed to read compose file"))?;
        Ok((image, app))
    }

    /// The compose as this version of the VMM reads it.
    pub(crate) fn app(&self, compose: &str) -> Result<AppCompose, RpcError> {
        AppCompose::parse_as_server(compose, self.version).map_err(|error| RpcError::text(error.to_string()))
    }
}
