//! The JSON of a capture.
//!
//! Numbers that people read in hex are strings in hex with `0x` in front: `"0x7.0"` names leaf 7, sub-leaf 0. A text is a
//! string or a list of its lines. What was looked for and not read is `{"unread": "absent"}`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::redact::Redaction;
use super::{Capture, MadeBy, SCHEMA};
use crate::source::{
    CpuidRegisters, DiskSpace, FileKind, FileMeta, KvmCapabilities, LogOrigin, MAX_FILE, MAX_LOG, MAX_NAMES,
    Origin, Probe, ProbeOutput, RawKernelLog, Readings, Unlisted,
};
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

/// `0x` and hex digits.
fn hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

fn not_hex(text: &str) -> String {
    format!("`{text}` is not a number in hex with 0x in front")
}

/// A map in which a key that is there twice is an error, and not whichever came last.
struct Unique<V>(BTreeMap<String, V>);

impl<V> Unique<V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> Default for Unique<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> FromIterator<(String, V)> for Unique<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<V: Serialize> Serialize for Unique<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
            type Value = Unique<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    match entries.entry(key) {
                        Entry::Vacant(entry) => {
                            entry.insert(map.next_value()?);
                        }
                        Entry::Occupied(entry) => {
                            return Err(A::Error::custom(format_args!("`{}` is there twice", entry.key())));
                        }
                    }
                }
                Ok(Unique(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// `{"unread": ...}` on its own.
#[derive(Serialize, Deserialize)]
struct Why {
    unread: Unread,
}

/// A string, a list of strings, or why there is none.
enum Plain {
    Text(String),
    Many(Vec<String>),
    Unread(Unread),
}

impl From<Reading<String>> for Plain {
    fn from(reading: Reading<String>) -> Self {
        match reading {
            Ok(text) => Self::Text(text),
            Err(why) => Self::Unread(why),
        }
    }
}

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Many(texts) => texts.serialize(serializer),
            Self::Unread(unread) => Why { unread: unread.clone() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a list of strings or {\"unread\": ...}")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Plain, E> {
                Ok(Plain::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Plain, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = texts.next_element()? {
                    all.push(text);
                }
                Ok(Plain::Many(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Plain, A::Error> {
                let why = Why::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Plain::Unread(why.unread))
            }
        }

        deserializer.deserialize_any(Forms)
    }
}

/// A text: a string, or a list of lines that each end with a line end.
struct Text(String);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.strip_suffix('\n') {
            Some(lines) if lines.contains('\n') => serializer.collect_seq(lines.split('\n')),
            _ => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Plain::deserialize(deserializer)? {
            Plain::Text(text) => Ok(Self(text)),
            Plain::Many(lines) => {
                let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
                for line in lines {
                    text.push_str(&line);
                    text.push('\n');
                }
                Ok(Self(text))
            }
            Plain::Unread(_) => Err(D::Error::custom("a text is a string or a list of lines")),
        }
    }
}

/// A 32-bit register.
struct Register(u32);

impl Serialize for Register {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Register {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value = hex(&text).and_then(|value| u32::try_from(value).ok());
        value.map(Self).ok_or_else(|| D::Error::custom(not_hex(&text)))
    }
}

/// A CPUID leaf. A register that is not named is 0.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Leaf {
    #[serde(skip_serializing_if = "Option::is_none")]
    eax: Option<Register>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ebx: Option<Register>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ecx: Option<Register>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edx: Option<Register>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<Unread>,
}

impl From<&Reading<CpuidRegisters>> for Leaf {
    fn from(reading: &Reading<CpuidRegisters>) -> Self {
        match reading {
            Ok(registers) => Self {
                eax: Some(Register(registers.eax)),
                ebx: Some(Register(registers.ebx)),
                ecx: Some(Register(registers.ecx)),
                edx: Some(Register(registers.edx)),
                unread: None,
            },
            Err(why) => Self { unread: Some(why.clone()), ..Self::default() },
        }
    }
}

impl Leaf {
    fn into_reading(self) -> Result<Reading<CpuidRegisters>, String> {
        let value = |register: &Option<Register>| register.as_ref().map_or(0, |register| register.0);
        let registers = CpuidRegisters {
            eax: value(&self.eax),
            ebx: value(&self.ebx),
            ecx: value(&self.ecx),
            edx: value(&self.edx),
        };
        let any = self.eax.is_some() || self.ebx.is_some() || self.ecx.is_some() || self.edx.is_some();
        one_of(any.then_some(registers), self.unread)
            .map_err(|_| "a CPUID leaf has registers or a reason why it is unread".to_owned())
    }
}

/// The content of a file.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<Unread>,
}

