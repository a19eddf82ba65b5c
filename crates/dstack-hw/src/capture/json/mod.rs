//! The JSON of a capture.
//!
//! Numbers that people read in hex are strings in hex with `0x` in front: `"0x7.0"` names leaf 7, sub-leaf 0. A text is a
//! string or a list of its lines. What was looked for and not read is `{"unread": "absent"}`.

mod forms;
mod parts;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::forms::{Command, Content, Disk, Kvm, Leaf, Log, Meta};
use self::parts::{Plain, Unique, hex, named, not_hex};
use super::redact::Redaction;
use super::{Capture, MadeBy, SCHEMA};
use crate::source::{MAX_NAMES, Origin, Readings, Unlisted};
use crate::{Error, Reading, Unread};

/// What is being read, for errors.
const WHAT: &str = "the capture";

/// Writes a capture.
pub(super) fn write(capture: &Capture) -> String {
    let document = Document {
        schema: SCHEMA.to_owned(),
        made_by: capture.made_by.clone(),
        catalogue: capture.catalogue.clone(),
        redaction: capture.redaction.clone(),
        readings: Body::from(&capture.readings),
    };
    // The keys are strings and no value has a serialiser that fails.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// Reads a capture.
pub(super) fn read(bytes: &[u8]) -> Result<Capture, Error> {
    too_deep(bytes)?;
    let document: Document = serde_json::from_slice(bytes).map_err(|error| {
        // A newer schema may be of another form, and its name says more than where ours first differs.
        match serde_json::from_slice::<Header>(bytes) {
            Ok(Header { schema }) if schema != SCHEMA => wrong_schema(schema),
            _ => malformed(error.to_string()),
        }
    })?;
    if document.schema != SCHEMA {
        return Err(wrong_schema(document.schema));
    }
    Ok(Capture {
        made_by: document.made_by,
        catalogue: document.catalogue,
        redaction: document.redaction,
        readings: document.readings.into_readings().map_err(malformed)?,
    })
}

/// Maps and lists in maps and lists deeper than this are refused, in fields that are passed over too.
const MAX_DEPTH: usize = 32;

fn too_deep(bytes: &[u8]) -> Result<(), Error> {
    let (mut depth, mut in_string, mut escaped, mut line) = (0_usize, false, false, 1_usize);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'\n' => line += 1,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(malformed(format!("it is nested deeper than {MAX_DEPTH} levels at line {line}")));
        }
    }
    Ok(())
}

fn malformed(why: impl Into<String>) -> Error {
    Error::Malformed { what: WHAT, why: why.into() }
}

fn wrong_schema(found: String) -> Error {
    Error::Schema { what: WHAT, found, supported: SCHEMA }
}

