//! Collateral as one JSON object, with bytes as hex.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{CollateralError, CollateralParts, MAX_COLLATERAL};
use crate::fixed_bytes::decode_hex;

/// The object. Members that are not known are passed over, so that tools can add their own.
#[derive(Serialize, Deserialize)]
struct Document<'a> {
    pck_crl_issuer_chain: Cow<'a, str>,
    root_ca_crl: Cow<'a, str>,
    pck_crl: Cow<'a, str>,
    tcb_info_issuer_chain: Cow<'a, str>,
    tcb_info: Cow<'a, str>,
    tcb_info_signature: Cow<'a, str>,
    qe_identity_issuer_chain: Cow<'a, str>,
    qe_identity: Cow<'a, str>,
    qe_identity_signature: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pck_certificate_chain: Option<Cow<'a, str>>,
}

pub(super) fn read(text: &str) -> Result<CollateralParts, CollateralError> {
    if text.len() > MAX_COLLATERAL {
        return Err(CollateralError::TooLarge { length: text.len() });
    }
    let document: Document<'_> = serde_json::from_str(text)?;
    let bytes = |part: &'static str, hex: &str| {
        decode_hex(hex).map_err(|error| CollateralError::Part { part, message: error.to_string() })
    };
    Ok(CollateralParts {
        pck_crl_issuer_chain: document.pck_crl_issuer_chain.into_owned(),
        root_ca_crl: bytes("root CA CRL", &document.root_ca_crl)?,
        pck_crl: bytes("PCK CRL", &document.pck_crl)?,
        tcb_info_issuer_chain: document.tcb_info_issuer_chain.into_owned(),
        tcb_info: document.tcb_info.into_owned(),
        tcb_info_signature: bytes("TCB info signature", &document.tcb_info_signature)?,
        qe_identity_issuer_chain: document.qe_identity_issuer_chain.into_owned(),
        qe_identity: document.qe_identity.into_owned(),
        qe_identity_signature: bytes("QE identity signature", &document.qe_identity_signature)?,
        pck_certificate_chain: document.pck_certificate_chain.map(Cow::into_owned),
    })
}

pub(super) fn write(parts: &CollateralParts) -> String {
    let hex = |bytes: &[u8]| Cow::Owned(hex::encode(bytes));
    let document = Document {
        pck_crl_issuer_chain: Cow::Borrowed(&parts.pck_crl_issuer_chain),
        root_ca_crl: hex(&parts.root_ca_crl),
        pck_crl: hex(&parts.pck_crl),
        tcb_info_issuer_chain: Cow::Borrowed(&parts.tcb_info_issuer_chain),
        tcb_info: Cow::Borrowed(&parts.tcb_info),
        tcb_info_signature: hex(&parts.tcb_info_signature),
        qe_identity_issuer_chain: Cow::Borrowed(&parts.qe_identity_issuer_chain),
        qe_identity: Cow::Borrowed(&parts.qe_identity),
        qe_identity_signature: hex(&parts.qe_identity_signature),
        pck_certificate_chain: parts.pck_certificate_chain.as_deref().map(Cow::Borrowed),
    };
    // Texts alone: there is nothing in it that JSON could not hold.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}
