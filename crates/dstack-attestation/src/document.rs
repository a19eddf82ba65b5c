//! The forms in which evidence about an app is passed around, recognised by what is in them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use dstack_check::{Hint, Hinted};
use serde_json::value::RawValue;

use crate::fixed_bytes::decode_hex;
use crate::versioned::{AttestationError, VersionedAttestation};
use crate::{CvmEvidence, EvidenceError};

/// The longest document in bytes. A quote with its event log has some 100 kB in JSON.
pub const MAX_DOCUMENT: usize = 16 << 20;

/// What a document is, by its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DocumentKind {
    /// A JSON object with a quote: the guest agent's `GetQuote`, the legacy `TdxQuote`, or what an app serves as its
    /// `/quote.json`.
    Quote,
    /// A JSON object with what the guest agent says about the app: `Info`.
    Info,
    /// Both of these in one object.
    QuoteAndInfo,
    /// An attestation: the guest agent's `Attest`, a request to dstack's verifier, or the bytes alone.
    Attestation,
    /// The bytes of a quote alone, raw or in hex.
    BareQuote,
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quote => "a quote with its event log",
            Self::Info => "the guest agent's description of the app",
            Self::QuoteAndInfo => "a quote with the guest agent's description of the app",
            Self::Attestation => "an attestation",
            Self::BareQuote => "a quote alone",
        })
    }
}

/// What a document is that is no evidence about an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OtherDocument {
    /// An event log: a JSON array of entries.
    EventLog,
    /// Collateral.
    Collateral,
    /// Certificates in PEM.
    Certificates,
    /// An app-compose.
    AppCompose,
    /// What a KMS says of itself: the answer of `Bootstrap` or `GetMeta`.
    Kms,
    /// What a gateway says of its certificates: the answer of `AcmeInfo`.
    Gateway,
}

impl fmt::Display for OtherDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EventLog => "an event log without its quote",
            Self::Collateral => "collateral",
            Self::Certificates => "a certificate",
            Self::AppCompose => "an app-compose",
            Self::Kms => "what a KMS says of itself",
            Self::Gateway => "what a gateway says of its certificates",
        })
    }
}

/// Why a document cannot be taken as evidence about an app.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// There is nothing in it.
    #[error("the document is empty")]
    Empty,
    /// It is longer than any evidence.
    #[error("the document has {length} bytes, more than the limit of {MAX_DOCUMENT}")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// It is something else.
    #[error("this is {0}, not evidence about an app")]
    Other(OtherDocument),
    /// It is nothing that is known here.
    #[error("this is not a form of evidence that is known here: {0}")]
    NotRecognised(&'static str),
    /// It begins like JSON and is not.
    #[error("the document is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A member of the object is not what it should be.
    #[error("the document's {member} is not a text")]
    Member {
        /// The member.
        member: &'static str,
    },
    /// It has a quote, and there is another one already.
    #[error("there is a quote already, and this document has another one")]
    SecondQuote,
    /// It is recognised, and cannot be read.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// It holds an attestation that cannot be read.
    #[error("the attestation cannot be read: {0}")]
    Attestation(#[from] AttestationError),
}

impl Hinted for DocumentError {
    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Other(OtherDocument::EventLog) => {
                "an event log proves something only with its quote; it can be replayed alone"
            }
            Self::Other(OtherDocument::Collateral) => {
                "collateral is what quotes are judged by: give it next to the evidence"
            }
            Self::Other(OtherDocument::Certificates) => {
                "the evidence in an RA-TLS certificate is judged with the certificate"
            }
            Self::Other(OtherDocument::AppCompose) => "an app-compose is what evidence is compared with",
            Self::NotRecognised(_) | Self::Json(_) | Self::Empty => {
                "evidence is the JSON answer of the guest agent's `GetQuote`, `Info` or `Attest`, or a quote in hex"
            }
            Self::SecondQuote => "one report is about one quote: judge the other one by itself",
            _ => return None,
        };
        Some(Hint::from(text))
    }
}

