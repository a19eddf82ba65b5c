//! The guest agent of one emulated CVM: keys, certificates, quotes and attestations for the app in it, and what the VMM
//! asks of the guest.
//!
//! Everything is computed as the real agent computes it, from keys that a [`Kms`] gives and an event log that the
//! emulator writes, with one difference: there is no TEE. The quotes are not signed and marked as
//! emulated, certificates say EMULATED in their subjects, and so does the version.
//!
//! Source: upstream `guest-agent/src/{rpc_service,guest_api_service,server}.rs`, and exchanges recorded from its
//! simulator.

mod compose;
mod environment;
mod evidence;
mod external;
mod keys;
mod methods;
mod serve;
mod spec;
mod sysinfo;
mod tls;

use std::fmt;
use std::sync::{Arc, OnceLock};

use dstack_attestation::agent::{AppInfo, TcbInfo};
use dstack_attestation::event_log::{EventLog, KeyProvider, KeyProviderKind};
use dstack_attestation::report_data::ReportData;
use dstack_attestation::{Digest32, Id20, Measurements};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::env::Environment;

use crate::clock::Clock;
use crate::kms::{AppSecrets, EMULATED_UNIT, Kms, KmsError, random_bytes, sha256};
use compose::GuestCompose;
use evidence::{Evidence, Measured};

pub(crate) use serve::EXTERNAL_PORT;
pub use serve::Sockets;
pub use spec::GuestSpec;

/// In what the agents of the supported versions differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    /// `EmitEvent` measures an event of the app. Otherwise there is no such method.
    emit_event: bool,
    /// There is `GpuInfo`.
    gpu_info: bool,
    /// `GetQuote` answers with an attestation too.
    attestation_in_quote: bool,
    /// `GetTlsKey` refuses a validity that ends before it begins.
    validity_checked: bool,
    /// The event log names the ACPI events of RTMR0.
    acpi_events_named: bool,
    /// `event_log_version` of the app-compose counts.
    event_log_v2: bool,
    /// Init scripts are measured.
    init_scripts_measured: bool,
    /// An app id that the user gave is measured whatever the key provider. Otherwise only with a KMS.
    explicit_app_id_always_measured: bool,
}

impl Traits {
    fn of(version: DstackVersion) -> Self {
        let next = version != DstackVersion::V0_5;
        let capabilities = version.capabilities();
        Self {
            emit_event: capabilities.emit_event,
            gpu_info: next,
            attestation_in_quote: next,
            validity_checked: next,
            acpi_events_named: next,
            event_log_v2: next,
            init_scripts_measured: next,
            explicit_app_id_always_measured: capabilities.explicit_app_id_always_measured,
        }
    }
}

/// Why a guest does not boot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The app-compose cannot be read by the guest.
    #[error("failed to read the app-compose: {0}")]
    Compose(String),
    /// The keys cannot be had.
    #[error("failed to get the app keys: {0}")]
    Keys(#[from] KmsError),
    /// The environment is not sealed to this app, or not one that a guest takes.
    #[error("failed to open the encrypted environment: {0}")]
    Environment(String),
    /// The event log cannot be written.
    #[error("failed to write the event log: {0}")]
    Evidence(String),
}

type ShutdownHook = Arc<dyn Fn() + Send + Sync>;

/// The guest agent of one running CVM. Cheap to clone: clones are the same guest.
///
/// ```
/// use dstack_emulator::agent::{GuestAgent, GuestSpec};
/// use dstack_emulator::clock::Clock;
/// use dstack_emulator::kms::{Kms, RootKeys};
/// use dstack_vmm_client::DstackVersion;
///
/// let clock = Clock::real();
/// let kms = Kms::new(&RootKeys::from_seed(b"docs")?, clock.now_ms() / 1000)?;
/// let compose = r#"{"manifest_version":2,"name":"web","runner":"docker-compose","kms_enabled":true}"#;
/// let agent = GuestAgent::boot(GuestSpec::new(DstackVersion::V0_5, compose), &kms, clock)?;
/// let log = agent.event_log();
/// assert_eq!(log.system_events().app_id, Some(agent.app_id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct GuestAgent {
    inner: Arc<Inner>,
}

