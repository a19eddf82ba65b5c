//! The guest agent's API: what an app asks the agent of its CVM, and what the agent answers.
//!
//! The agent listens on `/var/run/dstack/dstack.sock`, where a method is `POST /<Method>`; on the legacy `tappd.sock`,
//! where it is `POST /prpc/Tappd.<Method>`; and outside the CVM on TCP port 8090, where it is
//! `POST /prpc/Worker.<Method>`. JSON and protobuf are equal; a failure is status 400 with the agent's reason.
//!
//! The messages are those of upstream's `guest-agent/rpc/proto/agent_rpc.proto` at `v0.5.11` and on branch next at
//! `312dc605`. A missing field reads as its default and an unknown one is ignored, as the agent does. `bytes` are hex in
//! JSON. With the feature `protobuf` the messages are protobuf messages too.

mod hex_bytes;
mod legacy;
mod tcb_info;
mod types;

pub use legacy::{DeriveK256KeyResponse, DeriveKeyArgs, TdxQuoteArgs, TdxQuoteResponse};
pub use tcb_info::TcbInfo;
pub use types::{
    AppInfo, AttestResponse, EmitEventArgs, Empty, GetAttestationForAppKeyRequest, GetKeyArgs,
    GetKeyResponse, GetQuoteResponse, GetTlsKeyArgs, GetTlsKeyResponse, GpuInfoResponse, RawQuoteArgs,
    SignRequest, SignResponse, VerifyRequest, VerifyResponse, VersionResponse,
};
