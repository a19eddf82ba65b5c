//! The forms of the readings: one for each kind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::parts::{Register, Text, hex, not_hex, one_of};
use crate::source::{
    CpuidRegisters, DiskSpace, FileKind, FileMeta, KvmCapabilities, LogOrigin, MAX_FILE, MAX_LOG, Probe,
    ProbeOutput, RawKernelLog,
};
use crate::{Reading, Unread};

/// A CPUID leaf. A register that is not named is 0.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Leaf {
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
    pub(super) fn into_reading(self) -> Result<Reading<CpuidRegisters>, String> {
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
pub(super) struct Content {
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
                Ok(text) if is_for_people(text) => {
                    Self { text: Some(Text(text.to_owned())), ..Self::default() }
                }
                _ => Self { base64: Some(BASE64.encode(bytes)), ..Self::default() },
            },
            Err(why) => Self { unread: Some(why.clone()), ..Self::default() },
        }
    }
}

impl Content {
    pub(super) fn into_reading(self) -> Result<Reading<Vec<u8>>, String> {
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
pub(super) struct Meta {
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
    pub(super) fn into_reading(self) -> Result<Reading<FileMeta>, String> {
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
pub(super) struct Disk {
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
    pub(super) fn into_reading(self) -> Result<Reading<DiskSpace>, String> {
        let space = self.total.zip(self.available).map(|(total, available)| DiskSpace { total, available });
        one_of(space, self.unread)
            .map_err(|_| "a disk has `total` and `available` or a reason why it is `unread`".to_owned())
    }
}

/// The kernel log.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Log {
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
    pub(super) fn into_reading(self) -> Result<Reading<RawKernelLog>, String> {
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
pub(super) struct Kvm {
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
    pub(super) fn into_reading(self) -> Result<Reading<KvmCapabilities>, String> {
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
pub(super) struct Command {
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
    pub(super) fn into_reading(self) -> (Probe, Reading<ProbeOutput>) {
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
