//! One VM: what it is made of, what its process and its guest did, and how it looks from outside.

use std::collections::VecDeque;

use dstack_vmm_client::api::{
    GpuConfig, GpuSpec, GuestEvent, NetworkInterfaceStatus, SvProcessInfo, VmConfiguration, VmInfo,
};
use dstack_vmm_client::{DstackVersion, ids};

use super::guests::Guest;
use super::images::Image;
use crate::clock::elapsed_text;
use crate::manifest::{InstanceInfo, Manifest, Network, Process, Shared};
use crate::settings::Settings;

/// A VM in memory.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) manifest: Manifest,
    pub(crate) shared: Shared,
    /// Whether the app wants to be reached through a gateway.
    pub(crate) uses_gateway: bool,
    pub(crate) image: Image,
    pub(crate) cid: u32,
    /// Whether it ought to run.
    pub(crate) started: bool,
    pub(crate) removing: bool,
    /// What the supervisor knows of it; nothing before the first start.
    pub(crate) process: Option<Process>,
    /// Counts starts and stops: what was planned for an earlier run does not happen any more.
    pub(crate) run: u64,
    /// Starts since it last came up.
    pub(crate) restarts: u32,
    pub(crate) boot_progress: String,
    pub(crate) boot_error: String,
    pub(crate) shutdown_progress: String,
    pub(crate) events: VecDeque<GuestEvent>,
    pub(crate) instance: Option<InstanceInfo>,
    /// The agent in it, while it answers.
    pub(crate) guest: Option<Guest>,
}

impl Machine {
    pub(crate) fn running(&self) -> bool {
        self.process.as_ref().is_some_and(Process::running)
    }

