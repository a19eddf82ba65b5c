//! Guests: who they are, what they refuse to boot, and the agent that answers for them.

use std::net::SocketAddr;

use dstack_attestation::{Digest32, Id20};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api;
use dstack_vmm_client::app_compose::{AppCompose, ComposeHash, KeyProvider};
use dstack_vmm_client::ids::{AppId, InstanceId};

use super::lifecycle::random_bytes;
use super::machine::Machine;
use super::node::Node;
use crate::agent::{EXTERNAL_PORT, GuestAgent, GuestSpec, Sockets};
use crate::manifest::InstanceInfo;
use crate::rpc::{Call, RpcError};
use crate::settings::KmsSource;

/// What a VMM answers when no guest does. A real one says so after a while, the emulator at once.
pub(crate) const UNREACHABLE: &str = "client error (Connect): Connection timed out (os error 110)";

/// A guest that is up: its agent, and the sockets of its app, which close with it.
#[derive(Debug)]
pub(crate) struct Guest {
    agent: GuestAgent,
    _sockets: Option<Sockets>,
}

impl Node {
    /// What a guest will report about itself when it boots.
    pub(crate) fn identify(&self, machine: &Machine, app: Option<&AppCompose>) -> InstanceInfo {
        let before = machine.instance.clone().unwrap_or_default();
        let default = AppId::from_compose_hash(&ComposeHash::of(machine.shared.compose.as_bytes()));
        let app_id = before.app_id.parse().unwrap_or(default);
        // The seed lives on the data disk, which without a key provider is new at each boot.
        let keeps_disk = app.is_some_and(|app| app.key_provider_kind() != KeyProvider::None);
        let kept = hex::decode(&before.instance_id_seed).ok().filter(|seed| keeps_disk && !seed.is_empty());
        let seed = kept.unwrap_or_else(|| random_bytes::<20>().unwrap_or_default().to_vec());
        let no_instance_id = app.is_some_and(|app| app.no_instance_id);
        let instance_id =
            if no_instance_id { String::new() } else { InstanceId::derive(&seed, &app_id, None).to_string() };
        InstanceInfo { instance_id_seed: hex::encode(seed), instance_id, app_id: app_id.to_string() }
    }

    /// Why the guest gives up before it asks for keys, where it does. The VMM checks none of this.
    pub(crate) fn guest_refusal(&self, machine: &Machine, app: Option<&AppCompose>) -> Option<String> {
        let limits = self.capabilities();
        let shared = &machine.shared;
        for (what, size, limit) in [
            ("app-compose.json", shared.compose.len(), limits.max_app_compose_bytes),
            (".user-config", shared.user_config.len(), limits.max_user_config_bytes),
            (".encrypted-env", shared.encrypted_env.len(), limits.max_encrypted_env_bytes),
        ] {
            if size > limit {
                return Some(format!("{what} has {size} bytes, the guest reads at most {limit}"));
            }
        }
        let Some(app) = app else { return Some("the guest cannot read app-compose.json".to_owned()) };
        let known_runner = match app.runner.as_str() {
            "docker-compose" | "bash" => true,
            "nerdctl-compose" => self.version != DstackVersion::V0_5,
            _ => false,
        };
        if !known_runner {
            return Some(format!("the guest knows no runner {:?}", app.runner));
        }
        if app.key_provider_kind() == KeyProvider::Tpm && self.version == DstackVersion::V0_5 {
            return Some("the guest has no key provider tpm".to_owned());
        }
        let given = machine.instance.as_ref().map_or("", |instance| &instance.app_id);
        if !given.is_empty() && given.parse::<AppId>().is_err() {
            return Some(format!("app id {given} does not have 20 bytes"));
        }
        GuestAgent::check_environment(&self.guest_spec(machine), &self.kms)
            .err()
            .map(|error| error.to_string())
    }

