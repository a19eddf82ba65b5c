//! Certificates of a KMS and its apps that the tests make, right or wrong in one thing.

use dstack_attestation::event_log::{DigestVersion, Event, EventLogBuilder, KeyProvider, KeyProviderKind};
use dstack_attestation::quote::emulated::EmulatedQuote;
use dstack_attestation::report_data::{self, HashAlgorithm, TAG_RATLS_CERT};
use dstack_attestation::versioned::VersionedAttestation;
use dstack_attestation::{CertificateEvidence, CreatorFields, Digest48, Id20, Measurements, MrConfigId};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _,
};
use std::time::Duration;

use crate::authority::{self, Authority, Contents, Platform};
use crate::evidence::{APP, compose_hash};

/// DER of an octet string of up to 65,535 bytes.
pub(crate) fn octet_string(content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    [&[0x04, 0x82, high, low], content].concat()
}

/// dstack's extension of this number.
pub(crate) fn extension(number: u64, content: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 62397, 1, number], octet_string(content))
}

/// A certificate and its key.
pub(crate) struct Ca {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    pub(crate) der: Vec<u8>,
}

fn ca_params(name: &str, level: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Dstack");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(level));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params
}

impl Ca {
    /// A KMS's root CA. Every KMS calls its own so.
    pub(crate) fn root() -> Self {
        let params = ca_params("Dstack KMS CA", 1);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }

    /// A CA of an app below this one.
    pub(crate) fn app(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params("Dstack App CA", 0);
        params.custom_extensions = vec![extension(3, APP.as_ref()), extension(4, b"app:ca")];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = self.sign(&params, &key);
        Self { params, key, der }
    }

    pub(crate) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).unwrap().der().to_vec()
    }

    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }
}

/// A KMS, an app CA, and a TDX platform on which the app runs, with keys of their own.
pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) platform: Platform,
    pub(crate) root: Ca,
    pub(crate) app_ca: Ca,
    pub(crate) key: KeyPair,
}

impl World {
    pub(crate) fn new() -> Self {
        let authority = Authority::new(authority::now());
        let platform = authority.platform();
        let root = Ca::root();
        let app_ca = root.app(|_| ());
        Self { authority, platform, root, app_ca, key: KeyPair::generate().unwrap() }
    }

    /// The contents of a quote of the app over this key, and the log that explains it.
    fn measured(&self, public_key: &[u8]) -> (EmulatedQuote, dstack_attestation::event_log::EventLog) {
        let events = [
            Event::SystemPreparing,
            Event::AppId(APP),
            Event::ComposeHash(compose_hash()),
            Event::InstanceId(Some(Id20::new([0x33; 20]))),
            Event::BootMrDone,
            Event::KeyProvider(KeyProvider::new(KeyProviderKind::Kms, &self.root.public_key())),
            Event::SystemReady,
        ];
        let log = events.iter().fold(EventLogBuilder::new(DigestVersion::V1), EventLogBuilder::event).build();
        let report_data = report_data::tagged(HashAlgorithm::Sha512, TAG_RATLS_CERT, public_key).unwrap();
        let quote = EmulatedQuote {
            measurements: Measurements::new(Digest48::new([0xd0; 48]), &log.replay()),
            creator: CreatorFields {
                mr_config_id: MrConfigId::v1(compose_hash()).to_bytes(),
                ..CreatorFields::default()
            },
            report_data,
        };
        (quote, log)
    }

    /// The attestation of the app for this key, signed by the platform.
    pub(crate) fn attestation(&self, public_key: &[u8]) -> VersionedAttestation {
        let (quote, log) = self.measured(public_key);
        let signed = self.platform.quote(&Contents::from(quote));
        VersionedAttestation::tdx(signed, log, quote.report_data, "{}").shortened()
    }

    /// The same with an emulator's mark in place of a signature.
    pub(crate) fn emulated_attestation(&self, public_key: &[u8]) -> VersionedAttestation {
        let (quote, log) = self.measured(public_key);
        VersionedAttestation::tdx(quote.to_bytes(), log, quote.report_data, "{}").shortened()
    }

    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.key.subject_public_key_info()
    }

    /// What the app's certificate is to say.
    pub(crate) fn leaf_params(&self) -> CertificateParams {
        let mut params =
            CertificateParams::new(vec!["a.example.com".to_owned(), "192.0.2.7".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "example.com");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.not_before = (authority::now() - Duration::from_secs(3600)).into();
        params.not_after = (authority::now() + Duration::from_secs(3600)).into();
        let attestation = self.attestation(&self.public_key()).encode_v0();
        params.custom_extensions =
            vec![extension(3, APP.as_ref()), extension(4, b"app:custom"), extension(8, &attestation)];
        params
    }

    /// The chain of the app, with its certificate changed, and everything expected of it.
    pub(crate) fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> CertificateEvidence {
        let mut params = self.leaf_params();
        change(&mut params);
        self.present(self.app_ca.sign(&params, &self.key))
    }

    /// A leaf with the CAs behind it, and everything expected of it.
    pub(crate) fn present(&self, leaf: Vec<u8>) -> CertificateEvidence {
        let chain = vec![leaf, self.app_ca.der.clone(), self.root.der.clone()];
        CertificateEvidence::new(chain).root(self.root.der.clone()).usage("app:custom").host("a.example.com")
    }
}
