//! The methods of the RPC: names, messages, and what may be done with them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{guest, node, vm};
use crate::DstackVersion;

/// Where on a server a method is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Surface {
    /// The VMM itself, under `/prpc/`.
    Vmm,
    /// A guest agent that the VMM reaches for us, under `/guest/`. The request names the VM.
    Guest,
}

impl Surface {
    /// The path prefix, with both slashes.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Vmm => "/prpc/",
            Self::Guest => "/guest/",
        }
    }
}

/// What repeating a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Repeat {
    /// It reads, or sets what is already set: after a lost reply it may simply be sent again.
    Safe,
    /// It makes or changes something each time: after a lost reply the state must be looked up first.
    Unsafe,
}

/// A method of the RPC, as a type.
pub trait Method {
    /// Name on the wire.
    const NAME: &'static str;
    /// Where it is mounted.
    const SURFACE: Surface;
    /// What repeating it does.
    const REPEAT: Repeat;
    /// The versions that have it.
    const VERSIONS: &'static [DstackVersion];
    /// Request message.
    type Request: Serialize;
    /// Reply message.
    type Response: DeserializeOwned;
}

/// A method of the RPC, as a value; [`METHODS`] lists them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodInfo {
    /// Name on the wire.
    pub name: &'static str,
    /// Where it is mounted.
    pub surface: Surface,
    /// What repeating it does.
    pub repeat: Repeat,
    /// The versions that have it.
    pub versions: &'static [DstackVersion],
}

const BOTH: &[DstackVersion] = &DstackVersion::ALL;
const V0_5: &[DstackVersion] = &[DstackVersion::V0_5];

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident ($surface:ident, $wire:literal, $repeat:ident, $versions:expr): $request:ty => $response:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Method for $name {
                const NAME: &'static str = $wire;
                const SURFACE: Surface = Surface::$surface;
                const REPEAT: Repeat = Repeat::$repeat;
                const VERSIONS: &'static [DstackVersion] = $versions;
                type Request = $request;
                type Response = $response;
            }
        )*

        /// Every method of every version.
        pub const METHODS: &[MethodInfo] = &[$(MethodInfo {
            name: $wire,
            surface: Surface::$surface,
            repeat: Repeat::$repeat,
            versions: $versions,
        }),*];
    };
}

methods! {
    /// Makes a VM and, unless asked otherwise, starts it. A second call makes a second VM.
    CreateVm(Vmm, "CreateVm", Unsafe, BOTH): vm::VmConfiguration => vm::Id;
    /// Starts a VM; one that runs already stays as it is.
    StartVm(Vmm, "StartVm", Safe, BOTH): vm::Id => vm::Empty;
    /// Stops a VM at once, without asking the guest.
    StopVm(Vmm, "StopVm", Safe, BOTH): vm::Id => vm::Empty;
    /// Asks the guest to power off.
    ShutdownVm(Vmm, "ShutdownVm", Safe, BOTH): vm::Id => vm::Empty;
    /// Removes a VM and its disk, in the background: it is listed as `removing` until it is gone.
    RemoveVm(Vmm, "RemoveVm", Safe, BOTH): vm::Id => vm::Empty;
    /// Changes a VM. The id in the reply is no VM id but the app id that a new compose would derive, or empty.
    UpdateVm(Vmm, "UpdateVm", Safe, BOTH): vm::UpdateVmRequest => vm::Id;
    /// The old name of [`UpdateVm`].
    UpgradeApp(Vmm, "UpgradeApp", Safe, BOTH): vm::UpdateVmRequest => vm::Id;
    /// Changes the resources of a stopped VM. [`UpdateVm`] does the same and more.
    ResizeVm(Vmm, "ResizeVm", Safe, BOTH): vm::ResizeVmRequest => vm::Empty;
    /// The compose hash that the VMM computes.
    GetComposeHash(Vmm, "GetComposeHash", Safe, BOTH): vm::VmConfiguration => vm::ComposeHash;
    /// Lists VMs.
    Status(Vmm, "Status", Safe, BOTH): vm::StatusRequest => vm::StatusResponse;
    /// One VM. An unknown id is an answer, not an error.
    GetInfo(Vmm, "GetInfo", Safe, BOTH): vm::Id => vm::GetInfoResponse;
    /// Guest images on the host.
    ListImages(Vmm, "ListImages", Safe, BOTH): vm::Empty => node::ListImagesResponse;
    /// Deletes a guest image that no VM uses. A second call answers that it is not found.
    DeleteImage(Vmm, "DeleteImage", Unsafe, BOTH): vm::Id => vm::Empty;
    /// Guest images in the node's registry.
    ListRegistryImages(Vmm, "ListRegistryImages", Safe, BOTH): vm::Empty => node::ListRegistryImagesResponse;
    /// Starts to pull a guest image, in the background.
    PullRegistryImage(Vmm, "PullRegistryImage", Unsafe, BOTH): node::PullRegistryImageRequest => vm::Empty;
    /// The key that an app's environment is sealed to, from the node's KMS.
    GetAppEnvEncryptPubKey(Vmm, "GetAppEnvEncryptPubKey", Safe, BOTH): vm::AppId => vm::PublicKeyResponse;
    /// What the node offers.
    GetMeta(Vmm, "GetMeta", Safe, BOTH): vm::Empty => node::GetMetaResponse;
    /// Version of the VMM.
    Version(Vmm, "Version", Safe, BOTH): vm::Empty => node::VersionResponse;
    /// GPUs of the host.
    ListGpus(Vmm, "ListGpus", Safe, BOTH): vm::Empty => node::ListGpusResponse;
    /// Reads the VMs from disk again.
    ReloadVms(Vmm, "ReloadVms", Safe, BOTH): vm::Empty => node::ReloadVmsResponse;
    /// Processes of the supervisor.
    SvList(Vmm, "SvList", Safe, BOTH): vm::Empty => node::SvListResponse;
    /// Stops a process of the supervisor.
    SvStop(Vmm, "SvStop", Safe, BOTH): vm::Id => vm::Empty;
    /// Forgets a stopped process of the supervisor.
    SvRemove(Vmm, "SvRemove", Unsafe, BOTH): vm::Id => vm::Empty;
    /// Tells the VMM which address a VM got on a bridge.
    ReportDhcpLease(Vmm, "ReportDhcpLease", Safe, V0_5): node::ReportDhcpLeaseRequest => vm::Empty;

    /// What the guest agent says about its app.
    GuestInfo(Guest, "Info", Safe, BOTH): vm::Id => guest::GuestInfo;
    /// The guest as a machine.
    GuestSysInfo(Guest, "SysInfo", Safe, BOTH): vm::Id => guest::SystemInfo;
    /// Networking of the guest.
    GuestNetworkInfo(Guest, "NetworkInfo", Safe, BOTH): vm::Id => guest::NetworkInformation;
    /// Containers in the guest.
    GuestListContainers(Guest, "ListContainers", Safe, BOTH): vm::Id => guest::ListContainersResponse;
    /// Asks the guest to power off.
    GuestShutdown(Guest, "Shutdown", Safe, BOTH): vm::Id => vm::Empty;
}
