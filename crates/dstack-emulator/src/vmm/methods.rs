//! From a call to the state and back: every method of the VMM.

use std::net::ToSocketAddrs;

use axum::response::Response;
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::{
    self, AppId, Empty, Id, ListImagesResponse, ListRegistryImagesResponse, PublicKeyResponse,
    PullRegistryImageRequest, ReportDhcpLeaseRequest, ResizeVmRequest, StatusRequest, UpdateVmRequest,
    VmConfiguration,
};

use super::node::Node;
use crate::rpc::{Call, Mount, RpcError};
use crate::settings::KmsSource;

/// The VMM's own methods.
pub(crate) const fn vmm_mount(version: DstackVersion) -> Mount {
    let mount = Mount::with_prefix("Teepod.");
    match version {
        // What v0.5 does not know, it does not write.
        DstackVersion::V0_5 => Mount {
            unknown_keys: &[
                ("GetMeta", "networking"),
                ("*", "networks"),
                ("*", "simulated_tee"),
                ("*", "bridge_name"),
                ("*", "interfaces"),
            ],
            ..mount
        },
        _ => mount,
    }
}

fn done(result: Result<(), RpcError>) -> Result<Empty, RpcError> {
    result.map(|()| Empty::default())
}

impl Node {
    /// Carries out a method of the VMM.
    pub(crate) async fn call(&self, call: &Call) -> Response {
        let has = |info: &&api::MethodInfo| {
            info.name == call.method
                && info.surface == api::Surface::Vmm
                && info.versions.contains(&self.version)
        };
        if !api::METHODS.iter().any(|info| has(&info)) {
            return call.unknown();
        }
        let id = || call.decode::<Id>().map(|request| request.id);
        match call.method.as_str() {
            "CreateVm" => call.encode(call.decode::<VmConfiguration>().and_then(|r| self.create(&r))),
            "StartVm" => call.encode(done(id().and_then(|id| self.start(&id)))),
            "StopVm" => call.encode(done(id().and_then(|id| self.stop(&id)))),
            "ShutdownVm" => call.encode(done(id().and_then(|id| self.shutdown(&id)))),
            "RemoveVm" => call.encode(done(id().and_then(|id| self.remove(&id)))),
            "UpdateVm" | "UpgradeApp" => {
                call.encode(call.decode::<UpdateVmRequest>().and_then(|r| self.update(&r)))
            }
            "ResizeVm" => call.encode(done(call.decode::<ResizeVmRequest>().and_then(|r| self.resize(&r)))),
            "GetComposeHash" => {
                call.encode(call.decode::<VmConfiguration>().and_then(|r| self.compose_hash(&r)))
            }
            "Status" => call.encode(call.decode::<StatusRequest>().map(|r| self.status(&r))),
            "GetInfo" => call.encode(id().map(|id| self.info(&id))),
            "ListImages" => call.encode(Ok(self.images())),
            "DeleteImage" => call.encode(done(id().and_then(|id| self.delete_image(&id)))),
            "ListRegistryImages" => call.encode(Ok(self.registry_images())),
            "PullRegistryImage" => {
                let pulled = call.decode::<PullRegistryImageRequest>().and_then(|r| self.pull_image(&r.tag));
                call.encode(done(pulled))
            }
            "GetAppEnvEncryptPubKey" => match call.decode::<AppId>() {
                Ok(request) => call.encode(self.env_key(&request.app_id).await),
                Err(error) => call.encode::<PublicKeyResponse>(Err(error)),
            },
            "GetMeta" => call.encode(Ok(self.meta())),
            "Version" => call.encode(Ok(self.version())),
            "ListGpus" => call.encode(Ok(self.gpus())),
            "ReloadVms" => call.encode(Ok(self.reload())),
            "SvList" => call.encode(Ok(self.processes())),
            "SvStop" => call.encode(done(id().and_then(|id| self.stop_process(&id)))),
            "SvRemove" => call.encode(done(id().and_then(|id| self.remove_process(&id)))),
            // There is no bridge whose ports could be forwarded.
            "ReportDhcpLease" => {
                call.encode(call.decode::<ReportDhcpLeaseRequest>().map(|_| Empty::default()))
            }
            _ => call.unknown(),
        }
    }

    fn images(&self) -> ListImagesResponse {
        let mut reply = ListImagesResponse::default();
        reply.images = self.settled().images.list();
        reply
    }

    fn registry_images(&self) -> ListRegistryImagesResponse {
        let mut reply = ListRegistryImagesResponse::default();
        reply.images = self.settled().images.registry();
        reply
    }

    /// The key that an app's environment is sealed to.
    async fn env_key(&self, app_id: &[u8]) -> Result<PublicKeyResponse, RpcError> {
        let url = match &self.settings.kms {
            KmsSource::BuiltIn => {
                let reply = self.kms.public_key_response(app_id, self.clock.now_ms() / 1000);
                return reply.map_err(|error| RpcError::text(error.to_string()));
            }
            KmsSource::Url(url) if url.is_empty() => {
                return Err(RpcError::text("KMS is not configured"));
            }
            KmsSource::Url(url) => url.trim_end_matches('/'),
        };
        let cause = match connect(url).await {
            Ok(()) => "the emulator does not speak to other KMS instances".to_owned(),
            Err(error) => format!("client error (Connect): {error}"),
        };
        Err(RpcError::text(format!(
            "Failed to send request: error sending request for url \
             ({url}/prpc/GetAppEnvEncryptPubKey?json): {cause}"
        )))
    }
}

/// Whether something listens at a URL, and why not in the words of an HTTP client.
async fn connect(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split('/').next().unwrap_or_default().to_owned();
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let default = if scheme == "https" { 443 } else { 80 };
    let authority = if has_port { authority } else { format!("{authority}:{default}") };
    let addresses =
        tokio::task::spawn_blocking(move || authority.to_socket_addrs().map(Iterator::collect::<Vec<_>>));
    let addresses = match addresses.await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => return Err(format!("dns error: {error}")),
        Err(error) => return Err(error.to_string()),
    };
    match tokio::net::TcpStream::connect(addresses.as_slice()).await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("tcp connect error: {error}")),
    }
}
