//! Version 0: SCALE. Two bytes, the version and the platform, then quote, event log, runtime events, report data and
//! configuration, as recorded from the guest agent and the KMS.

use super::entries::{self, RawEntry};
use super::scale::{Reader, Writer};
use super::{AttestationError, Platform, VersionedAttestation};
use crate::event_log::RuntimeEvent;

/// The index of TDX among the platforms.
const TDX: u8 = 0;

pub(super) fn decode(bytes: &[u8]) -> Result<VersionedAttestation, AttestationError> {
    let mut reader = Reader::new(bytes);
    reader.byte("the version")?;
    let platform = reader.byte("the platform")?;
    if platform != TDX {
        // No recording shows what the other numbers stand for, nor what follows them.
        let platform = Platform::Other(format!("number {platform} of version 0"));
        return Ok(VersionedAttestation::elsewhere(0, platform));
    }
    let quote = reader.bytes("the quote")?;
    let count = reader.count("the event log")?;
    let mut raw = Vec::new();
    for _ in 0..count {
        raw.push(RawEntry {
            imr: u64::from(reader.u32("the register of an entry")?),
            event_type: u64::from(reader.u32("the type of an entry")?),
            digest: reader.bytes("the digest of an entry")?.into(),
            name: reader.text("the name of an entry")?,
            payload: reader.bytes("the payload of an entry")?.into(),
            version: None,
            preimage: None,
        });
    }
    let count = reader.count("the runtime events")?;
    let mut runtime_events = Vec::new();
    for _ in 0..count {
        let name = reader.text("the name of a runtime event")?;
        runtime_events.push(RuntimeEvent::new(name, reader.bytes("the payload of a runtime event")?));
    }
    let report_data = reader.array("the report data")?.into();
    let config = reader.text("the configuration")?.to_owned();
    reader.end()?;
    let event_log = entries::log(&raw, quote)?;
    Ok(VersionedAttestation {
        version: 0,
        platform: Platform::Tdx,
        quote: quote.to_vec(),
        event_log,
        runtime_events,
        report_data,
        config,
    })
}

pub(super) fn encode(attestation: &VersionedAttestation) -> Vec<u8> {
    let mut out = Writer::default();
    out.raw(&[0, TDX]);
    out.bytes(&attestation.quote);
    let entries = attestation.event_log.entries();
    out.length(entries.len());
    for entry in entries {
        out.raw(&u32::try_from(entry.rtmr().index()).unwrap_or(u32::MAX).to_le_bytes());
        out.raw(&entry.event_type().to_le_bytes());
        out.bytes(entry.stated_digest().as_ref().map_or(&[], AsRef::as_ref));
        out.bytes(entry.name().as_bytes());
        out.bytes(entry.payload());
    }
    out.length(attestation.runtime_events.len());
    for event in &attestation.runtime_events {
        out.bytes(event.name().as_bytes());
        out.bytes(event.payload());
    }
    out.raw(attestation.report_data.as_bytes());
    out.bytes(attestation.config.as_bytes());
    out.finish()
}
