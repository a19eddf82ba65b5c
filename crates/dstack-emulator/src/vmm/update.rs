//! Changes to a VM that exists.
//!
//! As in the VMM, files are written as the request is read: a later step that fails takes nothing back.

use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::{
    ComposeHash as HashReply, Id, ResizeVmRequest, UpdateVmRequest, VmConfiguration,
};
use dstack_vmm_client::app_compose::ComposeHash;
use dstack_vmm_client::ids::AppId;

use super::node::{Node, State};
use super::validate;
use crate::manifest::Manifest;
use crate::rpc::RpcError;
use crate::store::Store;

/// The resources that only a VM that does not run can change.
struct Resources<'a> {
    vcpu: Option<u32>,
    memory: Option<u32>,
    disk_size: Option<u32>,
    image: Option<&'a str>,
}

impl Resources<'_> {
    fn any(&self) -> bool {
        self.vcpu.is_some() || self.memory.is_some() || self.disk_size.is_some() || self.image.is_some()
    }

    fn apply(&self, manifest: &mut Manifest) -> Result<(), RpcError> {
        if let Some(vcpu) = self.vcpu {
            manifest.vcpu = vcpu;
        }
        if let Some(memory) = self.memory {
            manifest.memory = memory;
        }
        if let Some(image) = self.image {
            image.clone_into(&mut manifest.image);
        }
        if let Some(disk_size) = self.disk_size {
            if disk_size < manifest.disk_size {
                return Err(RpcError::text("Cannot shrink disk size"));
            }
            manifest.disk_size = disk_size;
        }
        Ok(())
    }
}

impl Node {
    pub(crate) fn compose_hash(&self, request: &VmConfiguration) -> Result<HashReply, RpcError> {
        validate::name(&request.name)?;
        self.app(&request.compose_file).map_err(|error| error.context("Invalid compose file"))?;
        let mut reply = HashReply::default();
        reply.hash = ComposeHash::of(request.compose_file.as_bytes()).to_string();
        Ok(reply)
    }

    pub(crate) fn update(&self, request: &UpdateVmRequest) -> Result<Id, RpcError> {
        let mut state = self.settled();
        let mut reply = Id::default();
        if !request.compose_file.is_empty() {
            reply.id = self.write_compose(request)?;
        }
        for (name, bytes, attempted) in [
            (".encrypted-env", request.encrypted_env.as_slice(), "Failed to write encrypted env"),
            (".user-config", request.user_config.as_bytes(), "Failed to write user config"),
        ] {
            if !bytes.is_empty() {
                self.write_shared(&request.id, name, bytes, attempted)?;
            }
        }
        let mut manifest = self.store.manifest(&request.id)?;
        let resources = Resources {
            vcpu: request.vcpu,
            memory: request.memory,
            disk_size: request.disk_size,
            image: request.image.as_deref(),
        };
        if resources.any() {
            must_be_stopped(&state, &request.id)?;
            resources.apply(&mut manifest)?;
        }
        self.apply(&state, request, &mut manifest)?;
        self.save(&mut state, &manifest)?;
        Ok(reply)
    }

    /// Everything but files and resources.
    fn apply(
        &self,
        state: &State,
        request: &UpdateVmRequest,
        manifest: &mut Manifest,
    ) -> Result<(), RpcError> {
        if request.gpus.is_some() {
            manifest.gpus = validate::gpus(request.gpus.as_ref(), &self.settings)?;
        }
        if let Some(no_tee) = request.no_tee {
            manifest.no_tee = no_tee;
        }
        if request.update_ports {
            manifest.port_map = validate::changed_ports(&request.ports)?;
            if self.capabilities().port_conflicts_refused {
                validate::distinct_ports(&manifest.port_map)?;
                for vm in state.vms().filter(|vm| vm.manifest.id != request.id) {
                    validate::free_ports(&manifest.port_map, &vm.manifest.id, &vm.manifest.port_map)?;
                }
            }
        }
        if request.update_kms_urls {
            manifest.kms_urls.clone_from(&request.kms_urls);
        }
        if request.update_gateway_urls {
            manifest.gateway_urls.clone_from(&request.gateway_urls);
        }
        if request.update_networking && self.version != DstackVersion::V0_5 {
            manifest.networks = validate::networks(None, &request.networks, self.version, &self.settings)?;
            manifest.networking = manifest.networks.first().cloned();
        }
        Ok(())
    }

    fn write_compose(&self, request: &UpdateVmRequest) -> Result<String, RpcError> {
        self.app(&request.compose_file).map_err(|error| error.context("Invalid compose file"))?;
        let id = &request.id;
        let known = Store::is_vm_id(id) && self.store.vm_dir(id).join("shared/app-compose.json").exists();
        if !known {
            return Err(RpcError::text(format!("The instance {id} not found")));
        }
        let bytes = request.compose_file.as_bytes();
        self.write_shared(id, "app-compose.json", bytes, "Failed to write compose file")?;
        Ok(AppId::from_compose_hash(&ComposeHash::of(bytes)).to_string())
    }

    fn write_shared(&self, id: &str, name: &str, bytes: &[u8], attempted: &str) -> Result<(), RpcError> {
        let written = if Store::is_vm_id(id) {
            self.store.write_shared(id, name, bytes)
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        };
        written.map_err(|error| RpcError::text(format!("{attempted}: {error}")))
    }

    pub(crate) fn resize(&self, request: &ResizeVmRequest) -> Result<(), RpcError> {
        let mut state = self.settled();
        let image = request.image.as_deref();
        must_be_stopped(&state, &request.id)?;
        if self.version != DstackVersion::V0_5 {
            validate::resize(request.vcpu, request.memory, request.disk_size, image)?;
        }
        let mut manifest = self.store.manifest(&request.id)?;
        let resources =
            Resources { vcpu: request.vcpu, memory: request.memory, disk_size: request.disk_size, image };
        resources.apply(&mut manifest)?;
        self.save(&mut state, &manifest)
    }

    fn save(&self, state: &mut State, manifest: &Manifest) -> Result<(), RpcError> {
        self.store
            .write_manifest(manifest)
            .map_err(|error| RpcError::text(format!("Failed to write manifest: {error}")))?;
        self.refresh(state, &manifest.id).map_err(|error| error.context("Failed to load VM"))
    }
}

fn must_be_stopped(state: &State, id: &str) -> Result<(), RpcError> {
    let machine = state.vm(id).ok_or_else(|| RpcError::text("vm not found"))?;
    if matches!(machine.status(), "stopped" | "exited") {
        Ok(())
    } else {
        Err(RpcError::text(format!("vm should be stopped before resize: {id}")))
    }
}
