//! [`VmmApi`] over the wire.

use async_trait::async_trait;
use serde::de::Error as _;

use super::api_trait::VmmApi;
use super::logs::{LogRequest, LogStream};
use super::{Client, follow};
use crate::api::{
    AppId, Empty, GetMetaResponse, GuestInfo, Id, ImageInfo, ListContainersResponse, ListGpusResponse,
    NetworkInformation, PublicKeyResponse, PullRegistryImageRequest, RegistryImageInfo, ReloadVmsResponse,
    ReportDhcpLeaseRequest, ResizeVmRequest, StatusRequest, StatusResponse, SvProcessInfo, SystemInfo,
    UpdateVmRequest, VersionResponse, VmConfiguration, VmInfo, method,
};
use crate::error::{Error, Result};

fn id(id: &str) -> Id {
    Id { id: id.to_owned() }
}

const NOTHING: Empty = Empty {};

#[async_trait]
impl VmmApi for Client {
    fn endpoint(&self) -> &str {
        self.target().as_str()
    }

    async fn create_vm(&self, configuration: &VmConfiguration) -> Result<String> {
        let Id { id } = self.call::<method::CreateVm>(configuration).await?;
        if id.is_empty() {
            return Err(Error::Undecodable {
                endpoint: self.target().to_string(),
                method: "CreateVm",
                source: serde_json::Error::custom("it holds no id"),
                body: Vec::new(),
            });
        }
        Ok(id)
    }

    async fn start_vm(&self, vm: &str) -> Result<()> {
        self.call::<method::StartVm>(&id(vm)).await.map(|Empty {}| ())
    }

    async fn stop_vm(&self, vm: &str) -> Result<()> {
        self.call::<method::StopVm>(&id(vm)).await.map(|Empty {}| ())
    }

    async fn shutdown_vm(&self, vm: &str) -> Result<()> {
        self.call::<method::ShutdownVm>(&id(vm)).await.map(|Empty {}| ())
    }

    async fn remove_vm(&self, vm: &str) -> Result<()> {
        self.call::<method::RemoveVm>(&id(vm)).await.map(|Empty {}| ())
    }

    async fn update_vm(&self, request: &UpdateVmRequest) -> Result<String> {
        self.call::<method::UpdateVm>(request).await.map(|reply| reply.id)
    }

    async fn upgrade_app(&self, request: &UpdateVmRequest) -> Result<String> {
        self.call::<method::UpgradeApp>(request).await.map(|reply| reply.id)
    }

    async fn resize_vm(&self, request: &ResizeVmRequest) -> Result<()> {
        self.call::<method::ResizeVm>(request).await.map(|Empty {}| ())
    }

    async fn compose_hash(&self, configuration: &VmConfiguration) -> Result<String> {
        self.call::<method::GetComposeHash>(configuration).await.map(|reply| reply.hash)
    }

    async fn status(&self, request: &StatusRequest) -> Result<StatusResponse> {
        self.call::<method::Status>(request).await
    }

    async fn info(&self, vm: &str) -> Result<Option<VmInfo>> {
        let reply = self.call::<method::GetInfo>(&id(vm)).await?;
        Ok(if reply.found { reply.info } else { None })
    }

    async fn list_images(&self) -> Result<Vec<ImageInfo>> {
        self.call::<method::ListImages>(&NOTHING).await.map(|reply| reply.images)
    }

    async fn delete_image(&self, name: &str) -> Result<()> {
        self.call::<method::DeleteImage>(&id(name)).await.map(|Empty {}| ())
    }

    async fn list_registry_images(&self) -> Result<Vec<RegistryImageInfo>> {
        self.call::<method::ListRegistryImages>(&NOTHING).await.map(|reply| reply.images)
    }

    async fn pull_registry_image(&self, tag: &str) -> Result<()> {
        let request = PullRegistryImageRequest { tag: tag.to_owned() };
        self.call::<method::PullRegistryImage>(&request).await.map(|Empty {}| ())
    }

    async fn app_env_encrypt_pub_key(&self, app_id: &[u8]) -> Result<PublicKeyResponse> {
        self.call::<method::GetAppEnvEncryptPubKey>(&AppId { app_id: app_id.to_vec() }).await
    }

    async fn meta(&self) -> Result<GetMetaResponse> {
        self.call::<method::GetMeta>(&NOTHING).await
    }

    async fn version(&self) -> Result<VersionResponse> {
        self.call::<method::Version>(&NOTHING).await
    }

    async fn list_gpus(&self) -> Result<ListGpusResponse> {
        self.call::<method::ListGpus>(&NOTHING).await
    }

    async fn reload_vms(&self) -> Result<ReloadVmsResponse> {
        self.call::<method::ReloadVms>(&NOTHING).await
    }

    async fn sv_list(&self) -> Result<Vec<SvProcessInfo>> {
        self.call::<method::SvList>(&NOTHING).await.map(|reply| reply.processes)
    }

    async fn sv_stop(&self, process: &str) -> Result<()> {
        self.call::<method::SvStop>(&id(process)).await.map(|Empty {}| ())
    }

    async fn sv_remove(&self, process: &str) -> Result<()> {
        self.call::<method::SvRemove>(&id(process)).await.map(|Empty {}| ())
    }

    async fn report_dhcp_lease(&self, request: &ReportDhcpLeaseRequest) -> Result<()> {
        self.call::<method::ReportDhcpLease>(request).await.map(|Empty {}| ())
    }

    async fn guest_info(&self, vm: &str) -> Result<GuestInfo> {
        self.call::<method::GuestInfo>(&id(vm)).await
    }

    async fn guest_sys_info(&self, vm: &str) -> Result<SystemInfo> {
        self.call::<method::GuestSysInfo>(&id(vm)).await
    }

    async fn guest_network_info(&self, vm: &str) -> Result<NetworkInformation> {
        self.call::<method::GuestNetworkInfo>(&id(vm)).await
    }

    async fn guest_list_containers(&self, vm: &str) -> Result<ListContainersResponse> {
        self.call::<method::GuestListContainers>(&id(vm)).await
    }

    async fn guest_shutdown(&self, vm: &str) -> Result<()> {
        self.call::<method::GuestShutdown>(&id(vm)).await.map(|Empty {}| ())
    }

    fn logs(&self, request: LogRequest) -> LogStream {
        follow::stream(self.clone(), request)
    }
}
