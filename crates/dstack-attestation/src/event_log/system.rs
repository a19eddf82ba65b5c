//! What a log says about the system: dstack's events up to `system-ready`, told apart from the app's.

use std::fmt;

use crate::event_log::{DigestVersion, Entry, Event, EventError, EventLog, EventName, KeyProvider, Rtmr};
use crate::{Digest32, Id20};

/// Who could have measured an RTMR3 event, by its place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Up to and including the first `boot-mr-done`.
    Boot,
    /// From there up to and including the first `system-ready`.
    Setup,
    /// After `system-ready`: the app can measure what it likes, under any name.
    App,
}

/// A runtime entry at its place in the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Occurrence<'a> {
    /// Which entry of the log, from 0.
    pub index: usize,
    /// The entry.
    pub entry: &'a Entry,
    /// Who could have measured it.
    pub phase: Phase,
    /// What it means. `None` when it is not one of dstack's: after `system-ready` nothing is, whatever its name.
    pub event: Option<Result<Event, EventError>>,
}

/// Something odd about dstack's events in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrderProblem {
    /// An event that a boot writes once is there again.
    Repeated {
        /// The entry, from 0.
        index: usize,
        /// The event.
        name: EventName,
        /// The entry where it was first, from 0.
        first: usize,
    },
    /// An event comes later than one that a boot writes after it.
    OutOfOrder {
        /// The entry, from 0.
        index: usize,
        /// The event.
        name: EventName,
        /// The event that should have come after it.
        after: EventName,
    },
    /// A boot that came to its end did not write this event.
    Missing {
        /// The event.
        name: EventName,
    },
    /// An event whose name goes on with `:` after that of one of dstack's. In version 1, the hashed bytes of
    /// `compose-hash` with a payload that begins with `:` are those of an event `compose-hash:`; whoever hands out the
    /// log can hide an event so.
    Disguised {
        /// The entry, from 0.
        index: usize,
        /// The name it shows.
        shown: String,
        /// The event it may be.
        name: EventName,
    },
    /// Before `system-ready`, there is an event that is not one of dstack's. A script of the app-compose may have
    /// measured it.
    Unknown {
        /// The entry, from 0.
        index: usize,
        /// Its name.
        name: String,
    },
    /// RTMR3 has an entry that is not a runtime event: its meaning is not bound by its digest, so that any event can be
    /// hidden behind it.
    Opaque {
        /// The entry, from 0.
        index: usize,
        /// Its TCG event type.
        event_type: u32,
    },
    /// The payload is not what such an event carries.
    Payload {
        /// The entry, from 0.
        index: usize,
        /// What is wrong.
        error: EventError,
    },
}

impl OrderProblem {
    /// Whether the log cannot be relied on: it has two answers to one question, an answer that cannot be read, or an
    /// entry that may hide an answer. The other problems are unusual but unambiguous.
    pub const fn is_ambiguous(&self) -> bool {
        match self {
            Self::Repeated { .. } | Self::Payload { .. } | Self::Disguised { .. } | Self::Opaque { .. } => {
                true
            }
            Self::OutOfOrder { .. } | Self::Missing { .. } | Self::Unknown { .. } => false,
        }
    }
}

impl fmt::Display for OrderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repeated { index, name, first } => {
                write!(f, "entry {index} is a second {name}, after the one at entry {first}")
            }
            Self::OutOfOrder { index, name, after } => {
                write!(f, "entry {index} is {name}, which should come before {after}")
            }
            Self::Missing { name } => write!(f, "there is no {name}"),
            Self::Disguised { index, shown, name } => {
                write!(f, "entry {index} is {shown:?}, whose digest is also that of a {name}")
            }
            Self::Unknown { index, name } => {
                write!(f, "entry {index} is {name:?}, which dstack does not measure before system-ready")
            }
            Self::Opaque { index, event_type } => {
                write!(
                    f,
                    "entry {index} extends RTMR3 with an event of type {event_type:#x}, which is not dstack's"
                )
            }
            Self::Payload { index, error } => write!(f, "entry {index}: {error}"),
        }
    }
}

/// What dstack measured about the system before handing it to the app.
///
/// The first event of each name counts. An ambiguous log has [problems](Self::problems) that say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemEvents {
    /// The app id.
    pub app_id: Option<Id20>,
    /// SHA-256 of the app-compose bytes.
    pub compose_hash: Option<Digest32>,
    /// SHA-256 of each init script, in order. Branch next.
    pub init_script_hashes: Vec<Digest32>,
    /// SHA-256 of the GPU policy. Branch next.
    pub gpu_policy_hash: Option<Digest32>,
    /// What was found out about the GPUs, as JSON text. Branch next.
    pub gpu_attestation: Option<String>,
    /// The instance id; `Some(None)` when it was measured as empty (`no_instance_id`).
    pub instance_id: Option<Option<Id20>>,
    /// The aggregated measurement of the KMS. dstack 0.5.
    pub mr_kms: Option<Digest32>,
    /// The OS image hash as the KMS knows it.
    pub os_image_hash: Option<Digest32>,
    /// Who gave the keys.
    pub key_provider: Option<KeyProvider>,
    /// The payload of the `key-provider` event, which is what measurements hash.
    pub key_provider_payload: Option<Vec<u8>>,
    /// The file system of the data disk.
    pub storage_fs: Option<String>,
    /// The entry of `boot-mr-done`, from 0.
    pub boot_mr_done: Option<usize>,
    /// The entry of `system-ready`, from 0.
    pub system_ready: Option<usize>,
    /// How many runtime events the app measured after `system-ready`.
    pub app_events: usize,
    /// Everything odd, in order.
    pub problems: Vec<OrderProblem>,
}

