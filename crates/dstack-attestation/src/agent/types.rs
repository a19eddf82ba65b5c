//! The messages of the agent, in the order of upstream's `agent_rpc.proto`.

use serde::{Deserialize, Serialize};

/// No fields. In JSON a reply without fields is `null`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct Empty {}

/// Asks for a fresh TLS key with a certificate, `GetTlsKey`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GetTlsKeyArgs {
    /// Common name of the certificate.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub subject: String,
    /// Alternative names: DNS names and, where they read as such, IP addresses.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "2"))]
    pub alt_names: Vec<String>,
    /// Whether the certificate carries a quote over its public key.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "3"))]
    pub usage_ra_tls: bool,
    /// Whether the certificate is good for servers.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "4"))]
    pub usage_server_auth: bool,
    /// Whether the certificate is good for clients.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "5"))]
    pub usage_client_auth: bool,
    /// Start of validity in seconds since the Unix epoch. Otherwise 1975.
    #[cfg_attr(feature = "protobuf", prost(uint64, optional, tag = "6"))]
    pub not_before: Option<u64>,
    /// End of validity in seconds since the Unix epoch. Otherwise in ten years.
    #[cfg_attr(feature = "protobuf", prost(uint64, optional, tag = "7"))]
    pub not_after: Option<u64>,
    /// Whether the certificate carries the ids of the app.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "8"))]
    pub with_app_info: bool,
}

/// A TLS key with its certificates.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GetTlsKeyResponse {
    /// The private key: PKCS#8 in PEM, ECDSA over P-256.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub key: String,
    /// Certificates in PEM, the leaf first, the root last.
    #[cfg_attr(feature = "protobuf", prost(string, repeated, tag = "2"))]
    pub certificate_chain: Vec<String>,
}

/// Asks for a key that follows from a path, `GetKey` and legacy `DeriveK256Key`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GetKeyArgs {
    /// What the key is derived from, next to the app key. Any text, the empty one included.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub path: String,
    /// What the key is for; it is part of what the app key signs.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub purpose: String,
    /// `secp256k1` (also `k256` and empty) or `ed25519`. The secret is the same for both.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub algorithm: String,
}

/// A derived key with the signatures that tie it to the KMS.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GetKeyResponse {
    /// The secret key, 32 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub key: Vec<u8>,
    /// The app key's signature over purpose and public key, then the KMS root key's over the app key. 65 bytes each (`r`, `s`, recovery id 0 or 1); the second is empty where no KMS gave the keys.
    #[serde(with = "super::hex_bytes::list")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", repeated, tag = "2"))]
    pub signature_chain: Vec<Vec<u8>>,
}

/// Asks for evidence: `GetQuote`, `Attest` and legacy `RawQuote`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct RawQuoteArgs {
    /// Up to 64 bytes, padded with zeros on the right; `RawQuote` wants exactly 64.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub report_data: Vec<u8>,
}

/// Answer of `GetQuote` and `GetAttestationForAppKey`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GetQuoteResponse {
    /// The TDX quote. Empty on other platforms.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub quote: Vec<u8>,
    /// The event log as a JSON text.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub event_log: String,
    /// The report data, 64 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "3"))]
    pub report_data: Vec<u8>,
    /// The shape of the VM as a JSON text, for computing what RTMR0 should be.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub vm_config: String,
    /// Branch next: the attestation of platforms that a TDX quote does not describe (MessagePack). Left out where it is empty.
    #[serde(with = "super::hex_bytes", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "5"))]
    pub attestation: Vec<u8>,
}

/// Answer of `Attest`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct AttestResponse {
    /// A versioned attestation (SCALE encoding of upstream's `VersionedAttestation`).
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub attestation: Vec<u8>,
}

/// Asks to measure an event into RTMR3, `EmitEvent` of dstack 0.5.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct EmitEventArgs {
    /// Name of the event.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub event: String,
    /// Payload of the event.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "2"))]
    pub payload: Vec<u8>,
}

