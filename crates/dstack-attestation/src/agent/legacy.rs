//! The messages that only the legacy surface of the agent, `tappd.sock`, has.

use serde::{Deserialize, Serialize};

/// Asks for a TLS key that follows from a path, legacy `DeriveKey`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct DeriveKeyArgs {
    /// What the key is derived from, next to the app key. Any text, the empty one included.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub path: String,
    /// Common name of the certificate.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub subject: String,
    /// Alternative names, as in [`GetTlsKeyArgs`](super::GetTlsKeyArgs).
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "3"))]
    pub alt_names: Vec<String>,
    /// Whether the certificate carries a quote over its public key.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "4"))]
    pub usage_ra_tls: bool,
    /// Whether the certificate is good for servers.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "5"))]
    pub usage_server_auth: bool,
    /// Whether the certificate is good for clients.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "6"))]
    pub usage_client_auth: bool,
    /// Whether to make a new key on each call instead of deriving it from the app key.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "7"))]
    pub random_seed: bool,
}

/// Answer of the legacy `DeriveK256Key`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct DeriveK256KeyResponse {
    /// The secret key, 32 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub k256_key: Vec<u8>,
    /// As in [`GetKeyResponse::signature_chain`](super::GetKeyResponse::signature_chain).
    #[serde(with = "super::hex_bytes::list")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", repeated, tag = "2"))]
    pub k256_signature_chain: Vec<Vec<u8>>,
}

/// Asks for a quote over hashed content, legacy `TdxQuote`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct TdxQuoteArgs {
    /// The content.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub report_data: Vec<u8>,
    /// One of the names of [`HashAlgorithm`](crate::report_data::HashAlgorithm); empty for `sha512`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub hash_algorithm: String,
    /// The tag that is hashed before the content; empty for `app-data`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub prefix: String,
}

/// Answer of the legacy `TdxQuote` and `RawQuote`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct TdxQuoteResponse {
    /// The TDX quote.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub quote: Vec<u8>,
    /// The event log as a JSON text.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub event_log: String,
    /// The hash that was used.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub hash_algorithm: String,
    /// `app-data`, whatever tag was asked for; empty for `raw`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub prefix: String,
}
