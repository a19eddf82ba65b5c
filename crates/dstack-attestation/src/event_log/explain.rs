//! An event log in words: whose each entry is, and what it means.

use std::fmt;

use crate::event_log::{Entry, Event, EventLog, EventName, Phase};

/// Who measured an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The firmware, the boot loader or the kernel: only the digest counts, name and payload are a remark.
    Firmware,
    /// dstack's set-up, up to and including `system-ready`.
    Dstack,
    /// The app, after `system-ready`: it can measure what it likes, under any name, dstack's names among them.
    App,
}

impl Origin {
    /// The origin as one lower-case word: `firmware`, `dstack` or `app`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Dstack => "dstack",
            Self::App => "app",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One entry of a log in words.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explained<'a> {
    /// Which entry, from 0.
    pub index: usize,
    /// The entry.
    pub entry: &'a Entry,
    /// Who measured it.
    pub origin: Origin,
    /// What it means, as one sentence without a full stop. Names and payloads in it come from the log.
    pub meaning: String,
}

impl EventLog {
    /// Every entry with its origin and its meaning in words, in the order of the log.
    ///
    /// The words explain the log; whether the log is true is told by replaying it to the registers of a quote.
    ///
    /// ```
    /// use dstack_attestation::event_log::{DigestVersion, Event, EventLogBuilder, Origin};
    ///
    /// let log = EventLogBuilder::new(DigestVersion::V1)
    ///     .event(&Event::SystemReady)
    ///     .event(&Event::AppId([0x11; 20].into()))
    ///     .build();
    /// let words: Vec<_> = log.explain().collect();
    /// assert_eq!(words[0].origin, Origin::Dstack);
    /// assert_eq!(words[1].origin, Origin::App);
    /// assert!(words[1].meaning.contains("does not stand for dstack's app-id"));
    /// ```
    pub fn explain(&self) -> impl Iterator<Item = Explained<'_>> {
        let mut runtime = self.runtime_events().peekable();
        self.entries().iter().enumerate().map(move |(index, entry)| {
            let Some(occurrence) = runtime.next_if(|occurrence| occurrence.index == index) else {
                return Explained { index, entry, origin: Origin::Firmware, meaning: measured(entry) };
            };
            let origin = if occurrence.phase == Phase::App { Origin::App } else { Origin::Dstack };
            let meaning = match (origin, occurrence.event) {
                (Origin::App, _) => of_the_app(entry),
                (_, Some(Ok(event))) => in_words(&event),
                (_, Some(Err(error))) => format!("cannot be read: {error}"),
                (_, None) => format!(
                    "an event {:?} before system-ready that is not one of dstack's, with {} bytes",
                    entry.name(),
                    entry.payload().len()
                ),
            };
            Explained { index, entry, origin, meaning }
        })
    }
}

/// What the event types of the TCG's PC Client Platform Firmware Profile stand for, as far as boots of dstack's guests
/// have them.
const fn event_type(number: u32) -> Option<&'static str> {
    Some(match number {
        0x1 => "a part of the firmware (EV_POST_CODE)",
        0x4 => "a separator: what follows is measured by somebody else (EV_SEPARATOR)",
        0x5 => "an action of the boot (EV_ACTION)",
        0x6 => "an event tag (EV_EVENT_TAG)",
        0xd => "an event of the initial program loader (EV_IPL)",
        0xa => "configuration flags of the platform (EV_PLATFORM_CONFIG_FLAGS)",
        0x8000_0001 => "a variable of the firmware's settings (EV_EFI_VARIABLE_DRIVER_CONFIG)",
        0x8000_0002 => "a boot variable (EV_EFI_VARIABLE_BOOT)",
        0x8000_0003 => {
            "a boot services application: a boot loader or a kernel (EV_EFI_BOOT_SERVICES_APPLICATION)"
        }
        0x8000_0006 => "the partition table (EV_EFI_GPT_EVENT)",
        0x8000_0007 => "an action of the firmware (EV_EFI_ACTION)",
        0x8000_0008 => "a volume of the firmware (EV_EFI_PLATFORM_FIRMWARE_BLOB)",
        0x8000_0009 => "the tables that the firmware was handed (EV_EFI_HANDOFF_TABLES)",
        0x8000_000a => "a volume of the firmware, second form (EV_EFI_PLATFORM_FIRMWARE_BLOB2)",
        0x8000_000b => "the tables that the firmware was handed, second form (EV_EFI_HANDOFF_TABLES2)",
        0x8000_00e0 => "an authority that secure boot relied on (EV_EFI_VARIABLE_AUTHORITY)",
        _ => return None,
    })
}

