#![doc = include_str!("../README.md")]

mod fixed_bytes;
mod hash;
mod measurement;
mod mr_config_id;
mod verify;

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

pub use fixed_bytes::{Digest32, Digest48, FixedBytes, HexError, Id20};
pub use measurement::{CreatorFields, Measurements};
pub use mr_config_id::{MrConfigDocument, MrConfigId, MrConfigIdError};
pub use policy::{Aspect, Policy};
pub use verify::{
    CERTIFICATE_CHECKS, COMPOSE_CHECKS, CertificateEvidence, ComposeClaim, CvmEvidence, EvidenceError,
    GATEWAY_CHECKS, GatewayEvidence, IMAGE_CHECKS, INGRESS_CHECKS, ImageClaim, IngressEvidence, KMS_CHECKS,
    KmsEvidence, QuotedKey, Verifier, cvm_checks,
};
