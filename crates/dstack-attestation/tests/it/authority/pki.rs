//! The certificates: root CA, PCK CA, TCB signer, and a platform's PCK certificate with Intel's SGX extension.

use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CustomExtension,
    DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber,
};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::DAY;

/// The OID of Intel's SGX extension of PCK certificates (Intel SGX PCK Certificate and CRL Profile Specification).
const SGX_EXTENSION: [u64; 7] = [1, 2, 840, 113_741, 1, 13, 1];

/// Plays Intel: a root CA, the CA of platforms and the signer of TCB info and QE identity.
pub(crate) struct Authority {
    now: SystemTime,
    root: CertifiedIssuer<'static, KeyPair>,
    pck_ca: CertifiedIssuer<'static, KeyPair>,
    tcb_signer: Signer,
}

/// A certificate and its key.
pub(crate) struct Signer {
    pub(crate) pem: String,
    key: KeyPair,
}

/// What a platform is.
#[derive(Clone, Debug)]
pub(crate) struct PlatformSpec {
    /// The platform type.
    pub(crate) fmspc: [u8; 6],
    /// The platform's id. dstack's device id is its SHA-256.
    pub(crate) ppid: [u8; 16],
    /// The CPU's security versions.
    pub(crate) cpu_svn: [u8; 16],
    /// The PCE's security version.
    pub(crate) pce_svn: u8,
    /// The serial number of its PCK certificate.
    pub(crate) serial: u8,
    /// For how long its PCK certificate is valid, in days from the authority's time.
    pub(crate) valid_days: u32,
}

impl Default for PlatformSpec {
    fn default() -> Self {
        Self {
            fmspc: [0xb0, 0xc0, 0x6f, 0, 0, 0],
            ppid: *b"test platform 01",
            cpu_svn: [2, 2, 2, 2, 3, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
            pce_svn: 11,
            serial: 0x51,
            valid_days: 365,
        }
    }
}

/// Plays a TDX platform with its quoting enclave.
pub(crate) struct Platform {
    spec: PlatformSpec,
    pck_chain: String,
    pck_key: KeyPair,
    attestation_key: KeyPair,
}

impl Authority {
    /// An authority with keys of its own, at this time.
    pub(crate) fn new(now: SystemTime) -> Self {
        let root = CertifiedIssuer::self_signed(ca("Test SGX Root CA", now, 1), key()).unwrap();
        let pck_ca =
            CertifiedIssuer::signed_by(ca("Test SGX PCK Platform CA", now, 2), key(), &root).unwrap();
        let signer = key();
        let mut params = named("Test SGX TCB Signing", now, 3);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let tcb_signer = Signer { pem: params.signed_by(&signer, &root).unwrap().pem(), key: signer };
        Self { now, root, pck_ca, tcb_signer }
    }

    /// The time at which it lives.
    pub(crate) fn now(&self) -> SystemTime {
        self.now
    }

    /// The root CA's certificate in DER.
    pub(crate) fn root_der(&self) -> Vec<u8> {
        self.root.der().to_vec()
    }

    /// The root CA's certificate in PEM.
    pub(crate) fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// A platform under this authority.
    pub(crate) fn platform(&self) -> Platform {
        self.platform_with(PlatformSpec::default())
    }

    /// A platform of this description.
    pub(crate) fn platform_with(&self, spec: PlatformSpec) -> Platform {
        let pck_key = key();
        let mut params = named("Test SGX PCK Certificate", self.now, spec.serial);
        params.not_after = (self.now + DAY * spec.valid_days).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&SGX_EXTENSION, sgx_extension(&spec))];
        let leaf = params.signed_by(&pck_key, &self.pck_ca).unwrap();
        let pck_chain = [leaf.pem(), self.pck_ca.pem(), self.root.pem()].concat();
        Platform { spec, pck_chain, pck_key, attestation_key: key() }
    }

    /// The CRL of the root CA in DER.
    pub(super) fn root_crl(&self, issued: SystemTime, next: SystemTime) -> Vec<u8> {
        crl(&self.root, issued, next, &[])
    }

    /// The CRL of the PCK CA in DER.
    pub(super) fn pck_crl(&self, issued: SystemTime, next: SystemTime, revoked: &[u8]) -> Vec<u8> {
        crl(&self.pck_ca, issued, next, revoked)
    }

    /// The chain of the PCK CRL's issuer in PEM.
    pub(super) fn pck_ca_chain(&self) -> String {
        [self.pck_ca.pem(), self.root.pem()].concat()
    }

    /// The chain of the signer of TCB info and QE identity in PEM.
    pub(super) fn tcb_chain(&self) -> String {
        [self.tcb_signer.pem.clone(), self.root.pem()].concat()
    }

    /// Signs TCB info or QE identity.
    pub(super) fn sign_statement(&self, text: &str) -> Vec<u8> {
        sign(&self.tcb_signer.key, text.as_bytes())
    }
}

