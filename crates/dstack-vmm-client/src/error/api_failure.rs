//! The VMM's error texts, sorted.
//!
//! Every failure of a method is status 400 with a sentence, and the sentences differ between versions and change. What is
//! here only adds hints; nothing depends on a text being known. Source of the texts: upstream `vmm/src/main_service.rs`,
//! `vmm/src/app.rs` and recorded answers of v0.5.11 and next.

/// What the words of a failed method mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiFailure {
    /// There is no VM with this id.
    VmNotFound,
    /// The text cannot be the id of a VM.
    InvalidVmId,
    /// The VM is being removed.
    BeingRemoved,
    /// The VM must be stopped first.
    MustBeStopped,
    /// The VM has no process, because it was never started or is stopped already.
    ProcessNotFound,
    /// A host port is held by another VM.
    PortConflict,
    /// Two ports of the request clash with each other.
    PortDuplicate,
    /// The port or its protocol is outside the ranges of the node.
    PortNotAllowed,
    /// The node publishes no ports.
    PortMappingDisabled,
    /// A port is no port number, or the protocol is unknown.
    InvalidPort,
    /// The host address is no IP address; `UpdateVm` also refuses an empty one.
    InvalidHostAddress,
    /// The host does not have the guest image.
    ImageMissing,
    /// The text cannot be the name of an image.
    InvalidImageName,
    /// The image is older than the VMM supports.
    UnsupportedImage,
    /// A VM uses the image that should be deleted.
    ImageInUse,
    /// The node has no image registry.
    RegistryNotConfigured,
    /// The image is being pulled already.
    ImageBeingPulled,
    /// The name has characters that names may not have.
    InvalidName,
    /// The form of `manifest_version` is not the one this version reads.
    ManifestVersion,
    /// The app-compose cannot be read.
    InvalidCompose,
    /// The node has no GPUs to give.
    GpuDisabled,
    /// The way GPUs should be attached is unknown or forbidden.
    GpuMode,
    /// The networking mode is unknown, forbidden or incomplete.
    Networking,
    /// The node cannot simulate the TEE that was asked for.
    TeeSimulator,
    /// Disks cannot shrink.
    DiskShrink,
    /// CPUs, memory or disk are zero, or nothing was to be changed.
    InvalidResources,
    /// All CIDs of the node are taken.
    CidsExhausted,
    /// The server does not know the method.
    UnknownMethod,
    /// The request is longer than the server reads.
    RequestTooLarge,
    /// The server does not know the channel of a log.
    UnknownChannel,
    /// The server could not open a log.
    LogUnreadable,
    /// The VMM could not reach its KMS.
    KmsUnreachable,
    /// The VMM could not reach the guest agent.
    GuestUnreachable,
    /// The server could not read the request.
    MalformedRequest,
}