struct Inner {
    spec: GuestSpec,
    traits: Traits,
    compose: GuestCompose,
    measured: Measured,
    vm_config: String,
    evidence: Evidence,
    environment: Environment,
    secrets: AppSecrets,
    clock: Clock,
    booted_ms: u64,
    app_cert: OnceLock<String>,
    on_shutdown: OnceLock<ShutdownHook>,
}

impl fmt::Debug for GuestAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestAgent").field("measured", &self.inner.measured).finish_non_exhaustive()
    }
}

impl GuestAgent {
    /// Boots a guest: gets its keys from the KMS, if its app-compose says so, opens its environment with them, and measures
    /// what it is.
    ///
    /// # Errors
    ///
    /// [`AgentError`], at what the real guest would stop at too.
    pub fn boot(spec: GuestSpec, kms: &Kms, clock: Clock) -> Result<Self, AgentError> {
        let traits = Traits::of(spec.version);
        let compose = GuestCompose::read(&spec.compose)?;
        let compose_hash = spec.compose_hash();
        let app_id = spec.measured_app_id(&compose);
        let with_kms = compose.key_provider == KeyProviderKind::Kms;
        let environment = environment::open(&spec, &compose, app_id.as_ref(), kms)?;
        let booted_ms = clock.now_ms();
        let now = booted_ms / 1000;
        let secrets = match compose.key_provider {
            KeyProviderKind::Kms => kms.app_secrets(app_id.as_bytes(), now)?,
            // A local provider seals its keys to what the guest measured, so that the same guest gets the same keys.
            KeyProviderKind::Local | KeyProviderKind::Tpm => {
                let parts: [&[u8]; 3] = [app_id.as_ref(), compose_hash.as_ref(), spec.os_image_hash.as_ref()];
                AppSecrets::local(&sha256(&parts.concat()), now)?
            }
            // Without a provider the keys do not outlive the boot.
            _ => AppSecrets::local(&random_bytes()?, now)?,
        };
        let measured = Measured {
            app_id,
            // The id mixes in the app id that was given, also where another one is measured.
            instance_id: (!compose.no_instance_id)
                .then(|| instance_id(&spec.instance_seed, &spec.given_app_id())),
            compose_hash,
            key_provider: key_provider(compose.key_provider, kms),
            os_image_hash: with_kms.then_some(spec.os_image_hash),
        };
        let vm_config = spec.vm_config();
        let config = spec.system_config(&vm_config);
        let evidence = Evidence::boot(&spec, &traits, &compose, &measured, config)?;
        let (app_cert, on_shutdown) = (OnceLock::new(), OnceLock::new());
        let inner = Inner {
            spec,
            traits,
            compose,
            measured,
            vm_config,
            evidence,
            environment,
            secrets,
            clock,
            booted_ms,
            app_cert,
            on_shutdown,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Sets what happens when somebody asks the guest to power off. Only the first call counts.
    pub fn on_shutdown(&self, hook: impl Fn() + Send + Sync + 'static) {
        // A second hook would mean two owners of one guest; the first one stays.
        let _ = self.inner.on_shutdown.set(Arc::new(hook));
    }

    /// The app id that was measured.
    pub fn app_id(&self) -> Id20 {
        self.inner.measured.app_id
    }

    /// The instance id that was measured. `None` where the app-compose says `no_instance_id`.
    pub fn instance_id(&self) -> Option<Id20> {
        self.inner.measured.instance_id
    }

    /// The compose hash that was measured.
    pub fn compose_hash(&self) -> Digest32 {
        self.inner.measured.compose_hash
    }

    /// The event log as it is now.
    pub fn event_log(&self) -> EventLog {
        self.inner.evidence.log()
    }

    /// The measurements as they are now.
    pub fn measurements(&self) -> Measurements {
        self.inner.evidence.measurements(&self.inner.evidence.log())
    }

    /// A quote over this report data, unsigned and marked as emulated.
    pub fn quote(&self, report_data: ReportData) -> Vec<u8> {
        self.inner.evidence.quote(report_data).0
    }

    /// The attestation over this report data that `Attest` answers: the same quote with its log, in upstream's
    /// `VersionedAttestation` of version 0.
    pub fn attestation(&self, report_data: ReportData) -> Vec<u8> {
        self.inner.evidence.attestation(report_data, false)
    }

    /// The same as certificates carry it.
    pub(crate) fn shortened_attestation(&self, report_data: ReportData) -> Vec<u8> {
        self.inner.evidence.attestation(report_data, true)
    }

    /// The version number of the agent.
    fn version(&self) -> &'static str {
        self.inner.spec.version.capabilities().reference
    }

    /// The version number with the mark, for answers that have no field for a revision.
    fn marked_version(&self) -> String {
        format!("{}+EMULATED", self.version())
    }

    fn now(&self) -> u64 {
        self.inner.clock.now_ms() / 1000
    }

    fn tcb_info(&self, log: EventLog) -> TcbInfo {
        let inner = &self.inner;
        let measurements = inner.evidence.measurements(&log);
        let mut info = TcbInfo::default();
        info.mrtd = Some(measurements.mrtd);
        info.rtmr0 = Some(measurements.rtmr0);
        info.rtmr1 = Some(measurements.rtmr1);
        info.rtmr2 = Some(measurements.rtmr2);
        info.rtmr3 = Some(measurements.rtmr3);
        info.mr_aggregated = inner.evidence.mr_aggregated(&log);
        info.os_image_hash = inner.spec.os_image_hash.to_string();
        info.compose_hash = inner.measured.compose_hash.to_string();
        info.device_id = device_id().to_string();
        info.app_compose.clone_from(&inner.spec.compose);
        info.event_log = log;
        info
    }

    /// What the agent says about its app; from outside only what the app-compose allows.
    fn app_info(&self, external: bool) -> AppInfo {
        let inner = &self.inner;
        let hidden = external && !inner.compose.public_tcbinfo;
        let log = inner.evidence.log();
        let mut info = AppInfo::default();
        info.app_id = inner.measured.app_id.as_ref().to_vec();
        info.instance_id = inner.measured.instance_id.map(|id| id.as_ref().to_vec()).unwrap_or_default();
        info.app_cert = self.app_cert().to_owned();
        info.app_name.clone_from(&inner.compose.name);
        info.device_id = device_id().as_ref().to_vec();
        info.mr_aggregated = inner.evidence.mr_aggregated(&log).as_ref().to_vec();
        info.os_image_hash = inner.spec.os_image_hash.as_ref().to_vec();
        info.key_provider_info = inner.measured.key_provider.to_json();
        info.compose_hash = inner.measured.compose_hash.as_ref().to_vec();
        if !hidden {
            info.tcb_info = self.tcb_info(log).to_json();
            info.vm_config.clone_from(&inner.vm_config);
        }
        info
    }

    /// The certificate with evidence that `Info` shows, made when it is first asked for.
    fn app_cert(&self) -> &str {
        self.inner.app_cert.get_or_init(|| self.issue_app_cert().unwrap_or_default())
    }
}

/// The instance id: 20 bytes of the SHA-256 of seed and app id (upstream `dstack-util/src/system_setup.rs`).
fn instance_id(seed: &Id20, app_id: &Id20) -> Id20 {
    let digest = sha256(&[seed.as_ref(), app_id.as_ref()].concat());
    let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _] = digest;
    Id20::new(id)
}

/// The device id of a machine that has none: the SHA-256 of nothing.
fn device_id() -> Digest32 {
    Digest32::new(sha256(b""))
}

/// Who gave the keys, as it is measured.
fn key_provider(kind: KeyProviderKind, kms: &Kms) -> KeyProvider {
    match kind {
        KeyProviderKind::Kms => KeyProvider::new(kind, &kms.ca_pubkey()),
        // In place of the enclave's measurement.
        KeyProviderKind::Local => KeyProvider::new(kind, &sha256(b"EMULATED local key provider")),
        _ => KeyProvider::new(kind, &[]),
    }
}

/// What the agent says instead of a revision of its source.
const REVISION: &str = EMULATED_UNIT;

/// Names of the containers that an app-compose starts, as far as the guest can tell.
pub(crate) fn container_names(compose: &str) -> Vec<String> {
    let services = GuestCompose::read(compose).map(|compose| compose.services).unwrap_or_default();
    services.into_iter().map(|service| service.container).collect()
}