    /// What a VM's guest is booted with.
    fn guest_spec(&self, machine: &Machine) -> GuestSpec {
        let m = &machine.manifest;
        let instance = machine.instance.clone().unwrap_or_default();
        let mut spec = GuestSpec::new(self.version, machine.shared.compose.clone());
        spec.app_id = id20(&instance.app_id);
        spec.instance_seed = id20(&instance.instance_id_seed).unwrap_or(Id20::ZERO);
        spec.os_image_hash = Digest32::new(machine.image.os_image_hash);
        spec.image.clone_from(&m.image);
        spec.vcpu = m.vcpu.max(1);
        spec.memory_mib = m.memory;
        spec.disk_gib = m.disk_size;
        let or_default = |own: &Vec<String>, default: &Vec<String>| {
            if own.is_empty() { default.clone() } else { own.clone() }
        };
        spec.kms_urls = or_default(&m.kms_urls, &self.settings.kms_urls);
        spec.gateway_urls = or_default(&m.gateway_urls, &self.settings.gateway_urls);
        // Of another KMS the emulator has no keys, and cannot open what was sealed to one.
        if matches!(self.settings.kms, KmsSource::BuiltIn) {
            spec.encrypted_env.clone_from(&machine.shared.encrypted_env);
        }
        spec
    }

    /// Starts the agent of a VM that has booted, and the sockets of its app in the directory of the VM.
    pub(crate) fn bring_up(&self, machine: &Machine) -> Result<Guest, String> {
        let id = &machine.manifest.id;
        let agent = GuestAgent::boot(self.guest_spec(machine), &self.kms, self.clock.clone())
            .map_err(|error| error.to_string())?;
        let sockets = agent.open_sockets(&self.store.vm_dir(id));
        let mut sockets = sockets
            .inspect_err(|error| tracing::warn!(vm = id, %error, "the sockets of an app cannot be made"))
            .ok();
        // The one port of a guest behind which something of the emulator answers.
        let published = machine.manifest.port_map.iter();
        for port in published.filter(|port| port.protocol == "tcp" && port.to == EXTERNAL_PORT) {
            let address = port.address.parse().map(|ip: std::net::IpAddr| SocketAddr::new(ip, port.from));
            if let (Some(sockets), Ok(address)) = (&mut sockets, address)
                && let Err(error) = sockets.publish(&agent, address)
            {
                tracing::warn!(vm = id, %address, %error, "a port of the guest agent cannot be published");
            }
        }
        Ok(Guest { agent, _sockets: sockets })
    }

    /// Passes a call on to the guest that its message names.
    pub(crate) fn guest_call(&self, call: &Call) -> axum::response::Response {
        let id = match call.decode::<api::Id>() {
            Ok(request) => request.id,
            Err(error) => return call.encode::<api::Empty>(Err(error)),
        };
        if call.method == "Shutdown" {
            return call.encode(self.shutdown(&id).map(|()| api::Empty::default()));
        }
        let agent = match self.settled().vm(&id) {
            None => Err(RpcError::text("vm not found")),
            Some(machine) => match &machine.guest {
                Some(guest) => Ok(guest.agent.clone()),
                None => Err(RpcError::text(UNREACHABLE)),
            },
        };
        match agent {
            Ok(agent) => agent.guest_api(call),
            Err(error) => call.encode::<api::Empty>(Err(error)),
        }
    }

    /// The agent of a VM, while it is up.
    pub(crate) fn agent(&self, id: &str) -> Option<GuestAgent> {
        self.settled().vm(id)?.guest.as_ref().map(|guest| guest.agent.clone())
    }
}

fn id20(digits: &str) -> Option<Id20> {
    let bytes: [u8; 20] = hex::decode(digits).ok()?.try_into().ok()?;
    Some(Id20::new(bytes))
}

/// Names of the containers that an app starts.
pub(crate) fn services(compose: &str) -> Vec<String> {
    crate::agent::container_names(compose)
}
