//! The events that dstack itself measures into RTMR3, and what their payloads mean.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event_log::RuntimeEvent;
use crate::{Digest32, HexError, Id20};

/// The name of one of dstack's events, in the order in which a boot writes them (upstream `dstack-util`,
/// `system_setup.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventName {
    /// `system-preparing`
    SystemPreparing,
    /// `app-id`
    AppId,
    /// `compose-hash`
    ComposeHash,
    /// `init-script-hash`, once per script
    InitScriptHash,
    /// `gpu-policy-hash`
    GpuPolicyHash,
    /// `gpu-attestation`
    GpuAttestation,
    /// `instance-id`
    InstanceId,
    /// `boot-mr-done`
    BootMrDone,
    /// `mr-kms`
    MrKms,
    /// `os-image-hash`
    OsImageHash,
    /// `key-provider`
    KeyProvider,
    /// `storage-fs`
    StorageFs,
    /// `system-ready`
    SystemReady,
}

impl EventName {
    /// Every name, in the order in which a boot writes them.
    pub const ALL: [Self; 13] = [
        Self::SystemPreparing,
        Self::AppId,
        Self::ComposeHash,
        Self::InitScriptHash,
        Self::GpuPolicyHash,
        Self::GpuAttestation,
        Self::InstanceId,
        Self::BootMrDone,
        Self::MrKms,
        Self::OsImageHash,
        Self::KeyProvider,
        Self::StorageFs,
        Self::SystemReady,
    ];

    /// The name with this text; `None` for anything that is not dstack's.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// The name as the log has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SystemPreparing => "system-preparing",
            Self::AppId => "app-id",
            Self::ComposeHash => "compose-hash",
            Self::InitScriptHash => "init-script-hash",
            Self::GpuPolicyHash => "gpu-policy-hash",
            Self::GpuAttestation => "gpu-attestation",
            Self::InstanceId => "instance-id",
            Self::BootMrDone => "boot-mr-done",
            Self::MrKms => "mr-kms",
            Self::OsImageHash => "os-image-hash",
            Self::KeyProvider => "key-provider",
            Self::StorageFs => "storage-fs",
            Self::SystemReady => "system-ready",
        }
    }

    /// Whether a boot may write it more than once.
    pub const fn repeats(self) -> bool {
        matches!(self, Self::InitScriptHash)
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One of dstack's events with its payload read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The guest's set-up began.
    SystemPreparing,
    /// Which app this is.
    AppId(Id20),
    /// SHA-256 of the app-compose bytes.
    ComposeHash(Digest32),
    /// SHA-256 of an init script's UTF-8 text. Branch next.
    InitScriptHash(Digest32),
    /// SHA-256 of the canonical JSON of the GPU policy. Branch next.
    GpuPolicyHash(Digest32),
    /// What was found out about the GPUs, as JSON text. Branch next.
    GpuAttestation(String),
    /// Which instance of the app this is. `None` when the app-compose says `no_instance_id`.
    InstanceId(Option<Id20>),
    /// Booting ended: the state of the registers here is what certificates are signed over.
    BootMrDone,
    /// The aggregated measurement of the KMS that gave the keys. dstack 0.5 only.
    MrKms(Digest32),
    /// The OS image hash as the KMS knows it. Only with a KMS.
    OsImageHash(Digest32),
    /// Who gave the keys.
    KeyProvider(KeyProvider),
    /// The file system of the data disk, `zfs` or `ext4`.
    StorageFs(String),
    /// Set-up ended. Whatever follows was measured by the app, whatever its name.
    SystemReady,
}

/// Why the payload of one of dstack's events cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The payload has another length than the event's payload has.
    #[error("the payload of {name} should have {expected} bytes but has {found}")]
    Length {
        /// The event.
        name: EventName,
        /// The length it should have, in bytes.
        expected: usize,
        /// The length it has, in bytes.
        found: usize,
    },
    /// The payload should be text.
    #[error("the payload of {name} is not UTF-8")]
    NotText {
        /// The event.
        name: EventName,
    },
    /// The payload should be JSON of a certain shape.
    #[error("the payload of {name} is not the JSON it should be: {message}")]
    Json {
        /// The event.
        name: EventName,
        /// The JSON reader's words.
        message: String,
    },
}

impl Event {
    /// Reads an event. `None` when the name is not one of dstack's.
    ///
    /// # Errors
    ///
    /// [`EventError`] when the name is dstack's and the payload is not what such an event carries.
    pub fn read(name: &str, payload: &[u8]) -> Option<Result<Self, EventError>> {
        EventName::read(name).map(|name| Self::read_payload(name, payload))
    }

