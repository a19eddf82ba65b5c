//! The answers of a KMS, read.

use serde::Deserialize;
use serde_json::Value;

use crate::Id20;
use crate::key_chain::CompressedKey;
use crate::ra_tls::RaTlsCertificate;
use crate::verify::kms::EnvKeyEvidence;
use crate::verify::{CvmEvidence, quoted};

/// The answer of `Onboard.Bootstrap`: the two public keys, and the attestation that binds them.
#[derive(Clone, Debug)]
pub(super) struct Bootstrap {
    pub(super) ca_pubkey: Vec<u8>,
    pub(super) k256_pubkey: Vec<u8>,
    /// The quote with its log; empty where the answer has none.
    pub(super) attested: CvmEvidence,
    /// How the quote is written, in words.
    pub(super) form: &'static str,
}

#[derive(Deserialize)]
struct BootstrapJson {
    ca_pubkey: String,
    k256_pubkey: String,
    #[serde(default)]
    attestation: Option<String>,
    // Up to v0.5.5.
    #[serde(default)]
    quote: Option<String>,
    #[serde(default)]
    eventlog: Option<String>,
}

impl Bootstrap {
    pub(super) fn read(json: &str) -> Result<Self, String> {
        answer("Onboard.Bootstrap", json).and_then(Self::of)
    }

    fn of(value: Value) -> Result<Self, String> {
        let raw: BootstrapJson = serde_json::from_value(value)
            .map_err(|error| format!("the answer is not that of Onboard.Bootstrap: {error}"))?;
        let (attested, form) = match (given(raw.attestation), given(raw.quote)) {
            (Some(text), _) => (quoted::attestation("attestation", &text)?, "an attestation"),
            (None, Some(text)) => {
                let mut evidence = quoted::quote("quote", &text)?;
                if let Some(log) = given(raw.eventlog) {
                    evidence.event_log = Some(event_log(&log)?);
                }
                (evidence, "a quote and its event log")
            }
            (None, None) => (CvmEvidence::new(), "no attestation"),
        };
        Ok(Self {
            ca_pubkey: quoted::hex_bytes("ca_pubkey", &raw.ca_pubkey)?,
            k256_pubkey: quoted::hex_bytes("k256_pubkey", &raw.k256_pubkey)?,
            attested,
            form,
        })
    }
}

/// The event log of the old form: JSON, or its bytes in hex.
fn event_log(text: &str) -> Result<String, String> {
    if text.trim_start().starts_with('[') {
        return Ok(text.to_owned());
    }
    let bytes = quoted::hex_bytes("eventlog", text)?;
    String::from_utf8(bytes).map_err(|_| "eventlog is not a text".to_owned())
}

/// The answer of `KMS.GetMeta`.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    /// The root CA's certificate.
    pub(super) ca: Result<RaTlsCertificate, String>,
    pub(super) k256_pubkey: Vec<u8>,
    pub(super) bootstrap_info: Option<Result<Bootstrap, String>>,
    pub(super) is_dev: Option<bool>,
    pub(super) allow_any_upgrade: Option<bool>,
    pub(super) gateway_app_id: Option<String>,
    pub(super) contract: Option<String>,
    pub(super) chain_id: Option<u64>,
}

#[derive(Deserialize)]
struct MetaJson {
    ca_cert: String,
    k256_pubkey: String,
    #[serde(default)]
    bootstrap_info: Option<Value>,
    #[serde(default)]
    is_dev: Option<bool>,
    #[serde(default)]
    allow_any_upgrade: Option<bool>,
    #[serde(default)]
    gateway_app_id: Option<String>,
    #[serde(default)]
    kms_contract_address: Option<String>,
    #[serde(default)]
    chain_id: Option<u64>,
}