impl CvmEvidence {
    /// The evidence in a document, whichever known form it has: [`DocumentKind`].
    ///
    /// Texts inside of it may stand as texts, as the guest agent writes them, or as JSON values, as apps that take the
    /// answer apart do. Hex may begin with `0x`. Nothing is checked.
    ///
    /// ```
    /// use dstack_attestation::CvmEvidence;
    ///
    /// let evidence = CvmEvidence::from_document(br#"{"quote":"0x0400","event_log":[],"vm_config":"{}"}"#)?;
    /// assert_eq!(evidence.quote.as_deref(), Some([4, 0].as_slice()));
    /// assert_eq!(evidence.event_log.as_deref(), Some("[]"));
    /// # Ok::<(), dstack_attestation::DocumentError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`DocumentError`].
    pub fn from_document(bytes: &[u8]) -> Result<Self, DocumentError> {
        Self::new().read_document(bytes).map(|(evidence, _)| evidence)
    }

    /// Adds the evidence in a document, as [`from_document`](Self::from_document) reads it, and says what it was.
    ///
    /// # Errors
    ///
    /// [`DocumentError`]; [`DocumentError::SecondQuote`] when both have a quote, and not the same.
    pub fn read_document(self, bytes: &[u8]) -> Result<(Self, DocumentKind), DocumentError> {
        if bytes.len() > MAX_DOCUMENT {
            return Err(DocumentError::TooLarge { length: bytes.len() });
        }
        let before = self.quote.clone();
        let (evidence, kind) = match std::str::from_utf8(bytes).map(str::trim) {
            Ok("") => return Err(DocumentError::Empty),
            Ok(text) => read_text(self, text, bytes)?,
            Err(_) => read_bytes(self, bytes)?,
        };
        match (before, &evidence.quote) {
            (Some(before), Some(now)) if before != *now => Err(DocumentError::SecondQuote),
            _ => Ok((evidence, kind)),
        }
    }
}

fn read_text(
    evidence: CvmEvidence,
    text: &str,
    bytes: &[u8],
) -> Result<(CvmEvidence, DocumentKind), DocumentError> {
    match text.bytes().next() {
        Some(b'{') => read_object(evidence, serde_json::from_str(text)?),
        Some(b'[') => {
            let _: Vec<&RawValue> = serde_json::from_str(text)?;
            Err(DocumentError::Other(OtherDocument::EventLog))
        }
        Some(b'"') => {
            let inside: Cow<'_, str> = serde_json::from_str(text)?;
            read_bytes(evidence, &hex_bytes(inside.trim()).ok_or(DocumentError::NotRecognised(NOT_HEX))?)
        }
        _ if text.starts_with("-----BEGIN") => Err(DocumentError::Other(OtherDocument::Certificates)),
        _ => match hex_bytes(text) {
            Some(decoded) => read_bytes(evidence, &decoded),
            // A binary form may happen to be UTF-8.
            None => read_bytes(evidence, bytes),
        },
    }
}

const NOT_HEX: &str = "it is neither JSON nor hex";

/// The bytes of a text in hex, whose lines may be broken.
fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let joined: String = text.split_ascii_whitespace().collect();
        return decode_hex(&joined).ok();
    }
    decode_hex(text).ok()
}

/// Quotes and attestations in their binary forms.
fn read_bytes(mut evidence: CvmEvidence, bytes: &[u8]) -> Result<(CvmEvidence, DocumentKind), DocumentError> {
    match bytes {
        // Quote format versions; that it is one of TDX is seen when it is read.
        [3..=5, 0, ..] => {
            evidence.quote = Some(bytes.to_vec());
            Ok((evidence, DocumentKind::BareQuote))
        }
        // SCALE with version 0, and a MessagePack map.
        [0, ..] | [0x80..=0x8f | 0xde | 0xdf, ..] => {
            let attestation = VersionedAttestation::decode(bytes)?;
            Ok((with_attestation(evidence, &attestation), DocumentKind::Attestation))
        }
        _ => Err(DocumentError::NotRecognised(
            "it is neither JSON nor hex, and begins neither like a quote nor like an attestation",
        )),
    }
}

/// What the attestation says, over what was known before; it says nothing about the rest.
fn with_attestation(evidence: CvmEvidence, attestation: &VersionedAttestation) -> CvmEvidence {
    let new = attestation.to_evidence();
    let mut merged = evidence;
    merged.quote = new.quote.or(merged.quote);
    merged.event_log = new.event_log.or(merged.event_log);
    merged.vm_config = new.vm_config.or(merged.vm_config);
    merged.os_image_hash = new.os_image_hash.or(merged.os_image_hash);
    merged.mr_config_document = new.mr_config_document.or(merged.mr_config_document);
    merged.attestation = new.attestation;
    merged
}