impl EventLog {
    /// The runtime entries with their meaning and phase.
    pub fn runtime_events(&self) -> impl Iterator<Item = Occurrence<'_>> {
        let mut phase = Phase::Boot;
        self.entries().iter().enumerate().filter(|(_, entry)| entry.is_runtime()).map(
            move |(index, entry)| {
                let here = phase;
                // The name alone ends a phase, as it does for upstream's readers; a wrong payload is reported on its own.
                match (here, EventName::read(entry.name())) {
                    (Phase::Boot | Phase::Setup, Some(EventName::SystemReady)) => phase = Phase::App,
                    (Phase::Boot, Some(EventName::BootMrDone)) => phase = Phase::Setup,
                    _ => {}
                }
                let event =
                    (here != Phase::App).then(|| Event::read(entry.name(), entry.payload())).flatten();
                Occurrence { index, entry, phase: here, event }
            },
        )
    }

    /// What dstack measured about the system up to `system-ready`.
    pub fn system_events(&self) -> SystemEvents {
        let mut system = SystemEvents::default();
        let mut first_seen = [None; EventName::ALL.len()];
        let mut latest: Option<EventName> = None;
        for occurrence in self.runtime_events() {
            let index = occurrence.index;
            if occurrence.phase == Phase::App {
                system.app_events += 1;
                continue;
            }
            let Some(name) = EventName::read(occurrence.entry.name()) else {
                system.problems.push(unknown(index, occurrence.entry));
                continue;
            };
            if let Some(after) = latest.filter(|latest| *latest > name) {
                system.problems.push(OrderProblem::OutOfOrder { index, name, after });
            }
            latest = latest.max(Some(name));
            let seen = &mut first_seen[name as usize];
            if let (Some(first), false) = (*seen, name.repeats()) {
                system.problems.push(OrderProblem::Repeated { index, name, first });
                continue;
            }
            *seen = Some(index);
            match occurrence.event {
                Some(Ok(event)) => system.take(index, event, occurrence.entry.payload()),
                Some(Err(error)) => system.problems.push(OrderProblem::Payload { index, error }),
                None => {}
            }
        }
        if system.system_ready.is_some() {
            let missing = ALWAYS_WRITTEN.into_iter().filter(|name| first_seen[*name as usize].is_none());
            system.problems.extend(missing.map(|name| OrderProblem::Missing { name }));
        }
        for (index, entry) in self.entries().iter().enumerate() {
            if entry.rtmr() == Rtmr::Rtmr3 && !entry.is_runtime() {
                system.problems.push(OrderProblem::Opaque { index, event_type: entry.event_type() });
            }
        }
        system
    }
}

/// The events that every boot writes, whatever its configuration.
const ALWAYS_WRITTEN: [EventName; 6] = [
    EventName::SystemPreparing,
    EventName::AppId,
    EventName::ComposeHash,
    EventName::InstanceId,
    EventName::BootMrDone,
    EventName::KeyProvider,
];

/// What to say about a runtime event before `system-ready` that does not have one of dstack's names.
fn unknown(index: usize, entry: &Entry) -> OrderProblem {
    let shown = entry.name();
    let hidden = EventName::ALL.into_iter().find(|name| {
        entry.version() == DigestVersion::V1
            && shown.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(':'))
    });
    match hidden {
        Some(name) => OrderProblem::Disguised { index, shown: shown.to_owned(), name },
        None => OrderProblem::Unknown { index, name: shown.to_owned() },
    }
}

impl SystemEvents {
    fn take(&mut self, index: usize, event: Event, payload: &[u8]) {
        match event {
            Event::SystemPreparing => {}
            Event::AppId(id) => self.app_id = Some(id),
            Event::ComposeHash(hash) => self.compose_hash = Some(hash),
            Event::InitScriptHash(hash) => self.init_script_hashes.push(hash),
            Event::GpuPolicyHash(hash) => self.gpu_policy_hash = Some(hash),
            Event::GpuAttestation(text) => self.gpu_attestation = Some(text),
            Event::InstanceId(id) => self.instance_id = Some(id),
            Event::BootMrDone => self.boot_mr_done = Some(index),
            Event::MrKms(hash) => self.mr_kms = Some(hash),
            Event::OsImageHash(hash) => self.os_image_hash = Some(hash),
            Event::KeyProvider(provider) => {
                self.key_provider = Some(provider);
                self.key_provider_payload = Some(payload.to_vec());
            }
            Event::StorageFs(text) => self.storage_fs = Some(text),
            Event::SystemReady => self.system_ready = Some(index),
        }
    }
}
