//! The wire protocol of the VMM, without IO: messages, methods, paths, and the reading of replies.
//!
//! Every method is `POST <base>/prpc/<Method>?json` with a JSON body. Any failure of a method is status 400 with the
//! server's reason; nothing in a reply classifies errors (upstream `ra-rpc/src/rocket_helper.rs`).

pub mod guest;
mod hex_bytes;
pub mod method;
pub mod node;
mod reply;
pub mod vm;

pub use guest::{
    Container, DiskInfo, Gateway, GuestInfo, Interface, InterfaceAddress, ListContainersResponse,
    NetworkInformation, SystemInfo,
};
pub use method::{METHODS, Method, MethodInfo, Repeat, Surface};
pub use node::{
    GatewayMeta, GetMetaResponse, GpuInfo, ImageInfo, KmsMeta, ListGpusResponse, ListImagesResponse,
    ListRegistryImagesResponse, NetworkingMeta, PullRegistryImageRequest, RegistryImageInfo,
    ReloadVmsResponse, ReportDhcpLeaseRequest, ResourcesMeta, SvListResponse, SvProcessInfo, VersionResponse,
};
pub use reply::{ReplyError, path, read_reply, request_body};
pub use vm::{
    AppId, ComposeHash, Empty, GetInfoResponse, GpuConfig, GpuSpec, GuestEvent, Id, NetworkInterfaceStatus,
    NetworkingConfig, PortMapping, PublicKeyResponse, ResizeVmRequest, StatusRequest, StatusResponse,
    UpdateVmRequest, VmConfiguration, VmInfo,
};