type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Members that the guest agent writes as JSON inside of a text.
const TEXTS: [&str; 4] = ["event_log", "tcb_info", "vm_config", "key_provider_info"];

fn read_object(
    evidence: CvmEvidence,
    mut object: Object<'_>,
) -> Result<(CvmEvidence, DocumentKind), DocumentError> {
    if let Some(other) = other_document(&object) {
        return Err(DocumentError::Other(other));
    }
    // Some apps nest the answers of two methods in one object. One level of that is read.
    let mut inner = Object::new();
    for member in ["quote", "info"] {
        if let Some(nested) = object.get(member).filter(|value| value.get().starts_with('{')) {
            let nested: Object<'_> = serde_json::from_str(nested.get())?;
            inner.extend(nested);
            object.remove(member);
        }
    }
    for (name, value) in inner {
        object.entry(name).or_insert(value);
    }
    if let Some(log) = object.remove("eventlog") {
        object.entry(Cow::Borrowed("event_log")).or_insert(log);
    }
    let has = |member: &str| object.get(member).is_some_and(|value| !matches!(value.get(), "\"\"" | "null"));
    let (quote, info) = (has("quote"), has("tcb_info") || has("app_id"));
    let mut evidence = evidence;
    if info {
        evidence = evidence.read_info(&rewritten(&object, INFO)?)?;
    }
    if has("app_compose") {
        evidence.app_compose = Some(string(&object, "app_compose")?);
    }
    if quote {
        evidence = evidence.read_quote(&rewritten(&object, QUOTE)?)?;
        // The log is no longer that of an attestation, which may have been shortened.
        evidence.attestation = None;
    } else if has("attestation") {
        let text = string(&object, "attestation")?;
        let bytes =
            hex_bytes(text.trim()).ok_or(DocumentError::NotRecognised("its attestation is not hex"))?;
        evidence = with_attestation(evidence, &VersionedAttestation::decode(&bytes)?);
        return Ok((evidence, DocumentKind::Attestation));
    }
    match (quote, info) {
        (true, true) => Ok((evidence, DocumentKind::QuoteAndInfo)),
        (true, false) => Ok((evidence, DocumentKind::Quote)),
        (false, true) => Ok((evidence, DocumentKind::Info)),
        (false, false) => Err(DocumentError::NotRecognised(
            "the object has neither a quote nor an attestation, and does not describe an app",
        )),
    }
}

fn other_document(object: &Object<'_>) -> Option<OtherDocument> {
    let has = |member: &str| object.contains_key(member);
    if has("tcb_info_signature") || has("qe_identity") {
        return Some(OtherDocument::Collateral);
    }
    if has("manifest_version") && has("runner") {
        return Some(OtherDocument::AppCompose);
    }
    if has("k256_pubkey") {
        return Some(OtherDocument::Kms);
    }
    (has("account_uri") && has("quoted_hist_keys")).then_some(OtherDocument::Gateway)
}

const INFO: &[&str] = &[
    "app_id",
    "instance_id",
    "tcb_info",
    "key_provider_info",
    "device_id",
    "os_image_hash",
    "mr_aggregated",
    "vm_config",
    "version",
];
const QUOTE: &[&str] = &["quote", "event_log", "vm_config"];

/// The members as the guest agent would have written them.
fn rewritten(object: &Object<'_>, members: &[&'static str]) -> Result<String, DocumentError> {
    let mut written = serde_json::Map::new();
    for member in members {
        let text = match object.get(*member) {
            // A quote without a log is evidence all the same; the reader wants the member.
            None if *member == "event_log" => String::new(),
            None => continue,
            Some(value) if value.get() == "null" => continue,
            Some(value) if TEXTS.contains(member) && !value.get().starts_with('"') => value.get().to_owned(),
            Some(_) => string(object, member)?,
        };
        let text = if *member == "quote" { text.trim().trim_start_matches("0x").to_owned() } else { text };
        written.insert((*member).to_owned(), serde_json::Value::String(text));
    }
    Ok(serde_json::Value::Object(written).to_string())
}

