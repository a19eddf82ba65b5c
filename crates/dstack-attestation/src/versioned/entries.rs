//! From the entries of an attestation to an event log.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::{AttestationError, MAX_ENTRIES};
use crate::event_log::{
    DigestVersion, Entry, EventLog, EventLogError, Limits, RUNTIME_EVENT_TYPE, Rtmr, RuntimeEvent,
};
use crate::quote::TdxQuote;

/// The payload of the firmware's entries about ACPI tables (upstream `cc-eventlog`).
const ACPI_DATA: &[u8] = b"ACPI DATA";

/// An entry as an attestation has it. It becomes an [`Entry`] by way of its JSON, whose reader holds the rules.
#[derive(Serialize)]
pub(super) struct RawEntry<'a> {
    pub(super) imr: u64,
    pub(super) event_type: u64,
    #[serde(serialize_with = "as_hex")]
    pub(super) digest: Cow<'a, [u8]>,
    #[serde(rename = "event")]
    pub(super) name: &'a str,
    #[serde(rename = "event_payload", serialize_with = "as_hex")]
    pub(super) payload: Cow<'a, [u8]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_optional_hex")]
    pub(super) preimage: Option<Cow<'a, [u8]>>,
}

fn as_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

#[expect(clippy::ref_option, reason = "the shape that serde wants")]
fn as_optional_hex<S: Serializer>(bytes: &Option<Cow<'_, [u8]>>, serializer: S) -> Result<S::Ok, S::Error> {
    as_hex(bytes.as_deref().unwrap_or_default(), serializer)
}

impl RawEntry<'_> {
    fn is_runtime(&self) -> bool {
        self.imr == 3 && self.event_type == u64::from(RUNTIME_EVENT_TYPE)
    }
}

/// How the version of a runtime entry that does not state one follows from the rest.
enum Unstated {
    /// It does not matter, or is stated.
    Settled,
    /// From the digest.
    Version(DigestVersion),
    /// From nothing in the entry: there is no digest.
    Open,
}

fn unstated(entry: &RawEntry<'_>) -> Unstated {
    if !entry.is_runtime() || entry.version.is_some() {
        return Unstated::Settled;
    }
    if entry.digest.is_empty() {
        return Unstated::Open;
    }
    let event = RuntimeEvent::new(entry.name, entry.payload.as_ref());
    let is_version_2 = event.digest(DigestVersion::V2).as_ref() == entry.digest.as_ref();
    Unstated::Version(if is_version_2 { DigestVersion::V2 } else { DigestVersion::V1 })
}

/// The log of these entries.
///
/// Version 0 of attestations says nothing about the versions of runtime entries. Where an entry has a digest, the
/// version is the one whose digest it is. Where it has none, version 1 is taken, unless only version 2 makes the log
/// replay to the RTMR3 of the quote. No bytes are the preimage of an event in both versions, so that this cannot pass
/// one event off as another.
pub(super) fn log(raw: &[RawEntry<'_>], quote: &[u8]) -> Result<EventLog, AttestationError> {
    let first = read(raw, DigestVersion::V1)?;
    if !raw.iter().any(|entry| matches!(unstated(entry), Unstated::Open)) {
        return Ok(first);
    }
    let Ok(quote) = TdxQuote::parse(quote) else { return Ok(first) };
    let fits = |log: &EventLog| log.replay().get(Rtmr::Rtmr3) == quote.report.measurements.rtmr3;
    if fits(&first) {
        return Ok(first);
    }
    let second = read(raw, DigestVersion::V2)?;
    Ok(if fits(&second) { second } else { first })
}

fn read(raw: &[RawEntry<'_>], open: DigestVersion) -> Result<EventLog, AttestationError> {
    let versions: Vec<Option<u64>> = raw
        .iter()
        .map(|entry| match unstated(entry) {
            Unstated::Settled => entry.version,
            Unstated::Version(version) => Some(u64::from(version.number())),
            Unstated::Open => Some(u64::from(open.number())),
        })
        .collect();
    let settled = raw.iter().zip(&versions).map(|(entry, version)| RawEntry {
        imr: entry.imr,
        event_type: entry.event_type,
        digest: Cow::Borrowed(&entry.digest),
        name: entry.name,
        payload: Cow::Borrowed(&entry.payload),
        version: *version,
        preimage: entry.preimage.as_deref().map(Cow::Borrowed),
    });
    let entries: Vec<RawEntry<'_>> = settled.collect();
    let json = serde_json::to_vec(&entries).map_err(|error| AttestationError::Log(error.to_string()))?;
    EventLog::parse_within(&json, &Limits::new(json.len(), MAX_ENTRIES)).map_err(|error| match error {
        EventLogError::Entry { index, source } => AttestationError::Entry { index, source },
        other => AttestationError::Log(other.to_string()),
    })
}

/// The log in the form that certificates carry.
pub(super) fn shorten(log: &EventLog) -> EventLog {
    let stays = |entry: &&Entry| entry.is_runtime() || entry.payload() == ACPI_DATA;
    let entries = log.entries().iter().filter(stays).cloned();
    EventLog::from_entries(entries.map(Entry::without_stated_digest).collect())
}
