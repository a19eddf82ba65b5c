//! The KMS as a server: what it says to anybody, and its refusals to callers without attestation.
//!
//! Source: upstream `kms/rpc/proto/kms_rpc.proto`, and exchanges recorded from its program.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use dstack_vmm_client::api::{AppId, PublicKeyResponse};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{BootstrapInfo, Kms, KmsError};
use crate::clock::Clock;
use crate::rpc::{Call, Mount, RpcError, bytes_reply};

/// What the KMS says about itself.
#[derive(Clone, PartialEq, Serialize, prost::Message)]
struct Meta {
    #[prost(string, tag = "1")]
    ca_cert: String,
    #[prost(bool, tag = "2")]
    allow_any_upgrade: bool,
    #[serde(with = "hex::serde")]
    #[prost(bytes = "vec", tag = "3")]
    k256_pubkey: Vec<u8>,
    #[prost(message, optional, tag = "4")]
    bootstrap_info: Option<BootstrapInfo>,
    #[prost(bool, tag = "5")]
    is_dev: bool,
    #[prost(string, optional, tag = "6")]
    gateway_app_id: Option<String>,
    #[prost(string, optional, tag = "7")]
    kms_contract_address: Option<String>,
    #[prost(uint64, optional, tag = "8")]
    chain_id: Option<u64>,
    #[prost(string, optional, tag = "9")]
    app_auth_implementation: Option<String>,
}

/// The authority that signs a CVM's first certificate. It is no secret: the real KMS hands out its key to anybody too.
#[derive(Clone, PartialEq, Serialize, prost::Message)]
struct TemporaryAuthority {
    #[prost(string, tag = "1")]
    temp_ca_cert: String,
    #[prost(string, tag = "2")]
    temp_ca_key: String,
    #[prost(string, tag = "3")]
    ca_cert: String,
}

/// The part of `SignCert` that is looked at.
#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
#[serde(default)]
struct SignCert {
    #[prost(uint32, tag = "1")]
    api_version: u32,
}

impl Kms {
    /// The answer to a call, at `now` in seconds since the Unix epoch.
    pub(crate) fn call(&self, call: &Call, now: u64) -> Response {
        match call.method.as_str() {
            "GetMeta" => call.encode(Ok(self.meta())),
            "GetTempCaCert" => call.encode(Ok(self.temporary_authority())),
            "GetAppEnvEncryptPubKey" => {
                call.encode(call.decode().and_then(|request: AppId| self.env_key(&request, now)))
            }
            "GetAppKey" => call.fail("App not allowed: No attestation provided"),
            "GetKmsKey" => call.fail("No attestation provided"),
            "SignCert" => match call.decode::<SignCert>() {
                Ok(SignCert { api_version: 1 | 2 }) => call.fail("App not allowed: No attestation provided"),
                Ok(SignCert { api_version }) => call.fail(&format!("Unsupported API version: {api_version}")),
                Err(RpcError::Text(reason)) => call.fail(&reason),
            },
            _ => call.unknown(),
        }
    }

    /// The answer of `GetAppEnvEncryptPubKey` as a call's.
    pub(crate) fn env_key(&self, request: &AppId, now: u64) -> Result<PublicKeyResponse, RpcError> {
        self.public_key_response(&request.app_id, now)
            .map_err(|error: KmsError| RpcError::text(error.to_string()))
    }

    fn meta(&self) -> Meta {
        Meta {
            ca_cert: self.ca_cert().to_owned(),
            allow_any_upgrade: true,
            k256_pubkey: self.k256_pubkey().to_vec(),
            bootstrap_info: self.bootstrap.clone(),
            is_dev: true,
            gateway_app_id: Some("any".to_owned()),
            kms_contract_address: None,
            chain_id: None,
            app_auth_implementation: None,
        }
    }

    fn temporary_authority(&self) -> TemporaryAuthority {
        TemporaryAuthority {
            temp_ca_cert: self.temporary.pem().to_owned(),
            temp_ca_key: self.temporary.key_pem(),
            ca_cert: self.ca_cert().to_owned(),
        }
    }
}

#[derive(Clone)]
struct Served {
    kms: Arc<Kms>,
    clock: Clock,
}

/// What a KMS serves: `/prpc/<Method>`, with or without `KMS.` before the method, and `/health`. The real one serves it
/// over TLS.
pub fn router(kms: Arc<Kms>, clock: Clock) -> Router {
    let handler = |State(served): State<Served>, request: Request| async move {
        match Call::read(Mount::with_prefix("KMS."), request).await {
            Ok(call) => served.kms.call(&call, served.clock.now_ms() / 1000),
            Err(response) => response,
        }
    };
    let health = || async { bytes_reply(StatusCode::OK, "text/plain; charset=utf-8", "OK") };
    Router::new()
        .route("/prpc/{method}", get(handler).post(handler))
        .route("/health", get(health))
        .with_state(Served { kms, clock })
}
