//! What a KMS shows of the CVM that it runs in: the attestation of its keys, and the certificate of its server.
//!
//! Source: upstream `kms/src/onboard_service.rs` and `ra-tls/src/cert.rs`, and exchanges recorded from its program.

use dstack_attestation::report_data::{self, HashAlgorithm, TAG_RATLS_CERT};
use dstack_vmm_client::DstackVersion;
use rcgen::{KeyPair, PublicKeyData as _};
use serde::Serialize;

use super::{Extension, Kms, KmsError, Leaf};
use crate::agent::{GuestAgent, GuestSpec};

/// The special usage of the certificate of a KMS's server.
const USAGE: &str = "kms:rpc";

/// The app-compose of the CVM that an emulated KMS is said to run in. Its keys come from a local provider, since there
/// is no other KMS to ask.
const COMPOSE: &str = r#"{"manifest_version":2,"name":"kms","runner":"docker-compose","docker_compose_file":"services: {}\n","key_provider":"local","public_logs":true,"public_sysinfo":true,"public_tcbinfo":true,"no_instance_id":false}"#;

/// The answer of `Onboard.Bootstrap`, which `GetMeta` repeats as `bootstrap_info`: the public keys, and an emulated
/// attestation over them. Bytes are hex in JSON. The numbers of the fields in protobuf were not observed.
#[derive(Clone, PartialEq, Eq, Serialize, prost::Message)]
#[non_exhaustive]
pub struct BootstrapInfo {
    /// The root CA's public key: SubjectPublicKeyInfo in DER.
    #[serde(with = "hex::serde")]
    #[prost(bytes = "vec", tag = "1")]
    pub ca_pubkey: Vec<u8>,
    /// The secp256k1 root key, compressed.
    #[serde(with = "hex::serde")]
    #[prost(bytes = "vec", tag = "2")]
    pub k256_pubkey: Vec<u8>,
    /// A `VersionedAttestation` of version 0 whose report data is over both keys.
    #[serde(with = "hex::serde")]
    #[prost(bytes = "vec", tag = "3")]
    pub attestation: Vec<u8>,
}

/// A key and the certificates that go with it, all in PEM.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerIdentity {
    /// The private key.
    pub key: String,
    /// The certificate and that of the root CA.
    pub chain: Vec<String>,
}

impl std::fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerIdentity").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl Kms {
    /// What the CVM of an emulated KMS is booted with.
    pub fn guest_spec(version: DstackVersion) -> GuestSpec {
        GuestSpec::new(version, COMPOSE)
    }

    /// The keys of this KMS with an attestation of the CVM that it runs in, which is emulated.
    ///
    /// ```
    /// use dstack_attestation::versioned::VersionedAttestation;
    /// use dstack_emulator::agent::GuestAgent;
    /// use dstack_emulator::clock::Clock;
    /// use dstack_emulator::kms::{Kms, RootKeys};
    /// use dstack_vmm_client::DstackVersion;
    ///
    /// let clock = Clock::real();
    /// let kms = Kms::new(&RootKeys::from_seed(b"docs")?, clock.now_ms() / 1000)?;
    /// let guest = GuestAgent::boot(Kms::guest_spec(DstackVersion::Next), &kms, clock)?;
    /// let info = kms.bootstrap_info(&guest);
    /// let attestation = VersionedAttestation::decode(&info.attestation)?;
    /// assert!(attestation.contradictions().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bootstrap_info(&self, guest: &GuestAgent) -> BootstrapInfo {
        let (ca_pubkey, k256_pubkey) = (self.ca_pubkey(), self.k256_pubkey().to_vec());
        let report_data = report_data::kms_bootstrap(&ca_pubkey, &k256_pubkey);
        BootstrapInfo { attestation: guest.attestation(report_data), ca_pubkey, k256_pubkey }
    }

    /// This KMS as one that was bootstrapped by hand in that CVM: `GetMeta` shows the answer as `bootstrap_info`.
    #[must_use]
    pub fn bootstrapped_in(mut self, guest: &GuestAgent) -> Self {
        self.bootstrap = Some(self.bootstrap_info(guest));
        self
    }

    /// A new key for the KMS's server at this host, with a certificate that carries the CVM's emulated evidence, at
    /// `now` in seconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`KmsError`] when the host is no name for a certificate.
    pub fn server_identity(
        &self,
        guest: &GuestAgent,
        host: &str,
        now: u64,
    ) -> Result<ServerIdentity, KmsError> {
        let key = KeyPair::generate().map_err(KmsError::certificate)?;
        let public_key = key.subject_public_key_info();
        let report_data = report_data::tagged(HashAlgorithm::Sha512, TAG_RATLS_CERT, &public_key)
            .map_err(|error| KmsError::key(error.to_string()))?;
        let leaf = Leaf {
            subject: host,
            alt_names: &[host.to_owned()],
            server_auth: true,
            extensions: vec![
                Extension::usage(USAGE),
                Extension::attestation(guest.shortened_attestation(report_data)),
            ],
            ..Leaf::default()
        };
        let certificate = self.root.issue(&leaf, &key, now)?;
        Ok(ServerIdentity { key: key.serialize_pem(), chain: vec![certificate, self.ca_cert().to_owned()] })
    }
}
