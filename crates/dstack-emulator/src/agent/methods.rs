//! The methods of the agent's surfaces.

use std::str::FromStr as _;

use axum::response::Response;
use dstack_attestation::agent::{
    AttestResponse, DeriveK256KeyResponse, EmitEventArgs, Empty, GetAttestationForAppKeyRequest, GetKeyArgs,
    GetQuoteResponse, GpuInfoResponse, RawQuoteArgs, TdxQuoteArgs, TdxQuoteResponse, VersionResponse,
};
use dstack_attestation::event_log::RuntimeEvent;
use dstack_attestation::report_data::{self, HashAlgorithm, ReportData, ReportDataError, TAG_APP_DATA};

use super::{GuestAgent, REVISION, keys};
use crate::rpc::{Call, RpcError};

/// Report data as `GetQuote` and `Attest` take it.
fn padded(content: &[u8]) -> Result<ReportData, RpcError> {
    report_data::padded(content).map_err(|_| RpcError::text("Report data is too long"))
}

impl GuestAgent {
    /// A method on `dstack.sock`.
    pub(crate) fn guest_call(&self, call: &Call) -> Response {
        let traits = &self.inner.traits;
        match call.method.as_str() {
            "GetTlsKey" => call.encode(call.decode().and_then(|args| self.get_tls_key(&args))),
            "GetKey" => call.encode(call.decode().and_then(|args| self.get_key(&args))),
            "GetQuote" => call.encode(call.decode().and_then(|args| self.get_quote(&args))),
            "Attest" => call.encode(call.decode().and_then(|args| self.attest(&args))),
            "Info" => call.encode(Ok(self.app_info(false))),
            "GpuInfo" if traits.gpu_info => call.encode(Ok(GpuInfoResponse::default())),
            "EmitEvent" if traits.emit_event => {
                call.encode(call.decode().map(|args: EmitEventArgs| self.emit_event(args)))
            }
            "Sign" => call.encode(call.decode().and_then(|request| self.sign(&request))),
            "Verify" => call.encode(call.decode().and_then(|request| keys::verify(&request))),
            "Version" => call.encode(Ok(self.version_reply())),
            _ => call.unknown(),
        }
    }

    /// A method on the legacy `tappd.sock`.
    pub(crate) fn tappd_call(&self, call: &Call) -> Response {
        match call.method.as_str() {
            "DeriveKey" => call.encode(call.decode().and_then(|args| self.derive_tls_key(&args))),
            "DeriveK256Key" => call.encode(call.decode().and_then(|args| self.derive_k256_key(&args))),
            "TdxQuote" => call.encode(call.decode().and_then(|args| self.tdx_quote(&args))),
            "RawQuote" => call.encode(call.decode().and_then(|args| self.raw_quote(args))),
            "Info" => call.encode(Ok(self.app_info(false))),
            "Version" => call.encode(Ok(self.version_reply())),
            _ => call.unknown(),
        }
    }

    /// A method that the agent answers to the outside.
    pub(crate) fn worker_call(&self, call: &Call) -> Response {
        match call.method.as_str() {
            "Info" => call.encode(Ok(self.app_info(true))),
            "Version" => call.encode(Ok(self.version_reply())),
            "GetAttestationForAppKey" => {
                call.encode(call.decode().and_then(|request: GetAttestationForAppKeyRequest| {
                    Ok(self.quote_reply(self.signing_key_report_data(&request.algorithm)?))
                }))
            }
            _ => call.unknown(),
        }
    }

    /// A method that the VMM asks of its guest.
    pub(crate) fn guest_api(&self, call: &Call) -> Response {
        match call.method.as_str() {
            "Info" => call.encode(Ok(self.guest_info())),
            "SysInfo" => call.encode(Ok(self.system_info())),
            "NetworkInfo" => call.encode(Ok(self.network_info())),
            "ListContainers" => call.encode(self.containers()),
            "Shutdown" => {
                self.shut_down();
                call.encode(Ok(Empty::default()))
            }
            _ => call.unknown(),
        }
    }

    /// Powers the guest off, as far as whoever runs it has said how.
    pub(crate) fn shut_down(&self) {
        if let Some(hook) = self.inner.on_shutdown.get() {
            hook();
        }
    }

    fn version_reply(&self) -> VersionResponse {
        let mut reply = VersionResponse::default();
        self.version().clone_into(&mut reply.version);
        REVISION.clone_into(&mut reply.rev);
        reply
    }

    fn get_quote(&self, args: &RawQuoteArgs) -> Result<GetQuoteResponse, RpcError> {
        Ok(self.quote_reply(padded(&args.report_data)?))
    }

    fn quote_reply(&self, report_data: ReportData) -> GetQuoteResponse {
        let (quote, log) = self.inner.evidence.quote(report_data);
        let mut reply = GetQuoteResponse::default();
        reply.quote = quote;
        reply.event_log = log.to_json();
        reply.report_data = report_data.as_ref().to_vec();
        reply.vm_config.clone_from(&self.inner.vm_config);
        if self.inner.traits.attestation_in_quote {
            reply.attestation = self.inner.evidence.attestation_v1(report_data);
        }
        reply
    }

    fn attest(&self, args: &RawQuoteArgs) -> Result<AttestResponse, RpcError> {
        let mut reply = AttestResponse::default();
        reply.attestation = self.inner.evidence.attestation(padded(&args.report_data)?, false);
        Ok(reply)
    }

    fn emit_event(&self, args: EmitEventArgs) -> Empty {
        self.inner.evidence.emit(RuntimeEvent::new(args.event, args.payload));
        Empty::default()
    }

    fn derive_k256_key(&self, args: &GetKeyArgs) -> Result<DeriveK256KeyResponse, RpcError> {
        let key = self.get_key(args)?;
        let mut reply = DeriveK256KeyResponse::default();
        reply.k256_key = key.key;
        reply.k256_signature_chain = key.signature_chain;
        Ok(reply)
    }

    fn tdx_quote(&self, args: &TdxQuoteArgs) -> Result<TdxQuoteResponse, RpcError> {
        let algorithm = match args.hash_algorithm.as_str() {
            "" => HashAlgorithm::default(),
            name => HashAlgorithm::from_str(name)
                .map_err(|_| RpcError::text(format!("invalid hash algorithm: {name}")))?,
        };
        let tag = if args.prefix.is_empty() { TAG_APP_DATA } else { &args.prefix };
        let report_data =
            report_data::tagged(algorithm, tag, &args.report_data).map_err(|error| match error {
                ReportDataError::RawLength { found } => {
                    RpcError::text(format!("invalid content length: {found}, must be 64 bytes"))
                }
                other => RpcError::text(other.to_string()),
            })?;
        let (quote, log) = self.inner.evidence.quote(report_data);
        let mut reply = TdxQuoteResponse::default();
        reply.quote = quote;
        reply.event_log = log.to_json();
        algorithm.as_str().clone_into(&mut reply.hash_algorithm);
        // The real agent names its own tag here, even where the caller gave another.
        if algorithm != HashAlgorithm::Raw {
            TAG_APP_DATA.clone_into(&mut reply.prefix);
        }
        Ok(reply)
    }

    fn raw_quote(&self, args: RawQuoteArgs) -> Result<TdxQuoteResponse, RpcError> {
        let mut raw = TdxQuoteArgs::default();
        raw.report_data = args.report_data;
        HashAlgorithm::Raw.as_str().clone_into(&mut raw.hash_algorithm);
        self.tdx_quote(&raw)
    }
}