impl From<&Reading<Vec<u8>>> for Content {
    fn from(reading: &Reading<Vec<u8>>) -> Self {
        match reading {
            Ok(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if is_for_people(text) => Self { text: Some(Text(text.to_owned())), ..Self::default() },
                _ => Self { base64: Some(BASE64.encode(bytes)), ..Self::default() },
            },
            Err(why) => Self { unread: Some(why.clone()), ..Self::default() },
        }
    }
}

impl Content {
    fn into_reading(self) -> Result<Reading<Vec<u8>>, String> {
        let bytes = match (self.text, self.base64) {
            (Some(text), None) => Some(text.0.into_bytes()),
            (None, Some(encoded)) => {
                Some(BASE64.decode(&encoded).map_err(|error| format!("not base64: {error}"))?)
            }
            (None, None) => None,
            (Some(_), Some(_)) => return Err("both `text` and `base64`".to_owned()),
        };
        let reading = one_of(bytes, self.unread)
            .map_err(|_| "a file has `text`, `base64` or a reason why it is `unread`".to_owned())?;
        Ok(reading.and_then(|bytes| if bytes.len() > MAX_FILE { Err(Unread::TooLarge) } else { Ok(bytes) }))
    }
}

/// Is it a text, and not data that happen to be UTF-8? The kernel ends words with NUL in some.
fn is_for_people(text: &str) -> bool {
    !text.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\0'))
}

/// What a path is. Written by hand, owner and group are root and the mode is that of most files.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Meta {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<FileKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<Unread>,
}

impl From<&Reading<FileMeta>> for Meta {
    fn from(reading: &Reading<FileMeta>) -> Self {
        match reading {
            Ok(meta) => Self {
                kind: Some(meta.kind),
                mode: Some(format!("{:04o}", meta.mode)),
                uid: Some(meta.uid),
                gid: Some(meta.gid),
                owner: meta.owner.clone(),
                group: meta.group.clone(),
                size: (meta.size > 0).then_some(meta.size),
                device: meta.device,
                target: meta.target.clone(),
                unread: None,
            },
            Err(why) => Self { unread: Some(why.clone()), ..Self::default() },
        }
    }
}

impl Meta {
    fn into_reading(self) -> Result<Reading<FileMeta>, String> {
        let Some(kind) = self.kind else {
            return one_of(None, self.unread)
                .map_err(|_| "what a path is has a `kind` or a reason why it is `unread`".to_owned());
        };
        let mode = match (&self.mode, kind) {
            (Some(mode), _) => u32::from_str_radix(mode, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| format!("`{mode}` is not an octal mode such as 0644"))?,
            (None, FileKind::Folder) => 0o755,
            (None, FileKind::Link) => 0o777,
            (None, _) => 0o644,
        };
        let named = |name: Option<String>, number: Option<u32>| {
            name.or_else(|| (number.unwrap_or(0) == 0).then(|| "root".to_owned()))
        };
        Ok(Ok(FileMeta {
            kind,
            mode,
            uid: self.uid.unwrap_or(0),
            gid: self.gid.unwrap_or(0),
            owner: named(self.owner, self.uid),
            group: named(self.group, self.gid),
            size: self.size.unwrap_or(0),
            device: self.device,
            target: self.target,
        }))
    }
}

/// The space of a file system.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Disk {
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<Unread>,
}

impl From<&Reading<DiskSpace>> for Disk {
    fn from(reading: &Reading<DiskSpace>) -> Self {
        match reading {
            Ok(space) => Self { total: Some(space.total), available: Some(space.available), unread: None },
            Err(why) => Self { unread: Some(why.clone()), ..Self::default() },
        }
    }
}