    fn read_payload(name: EventName, payload: &[u8]) -> Result<Self, EventError> {
        let text = || {
            let text = std::str::from_utf8(payload).map_err(|_| EventError::NotText { name })?;
            Ok(text.to_owned())
        };
        Ok(match name {
            EventName::SystemPreparing => empty(name, payload, Self::SystemPreparing)?,
            EventName::AppId => Self::AppId(Id20::new(exactly(name, payload)?)),
            EventName::ComposeHash => Self::ComposeHash(Digest32::new(exactly(name, payload)?)),
            EventName::InitScriptHash => Self::InitScriptHash(Digest32::new(exactly(name, payload)?)),
            EventName::GpuPolicyHash => Self::GpuPolicyHash(Digest32::new(exactly(name, payload)?)),
            EventName::GpuAttestation => {
                let text = text()?;
                serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|e| json_error(name, &e))?;
                Self::GpuAttestation(text)
            }
            EventName::InstanceId if payload.is_empty() => Self::InstanceId(None),
            EventName::InstanceId => Self::InstanceId(Some(Id20::new(exactly(name, payload)?))),
            EventName::BootMrDone => empty(name, payload, Self::BootMrDone)?,
            EventName::MrKms => Self::MrKms(Digest32::new(exactly(name, payload)?)),
            EventName::OsImageHash => Self::OsImageHash(Digest32::new(exactly(name, payload)?)),
            EventName::KeyProvider => {
                Self::KeyProvider(serde_json::from_slice(payload).map_err(|error| json_error(name, &error))?)
            }
            EventName::StorageFs => Self::StorageFs(text()?),
            EventName::SystemReady => empty(name, payload, Self::SystemReady)?,
        })
    }

    /// The event's name.
    pub const fn name(&self) -> EventName {
        match self {
            Self::SystemPreparing => EventName::SystemPreparing,
            Self::AppId(_) => EventName::AppId,
            Self::ComposeHash(_) => EventName::ComposeHash,
            Self::InitScriptHash(_) => EventName::InitScriptHash,
            Self::GpuPolicyHash(_) => EventName::GpuPolicyHash,
            Self::GpuAttestation(_) => EventName::GpuAttestation,
            Self::InstanceId(_) => EventName::InstanceId,
            Self::BootMrDone => EventName::BootMrDone,
            Self::MrKms(_) => EventName::MrKms,
            Self::OsImageHash(_) => EventName::OsImageHash,
            Self::KeyProvider(_) => EventName::KeyProvider,
            Self::StorageFs(_) => EventName::StorageFs,
            Self::SystemReady => EventName::SystemReady,
        }
    }

    /// The payload as it is measured.
    pub fn payload(&self) -> Vec<u8> {
        match self {
            Self::SystemPreparing | Self::BootMrDone | Self::SystemReady | Self::InstanceId(None) => {
                Vec::new()
            }
            Self::AppId(id) | Self::InstanceId(Some(id)) => id.as_ref().to_vec(),
            Self::ComposeHash(hash)
            | Self::InitScriptHash(hash)
            | Self::GpuPolicyHash(hash)
            | Self::MrKms(hash)
            | Self::OsImageHash(hash) => hash.as_ref().to_vec(),
            Self::GpuAttestation(text) | Self::StorageFs(text) => text.clone().into_bytes(),
            Self::KeyProvider(provider) => provider.to_json().into_bytes(),
        }
    }

    /// Name and payload, ready to be measured.
    pub fn to_runtime(&self) -> RuntimeEvent {
        RuntimeEvent::new(self.name().as_str(), self.payload())
    }
}

fn exactly<const N: usize>(name: EventName, payload: &[u8]) -> Result<[u8; N], EventError> {
    payload.try_into().map_err(|_| EventError::Length { name, expected: N, found: payload.len() })
}

fn empty(name: EventName, payload: &[u8], event: Event) -> Result<Event, EventError> {
    exactly::<0>(name, payload).map(|_| event)
}

fn json_error(name: EventName, error: &serde_json::Error) -> EventError {
    EventError::Json { name, message: error.to_string() }
}

/// Who gave a CVM its keys: the payload of the `key-provider` event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyProvider {
    /// `kms`, `local-sgx`, `tpm` or `none`; [`KeyProvider::kind`] reads it.
    pub name: String,
    /// Which one, in hex: the KMS's root CA public key (DER), or the MRENCLAVE of the local provider. Empty for `none`.
    pub id: String,
}

impl KeyProvider {
    /// A key provider of this kind, with its id as bytes.
    pub fn new(kind: KeyProviderKind, id: &[u8]) -> Self {
        Self { name: kind.as_str().to_owned(), id: hex::encode(id) }
    }

    /// What kind of provider it is. `None` for a name that is not known.
    pub fn kind(&self) -> Option<KeyProviderKind> {
        KeyProviderKind::ALL.into_iter().find(|kind| kind.as_str() == self.name)
    }

    /// The id as bytes.
    ///
    /// # Errors
    ///
    /// [`HexError`] when the id is not hex.
    pub fn id_bytes(&self) -> Result<Vec<u8>, HexError> {
        crate::fixed_bytes::decode_hex(&self.id)
    }

    /// The JSON text as it is measured: compact, `name` before `id`.
    pub fn to_json(&self) -> String {
        format!(
            r#"{{"name":{},"id":{}}}"#,
            serde_json::Value::from(self.name.as_str()),
            serde_json::Value::from(self.id.as_str())
        )
    }
}

/// A kind of key provider, by the name in the `key-provider` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyProviderKind {
    /// No keys: the disk cannot be used again after the next boot.
    None,
    /// The local key provider, an SGX enclave on the host. Its name in the log is `local-sgx`.
    Local,
    /// A key management service, itself a CVM.
    Kms,
    /// The platform's TPM. Branch next.
    Tpm,
}

impl KeyProviderKind {
    /// All kinds, in the order of their numbers in MRCONFIGID version 2.
    pub const ALL: [Self; 4] = [Self::None, Self::Local, Self::Kms, Self::Tpm];

    /// The name in the `key-provider` event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Local => "local-sgx",
            Self::Kms => "kms",
            Self::Tpm => "tpm",
        }
    }
}

impl fmt::Display for KeyProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
