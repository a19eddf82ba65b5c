//! What the VMM shows of its state.

use std::collections::BTreeSet;

use dstack_vmm_client::api::{
    GatewayMeta, GetInfoResponse, GetMetaResponse, GpuInfo, KmsMeta, ListGpusResponse, NetworkingMeta,
    ResourcesMeta, StatusRequest, StatusResponse, SvListResponse, VersionResponse,
};

use super::machine::Machine;
use super::node::{Node, REVISION};

impl Node {
    pub(crate) fn status(&self, request: &StatusRequest) -> StatusResponse {
        let state = self.settled();
        let now = self.clock.now_ms();
        let wanted: BTreeSet<&str> = request.ids.iter().map(String::as_str).collect();
        let page = usize::try_from(request.page).unwrap_or(usize::MAX);
        let size = usize::try_from(request.page_size).unwrap_or(usize::MAX);
        let (skip, take) = match (page, size) {
            (0, _) | (_, 0) => (0, usize::MAX),
            (page, size) => ((page - 1).saturating_mul(size), size),
        };
        let info = |vm: &Machine| vm.info(now, request.brief, self.version, &self.settings);
        let mut reply = StatusResponse::default();
        let total = if wanted.is_empty() && request.keyword.is_empty() {
            // Only the VMs of the page are looked at.
            reply.vms = state.vms().skip(skip).take(take).map(info).collect();
            state.count()
        } else {
            let mut total = 0;
            for vm in state.vms() {
                if (wanted.is_empty() || wanted.contains(vm.manifest.id.as_str()))
                    && vm.matches(&request.keyword)
                {
                    if total >= skip && reply.vms.len() < take {
                        reply.vms.push(info(vm));
                    }
                    total += 1;
                }
            }
            total
        };
        reply.port_mapping_enabled = self.settings.port_mapping_enabled;
        reply.total = u32::try_from(total).unwrap_or(u32::MAX);
        reply
    }

    pub(crate) fn info(&self, id: &str) -> GetInfoResponse {
        let state = self.settled();
        let mut reply = GetInfoResponse::default();
        reply.info = state.vm(id).map(|vm| vm.info(self.clock.now_ms(), false, self.version, &self.settings));
        reply.found = reply.info.is_some();
        reply
    }

    pub(crate) fn processes(&self) -> SvListResponse {
        let mut reply = SvListResponse::default();
        reply.processes = self.settled().vms().filter_map(|vm| vm.process_info(self.version)).collect();
        reply
    }

    pub(crate) fn version(&self) -> VersionResponse {
        let mut reply = VersionResponse::default();
        self.capabilities().reference.clone_into(&mut reply.version);
        REVISION.clone_into(&mut reply.rev);
        reply
    }

    pub(crate) fn meta(&self) -> GetMetaResponse {
        let s = &self.settings;
        let first = |urls: &[String]| urls.first().cloned().unwrap_or_default();
        let mut kms = KmsMeta::default();
        kms.url = first(&s.kms_urls);
        kms.urls.clone_from(&s.kms_urls);
        let mut gateway = GatewayMeta::default();
        gateway.url = first(&s.gateway_urls);
        gateway.base_domain.clone_from(&s.gateway_base_domain);
        gateway.port = s.gateway_port.into();
        gateway.agent_port = s.gateway_agent_port.into();
        gateway.urls.clone_from(&s.gateway_urls);
        let mut resources = ResourcesMeta::default();
        resources.max_cvm_number = s.cid_pool_size;
        resources.max_allocable_vcpu = s.max_allocable_vcpu;
        resources.max_allocable_memory_in_mb = s.max_allocable_memory_in_mb;
        let mut reply = GetMetaResponse::default();
        reply.kms = Some(kms);
        reply.gateway = Some(gateway);
        reply.resources = Some(resources);
        if self.capabilities().multiple_networks {
            let mut networking = NetworkingMeta::default();
            networking.supported_modes = vec!["user".to_owned()];
            if !s.bridge.is_empty() {
                networking.supported_modes.push("bridge".to_owned());
            }
            if s.networking_mode != "custom" {
                networking.default_mode.clone_from(&s.networking_mode);
            }
            networking.default_bridge.clone_from(&s.bridge);
            reply.networking = Some(networking);
        }
        reply
    }

    pub(crate) fn gpus(&self) -> ListGpusResponse {
        let mut reply = ListGpusResponse::default();
        reply.allow_attach_all = self.settings.gpu_allow_attach_all;
        if self.settings.gpu_enabled {
            let state = self.settled();
            reply.gpus = self
                .settings
                .gpus
                .iter()
                .map(|gpu| {
                    let mut info = GpuInfo::default();
                    info.slot.clone_from(&gpu.slot);
                    info.product_id.clone_from(&gpu.product_id);
                    info.description.clone_from(&gpu.description);
                    let attached =
                        |vm: &Machine| vm.manifest.gpus.gpus.iter().any(|other| other.slot == gpu.slot);
                    info.is_free = !state.vms().any(|vm| vm.started && attached(vm));
                    info
                })
                .collect();
        }
        reply
    }
}