impl Platform {
    /// What it is.
    pub(crate) fn spec(&self) -> &PlatformSpec {
        &self.spec
    }

    /// The PCK certificate, its CA's and the root's, in PEM.
    pub(crate) fn pck_chain(&self) -> &str {
        &self.pck_chain
    }

    /// Signs as the provisioning certification enclave does.
    pub(super) fn sign_with_pck(&self, bytes: &[u8]) -> Vec<u8> {
        sign(&self.pck_key, bytes)
    }

    /// Signs as the quoting enclave does.
    pub(super) fn sign_with_attestation_key(&self, bytes: &[u8]) -> Vec<u8> {
        sign(&self.attestation_key, bytes)
    }

    /// The public attestation key: X and Y, 64 bytes.
    pub(super) fn attestation_key(&self) -> Vec<u8> {
        self.attestation_key.public_key_raw()[1..].to_vec()
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

/// Signs with ECDSA over P-256 and SHA-256: r and s, 64 bytes.
fn sign(key: &KeyPair, bytes: &[u8]) -> Vec<u8> {
    let random = ring::rand::SystemRandom::new();
    let signer =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der(), &random).unwrap();
    signer.sign(&random, bytes).unwrap().as_ref().to_vec()
}

fn named(name: &str, now: SystemTime, serial: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Test authority, nothing genuine");
    params.serial_number = Some(SerialNumber::from_slice(&[serial]));
    params.not_before = (now - 400 * DAY).into();
    params.not_after = (now + 4000 * DAY).into();
    params.use_authority_key_identifier_extension = true;
    params
}

fn ca(name: &str, now: SystemTime, serial: u8) -> CertificateParams {
    let mut params = named(name, now, serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn crl(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    issued: SystemTime,
    next: SystemTime,
    revoked: &[u8],
) -> Vec<u8> {
    let revoked_certs = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&[*serial]),
        revocation_time: issued.into(),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: issued.into(),
        next_update: next.into(),
        crl_number: SerialNumber::from_slice(&[1]),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap().der().to_vec()
}

/// The extension's content: a sequence of pairs of an OID and a value.
fn sgx_extension(spec: &PlatformSpec) -> Vec<u8> {
    const OCTETS: u8 = 0x04;
    const INTEGER: u8 = 0x02;
    let mut tcb: Vec<Vec<u8>> =
        (1..).zip(spec.cpu_svn).map(|(n, svn)| pair(&[2, n], &der(INTEGER, &[svn]))).collect();
    tcb.push(pair(&[2, 17], &der(INTEGER, &[spec.pce_svn])));
    tcb.push(pair(&[2, 18], &der(OCTETS, &spec.cpu_svn)));
    let configuration = [1, 2, 3].map(|n| pair(&[7, n], &der(0x01, &[if n == 1 { 0x00 } else { 0xff }])));
    let parts = [
        pair(&[1], &der(OCTETS, &spec.ppid)),
        pair(&[2], &sequence(&tcb.concat())),
        pair(&[3], &der(OCTETS, &[0, 0])),
        pair(&[4], &der(OCTETS, &spec.fmspc)),
        pair(&[5], &der(0x0a, &[1])),
        pair(&[6], &der(OCTETS, b"test instance 01")),
        pair(&[7], &sequence(&configuration.concat())),
    ];
    sequence(&parts.concat())
}

fn pair(arc: &[u8], value: &[u8]) -> Vec<u8> {
    // 1.2.840.113741.1.13.1 as DER has it; every arc below it fits one byte.
    let mut oid = vec![0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01];
    oid.extend(arc);
    sequence(&[der(0x06, &oid), value.to_vec()].concat())
}

fn sequence(content: &[u8]) -> Vec<u8> {
    der(0x30, content)
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match length {
        0..=0x7f => bytes.push(length as u8),
        0x80..=0xff => bytes.extend([0x81, length as u8]),
        _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend(content);
    bytes
}
