//! One entry of an event log, and the digest that dstack computes for its own.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::event_log::Rtmr;
use crate::fixed_bytes::decode_hex;
use crate::{Digest48, HexError, hash};

/// The TCG event type of everything that dstack itself measures into RTMR3 (upstream `cc-eventlog`).
pub const RUNTIME_EVENT_TYPE: u32 = 0x0800_0001;

/// How the digest of a runtime entry follows from its name and payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DigestVersion {
    /// SHA-384 of the event type (four bytes, little endian), `:`, the name, `:` and the payload. dstack 0.5, and the
    /// default of branch next.
    #[default]
    V1,
    /// SHA-384 of the canonical JSON (RFC 8785) object with the members `name`, `payload` (lower-case hex) and `type`
    /// (decimal). Branch next, where the app-compose says `"event_log_version": 2`.
    V2,
}

impl DigestVersion {
    /// The number in the log's `version` member.
    pub const fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// A name and a payload that dstack, or an app, measures into RTMR3.
///
/// ```
/// use dstack_attestation::event_log::{DigestVersion, RuntimeEvent};
///
/// let event = RuntimeEvent::new("app-id", [0xde, 0xad, 0xbe, 0xef]);
/// assert!(event.digest(DigestVersion::V1).to_string().starts_with("67b4be4efed0893c"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuntimeEvent {
    name: String,
    payload: Vec<u8>,
}

impl RuntimeEvent {
    /// An event of this name with this payload.
    pub fn new(name: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), payload: payload.into() }
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The event's payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The bytes that are hashed.
    pub fn preimage(&self, version: DigestVersion) -> Vec<u8> {
        preimage(&self.name, &self.payload, version)
    }

    /// The digest with which RTMR3 is extended: SHA-384 of the [preimage](Self::preimage).
    pub fn digest(&self, version: DigestVersion) -> Digest48 {
        hash::sha384(&[&self.preimage(version)])
    }

    /// The log entry for this event, with its digest stated.
    pub fn entry(self, version: DigestVersion) -> Entry {
        let digest = self.digest(version);
        Entry {
            rtmr: Rtmr::Rtmr3,
            event_type: RUNTIME_EVENT_TYPE,
            digest: EntryDigest::Runtime { stated: Some(digest) },
            name: self.name,
            payload: self.payload,
            version,
            preimage: None,
        }
    }
}

fn preimage(name: &str, payload: &[u8], version: DigestVersion) -> Vec<u8> {
    match version {
        DigestVersion::V1 => {
            let mut bytes = Vec::with_capacity(name.len() + payload.len() + 6);
            bytes.extend_from_slice(&RUNTIME_EVENT_TYPE.to_le_bytes());
            bytes.push(b':');
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b':');
            bytes.extend_from_slice(payload);
            bytes
        }
        // serde_json escapes strings as RFC 8785 asks, and the three members are already in its order.
        DigestVersion::V2 => format!(
            r#"{{"name":{},"payload":"{}","type":{RUNTIME_EVENT_TYPE}}}"#,
            serde_json::Value::from(name),
            hex::encode(payload),
        )
        .into_bytes(),
    }
}

/// What is wrong with a single entry of an event log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The entry is not an object with the members that every entry has.
    #[error("{0}")]
    Shape(String),
    /// The entry names a register that TDX does not have.
    #[error("imr {0} is not one of 0 to 3")]
    Imr(u64),
    /// The event type does not fit 32 bits.
    #[error("event_type {0} does not fit 32 bits")]
    EventType(u64),
    /// A member is not the hex it should be.
    #[error("{field}: {source}")]
    Hex {
        /// The member's name.
        field: &'static str,
        /// What is wrong with its text.
        source: HexError,
    },
    /// The digest is empty although nothing in the entry lets it be computed.
    #[error("the digest is empty, and only the digests of dstack's own RTMR3 events can be recomputed")]
    DigestMissing,
    /// The entry is of a version that is not known.
    #[error("version {0} is neither 1 nor 2")]
    Version(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum EntryDigest {
    /// Measured by the firmware, the boot loader or the kernel: only the digest counts.
    Measured(Digest48),
    /// Measured by dstack: the digest follows from the content; the log may state it too.
    Runtime { stated: Option<Digest48> },
}

/// One entry of an event log.
///
/// There are two kinds. *Runtime* entries (RTMR3, type [`RUNTIME_EVENT_TYPE`]) have a name and a payload that their
/// digest binds. All others carry a digest from elsewhere; their name and payload are a remark that nothing binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    rtmr: Rtmr,
    event_type: u32,
    digest: EntryDigest,
    name: String,
    payload: Vec<u8>,
    version: DigestVersion,
    preimage: Option<Vec<u8>>,
}