/// What the agent says about the app it serves, `Info`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct AppInfo {
    /// App id, 20 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub app_id: Vec<u8>,
    /// Instance id, 20 bytes; empty where the app-compose says `no_instance_id`.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "2"))]
    pub instance_id: Vec<u8>,
    /// A certificate chain of the app in PEM whose leaf carries evidence. Empty until the agent has one.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "3"))]
    pub app_cert: String,
    /// [`TcbInfo`](super::TcbInfo) as a JSON text. Empty for callers from outside where the app-compose says `"public_tcbinfo": false`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "4"))]
    pub tcb_info: String,
    /// Name in the app-compose.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "5"))]
    pub app_name: String,
    /// Device id, 32 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "8"))]
    pub device_id: Vec<u8>,
    /// Digest of all measurements, 32 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "9"))]
    pub mr_aggregated: Vec<u8>,
    /// OS image hash, 32 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "10"))]
    pub os_image_hash: Vec<u8>,
    /// Payload of the `key-provider` event, a JSON text.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "12"))]
    pub key_provider_info: String,
    /// Compose hash, 32 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "13"))]
    pub compose_hash: Vec<u8>,
    /// The shape of the VM as a JSON text. Hidden together with `tcb_info`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "14"))]
    pub vm_config: String,
    /// System vendor as the firmware tables name it.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "15"))]
    pub cloud_vendor: String,
    /// Product as the firmware tables name it.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "16"))]
    pub cloud_product: String,
}

/// Version of the agent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct VersionResponse {
    /// Version number, such as `0.5.11`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub version: String,
    /// Revision of the source.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "2"))]
    pub rev: String,
}

/// Answer of `GpuInfo` of branch next.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GpuInfoResponse {
    /// What was found out about the GPUs, as a JSON text. Empty without GPUs.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub attestation: String,
}

/// Asks to sign with the app's signing key, `Sign`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct SignRequest {
    /// `ed25519`, `secp256k1` (over the SHA-256 of the data) or `secp256k1_prehashed`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub algorithm: String,
    /// What to sign; exactly 32 bytes for `secp256k1_prehashed`.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "2"))]
    pub data: Vec<u8>,
}

/// Answer of `Sign`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct SignResponse {
    /// The signature, 64 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "1"))]
    pub signature: Vec<u8>,
    /// The signature, then the two of [`GetKeyResponse::signature_chain`] for purpose `signing`.
    #[serde(with = "super::hex_bytes::list")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", repeated, tag = "2"))]
    pub signature_chain: Vec<Vec<u8>>,
    /// The public key: 32 bytes for `ed25519`, 33 (compressed) for `secp256k1`.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "3"))]
    pub public_key: Vec<u8>,
}

/// Asks to check a signature, `Verify`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct VerifyRequest {
    /// As in [`SignRequest::algorithm`].
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub algorithm: String,
    /// What was signed.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "2"))]
    pub data: Vec<u8>,
    /// The signature, 64 bytes.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "3"))]
    pub signature: Vec<u8>,
    /// The public key.
    #[serde(with = "super::hex_bytes")]
    #[cfg_attr(feature = "protobuf", prost(bytes = "vec", tag = "4"))]
    pub public_key: Vec<u8>,
}

/// Answer of `Verify`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct VerifyResponse {
    /// Whether the signature is the key's over the data.
    #[cfg_attr(feature = "protobuf", prost(bool, tag = "1"))]
    pub valid: bool,
}

/// Asks for a quote over the app's signing key, `GetAttestationForAppKey`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "protobuf", derive(prost::Message))]
#[cfg_attr(not(feature = "protobuf"), derive(Debug, Default))]
#[serde(default)]
#[non_exhaustive]
pub struct GetAttestationForAppKeyRequest {
    /// `ed25519` or `secp256k1`.
    #[cfg_attr(feature = "protobuf", prost(string, tag = "1"))]
    pub algorithm: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_hex_and_defaults_are_filled_in() {
        let args: RawQuoteArgs = serde_json::from_str(r#"{"report_data":"0x1234","more":1}"#).unwrap();
        assert_eq!(args.report_data, [0x12, 0x34]);
        assert_eq!(serde_json::to_string(&args).unwrap(), r#"{"report_data":"1234"}"#);
        let empty: GetTlsKeyArgs = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, GetTlsKeyArgs::default());
        let bad = serde_json::from_str::<RawQuoteArgs>(r#"{"report_data":"zz"}"#).unwrap_err();
        assert!(bad.to_string().starts_with("Invalid character 'z' at position 0"), "{bad}");
    }

    #[test]
    fn chains_are_lists_of_hex() {
        let text = r#"{"key":"01","signature_chain":["0203",""]}"#;
        let reply: GetKeyResponse = serde_json::from_str(text).unwrap();
        assert_eq!(reply.signature_chain, [vec![2, 3], vec![]]);
        assert_eq!(serde_json::to_string(&reply).unwrap(), text);
    }

    #[test]
    fn an_empty_attestation_is_left_out() {
        let mut reply = GetQuoteResponse::default();
        let text = r#"{"quote":"","event_log":"","report_data":"","vm_config":""}"#;
        assert_eq!(serde_json::to_string(&reply).unwrap(), text);
        reply.attestation = vec![1];
        assert!(serde_json::to_string(&reply).unwrap().ends_with(r#","attestation":"01"}"#));
    }
}
