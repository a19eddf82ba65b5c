//! Version 1: a MessagePack map with the members `version`, `platform` and `stack`, as recorded from the guest agent of
//! branch next.

use super::entries::{self, RawEntry};
use super::msgpack::{Reader, Writer};
use super::{AttestationError, MAX_ENTRIES, Platform, VersionedAttestation};
use crate::event_log::{DigestVersion, RuntimeEvent};
use crate::report_data::ReportData;

/// What runs inside the TEE, as the attestation names it.
const STACK: &str = "dstack";

fn required<'a>(member: Option<Reader<'a>>, name: &'static str) -> Result<Reader<'a>, AttestationError> {
    member.ok_or(AttestationError::Missing(name))
}

pub(super) fn decode(bytes: &[u8]) -> Result<VersionedAttestation, AttestationError> {
    let mut reader = Reader::new(bytes);
    let [version, platform, stack] = reader.members("the attestation", ["version", "platform", "stack"])?;
    reader.end()?;
    let version = required(version, "version")?.unsigned("version")?;
    if version != 1 {
        return Err(AttestationError::Version(version));
    }
    let [kind, data] = required(platform, "platform")?.members("platform", ["kind", "data"])?;
    let platform = Platform::from_name(required(kind, "platform.kind")?.text("platform.kind")?);
    if platform != Platform::Tdx {
        return Ok(VersionedAttestation::elsewhere(1, platform));
    }
    let [quote, event_log] =
        required(data, "platform.data")?.members("platform.data", ["quote", "event_log"])?;
    let quote = required(quote, "platform.data.quote")?.bytes("platform.data.quote")?;
    let [kind, data] = required(stack, "stack")?.members("stack", ["kind", "data"])?;
    let stack = required(kind, "stack.kind")?.text("stack.kind")?;
    if stack != STACK {
        let problem = "it is not \"dstack\"".to_owned();
        return Err(AttestationError::Field { field: "stack.kind", problem });
    }
    let [report_data, runtime_events, config] =
        required(data, "stack.data")?.members("stack.data", ["report_data", "runtime_events", "config"])?;
    let report_data = required(report_data, "stack.data.report_data")?.bytes("stack.data.report_data")?;
    let report_data = ReportData::from_slice(&report_data).map_err(|error| AttestationError::Field {
        field: "stack.data.report_data",
        problem: error.to_string(),
    })?;
    let raw = raw_entries(required(event_log, "platform.data.event_log")?)?;
    Ok(VersionedAttestation {
        version: 1,
        platform,
        event_log: entries::log(&raw, &quote)?,
        quote,
        runtime_events: events(required(runtime_events, "stack.data.runtime_events")?)?,
        report_data,
        config: required(config, "stack.data.config")?.text("stack.data.config")?.to_owned(),
    })
}

fn count(count: usize, field: &'static str) -> Result<usize, AttestationError> {
    if count > MAX_ENTRIES { Err(AttestationError::TooMany(field)) } else { Ok(count) }
}

fn raw_entries(list: Reader<'_>) -> Result<Vec<RawEntry<'_>>, AttestationError> {
    let (length, mut reader) = list.list("event_log")?;
    let mut entries = Vec::new();
    for _ in 0..count(length, "event_log")? {
        let [imr, event_type, digest, name, payload, version, preimage] = reader.members(
            "event_log",
            ["imr", "event_type", "digest", "event", "event_payload", "version", "preimage"],
        )?;
        entries.push(RawEntry {
            imr: required(imr, "imr")?.unsigned("imr")?,
            event_type: required(event_type, "event_type")?.unsigned("event_type")?,
            digest: required(digest, "digest")?.bytes("digest")?.into(),
            name: required(name, "event")?.text("event")?,
            payload: required(payload, "event_payload")?.bytes("event_payload")?.into(),
            version: version.map(|version| version.unsigned("version")).transpose()?,
            preimage: preimage.map(|preimage| preimage.bytes("preimage")).transpose()?.map(Into::into),
        });
    }
    Ok(entries)
}

fn events(list: Reader<'_>) -> Result<Vec<RuntimeEvent>, AttestationError> {
    let (length, mut reader) = list.list("runtime_events")?;
    let mut events = Vec::new();
    for _ in 0..count(length, "runtime_events")? {
        let [name, payload] = reader.members("runtime_events", ["event", "payload"])?;
        let name = required(name, "event")?.text("event")?;
        events.push(RuntimeEvent::new(name, required(payload, "payload")?.bytes("payload")?));
    }
    Ok(events)
}

pub(super) fn encode(attestation: &VersionedAttestation) -> Vec<u8> {
    let mut out = Writer::default();
    out.map(3);
    out.text("version");
    out.unsigned(1);
    out.text("platform");
    out.map(2);
    out.text("kind");
    out.text(attestation.platform.name());
    out.text("data");
    out.map(2);
    out.text("quote");
    out.numbers(&attestation.quote);
    out.text("event_log");
    let entries = attestation.event_log.entries();
    out.list(entries.len());
    for entry in entries {
        // No recording has an entry of version 2; the members' names are those of the log's JSON form.
        let version = (entry.is_runtime() && entry.version() != DigestVersion::V1).then(|| entry.version());
        let preimage = entry.stated_preimage();
        out.map(5 + usize::from(version.is_some()) + usize::from(preimage.is_some()));
        out.text("imr");
        out.unsigned(u32::try_from(entry.rtmr().index()).unwrap_or(u32::MAX));
        out.text("event_type");
        out.unsigned(entry.event_type());
        out.text("digest");
        out.bytes(entry.stated_digest().as_ref().map_or(&[], AsRef::as_ref));
        out.text("event");
        out.text(entry.name());
        out.text("event_payload");
        out.bytes(entry.payload());
        if let Some(version) = version {
            out.text("version");
            out.unsigned(version.number());
        }
        if let Some(preimage) = preimage {
            out.text("preimage");
            out.bytes(preimage);
        }
    }
    out.text("stack");
    out.map(2);
    out.text("kind");
    out.text(STACK);
    out.text("data");
    out.map(3);
    out.text("report_data");
    out.numbers(attestation.report_data.as_bytes());
    out.text("runtime_events");
    out.list(attestation.runtime_events.len());
    for event in &attestation.runtime_events {
        out.map(2);
        out.text("event");
        out.text(event.name());
        out.text("payload");
        out.bytes(event.payload());
    }
    out.text("config");
    out.text(&attestation.config);
    out.finish()
}
