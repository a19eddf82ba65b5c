//! Attestations as the guest agent and the KMS pass them on: a quote, its event log and what the guest knows about
//! itself in one blob (upstream's `VersionedAttestation`).
//!
//! Two forms are in use. Version 0 begins with a zero byte and is SCALE encoded; the agent's `Attest`, certificates and
//! the KMS's bootstrap answer have it. Version 1 is a MessagePack map with the member `version`; the `attestation` of
//! the agent's `GetQuote` on branch next has it. Both name the platform; only TDX can be verified here, other platforms
//! are recognised.
//!
//! Nothing in an attestation is signed but the quote. What it states twice must agree, which
//! [`VersionedAttestation::contradictions`] checks.

mod contradiction;
mod entries;
mod evidence;
mod msgpack;
mod platform;
mod scale;
mod text;
mod version0;
mod version1;

pub use contradiction::Contradiction;
pub use evidence::Attested;
pub use platform::Platform;

use crate::event_log::{EntryError, EventLog, RuntimeEvent};
use crate::report_data::ReportData;

/// The longest attestation that is read, in bytes: 16 MiB. One of a real guest has less than 20 KB.
pub const MAX_ATTESTATION: usize = 16 << 20;

/// The largest number of entries in the event log of an attestation, and of runtime events next to it.
pub const MAX_ENTRIES: usize = 1 << 16;

/// Why bytes are not an attestation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// There is nothing.
    #[error("the attestation is empty")]
    Empty,
    /// There is more than [`MAX_ATTESTATION`].
    #[error("the attestation has {length} bytes, more than the limit of {MAX_ATTESTATION}")]
    TooLong {
        /// The length in bytes; of text, the length of the text.
        length: usize,
    },
    /// The bytes end in the middle of a field.
    #[error("the attestation ends at byte {length}, in the middle of {field}")]
    Truncated {
        /// The field.
        field: &'static str,
        /// The length of the attestation in bytes.
        length: usize,
    },
    /// After the attestation there is something else.
    #[error("{extra} bytes follow the attestation")]
    Trailing {
        /// How many bytes.
        extra: usize,
    },
    /// The version is not known.
    #[error("attestation version {0} is neither 0 nor 1")]
    Version(u64),
    /// The first byte begins none of the known forms.
    #[error("no attestation begins with the byte {first:#04x}")]
    Form {
        /// The first byte.
        first: u8,
    },
    /// A field does not hold what it should.
    #[error("{field}: {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A member of a map is not there.
    #[error("the member {0:?} is missing")]
    Missing(&'static str),
    /// There are more than [`MAX_ENTRIES`].
    #[error("more than {MAX_ENTRIES} entries in {0}")]
    TooMany(&'static str),
    /// An entry of the event log is not what it should be.
    #[error("event log entry {index}: {source}")]
    Entry {
        /// Which entry, from 0.
        index: usize,
        /// What is wrong with it.
        source: EntryError,
    },
    /// The event log as a whole cannot be read.
    #[error("{0}")]
    Log(String),
    /// A text is neither hex nor Base64.
    #[error("the text is neither the hex nor the Base64 of an attestation: {0}")]
    Text(String),
}

/// An attestation, read but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionedAttestation {
    /// The version of the encoding that was read: 0 or 1.
    pub version: u16,
    /// The TEE. On platforms other than TDX the other fields are empty.
    pub platform: Platform,
    /// The quote's bytes.
    pub quote: Vec<u8>,
    /// The boot and runtime event log. Certificates leave entries of the firmware out, see
    /// [`log_is_shortened`](Self::log_is_shortened).
    pub event_log: EventLog,
    /// The runtime events once more, as the guest keeps them.
    pub runtime_events: Vec<RuntimeEvent>,
    /// The report data that the guest says it asked for. The quote decides.
    pub report_data: ReportData,
    /// The guest's configuration, a JSON text with the `vm_config`. Nothing signs it.
    pub config: String,
}

impl VersionedAttestation {
    /// An attestation of a TD, with the runtime events of the log. `config` is the JSON text of the guest's
    /// configuration. For emulators and tests.
    pub fn tdx(
        quote: impl Into<Vec<u8>>,
        event_log: EventLog,
        report_data: ReportData,
        config: impl Into<String>,
    ) -> Self {
        let runtime = event_log.entries().iter().filter(|entry| entry.is_runtime());
        let runtime_events = runtime.map(|entry| RuntimeEvent::new(entry.name(), entry.payload())).collect();
        Self {
            version: 0,
            platform: Platform::Tdx,
            quote: quote.into(),
            event_log,
            runtime_events,
            report_data,
            config: config.into(),
        }
    }

    /// What is known of an attestation of another platform: that it is one.
    fn elsewhere(version: u16, platform: Platform) -> Self {
        Self {
            version,
            platform,
            quote: Vec::new(),
            event_log: EventLog::default(),
            runtime_events: Vec::new(),
            report_data: ReportData::ZERO,
            config: String::new(),
        }
    }

    /// Reads an attestation of either version.
    ///
    /// # Errors
    ///
    /// [`AttestationError`]. Contradictions inside are no errors, see [`contradictions`](Self::contradictions).
    ///
    /// ```
    /// use dstack_attestation::event_log::{DigestVersion, Event, EventLogBuilder};
    /// use dstack_attestation::versioned::VersionedAttestation;
    ///
    /// let log = EventLogBuilder::new(DigestVersion::V1).event(&Event::SystemReady).build();
    /// let attestation = VersionedAttestation::tdx([4, 0], log, [7; 64].into(), "{}");
    /// assert_eq!(VersionedAttestation::decode(&attestation.encode_v0())?, attestation);
    /// # Ok::<(), dstack_attestation::versioned::AttestationError>(())
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self, AttestationError> {
        if bytes.len() > MAX_ATTESTATION {
            return Err(AttestationError::TooLong { length: bytes.len() });
        }
        match bytes.first() {
            None => Err(AttestationError::Empty),
            Some(0) => version0::decode(bytes),
            Some(first) if msgpack::begins_map(*first) => version1::decode(bytes),
            Some(first) => Err(AttestationError::Form { first: *first }),
        }
    }

    /// Reads an attestation from text: hex, with or without `0x`, or Base64 in either alphabet. White space around it
    /// and line ends inside do not matter.
    ///
    /// # Errors
    ///
    /// [`AttestationError`].
    pub fn from_text(text: &str) -> Result<Self, AttestationError> {
        Self::decode(&text::decode(text)?)
    }

    /// The attestation in version 0. Of platforms other than TDX nothing but the platform was read, so that for them
    /// the result is not an attestation.
    ///
    /// The versions of runtime entries and their preimages have no place in this version.
    pub fn encode_v0(&self) -> Vec<u8> {
        version0::encode(self)
    }

    /// The attestation in version 1, under the same reserve.
    pub fn encode_v1(&self) -> Vec<u8> {
        version1::encode(self)
    }

    /// The form that certificates carry: of the firmware's entries only those of the ACPI tables remain, and digests
    /// that follow from their entry are left empty. Such a log replays to RTMR3, but not to RTMR0 to RTMR2.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        self.event_log = entries::shorten(&self.event_log);
        self
    }

    /// Whether the log is in the form that certificates carry, by its runtime entries: none of them states its digest.
    pub fn log_is_shortened(&self) -> bool {
        let mut runtime = self.event_log.entries().iter().filter(|entry| entry.is_runtime()).peekable();
        runtime.peek().is_some() && runtime.all(|entry| entry.stated_digest().is_none())
    }
}