/// Texts that must all occur, and what it then means. The first row that fits wins; case counts.
const TABLE: &[(&[&str], ApiFailure)] = &[
    (&["Service not found"], ApiFailure::UnknownMethod),
    (&["payload too large"], ApiFailure::RequestTooLarge),
    (&["Unknown channel"], ApiFailure::UnknownChannel),
    (&["Os {", "kind:"], ApiFailure::LogUnreadable),
    (&["error sending request for url"], ApiFailure::KmsUnreachable),
    (&["client error (Connect)"], ApiFailure::GuestUnreachable),
    (&["host port mapping conflicts with VM"], ApiFailure::PortConflict),
    (&["duplicate host port mapping"], ApiFailure::PortDuplicate),
    (&["Port mapping is not allowed"], ApiFailure::PortNotAllowed),
    (&["Port mapping is disabled"], ApiFailure::PortMappingDisabled),
    (&["Invalid host address"], ApiFailure::InvalidHostAddress),
    (&["Invalid host port"], ApiFailure::InvalidPort),
    (&["Invalid vm port"], ApiFailure::InvalidPort),
    (&["Invalid protocol"], ApiFailure::InvalidPort),
    (&["numeric manifest_version"], ApiFailure::ManifestVersion),
    (&["ompose file: invalid type: string", "expected u32"], ApiFailure::ManifestVersion),
    (&["Invalid compose file"], ApiFailure::InvalidCompose),
    (&["Failed to read compose file"], ApiFailure::InvalidCompose),
    (&["invalid app compose"], ApiFailure::InvalidCompose),
    (&["Failed to load image"], ApiFailure::ImageMissing),
    (&["image '", "not found"], ApiFailure::ImageMissing),
    (&["Invalid image name"], ApiFailure::InvalidImageName),
    (&["invalid image name"], ApiFailure::InvalidImageName),
    (&["Unsupported image version"], ApiFailure::UnsupportedImage),
    (&["in use by VM"], ApiFailure::ImageInUse),
    (&["image registry is not configured"], ApiFailure::RegistryNotConfigured),
    (&["already being pulled"], ApiFailure::ImageBeingPulled),
    (&["Invalid name"], ApiFailure::InvalidName),
    (&["GPU is not enabled"], ApiFailure::GpuDisabled),
    (&["GPU attach mode"], ApiFailure::GpuMode),
    (&["Attaching all GPUs"], ApiFailure::GpuMode),
    (&["networking mode"], ApiFailure::Networking),
    (&["unsupported TEE variant"], ApiFailure::TeeSimulator),
    (&["tee simulator"], ApiFailure::TeeSimulator),
    (&["Cannot shrink disk"], ApiFailure::DiskShrink),
    (&["must be greater than zero"], ApiFailure::InvalidResources),
    (&["resize request contains no updates"], ApiFailure::InvalidResources),
    (&["CID pool exhausted"], ApiFailure::CidsExhausted),
    (&["should be stopped before"], ApiFailure::MustBeStopped),
    (&["is being removed"], ApiFailure::BeingRemoved),
    (&["invalid VM id"], ApiFailure::InvalidVmId),
    (&["rocess not found"], ApiFailure::ProcessNotFound),
    (&["VM not found"], ApiFailure::VmNotFound),
    (&["vm not found"], ApiFailure::VmNotFound),
    (&["The instance", "not found"], ApiFailure::VmNotFound),
    // Methods that look for the files of a VM before the VM say so with the name of the file.
    (&["vm-manifest.json", "No such file"], ApiFailure::VmNotFound),
    (&["vm-state.json", "No such file"], ApiFailure::VmNotFound),
    (&["invalid type:"], ApiFailure::MalformedRequest),
    (&["invalid value:"], ApiFailure::MalformedRequest),
    (&["missing field"], ApiFailure::MalformedRequest),
    (&["EOF while parsing"], ApiFailure::MalformedRequest),
    (&["expected", "at line", "column"], ApiFailure::MalformedRequest),
    (&["Invalid character", "at position"], ApiFailure::MalformedRequest),
];

impl ApiFailure {
    /// What a text of the server means.
    ///
    /// ```
    /// use dstack_vmm_client::error::ApiFailure;
    ///
    /// assert_eq!(ApiFailure::classify("GPU is not enabled"), Some(ApiFailure::GpuDisabled));
    /// assert_eq!(ApiFailure::classify("the moon is full"), None);
    /// ```
    pub fn classify(message: &str) -> Option<Self> {
        TABLE.iter().find(|(words, _)| words.iter().all(|word| message.contains(word))).map(|&(_, kind)| kind)
    }

