//! Certificates as the KMS and the guest agent issue them, marked as emulated.
//!
//! Source: upstream `ra-tls/src/cert.rs`, and certificates recorded from its programs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::KmsError;

/// What stands as organizational unit in every certificate of the emulator.
pub(crate) const EMULATED_UNIT: &str = "EMULATED, no TEE";

/// Ten years of 365 days, the life of a certificate where nothing else is asked for, in seconds.
const LIFE: u64 = 10 * 365 * 86_400;

/// The last second that a certificate can name: the end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// An extension of dstack: object identifier `1.3.6.1.4.1.62397.1.x`, whose value is an octet string.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    number: u64,
    content: Vec<u8>,
}

impl Extension {
    /// The app id (20 bytes).
    pub(crate) fn app_id(content: &[u8]) -> Self {
        Self { number: 3, content: content.to_vec() }
    }

    /// What the certificate may be used for, such as `app:custom`.
    pub(crate) fn usage(usage: &str) -> Self {
        Self { number: 4, content: usage.as_bytes().to_vec() }
    }

    /// A versioned attestation whose report data binds the certificate's public key.
    pub(crate) const fn attestation(content: Vec<u8>) -> Self {
        Self { number: 8, content }
    }

    /// Ids and measurements of the app (a MessagePack map).
    pub(crate) const fn app_info(content: Vec<u8>) -> Self {
        Self { number: 9, content }
    }

    fn to_rcgen(&self) -> CustomExtension {
        CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 4, 1, 62397, 1, self.number],
            octet_string(&self.content),
        )
    }
}

/// DER of an octet string.
fn octet_string(content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut der = vec![0x04];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let significant = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
            let bytes = &bytes[significant..];
            // A usize has at most eight bytes.
            der.push(0x80 | bytes.len() as u8);
            der.extend_from_slice(bytes);
        }
    }
    der.extend_from_slice(content);
    der
}

/// What is asked of a certificate that is no authority's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaf<'a> {
    /// Common name.
    pub(crate) subject: &'a str,
    /// DNS names and IP addresses.
    pub(crate) alt_names: &'a [String],
    /// Good for servers.
    pub(crate) server_auth: bool,
    /// Good for clients.
    pub(crate) client_auth: bool,
    /// Start of validity in seconds since the Unix epoch.
    pub(crate) not_before: Option<u64>,
    /// End of validity in seconds since the Unix epoch.
    pub(crate) not_after: Option<u64>,
    /// dstack's extensions, in order.
    pub(crate) extensions: Vec<Extension>,
}

/// A certificate authority.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Authority {
    /// An authority that signs itself. `level` is how many authorities may stand below it.
    pub(crate) fn root(
        subject: &str,
        level: u8,
        extensions: &[Extension],
        key: KeyPair,
        now: u64,
    ) -> Result<Self, KmsError> {
        let params = authority_params(subject, level, extensions, now)?;
        let pem = params.self_signed(&key).map_err(KmsError::certificate)?.pem();
        Ok(Self { params, key, pem })
    }

    /// An authority below this one.
    pub(crate) fn subordinate(
        &self,
        subject: &str,
        level: u8,
        extensions: &[Extension],
        key: KeyPair,
        now: u64,
    ) -> Result<Self, KmsError> {
        let params = authority_params(subject, level, extensions, now)?;
        let issuer = Issuer::from_params(&self.params, &self.key);
        let pem = params.signed_by(&key, &issuer).map_err(KmsError::certificate)?.pem();
        Ok(Self { params, key, pem })
    }

    /// The certificate in PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// The private key in PEM.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The SubjectPublicKeyInfo in DER.
    pub(crate) fn public_key_der(&self) -> Vec<u8> {
        rcgen::PublicKeyData::subject_public_key_info(&self.key)
    }

    /// Issues a certificate over `key`, in PEM.
    pub(crate) fn issue(&self, leaf: &Leaf<'_>, key: &KeyPair, now: u64) -> Result<String, KmsError> {
        let mut params = CertificateParams::new(leaf.alt_names.to_vec()).map_err(KmsError::certificate)?;
        params.distinguished_name = name(None, leaf.subject);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if leaf.server_auth {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if leaf.client_auth {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        params.custom_extensions = leaf.extensions.iter().map(Extension::to_rcgen).collect();
        if let Some(not_before) = leaf.not_before {
            params.not_before = time(not_before)?.into();
        }
        params.not_after = time(leaf.not_after.unwrap_or_else(|| now.saturating_add(LIFE)))?.into();
        let issuer = Issuer::from_params(&self.params, &self.key);
        Ok(params.signed_by(key, &issuer).map_err(KmsError::certificate)?.pem())
    }
}

fn authority_params(
    subject: &str,
    level: u8,
    extensions: &[Extension],
    now: u64,
) -> Result<CertificateParams, KmsError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(Some("Dstack"), subject);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(level));
    params.key_usages =
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.custom_extensions = extensions.iter().map(Extension::to_rcgen).collect();
    params.not_after = time(now.saturating_add(LIFE))?.into();
    Ok(params)
}

fn name(organization: Option<&str>, subject: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::OrganizationalUnitName, EMULATED_UNIT);
    name.push(DnType::CommonName, subject);
    name
}

/// A time that a certificate can carry. Later ones would be a panic in the date library.
fn time(seconds: u64) -> Result<SystemTime, KmsError> {
    if seconds > LAST_SECOND {
        return Err(KmsError::Certificate(format!(
            "{seconds} s since the Unix epoch is after the year 9999"
        )));
    }
    Ok(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octet_strings_of_all_lengths() {
        assert_eq!(octet_string(b"ab"), b"\x04\x02ab");
        assert_eq!(octet_string(&[7; 0x7f])[..2], [0x04, 0x7f]);
        assert_eq!(octet_string(&[7; 0x80])[..3], [0x04, 0x81, 0x80]);
        assert_eq!(octet_string(&[7; 0x1a84])[..4], [0x04, 0x82, 0x1a, 0x84]);
    }

    #[test]
    fn times_that_no_certificate_can_carry_are_refused() {
        let key = KeyPair::generate().unwrap();
        let root = Authority::root("test", 1, &[], KeyPair::generate().unwrap(), 0).unwrap();
        for not_after in [LAST_SECOND + 1, u64::MAX] {
            let leaf = Leaf { subject: "x", not_after: Some(not_after), ..Leaf::default() };
            assert!(root.issue(&leaf, &key, 0).unwrap_err().to_string().contains("9999"));
        }
        let leaf = Leaf { subject: "x", not_after: Some(LAST_SECOND), ..Leaf::default() };
        assert!(root.issue(&leaf, &key, 0).is_ok());
    }
}