impl Meta {
    pub(super) fn read(json: &str) -> Result<Self, String> {
        let raw: MetaJson = serde_json::from_value(answer("KMS.GetMeta", json)?)
            .map_err(|error| format!("the answer is not that of KMS.GetMeta: {error}"))?;
        let ca = match RaTlsCertificate::all_from_pem(&raw.ca_cert) {
            Ok(certificates) => match <[RaTlsCertificate; 1]>::try_from(certificates) {
                Ok([ca]) => Ok(ca),
                Err(several) => Err(format!("ca_cert holds {} certificates instead of one", several.len())),
            },
            Err(error) => Err(format!("ca_cert cannot be read: {error}")),
        };
        Ok(Self {
            ca,
            k256_pubkey: quoted::hex_bytes("k256_pubkey", &raw.k256_pubkey)?,
            bootstrap_info: raw.bootstrap_info.map(Bootstrap::of),
            is_dev: raw.is_dev,
            allow_any_upgrade: raw.allow_any_upgrade,
            gateway_app_id: given(raw.gateway_app_id),
            contract: given(raw.kms_contract_address),
            chain_id: raw.chain_id,
        })
    }
}

/// The answer of `KMS.GetAppEnvEncryptPubKey`, with the app that it is about.
#[derive(Clone, Debug)]
pub(super) struct EnvKey {
    pub(super) app_id: Id20,
    pub(super) public_key: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// In seconds since the Unix epoch, with its signature; older KMSs have neither.
    pub(super) timed: Option<(u64, Vec<u8>)>,
}

#[derive(Deserialize)]
struct EnvKeyJson {
    public_key: String,
    #[serde(default)]
    signature: String,
    #[serde(default)]
    timestamp: u64,
    #[serde(default)]
    signature_v1: String,
}

impl EnvKey {
    pub(super) fn read(evidence: &EnvKeyEvidence) -> Result<Self, String> {
        let raw: EnvKeyJson = serde_json::from_value(answer("KMS.GetAppEnvEncryptPubKey", &evidence.answer)?)
            .map_err(|error| format!("the answer is not that of KMS.GetAppEnvEncryptPubKey: {error}"))?;
        let timed = match raw.signature_v1.as_str() {
            "" => None,
            text => Some((raw.timestamp, quoted::hex_bytes("signature_v1", text)?)),
        };
        Ok(Self {
            app_id: evidence.app_id,
            public_key: quoted::hex_bytes("public_key", &raw.public_key)?,
            signature: quoted::hex_bytes("signature", &raw.signature)?,
            timed,
        })
    }
}

/// A JSON object that is no error.
fn answer(method: &str, json: &str) -> Result<Value, String> {
    let value: Value =
        serde_json::from_str(json).map_err(|error| format!("the answer of {method} is not JSON: {error}"))?;
    match value.get("error").and_then(Value::as_str) {
        Some(error) => Err(format!("{method} was answered with an error: {error}")),
        None => Ok(value),
    }
}

/// The text, unless it is empty.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A compressed point of secp256k1, which lies on the curve.
pub(super) fn k256_key(bytes: &[u8]) -> Result<CompressedKey, String> {
    let key = CompressedKey::from_slice(bytes).map_err(|error| error.to_string())?;
    // The reader takes uncompressed keys as well, but those have 65 bytes.
    secp256k1::PublicKey::from_slice(bytes).map_err(|_| "not a point on the curve".to_owned())?;
    Ok(key)
}

/// The length of a P-256 key's SubjectPublicKeyInfo in DER, with the point uncompressed.
pub(super) const P256_SPKI_BYTES: usize = 91;

/// A P-256 key as SubjectPublicKeyInfo in DER, in the one form that dstack writes.
pub(super) fn p256_key(bytes: &[u8]) -> Result<(), String> {
    // AlgorithmIdentifier {id-ecPublicKey, prime256v1} and the head of a BIT STRING with an uncompressed point (RFC 5480).
    const HEAD: [u8; 27] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    if bytes.len() != P256_SPKI_BYTES {
        return Err(format!("{} bytes where {P256_SPKI_BYTES} are expected", bytes.len()));
    }
    let point = bytes.strip_prefix(&HEAD).ok_or("not the SubjectPublicKeyInfo of a P-256 key")?;
    let mut uncompressed = vec![4];
    uncompressed.extend_from_slice(point);
    p256::PublicKey::from_sec1_bytes(&uncompressed).map_err(|_| "not a point on the curve".to_owned())?;
    Ok(())
}
