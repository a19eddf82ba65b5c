//! The answer of `AcmeInfo`, read.

use serde::Deserialize;
use serde_json::Value;

use crate::verify::{CvmEvidence, quoted};

/// How many historical keys are read in full. A gateway that renews every sixty days has as many after forty years.
pub(super) const MAX_KEYS: usize = 256;

/// The longest account URI, in bytes.
const MAX_URI: usize = 2048;

/// A quote that came with something. `None` where there is none.
pub(super) type Quoted = Option<Result<CvmEvidence, String>>;

pub(super) struct AcmeInfo {
    pub(super) account_uri: String,
    pub(super) account: Quoted,
    /// At most [`MAX_KEYS`], and the one in use even beyond them.
    pub(super) keys: Vec<QuotedKey>,
    /// How many keys were listed.
    pub(super) listed: usize,
}

/// A public key that a gateway had quoted.
pub(super) struct QuotedKey {
    /// Its place in the list, from 1.
    pub(super) number: usize,
    /// SubjectPublicKeyInfo in DER.
    pub(super) public_key: Result<Vec<u8>, String>,
    pub(super) evidence: Quoted,
}

#[derive(Deserialize)]
struct AcmeInfoJson {
    account_uri: String,
    quoted_hist_keys: Vec<Value>,
    #[serde(default)]
    account_quote: Value,
    #[serde(default)]
    account_attestation: Value,
}

impl AcmeInfo {
    /// Reads an answer; `live` is the public key of the certificate in use.
    pub(super) fn read(json: &str, live: Option<&[u8]>) -> Result<Self, String> {
        let value: Value = serde_json::from_str(json)
            .map_err(|error| format!("the answer of AcmeInfo is not JSON: {error}"))?;
        if let Some(error) = value.get("error").and_then(Value::as_str) {
            return Err(format!("AcmeInfo was answered with an error: {error}"));
        }
        let raw: AcmeInfoJson = serde_json::from_value(value)
            .map_err(|error| format!("the answer is not that of AcmeInfo: {error}"))?;
        if raw.account_uri.len() > MAX_URI {
            return Err(format!("account_uri has {} bytes, more than {MAX_URI}", raw.account_uri.len()));
        }
        let mut keys = Vec::new();
        for (index, value) in raw.quoted_hist_keys.iter().enumerate() {
            let public_key = match text(value.get("public_key")) {
                Some(hex) => quoted::hex_bytes("public_key", &hex),
                None => Err("there is no public_key".to_owned()),
            };
            let in_use = live.is_some() && public_key.as_deref().ok() == live;
            if index < MAX_KEYS || (in_use && keys.len() <= MAX_KEYS) {
                let evidence = evidence("the key's", value.get("attestation"), value.get("quote"));
                keys.push(QuotedKey { number: index + 1, public_key, evidence });
            }
        }
        Ok(Self {
            account: evidence("the account's", Some(&raw.account_attestation), Some(&raw.account_quote)),
            account_uri: raw.account_uri,
            keys,
            listed: raw.quoted_hist_keys.len(),
        })
    }
}

/// The text of a member; of an object its JSON. `None` for nothing and for an empty text.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
    .filter(|text| !text.is_empty())
}

/// The attestation before the bare quote: it brings the event log along.
fn evidence(whose: &str, attestation: Option<&Value>, quote: Option<&Value>) -> Quoted {
    if let Some(text) = text(attestation) {
        return Some(quoted::attestation(&format!("{whose} attestation"), &text));
    }
    text(quote).map(|text| quoted::quote(&format!("{whose} quote"), &text))
}
