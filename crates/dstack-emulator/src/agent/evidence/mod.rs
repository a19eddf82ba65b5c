//! The evidence of an emulated CVM: an event log whose RTMR3 is right, and quotes and attestations that fit it and are
//! marked as made without a TEE.

mod boot_log;
mod msgpack;

use std::sync::{PoisonError, RwLock};

use dstack_attestation::event_log::{
    DigestVersion, Event, EventLog, EventLogBuilder, KeyProvider, RuntimeEvent,
};
use dstack_attestation::quote::emulated::EmulatedQuote;
use dstack_attestation::report_data::ReportData;
use dstack_attestation::versioned::VersionedAttestation;
use dstack_attestation::{
    CreatorFields, Digest32, Digest48, Id20, Measurements, MrConfigDocument, MrConfigId,
};
use dstack_vmm_client::DstackVersion;

use super::compose::GuestCompose;
use super::{AgentError, GuestSpec, Traits};
use crate::kms::sha256;

pub(crate) use msgpack::MessagePack;

/// The ids under which a guest was measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) app_id: Id20,
    pub(crate) instance_id: Option<Id20>,
    pub(crate) compose_hash: Digest32,
    pub(crate) key_provider: KeyProvider,
    /// As the KMS gave it; without a KMS it is not measured.
    pub(crate) os_image_hash: Option<Digest32>,
}

/// The evidence of one guest.
#[derive(Debug)]
pub(crate) struct Evidence {
    mrtd: Digest48,
    creator: CreatorFields,
    digest_version: DigestVersion,
    config: String,
    log: RwLock<EventLog>,
}

impl Evidence {
    /// Boots: writes the event log up to `system-ready`.
    pub(crate) fn boot(
        spec: &GuestSpec,
        traits: &Traits,
        compose: &GuestCompose,
        measured: &Measured,
        config: String,
    ) -> Result<Self, AgentError> {
        let digest_version = if traits.event_log_v2 { compose.digest_version } else { DigestVersion::V1 };
        let unfit =
            |error: dstack_attestation::event_log::EntryError| AgentError::Evidence(error.to_string());
        let boot = EventLogBuilder::new(digest_version).preimages(true);
        let mut log = boot_log::boot_log(boot, spec, traits)
            .map_err(unfit)?
            .event(&Event::SystemPreparing)
            .event(&Event::AppId(measured.app_id))
            .event(&Event::ComposeHash(measured.compose_hash));
        if traits.init_scripts_measured {
            for script in &compose.init_scripts {
                log = log.event(&Event::InitScriptHash(sha256(script.as_bytes()).into()));
            }
        }
        log = log.event(&Event::InstanceId(measured.instance_id)).event(&Event::BootMrDone);
        // `mr-kms` would stand here on dstack 0.5, but only of a KMS whose certificate carries an attestation.
        if let Some(hash) = measured.os_image_hash {
            log = log.event(&Event::OsImageHash(hash));
        }
        let log = log
            .event(&Event::KeyProvider(measured.key_provider.clone()))
            .event(&Event::StorageFs(compose.storage_fs.clone()))
            .event(&Event::SystemReady)
            .build();
        let mr_config_id = mr_config_id(spec.version, compose, measured);
        Ok(Self {
            mrtd: boot_log::mrtd(spec),
            creator: CreatorFields { mr_config_id: mr_config_id.to_bytes(), ..CreatorFields::default() },
            digest_version,
            config,
            log: RwLock::new(log),
        })
    }

    /// The event log as it is now.
    pub(crate) fn log(&self) -> EventLog {
        // A log is replaced as a whole, so that a panic elsewhere cannot leave half of one.
        self.log.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Measures an event of the app.
    pub(crate) fn emit(&self, event: RuntimeEvent) {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        let mut entries = log.entries().to_vec();
        let entry = event.entry(self.digest_version);
        let spelled_out = self.digest_version == DigestVersion::V2;
        entries.push(if spelled_out { entry.with_preimage() } else { entry });
        *log = EventLog::from_entries(entries);
    }

    /// The measurements that go with a log.
    pub(crate) fn measurements(&self, log: &EventLog) -> Measurements {
        Measurements::new(self.mrtd, &log.replay())
    }

    /// The digest of all measurements that go with a log.
    pub(crate) fn mr_aggregated(&self, log: &EventLog) -> Digest32 {
        self.measurements(log).mr_aggregated(&self.creator)
    }

    /// A quote over this report data, and the log that explains it.
    pub(crate) fn quote(&self, report_data: ReportData) -> (Vec<u8>, EventLog) {
        let log = self.log();
        let measurements = self.measurements(&log);
        let quote = EmulatedQuote { measurements, creator: self.creator, report_data };
        (quote.to_bytes(), log)
    }

    /// The attestation that `Attest` answers and, shortened, certificates carry: version 0 of upstream's
    /// `VersionedAttestation`, in SCALE.
    pub(crate) fn attestation(&self, report_data: ReportData, shortened: bool) -> Vec<u8> {
        let whole = self.versioned(report_data);
        if shortened { whole.shortened() } else { whole }.encode_v0()
    }

    /// The attestation in `GetQuote` on branch next: version 1, in MessagePack.
    pub(crate) fn attestation_v1(&self, report_data: ReportData) -> Vec<u8> {
        self.versioned(report_data).encode_v1()
    }

    fn versioned(&self, report_data: ReportData) -> VersionedAttestation {
        let (quote, log) = self.quote(report_data);
        VersionedAttestation::tdx(quote, log, report_data, self.config.as_str())
    }
}

/// What the VMM commits to: the compose hash alone, or with the key provider where the app-compose pins one.
fn mr_config_id(version: DstackVersion, compose: &GuestCompose, measured: &Measured) -> MrConfigId {
    if compose.key_provider_id.is_empty() {
        return MrConfigId::v1(measured.compose_hash);
    }
    if version == DstackVersion::V0_5 {
        return MrConfigId::v2(
            &measured.compose_hash,
            &measured.app_id,
            compose.key_provider,
            &compose.key_provider_id,
        );
    }
    let kind = match compose.key_provider.as_str() {
        "local-sgx" => "local",
        other => other,
    };
    let mut document = MrConfigDocument::new(measured.compose_hash, kind)
        .app_id(measured.app_id)
        .key_provider_id(&compose.key_provider_id);
    if let Some(id) = measured.instance_id {
        document = document.instance_id(id);
    }
    if compose.manifest_3 {
        let hashes = compose.init_scripts.iter().map(|script| sha256(script.as_bytes()).into());
        document = document.init_script_hashes(hashes.collect());
    }
    MrConfigId::v3(&document.to_bytes())
}