    /// In the words of the API.
    pub(crate) fn status(&self) -> &'static str {
        match (self.removing, self.started, self.running()) {
            (true, _, _) => "removing",
            (_, true, true) => "running",
            (_, true, false) => "exited",
            (_, false, true) => "stopping",
            (_, false, false) => "stopped",
        }
    }

    /// Keeps an event of the guest and what it says about the boot.
    pub(crate) fn notice(&mut self, event: &str, body: &str, at_ms: u64, keep: usize) {
        match event {
            "boot.progress" => body.clone_into(&mut self.boot_progress),
            "boot.error" => body.clone_into(&mut self.boot_error),
            "shutdown.progress" => body.clone_into(&mut self.shutdown_progress),
            _ => {}
        }
        let mut kept = GuestEvent::default();
        event.clone_into(&mut kept.event);
        body.clone_into(&mut kept.body);
        kept.timestamp = at_ms;
        self.events.push_back(kept);
        while self.events.len() > keep {
            self.events.pop_front();
        }
    }

    /// What the VMM sets when a start is asked for. Old images report no steps, so the VMM does not expect any.
    pub(crate) fn note_start(&mut self, already_running: bool) {
        let progress = match (self.image.shared_ro, already_running) {
            (false, _) => "N/A",
            (true, true) => "running",
            (true, false) => "booting",
        };
        progress.clone_into(&mut self.boot_progress);
        self.boot_error.clear();
        self.shutdown_progress.clear();
    }

    /// The VM as `Status` and `GetInfo` show it.
    pub(crate) fn info(
        &self,
        now_ms: u64,
        brief: bool,
        version: DstackVersion,
        settings: &Settings,
    ) -> VmInfo {
        let mut info = VmInfo::default();
        info.id.clone_from(&self.manifest.id);
        info.name.clone_from(&self.manifest.name);
        self.status().clone_into(&mut info.status);
        info.uptime = match &self.process {
            Some(process) => elapsed_text(now_ms.saturating_sub(process.started_at_ms)),
            None => "never".to_owned(),
        };
        info.app_url = self.app_url(settings);
        info.app_id.clone_from(&self.manifest.app_id);
        info.instance_id = self.instance_id().map(str::to_owned);
        info.configuration = (!brief).then(|| self.configuration(version));
        let ended = self.process.as_ref().and_then(|process| process.ended_at_ms);
        info.exited_at = Some(match ended {
            Some(ended) => elapsed_text(now_ms.saturating_sub(ended)),
            None => "never".to_owned(),
        });
        info.boot_progress.clone_from(&self.boot_progress);
        info.boot_error.clone_from(&self.boot_error);
        info.shutdown_progress.clone_from(&self.shutdown_progress);
        info.image_version.clone_from(&self.image.version);
        info.events = self.events.iter().cloned().collect();
        if version.capabilities().multiple_networks {
            info.interfaces = self.interfaces(settings);
        }
        info
    }

    pub(crate) fn instance_id(&self) -> Option<&str> {
        let reported = self.instance.as_ref()?;
        (!reported.instance_id.is_empty()).then_some(reported.instance_id.as_str())
    }

    /// Whether a keyword of `Status` is found in it.
    pub(crate) fn matches(&self, keyword: &str) -> bool {
        let m = &self.manifest;
        [&m.name, &m.id, &m.app_id, &m.image].iter().any(|text| text.contains(keyword))
    }

    /// The process as the supervisor lists it.
    pub(crate) fn process_info(&self, version: DstackVersion) -> Option<SvProcessInfo> {
        let process = self.process.as_ref()?;
        let mut info = SvProcessInfo::default();
        info.id.clone_from(&self.manifest.id);
        info.name.clone_from(&self.manifest.name);
        info.status = process.status();
        info.pid = process.running().then_some(process.pid);
        "emulated-qemu".clone_into(&mut info.command);
        info.note = match version {
            DstackVersion::V0_5 => r#"{"kind":"cvm","live_for":null}"#,
            _ => r#"{"kind":"cvm","live_for":null,"serial_logappend":true}"#,
        }
        .to_owned();
        Some(info)
    }

    fn configuration(&self, version: DstackVersion) -> VmConfiguration {
        let m = &self.manifest;
        let mut out = VmConfiguration::default();
        out.name.clone_from(&m.name);
        out.image.clone_from(&m.image);
        out.compose_file.clone_from(&self.shared.compose);
        out.vcpu = m.vcpu;
        out.memory = m.memory;
        out.disk_size = m.disk_size;
        out.ports = m.port_map.iter().map(Into::into).collect();
        out.encrypted_env.clone_from(&self.shared.encrypted_env);
        out.app_id = Some(m.app_id.clone());
        out.user_config.clone_from(&self.shared.user_config);
        out.hugepages = m.hugepages;
        out.pin_numa = m.pin_numa;
        out.gpus = Some(self.gpu_config());
        out.kms_urls.clone_from(&m.kms_urls);
        out.gateway_urls.clone_from(&m.gateway_urls);
        out.stopped = !self.started;
        out.no_tee = m.no_tee;
        out.networking = m.networking.as_ref().map(Into::into);
        if version.capabilities().multiple_networks {
            out.networks = m.networks.iter().map(Into::into).collect();
            out.simulated_tee.clone_from(&m.simulated_tee);
        }
        out
    }

    fn gpu_config(&self) -> GpuConfig {
        let mut out = GpuConfig::default();
        out.attach_mode.clone_from(&self.manifest.gpus.attach_mode);
        for gpu in &self.manifest.gpus.gpus {
            let mut spec = GpuSpec::default();
            spec.slot.clone_from(&gpu.slot);
            out.gpus.push(spec);
        }
        out
    }

    fn interfaces(&self, settings: &Settings) -> Vec<NetworkInterfaceStatus> {
        let default = [Network { mode: settings.networking_mode.clone(), bridge_name: String::new() }];
        let networks: &[Network] =
            if self.manifest.networks.is_empty() { &default } else { &self.manifest.networks };
        let prefix: Vec<u8> = settings
            .mac_prefix
            .split(':')
            .filter_map(|byte| u8::from_str_radix(byte, 16).ok())
            .take(3)
            .collect();
        networks
            .iter()
            .enumerate()
            .map(|(index, network)| {
                let mut status = NetworkInterfaceStatus::default();
                status.mode.clone_from(&network.mode);
                match network.mode.as_str() {
                    "bridge" => "tap_bridge",
                    "custom" => "custom",
                    _ => "slirp",
                }
                .clone_into(&mut status.backend);
                status.mac = ids::mac_address(&self.manifest.id, index, &prefix).to_string();
                if network.mode == "bridge" {
                    let own = !network.bridge_name.is_empty();
                    let bridge = if own { &network.bridge_name } else { &settings.bridge };
                    status.bridge_name = Some(bridge.clone());
                }
                status.netdev_id = Some(format!("net{index}"));
                status
            })
            .collect()
    }

    /// Address of the app at its gateway: the VM's own first gateway, else the node's.
    fn app_url(&self, settings: &Settings) -> Option<String> {
        let instance_id = self.instance_id().filter(|_| self.uses_gateway)?;
        let own = self.manifest.gateway_urls.first().and_then(|url| host_and_port(url));
        let (host, port) = own.unwrap_or((&settings.gateway_base_domain, settings.gateway_port));
        let port = if port == 443 { String::new() } else { format!(":{port}") };
        Some(format!("https://{instance_id}-{}.{host}{port}", settings.gateway_agent_port))
    }
}