    /// What to do about it.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::VmNotFound => "list the VMs; ids are full UUIDs, and a removed VM is gone with its disk",
            Self::InvalidVmId => {
                "ids have 1 to 64 letters, digits, - or _; list the VMs to find the right one"
            }
            Self::BeingRemoved => "wait until it is gone from the list; it cannot be kept any more",
            Self::MustBeStopped => "stop the VM first, then repeat the change and start it again",
            Self::ProcessNotFound => "it has no process, so there is nothing to stop",
            Self::PortConflict => {
                "choose another host port, or remove the VM that the message names: it keeps its ports also while stopped"
            }
            Self::PortDuplicate => "give each mapping its own host port, address or protocol",
            Self::PortNotAllowed => {
                "choose a host port in the node's ranges, with tcp or udp in lower case, or widen `cvm.port_mapping.range` in vmm.toml"
            }
            Self::PortMappingDisabled => {
                "leave the ports out and reach the app through the gateway, or set `cvm.port_mapping.enabled` in vmm.toml"
            }
            Self::InvalidPort => "ports are numbers from 1 to 65535, protocols are tcp and udp",
            Self::InvalidHostAddress => {
                "give an IP address such as 127.0.0.1; an update needs one for each port, a new VM may leave it out"
            }
            Self::ImageMissing => "list the images of the host, then pull the missing one or name another",
            Self::InvalidImageName => {
                "an image name has up to 64 letters, digits, `_`, `-` and `.`, and no `..`"
            }
            Self::UnsupportedImage => "use a guest image of 0.5.0 or newer",
            Self::ImageInUse => "remove the VM that uses it, or move that VM to another image",
            Self::RegistryNotConfigured => {
                "set `image.registry` in vmm.toml, or put the image into the host's image directory"
            }
            Self::ImageBeingPulled => {
                "wait for the pull that runs; the list of registry images shows how it goes"
            }
            Self::InvalidName => "use letters, digits, spaces and -_.@~!$^() in the name",
            Self::ManifestVersion => {
                "v0.5 reads `manifest_version` as a number; next wants a string from \"3\" on and takes numbers only for 1 and 2"
            }
            Self::InvalidCompose => {
                "send the app-compose JSON (manifest_version, name, runner, docker_compose_file ...), not the Compose file itself"
            }
            Self::GpuDisabled => "leave the GPUs out, or set `cvm.gpu.enabled` in vmm.toml",
            Self::GpuMode => "the modes are `listed` and, where the node allows it, `all`",
            Self::Networking => "use one of the modes that GetMeta lists for the node, `user` always works",
            Self::TeeSimulator => {
                "leave the simulated TEE out, or configure `cvm.tee_simulator` on a development node"
            }
            Self::DiskShrink => "keep the disk size or make it larger; a smaller disk needs a new VM",
            Self::InvalidResources => {
                "give at least one of vcpu, memory, disk size or image, none of them zero"
            }
            Self::CidsExhausted => "remove VMs that are not needed, or raise `cvm.cid_pool_size` in vmm.toml",
            Self::UnknownMethod => {
                "the server is another version or another service; compare its version with the method's"
            }
            Self::RequestTooLarge => "make the app-compose smaller; the VMM reads requests of up to 10 MiB",
            Self::UnknownChannel => "the channels are serial, stdout and stderr; an older VMM may have fewer",
            Self::LogUnreadable => {
                "a VM that never ran has no log yet; otherwise look at the files of the VM on its host"
            }
            Self::KmsUnreachable => {
                "check that the KMS runs and that the top-level `kms_url` of vmm.toml is its address as seen from the VMM's host"
            }
            Self::GuestUnreachable => {
                "wait until the VM has booted; if it runs for long, read its serial log, and use a forced stop instead of a shutdown"
            }
            Self::MalformedRequest => {
                "the message names the place in the request; check the version of client and server"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_special_text_wins() {
        let kms = "Failed to send request: error sending request for url (http://192.0.2.1/): client error (Connect): refused";
        assert_eq!(ApiFailure::classify(kms), Some(ApiFailure::KmsUnreachable));
        let guest = "client error (Connect): Connection timed out (os error 110)";
        assert_eq!(ApiFailure::classify(guest), Some(ApiFailure::GuestUnreachable));
        let compose = "Invalid compose file: missing field `manifest_version` at line 1 column 2";
        assert_eq!(ApiFailure::classify(compose), Some(ApiFailure::InvalidCompose));
    }

    #[test]
    fn every_row_can_be_reached() {
        for (index, (words, kind)) in TABLE.iter().enumerate() {
            let text = words.join(" ");
            assert_eq!(ApiFailure::classify(&text), Some(*kind), "row {index}: {text}");
        }
    }
}