fn string(object: &Object<'_>, member: &'static str) -> Result<String, DocumentError> {
    let text = object.get(member).and_then(|value| serde_json::from_str(value.get()).ok());
    text.ok_or(DocumentError::Member { member })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (CvmEvidence, DocumentKind) {
        CvmEvidence::new().read_document(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_quote_comes_in_many_clothes() {
        let log = r#"[{"imr":3}]"#;
        for text in [
            r#"{"quote":"0400","event_log":"[{\"imr\":3}]","vm_config":"{\"a\":1}"}"#,
            r#"{"quote":"0x0400","event_log":[{"imr":3}],"vm_config":{"a":1},"report_data":"12"}"#,
            r#" {"quote":{"quote":"0400","eventlog":"[{\"imr\":3}]","vm_config":"{\"a\":1}"}} "#,
        ] {
            let (evidence, kind) = read(text);
            assert_eq!(kind, DocumentKind::Quote, "{text}");
            assert_eq!(evidence.quote.as_deref(), Some([4, 0].as_slice()));
            assert_eq!(evidence.event_log.as_deref(), Some(log));
            assert_eq!(evidence.vm_config.as_deref(), Some(r#"{"a":1}"#));
        }
        for text in ["0400ff", "0x0400FF\n", "\"0400ff\"", "04\n00\nff", "\u{4}\0\u{7f}"] {
            let (evidence, kind) = read(text);
            assert_eq!(kind, DocumentKind::BareQuote, "{text:?}");
            assert!(evidence.quote.unwrap().starts_with(&[4, 0]));
        }
    }

    #[test]
    fn quote_and_description_may_stand_together_or_apart() {
        let (together, kind) =
            read(r#"{"quote":{"quote":"0400"},"info":{"app_id":"11","tcb_info":{"mrtd":null}}}"#);
        assert_eq!(kind, DocumentKind::QuoteAndInfo);
        let (apart, kind) = read(r#"{"app_id":"11","tcb_info":"{\"mrtd\":null}"}"#);
        assert_eq!(kind, DocumentKind::Info);
        let (apart, _) = apart.read_document(b"0400").unwrap();
        assert_eq!(
            (together.app_id, together.tcb_info, together.quote),
            (apart.app_id, apart.tcb_info, apart.quote)
        );
    }

    #[test]
    fn two_quotes_are_no_evidence() {
        let once = CvmEvidence::from_document(b"0400").unwrap();
        assert!(once.clone().read_document(b"0400").is_ok());
        assert!(matches!(once.read_document(b"0401"), Err(DocumentError::NotRecognised(_))));
        let once = CvmEvidence::from_document(b"0400").unwrap();
        assert!(matches!(once.read_document(b"040001"), Err(DocumentError::SecondQuote)));
    }

    #[test]
    fn what_is_something_else_is_called_by_its_name() {
        for (text, other) in [
            ("[]", OtherDocument::EventLog),
            (r#"{"tcb_info":"{}","tcb_info_signature":""}"#, OtherDocument::Collateral),
            ("-----BEGIN CERTIFICATE-----\n", OtherDocument::Certificates),
            (r#"{"manifest_version":2,"runner":"docker-compose"}"#, OtherDocument::AppCompose),
            (r#"{"ca_pubkey":"","k256_pubkey":"","attestation":""}"#, OtherDocument::Kms),
            (r#"{"account_uri":"","quoted_hist_keys":[]}"#, OtherDocument::Gateway),
        ] {
            let error = CvmEvidence::from_document(text.as_bytes()).unwrap_err();
            assert!(matches!(error, DocumentError::Other(found) if found == other), "{text}: {error}");
        }
    }

    #[test]
    fn rubbish_is_refused() {
        for text in [
            "",
            " \n",
            "{}",
            "{",
            "[",
            "null",
            "hello",
            "zz",
            "040",
            "\"",
            "{\"quote\":\"\"}",
            "{\"quote\":5}",
            "{\"quote\":\"zz\"}",
            "{\"attestation\":\"00\"}",
        ] {
            assert!(CvmEvidence::from_document(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(CvmEvidence::from_document(&vec![b' '; MAX_DOCUMENT + 1]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = CvmEvidence::from_document(&bytes);
        }

        #[test]
        fn hex_and_bytes_say_the_same(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
            let mut quote = vec![4, 0];
            quote.extend(tail);
            let raw = CvmEvidence::from_document(&quote);
            let hex = CvmEvidence::from_document(hex::encode(&quote).as_bytes()).unwrap();
            proptest::prop_assert_eq!(hex.quote.as_deref(), Some(quote.as_slice()));
            // Bytes that are UTF-8 text may read as something else; a quote of real length never does.
            if let Ok(raw) = raw {
                proptest::prop_assert_eq!(raw.quote, hex.quote);
            }
        }
    }
}