/// What every document has, whatever its schema.
#[derive(Deserialize)]
struct Header {
    schema: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    schema: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_by: Option<MadeBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    catalogue: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redaction: Option<Redaction>,
    #[serde(deserialize_with = "named")]
    readings: Body,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Body {
    unlisted: Unlisted,
    #[serde(skip_serializing_if = "Unique::is_empty")]
    cpuid: Unique<Leaf>,
    #[serde(skip_serializing_if = "Unique::is_empty")]
    msrs: Unique<Unique<Plain>>,
    #[serde(skip_serializing_if = "Unique::is_empty")]
    files: Unique<Content>,
    #[serde(skip_serializing_if = "Unique::is_empty")]
    digests: Unique<Plain>,
    #[serde(skip_serializing_if = "Unique::is_empty")]
    folders: Unique<Plain>,
    #[serde(skip_serializing_if = "Unique::is_empty")]
    stats: Unique<Meta>,
    #[serde(skip_serializing_if = "Unique::is_empty")]
    disks: Unique<Disk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_log: Option<Log>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kvm: Option<Kvm>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    probes: Vec<Command>,
}

impl From<&Readings> for Body {
    fn from(readings: &Readings) -> Self {
        let mut msrs: BTreeMap<String, Unique<Plain>> = BTreeMap::new();
        for (&(cpu, address), reading) in &readings.msrs {
            let value =
                Plain::from(reading.as_ref().map(|value| format!("{value:#x}")).map_err(Clone::clone));
            msrs.entry(cpu.to_string()).or_default().0.insert(format!("{address:#x}"), value);
        }
        let unlisted_is = match readings.unlisted {
            Unlisted::NotRecorded => Unread::NotRecorded,
            Unlisted::Absent => Unread::Absent,
        };
        Self {
            unlisted: readings.unlisted,
            cpuid: readings
                .cpuid
                .iter()
                .map(|((leaf, subleaf), reading)| (format!("{leaf:#x}.{subleaf}"), Leaf::from(reading)))
                .collect(),
            msrs: Unique(msrs),
            files: mapped(&readings.files, Content::from),
            digests: mapped(&readings.digests, |reading| Plain::from(reading.clone())),
            folders: mapped(&readings.folders, |reading| match reading {
                Ok(names) => Plain::Many(names.clone()),
                Err(why) => Plain::Unread(why.clone()),
            }),
            stats: mapped(&readings.stats, Meta::from),
            disks: mapped(&readings.disks, Disk::from),
            kernel_log: (readings.kernel_log.as_ref().err() != Some(&unlisted_is))
                .then(|| Log::from(&readings.kernel_log)),
            kvm: (readings.kvm.as_ref().err() != Some(&unlisted_is)).then(|| Kvm::from(&readings.kvm)),
            probes: readings.probes.iter().map(Command::from).collect(),
        }
    }
}

impl Body {
    fn into_readings(self) -> Result<Readings, String> {
        let mut readings = Readings::new(Origin::Capture, self.unlisted);
        for (key, leaf) in self.cpuid.0 {
            let parsed = key.split_once('.').and_then(|(leaf, subleaf)| {
                Some((u32::try_from(hex(leaf)?).ok()?, subleaf.parse::<u32>().ok()?))
            });
            let at = parsed.ok_or_else(|| format!("`{key}` does not name a CPUID leaf, such as `0x7.0`"))?;
            if readings.cpuid.insert(at, leaf.into_reading()?).is_some() {
                return Err(format!("the CPUID leaf {key} is there twice"));
            }
        }
        for (cpu, registers) in self.msrs.0 {
            let number: u32 = cpu.parse().map_err(|_| format!("`{cpu}` is not the number of a CPU"))?;
            for (key, value) in registers.0 {
                let address = hex(&key)
                    .and_then(|address| u32::try_from(address).ok())
                    .ok_or_else(|| format!("`{key}` does not name a register, such as `0xfe`"))?;
                let value = match value {
                    Plain::Text(value) => Ok(hex(&value).ok_or_else(|| not_hex(&value))?),
                    Plain::Many(_) => return Err(format!("the register {key} has several values")),
                    Plain::Unread(why) => Err(why),
                };
                if readings.msrs.insert((number, address), value).is_some() {
                    return Err(format!("the register {key} of CPU {cpu} is there twice"));
                }
            }
        }
        for (path, content) in self.files.0 {
            let content = content.into_reading().map_err(|why| format!("{path}: {why}"))?;
            readings.files.insert(path, content);
        }
        for (path, digest) in self.digests.0 {
            let digest = match digest {
                Plain::Text(digest) => Ok(digest),
                Plain::Many(_) => return Err(format!("{path}: several digests")),
                Plain::Unread(why) => Err(why),
            };
            readings.digests.insert(path, digest);
        }
        for (path, names) in self.folders.0 {
            let names = match names {
                Plain::Many(names) if names.len() > MAX_NAMES => Err(Unread::TooLarge),
                Plain::Many(mut names) => {
                    names.sort();
                    Ok(names)
                }
                Plain::Text(_) => return Err(format!("{path}: the names in a folder are a list")),
                Plain::Unread(why) => Err(why),
            };
            readings.folders.insert(path, names);
        }
        for (path, meta) in self.stats.0 {
            let meta = meta.into_reading().map_err(|why| format!("{path}: {why}"))?;
            readings.stats.insert(path, meta);
        }
        for (path, disk) in self.disks.0 {
            let disk = disk.into_reading().map_err(|why| format!("{path}: {why}"))?;
            readings.disks.insert(path, disk);
        }
        if let Some(log) = self.kernel_log {
            readings.kernel_log = log.into_reading()?;
        }
        if let Some(kvm) = self.kvm {
            readings.kvm = kvm.into_reading()?;
        }
        for command in self.probes {
            let (probe, output) = command.into_reading();
            if readings.probes.insert(probe.clone(), output).is_some() {
                return Err(format!("the output of {probe:?} is there twice"));
            }
        }
        Ok(readings)
    }
}

fn mapped<'a, T, V>(from: &'a BTreeMap<String, Reading<T>>, to: impl Fn(&'a Reading<T>) -> V) -> Unique<V> {
    from.iter().map(|(key, reading)| (key.clone(), to(reading))).collect()
}