fn measured(entry: &Entry) -> String {
    let kind = event_type(entry.event_type())
        .map_or_else(|| format!("an event of type {:#x}", entry.event_type()), ToOwned::to_owned);
    if entry.name().is_empty() { kind } else { format!("{kind}, labelled {:?}", entry.name()) }
}

fn of_the_app(entry: &Entry) -> String {
    let (name, bytes) = (entry.name(), entry.payload().len());
    match EventName::read(name) {
        Some(known) => format!(
            "measured by the app with {bytes} bytes; it does not stand for dstack's {known}: dstack's events end with \
             system-ready"
        ),
        None => format!("measured by the app under the name {name:?}, with {bytes} bytes"),
    }
}

fn in_words(event: &Event) -> String {
    match event {
        Event::SystemPreparing => "the set-up of the guest began".to_owned(),
        Event::AppId(id) => format!("the app id is {id}"),
        Event::ComposeHash(hash) => format!("the app-compose has the hash {hash}"),
        Event::InitScriptHash(hash) => format!("an init script with the hash {hash} runs"),
        Event::GpuPolicyHash(hash) => format!("the policy for GPUs has the hash {hash}"),
        Event::GpuAttestation(text) => format!("what was found out about the GPUs: {text}"),
        Event::InstanceId(Some(id)) => format!("the instance id is {id}"),
        Event::InstanceId(None) => "the app has no instance id".to_owned(),
        Event::BootMrDone => {
            "the boot ended: certificates are signed over the registers as they are here".to_owned()
        }
        Event::MrKms(hash) => format!("the KMS that gave the keys has the aggregated measurement {hash}"),
        Event::OsImageHash(hash) => format!("the OS image has the hash {hash}, as the KMS says"),
        Event::KeyProvider(provider) if provider.id.is_empty() => {
            format!("the keys come from the provider {:?}", provider.name)
        }
        Event::KeyProvider(provider) => {
            format!("the keys come from the provider {:?} with the id {}", provider.name, provider.id)
        }
        Event::StorageFs(name) => format!("the data disk has the file system {name:?}"),
        Event::SystemReady => "the set-up ended: whatever follows is the app's".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest48;
    use crate::event_log::{DigestVersion, EventLogBuilder, Rtmr, RuntimeEvent};

    #[test]
    fn every_entry_has_its_origin_and_a_meaning() {
        let log = EventLogBuilder::new(DigestVersion::V1)
            .measured(Rtmr::Rtmr0, 0x8000_0008, Digest48::ZERO, "", [])
            .unwrap()
            .event(&Event::SystemPreparing)
            .version(DigestVersion::V2)
            .runtime(RuntimeEvent::new("app-id", [1]))
            .runtime(RuntimeEvent::new("mine", [1, 2]))
            .measured(Rtmr::Rtmr3, 0x77, Digest48::ZERO, "compose-hash", [])
            .unwrap()
            .event(&Event::SystemReady)
            .event(&Event::SystemReady)
            .runtime(RuntimeEvent::new("mine", []))
            .build();
        let words: Vec<String> =
            log.explain().map(|one| format!("{} {} {}", one.index, one.origin, one.meaning)).collect();
        let ready = "the set-up ended: whatever follows is the app's";
        assert_eq!(
            words,
            [
                "0 firmware a volume of the firmware (EV_EFI_PLATFORM_FIRMWARE_BLOB)".to_owned(),
                "1 dstack the set-up of the guest began".to_owned(),
                "2 dstack cannot be read: the payload of app-id should have 20 bytes but has 1".to_owned(),
                "3 dstack an event \"mine\" before system-ready that is not one of dstack's, with 2 bytes".to_owned(),
                "4 firmware an event of type 0x77, labelled \"compose-hash\"".to_owned(),
                format!("5 dstack {ready}"),
                "6 app measured by the app with 0 bytes; it does not stand for dstack's system-ready: dstack's \
                 events end with system-ready"
                    .to_owned(),
                "7 app measured by the app under the name \"mine\", with 0 bytes".to_owned(),
            ]
        );
    }
}
