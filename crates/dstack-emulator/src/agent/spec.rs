//! What a guest is booted with, and what follows from it alone.

use dstack_attestation::event_log::KeyProviderKind;
use dstack_attestation::{Digest32, Id20};
use dstack_vmm_client::DstackVersion;

use super::Traits;
use super::compose::GuestCompose;
use crate::kms::sha256;

/// What a guest is booted with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuestSpec {
    /// The version of dstack in the image.
    pub version: DstackVersion,
    /// The text of the app-compose, byte for byte.
    pub compose: String,
    /// The app id that the user gave. Without one it follows from the app-compose.
    pub app_id: Option<Id20>,
    /// The seed of the instance id; the VMM keeps it with the disk.
    pub instance_seed: Id20,
    /// The OS image hash.
    pub os_image_hash: Digest32,
    /// The name of the image.
    pub image: String,
    /// Number of virtual CPUs.
    pub vcpu: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Size of the data disk in GiB.
    pub disk_gib: u32,
    /// KMS addresses, as the VMM hands them to the guest.
    pub kms_urls: Vec<String>,
    /// Gateway addresses, as the VMM hands them to the guest.
    pub gateway_urls: Vec<String>,
    /// The environment of the app, sealed to the key that the KMS has for it. Empty for none.
    pub encrypted_env: Vec<u8>,
    /// Whether the guest has Docker running. Without it containers cannot be listed.
    pub docker: bool,
}

impl GuestSpec {
    /// A small guest with this app-compose.
    pub fn new(version: DstackVersion, compose: impl Into<String>) -> Self {
        Self {
            version,
            compose: compose.into(),
            app_id: None,
            instance_seed: Id20::ZERO,
            os_image_hash: Digest32::new(sha256(b"EMULATED os image")),
            image: "dstack-emulated".to_owned(),
            vcpu: 1,
            memory_mib: 1024,
            disk_gib: 10,
            kms_urls: Vec::new(),
            gateway_urls: Vec::new(),
            encrypted_env: Vec::new(),
            docker: true,
        }
    }

    /// SHA-256 of the app-compose.
    pub(super) fn compose_hash(&self) -> Digest32 {
        Digest32::new(sha256(self.compose.as_bytes()))
    }

    /// The app id that follows from the app-compose: the first 20 bytes of its hash.
    fn default_app_id(&self) -> Id20 {
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _] = *self.compose_hash().as_bytes();
        Id20::new(id)
    }

    /// The app id that the user gave, or the one that follows from the app-compose.
    pub(super) fn given_app_id(&self) -> Id20 {
        self.app_id.unwrap_or_else(|| self.default_app_id())
    }

    /// The app id that the guest measures, and asks the KMS for keys under.
    pub(super) fn measured_app_id(&self, compose: &GuestCompose) -> Id20 {
        let with_kms = compose.key_provider == KeyProviderKind::Kms;
        if with_kms || Traits::of(self.version).explicit_app_id_always_measured {
            self.given_app_id()
        } else {
            self.default_app_id()
        }
    }

    /// The shape of the VM as the JSON text that guests and verifiers call `vm_config`.
    pub(super) fn vm_config(&self) -> String {
        let config = serde_json::json!({
            "os_image_hash": self.os_image_hash,
            "cpu_count": self.vcpu,
            "memory_size": u64::from(self.memory_mib) << 20,
            "num_gpus": 0,
            "num_nvswitches": 0,
            "hugepages": false,
            "hotplug_off": false,
            "image": self.image,
            "spec_version": 1,
        });
        config.to_string()
    }

    /// What the VMM hands to the guest besides the app-compose, as JSON text.
    pub(super) fn system_config(&self, vm_config: &str) -> String {
        let config = serde_json::json!({
            "kms_urls": self.kms_urls,
            "gateway_urls": self.gateway_urls,
            "pccs_url": "",
            "docker_registry": "",
            "host_api_url": "vsock://2:10000/api",
            "vm_config": vm_config,
        });
        config.to_string()
    }
}
