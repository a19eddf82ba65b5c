#![doc = include_str!("../README.md")]

mod document;
mod fixed_bytes;
mod hash;
mod measurement;
mod mr_config_id;
mod verify;
mod vm_config;

pub mod agent;
#[cfg(feature = "client")]
pub mod client;
pub mod event_log;
pub mod image;
pub mod key_chain;
pub mod known_good;
pub mod policy;
pub mod quote;
pub mod ra_tls;
pub mod report_data;
pub mod versioned;

pub use document::{DocumentError, DocumentKind, MAX_DOCUMENT, OtherDocument};
pub use fixed_bytes::{Digest32, Digest48, FixedBytes, HexError, Id20};
pub use measurement::{CreatorFields, Measurements};
pub use mr_config_id::{MrConfigDocument, MrConfigId, MrConfigIdError};
pub use policy::{Aspect, Policy, PolicyFile, PolicyFileError};
pub use verify::{
    CERTIFICATE_CHECKS, COMPOSE_CHECKS, CertificateEvidence, ComposeClaim, CvmEvidence, EnvKeyEvidence,
    EvidenceError, GATEWAY_CHECKS, GatewayEvidence, IMAGE_CHECKS, INGRESS_CHECKS, ImageClaim,
    IngressEvidence, KMS_CHECKS, KmsEvidence, Verifier, cvm_checks,
};
pub use vm_config::{TdxMeasurement, VmConfig, VmConfigError};
