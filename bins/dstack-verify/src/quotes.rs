//! The quotes in documents of every kind, to know for which platforms collateral is needed. Nothing is judged here.

use dstack_attestation::quote::TdxQuote;
use dstack_attestation::ra_tls::RaTlsCertificate;
use dstack_attestation::versioned::VersionedAttestation;
use serde_json::Value;

/// The most quotes that are looked for in one document.
const MAX: usize = 64;
/// How deep JSON texts inside JSON texts are followed.
const MAX_TEXTS: usize = 3;

/// The quotes in a JSON text, wherever they are in it: bare, in attestations, in JSON texts inside.
pub(crate) fn of_json(text: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    json_text(text, MAX_TEXTS, &mut found);
    found
}

/// The quote in the first certificate of a chain.
pub(crate) fn of_chain(chain: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let leaf = chain.first().and_then(|der| RaTlsCertificate::from_der(der).ok());
    let Some(leaf) = leaf else { return Vec::new() };
    let attested = leaf.attestation().and_then(Result::ok).map(|attestation| attestation.quote);
    attested.or(leaf.quote).filter(|quote| !quote.is_empty()).into_iter().collect()
}

fn json_text(text: &str, depth: usize, found: &mut Vec<Vec<u8>>) {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        // The depth of a value is bounded by the reader.
        walk(&value, depth, found);
    }
}

fn walk(value: &Value, depth: usize, found: &mut Vec<Vec<u8>>) {
    if found.len() >= MAX {
        return;
    }
    match value {
        Value::String(text) => in_text(text, depth, found),
        Value::Array(values) => values.iter().for_each(|value| walk(value, depth, found)),
        Value::Object(members) => members.values().for_each(|value| walk(value, depth, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn in_text(text: &str, depth: usize, found: &mut Vec<Vec<u8>>) {
    let text = text.trim();
    if depth > 0 && text.starts_with(['{', '[']) {
        return json_text(text, depth - 1, found);
    }
    // A TD report alone has 584 bytes.
    if text.len() < 2 * 584 {
        return;
    }
    let Ok(bytes) = hex::decode(text.strip_prefix("0x").unwrap_or(text)) else { return };
    let quote = if TdxQuote::parse(&bytes).is_ok() {
        bytes
    } else {
        match VersionedAttestation::decode(&bytes) {
            Ok(attestation) if !attestation.quote.is_empty() => attestation.quote,
            _ => return,
        }
    };
    if !found.contains(&quote) {
        found.push(quote);
    }
}

#[cfg(test)]
mod tests {
    use dstack_attestation::quote::emulated::EmulatedQuote;

    use super::*;

    #[test]
    fn quotes_are_found_wherever_they_are() {
        let quote = EmulatedQuote::default().to_bytes();
        let text = hex::encode(&quote);
        let inner = serde_json::json!({ "quote": text }).to_string();
        let outer =
            serde_json::json!({ "account_quote": inner, "keys": [{ "quote": text }, { "quote": "" }] });
        assert_eq!(of_json(&outer.to_string()), [quote]);
        assert_eq!(of_json("no JSON"), [[0; 0]; 0]);
        let deep = (0..10).fold(inner, |text, _| serde_json::json!([text]).to_string());
        assert_eq!(of_json(&deep), [[0; 0]; 0]);
    }
}