impl Disk {
    fn into_reading(self) -> Result<Reading<DiskSpace>, String> {
        let space = self.total.zip(self.available).map(|(total, available)| DiskSpace { total, available });
        one_of(space, self.unread)
            .map_err(|_| "a disk has `total` and `available` or a reason why it is `unread`".to_owned())
    }
}

/// The kernel log.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Log {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<LogOrigin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_boot: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<Unread>,
}

impl From<&Reading<RawKernelLog>> for Log {
    fn from(reading: &Reading<RawKernelLog>) -> Self {
        match reading {
            Ok(log) => Self {
                from: Some(log.from),
                from_boot: log.from_boot,
                text: Some(Text(log.text.clone())),
                unread: None,
            },
            Err(why) => Self { unread: Some(why.clone()), ..Self::default() },
        }
    }
}

impl Log {
    fn into_reading(self) -> Result<Reading<RawKernelLog>, String> {
        let (from, from_boot) = (self.from.unwrap_or(LogOrigin::Pasted), self.from_boot);
        let log = self.text.map(|text| RawKernelLog { from, from_boot, text: text.0 });
        let reading = one_of(log, self.unread)
            .map_err(|_| "the kernel log has `text` or a reason why it is `unread`".to_owned())?;
        Ok(reading
            .and_then(|log| if log.text.len() > MAX_LOG + 64 { Err(Unread::TooLarge) } else { Ok(log) }))
    }
}

/// What `/dev/kvm` says.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Kvm {
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_types: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<Unread>,
}

impl From<&Reading<KvmCapabilities>> for Kvm {
    fn from(reading: &Reading<KvmCapabilities>) -> Self {
        match reading {
            Ok(kvm) => Self {
                api_version: Some(kvm.api_version),
                vm_types: Some(format!("{:#x}", kvm.vm_types)),
                unread: None,
            },
            Err(why) => Self { unread: Some(why.clone()), ..Self::default() },
        }
    }
}

impl Kvm {
    fn into_reading(self) -> Result<Reading<KvmCapabilities>, String> {
        let vm_types = match self.vm_types {
            Some(text) => Some(hex(&text).ok_or_else(|| not_hex(&text))?),
            None => None,
        };
        let kvm = self
            .api_version
            .zip(vm_types)
            .map(|(api_version, vm_types)| KvmCapabilities { api_version, vm_types });
        one_of(kvm, self.unread)
            .map_err(|_| "kvm has `api-version` and `vm-types` or a reason why it is `unread`".to_owned())
    }
}

/// The output of a command.
#[derive(Serialize, Deserialize)]
struct Command {
    probe: Probe,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdout: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stderr: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unread: Option<Unread>,
}

impl From<(&Probe, &Reading<ProbeOutput>)> for Command {
    fn from((probe, reading): (&Probe, &Reading<ProbeOutput>)) -> Self {
        let text = |text: &str| (!text.is_empty()).then(|| Text(text.to_owned()));
        match reading {
            Ok(output) => Self {
                probe: probe.clone(),
                status: output.status,
                stdout: text(&output.stdout),
                stderr: text(&output.stderr),
                unread: None,
            },
            Err(why) => Self {
                probe: probe.clone(),
                status: None,
                stdout: None,
                stderr: None,
                unread: Some(why.clone()),
            },
        }
    }
}

impl Command {
    /// A command without output and status was ended by a signal before it said anything.
    fn into_reading(self) -> (Probe, Reading<ProbeOutput>) {
        let text = |text: Option<Text>| text.map(|text| text.0).unwrap_or_default();
        let output = match self.unread {
            Some(why) => Err(why),
            None => {
                Ok(ProbeOutput { status: self.status, stdout: text(self.stdout), stderr: text(self.stderr) })
            }
        };
        (self.probe, output)
    }
}

/// A value or why there is none, and not both and not neither.
fn one_of<T>(value: Option<T>, unread: Option<Unread>) -> Result<Reading<T>, ()> {
    match (value, unread) {
        (Some(value), None) => Ok(Ok(value)),
        (None, Some(why)) => Ok(Err(why)),
        _ => Err(()),
    }
}