/// Host and port of an `https` URL.
fn host_and_port(url: &str) -> Option<(&str, u16)> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().filter(|authority| !authority.is_empty())?;
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((authority, 443)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            manifest: Manifest { id: "vm-123".to_owned(), ..Manifest::default() },
            shared: Shared::default(),
            uses_gateway: true,
            image: Image { version: "0.5.11".to_owned(), shared_ro: true, os_image_hash: [0; 32] },
            cid: 1000,
            started: false,
            removing: false,
            process: None,
            run: 0,
            restarts: 0,
            boot_progress: String::new(),
            boot_error: String::new(),
            shutdown_progress: String::new(),
            events: VecDeque::new(),
            instance: None,
            guest: None,
        }
    }

    #[test]
    fn the_status_follows_wish_and_process() {
        let mut m = machine();
        assert_eq!(m.status(), "stopped");
        m.started = true;
        assert_eq!(m.status(), "exited");
        m.process = Some(Process { pid: 1, started_at_ms: 0, ended_at_ms: None, exit_code: None });
        assert_eq!(m.status(), "running");
        m.started = false;
        assert_eq!(m.status(), "stopping");
        m.removing = true;
        assert_eq!(m.status(), "removing");
    }

    #[test]
    fn the_app_url_needs_a_gateway_and_an_instance() {
        let settings = Settings {
            gateway_base_domain: "example.com".to_owned(),
            gateway_port: 443,
            ..Settings::default()
        };
        let mut m = machine();
        assert_eq!(m.app_url(&settings), None);
        m.instance = Some(InstanceInfo { instance_id: "ab".to_owned(), ..InstanceInfo::default() });
        assert_eq!(m.app_url(&settings).unwrap(), "https://ab-8090.example.com");
        m.manifest.gateway_urls = vec!["https://gw.example.com:9202/".to_owned()];
        assert_eq!(m.app_url(&settings).unwrap(), "https://ab-8090.gw.example.com:9202");
        m.uses_gateway = false;
        assert_eq!(m.app_url(&settings), None);
    }

    #[test]
    fn only_the_last_events_are_kept() {
        let mut m = machine();
        for n in 0..25 {
            m.notice("boot.progress", &n.to_string(), n, 20);
        }
        assert_eq!(m.events.len(), 20);
        assert_eq!(m.events.front().unwrap().body, "5");
        assert_eq!(m.boot_progress, "24");
    }

    #[test]
    fn interfaces_have_their_derived_addresses() {
        let info = machine().info(0, true, DstackVersion::Next, &Settings::default());
        assert_eq!(info.interfaces[0].mac, "96:b1:d8:b9:08:e6");
        assert!(machine().info(0, true, DstackVersion::V0_5, &Settings::default()).interfaces.is_empty());
    }

    #[test]
    fn old_images_report_no_progress() {
        let mut m = machine();
        m.image.shared_ro = false;
        m.note_start(false);
        assert_eq!(m.boot_progress, "N/A");
    }
}