impl Entry {
    /// An entry that somebody other than dstack measured: firmware, boot loader, kernel.
    ///
    /// The name is empty in most logs (branch next labels the ACPI tables), and the payload may have been stripped.
    ///
    /// # Errors
    ///
    /// [`EntryError::Shape`] when register and type are those of a runtime entry: use [`RuntimeEvent::entry`] there.
    pub fn measured(
        rtmr: Rtmr,
        event_type: u32,
        digest: Digest48,
        name: impl Into<String>,
        payload: impl Into<Vec<u8>>,
    ) -> Result<Self, EntryError> {
        if is_runtime(rtmr, event_type) {
            return Err(EntryError::Shape("register and type are those of a runtime event".to_owned()));
        }
        Ok(Self {
            rtmr,
            event_type,
            digest: EntryDigest::Measured(digest),
            name: name.into(),
            payload: payload.into(),
            version: DigestVersion::V1,
            preimage: None,
        })
    }

    /// The same entry without a stated digest, as some servers write runtime entries. Other entries stay as they are,
    /// since their digest is all there is.
    #[must_use]
    pub fn without_stated_digest(mut self) -> Self {
        if let EntryDigest::Runtime { stated } = &mut self.digest {
            *stated = None;
        }
        self
    }

    /// The same entry with the bytes that were hashed spelled out in `preimage`, as branch next does for version 2.
    #[must_use]
    pub fn with_preimage(mut self) -> Self {
        self.preimage = self.canonical_preimage();
        self
    }

    /// The register that was extended.
    pub const fn rtmr(&self) -> Rtmr {
        self.rtmr
    }

    /// The TCG event type.
    pub const fn event_type(&self) -> u32 {
        self.event_type
    }

    /// Whether dstack measured this entry, so that name and payload are bound by the digest.
    pub const fn is_runtime(&self) -> bool {
        matches!(self.digest, EntryDigest::Runtime { .. })
    }

    /// The name. Empty for most entries of the firmware.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// How the digest follows from the content. Only means something for runtime entries.
    pub const fn version(&self) -> DigestVersion {
        self.version
    }

    /// The `preimage` member, if the entry has one.
    pub fn stated_preimage(&self) -> Option<&[u8]> {
        self.preimage.as_deref()
    }

    /// The digest that the log states. `None` for a runtime entry whose digest was left empty.
    pub const fn stated_digest(&self) -> Option<Digest48> {
        match self.digest {
            EntryDigest::Measured(digest) => Some(digest),
            EntryDigest::Runtime { stated } => stated,
        }
    }

    /// The bytes whose hash is the digest, for a runtime entry.
    pub fn canonical_preimage(&self) -> Option<Vec<u8>> {
        self.is_runtime().then(|| preimage(&self.name, &self.payload, self.version))
    }

    /// The digest with which the register is extended in a replay: computed from the content for runtime entries,
    /// the stated one for all others.
    pub fn digest(&self) -> Digest48 {
        match self.digest {
            EntryDigest::Measured(digest) => digest,
            EntryDigest::Runtime { .. } => {
                hash::sha384(&[&preimage(&self.name, &self.payload, self.version)])
            }
        }
    }

