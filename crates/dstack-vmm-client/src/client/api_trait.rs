//! The VMM as a trait, so that others can put something else in its place.

use async_trait::async_trait;

use super::logs::{LogRequest, LogStream};
use crate::api::{
    GetMetaResponse, GuestInfo, ImageInfo, ListContainersResponse, ListGpusResponse, NetworkInformation,
    PublicKeyResponse, RegistryImageInfo, ReloadVmsResponse, ReportDhcpLeaseRequest, ResizeVmRequest,
    StatusRequest, StatusResponse, SvProcessInfo, SystemInfo, UpdateVmRequest, VersionResponse,
    VmConfiguration, VmInfo,
};
use crate::error::Result;

/// Everything a VMM can be asked, one method an RPC.
///
/// [`Client`](super::Client) is the real one. The trait is object safe: `Arc<dyn VmmApi>` works.
#[async_trait]
pub trait VmmApi: Send + Sync {
    /// Where this VMM is, for messages: `unix:/run/dstack/vmm.sock`, `https://vmm.example.com`.
    fn endpoint(&self) -> &str;

    /// Makes a VM and returns its id. Not idempotent: after an error for which
    /// [`may_have_happened`](crate::Error::may_have_happened) is true, look before trying again.
    async fn create_vm(&self, configuration: &VmConfiguration) -> Result<String>;
    /// Starts a VM.
    async fn start_vm(&self, id: &str) -> Result<()>;
    /// Stops a VM at once.
    async fn stop_vm(&self, id: &str) -> Result<()>;
    /// Asks the guest to power off.
    async fn shutdown_vm(&self, id: &str) -> Result<()>;
    /// Starts to remove a VM and its disk.
    async fn remove_vm(&self, id: &str) -> Result<()>;
    /// Changes a VM. Returns the app id that a new compose derives, or an empty text.
    async fn update_vm(&self, request: &UpdateVmRequest) -> Result<String>;
    /// The old name of [`update_vm`](Self::update_vm).
    async fn upgrade_app(&self, request: &UpdateVmRequest) -> Result<String>;
    /// Changes the resources of a stopped VM.
    async fn resize_vm(&self, request: &ResizeVmRequest) -> Result<()>;
    /// The compose hash that the VMM computes, 64 hex digits.
    async fn compose_hash(&self, configuration: &VmConfiguration) -> Result<String>;
    /// Lists VMs, one page or everything.
    async fn status(&self, request: &StatusRequest) -> Result<StatusResponse>;
    /// One VM, or `None` when there is none with this id.
    async fn info(&self, id: &str) -> Result<Option<VmInfo>>;
    /// Guest images on the host.
    async fn list_images(&self) -> Result<Vec<ImageInfo>>;
    /// Deletes a guest image.
    async fn delete_image(&self, name: &str) -> Result<()>;
    /// Guest images in the node's registry.
    async fn list_registry_images(&self) -> Result<Vec<RegistryImageInfo>>;
    /// Starts to pull a guest image.
    async fn pull_registry_image(&self, tag: &str) -> Result<()>;
    /// The key that an app's environment is sealed to.
    async fn app_env_encrypt_pub_key(&self, app_id: &[u8]) -> Result<PublicKeyResponse>;
    /// What the node offers.
    async fn meta(&self) -> Result<GetMetaResponse>;
    /// Version of the VMM.
    async fn version(&self) -> Result<VersionResponse>;
    /// GPUs of the host.
    async fn list_gpus(&self) -> Result<ListGpusResponse>;
    /// Reads the VMs from disk again.
    async fn reload_vms(&self) -> Result<ReloadVmsResponse>;
    /// Processes of the supervisor.
    async fn sv_list(&self) -> Result<Vec<SvProcessInfo>>;
    /// Stops a process of the supervisor.
    async fn sv_stop(&self, id: &str) -> Result<()>;
    /// Forgets a stopped process of the supervisor.
    async fn sv_remove(&self, id: &str) -> Result<()>;
    /// Tells the VMM which address a VM got on a bridge. v0.5 only.
    async fn report_dhcp_lease(&self, request: &ReportDhcpLeaseRequest) -> Result<()>;

    /// What the guest agent of a VM says about its app.
    async fn guest_info(&self, id: &str) -> Result<GuestInfo>;
    /// The guest as a machine.
    async fn guest_sys_info(&self, id: &str) -> Result<SystemInfo>;
    /// Networking of the guest.
    async fn guest_network_info(&self, id: &str) -> Result<NetworkInformation>;
    /// Containers in the guest.
    async fn guest_list_containers(&self, id: &str) -> Result<ListContainersResponse>;
    /// Asks the guest to power off.
    async fn guest_shutdown(&self, id: &str) -> Result<()>;

    /// Opens the log of a VM.
    fn logs(&self, request: LogRequest) -> LogStream;
}