    /// Makes an entry of the members as the log has them.
    pub(super) fn from_members(members: &super::read::Members<'_>) -> Result<Self, EntryError> {
        let rtmr = Rtmr::from_index(members.imr).ok_or(EntryError::Imr(members.imr))?;
        let event_type =
            u32::try_from(members.event_type).map_err(|_| EntryError::EventType(members.event_type))?;
        let version = match members.version {
            None | Some(1) => DigestVersion::V1,
            Some(2) => DigestVersion::V2,
            Some(other) => return Err(EntryError::Version(other)),
        };
        let hex = |field, text: &str| decode_hex(text).map_err(|source| EntryError::Hex { field, source });
        let stated = if members.digest.is_empty() {
            None
        } else {
            let digest = members.digest.parse();
            Some(digest.map_err(|source| EntryError::Hex { field: "digest", source })?)
        };
        let digest = match (is_runtime(rtmr, event_type), stated) {
            (true, stated) => EntryDigest::Runtime { stated },
            (false, Some(digest)) => EntryDigest::Measured(digest),
            (false, None) => return Err(EntryError::DigestMissing),
        };
        Ok(Self {
            rtmr,
            event_type,
            digest,
            name: members.event.clone().into_owned(),
            payload: hex("event_payload", &members.event_payload)?,
            version,
            preimage: members.preimage.as_deref().map(|text| hex("preimage", text)).transpose()?,
        })
    }
}

const fn is_runtime(rtmr: Rtmr, event_type: u32) -> bool {
    matches!(rtmr, Rtmr::Rtmr3) && event_type == RUNTIME_EVENT_TYPE
}

impl Serialize for Entry {
    /// The members and their order are upstream's; `version` and `preimage` appear only where the entry has them.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let with_version = self.version != DigestVersion::V1;
        let members = 5 + usize::from(with_version) + usize::from(self.preimage.is_some());
        let mut object = serializer.serialize_struct("Entry", members)?;
        object.serialize_field("imr", &self.rtmr.index())?;
        object.serialize_field("event_type", &self.event_type)?;
        let digest = self.stated_digest().map(|digest| digest.to_string()).unwrap_or_default();
        object.serialize_field("digest", &digest)?;
        object.serialize_field("event", &self.name)?;
        object.serialize_field("event_payload", &hex::encode(&self.payload))?;
        if with_version {
            object.serialize_field("version", &self.version.number())?;
        }
        if let Some(preimage) = &self.preimage {
            object.serialize_field("preimage", &hex::encode(preimage))?;
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Vectors computed from the formulas of upstream's cc-eventlog crate.
    #[test]
    fn digest_of_version_1() {
        let event = RuntimeEvent::new("app-id", hex::decode("deadbeef").unwrap());
        assert_eq!(
            event.digest(DigestVersion::V1).to_string(),
            "67b4be4efed0893cfa2bb1d35dca209ad8348b4c97f980807bcde8b9a0f26398dd0923d6eccb5aa2096d98046da8740f"
        );
        let event = RuntimeEvent::new("system-preparing", []);
        assert_eq!(
            event.digest(DigestVersion::V1).to_string(),
            "f9974020ef507068183313d0ca808e0d1ca9b2d1ad0c61f5784e7157c362c06536f5ddacdad4451693f48fcc72fff624"
        );
    }

    #[test]
    fn digest_of_version_2() {
        let event = RuntimeEvent::new("compose-hash", [0xab, 0xcd]);
        assert_eq!(
            event.preimage(DigestVersion::V2),
            br#"{"name":"compose-hash","payload":"abcd","type":134217729}"#
        );
        assert_eq!(
            event.digest(DigestVersion::V2).to_string(),
            "9dde1673f544faa94b921825209593ddde08d0baf9cd6990175dffaf3081f1bb10311d56de189491feb33842a050ad7b"
        );
    }

    #[test]
    fn version_2_names_are_escaped_as_rfc_8785_asks() {
        let event = RuntimeEvent::new("a\"\\\u{8}\u{1f}\u{7f}é", []);
        let expected = "{\"name\":\"a\\\"\\\\\\b\\u001f\u{7f}é\",\"payload\":\"\",\"type\":134217729}";
        assert_eq!(String::from_utf8(event.preimage(DigestVersion::V2)).unwrap(), expected);
    }

    #[test]
    fn a_runtime_entry_cannot_be_passed_off_as_measured_by_the_firmware() {
        let entry = Entry::measured(Rtmr::Rtmr3, RUNTIME_EVENT_TYPE, Digest48::ZERO, "app-id", []);
        assert!(entry.is_err());
        // The same type in another register, or another type in RTMR3, is not dstack's.
        assert!(
            !Entry::measured(Rtmr::Rtmr0, RUNTIME_EVENT_TYPE, Digest48::ZERO, "", []).unwrap().is_runtime()
        );
        assert!(!Entry::measured(Rtmr::Rtmr3, 4, Digest48::ZERO, "", []).unwrap().is_runtime());
    }
}
