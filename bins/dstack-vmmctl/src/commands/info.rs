//! `info`: one VM in full.

use std::fmt::Write;

use cli_support::{CliError, ExitCode};
use dstack_vmm_client::api::VmInfo;
use dstack_vmm_client::app_compose::ComposeHash;
use dstack_vmm_client::client::VmmApi;
use dstack_vmm_client::vm::VmStatus;

use crate::context::{Context, Run};
use crate::failure::IntoCli;
use crate::{timeline, vm_ref};

/// Arguments of `info`.
#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    /// VM by name, id, or the beginning of an id
    #[arg(value_name = "VM")]
    vm: String,
    /// Also ask the guest agent: version, containers, addresses
    #[arg(long)]
    guest: bool,
}

impl Run for Info {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?.client;
        let vm = vm_ref::resolve(&host, &self.vm).await?;
        let guest = if self.guest { Some(ask_guest(&host, &vm.id).await?) } else { None };
        if context.out.is_json() {
            let hash = compose_hash(&vm);
            let document = serde_json::json!({
                "schema": "dstack-vmmctl/info/v1",
                "endpoint": host.endpoint(),
                "compose_hash": hash,
                "vm": vm,
                "guest": guest,
            });
            context.out.json(&document)?;
            return Ok(ExitCode::Ok);
        }
        context.out.text(&text(&vm))?;
        if let Some(guest) = guest {
            context.out.text(&guest_text(&guest))?;
        }
        Ok(ExitCode::Ok)
    }
}

fn compose_hash(vm: &VmInfo) -> Option<String> {
    let configuration = vm.configuration.as_ref()?;
    // While a VM is being removed its document is gone already.
    let text = configuration.compose_file.as_str();
    (!text.is_empty()).then(|| ComposeHash::of(text.as_bytes()).to_string())
}

/// A VM as lines of `name  value`.
fn text(vm: &VmInfo) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(out, "{name:<14}{value}");
        }
    };
    row("name", &vm.name);
    row("id", &vm.id);
    let status: VmStatus = vm.status.as_str().into();
    row("status", &format!("{status}: {}", status.meaning()));
    row("boot", &vm.boot_progress);
    row("boot error", &vm.boot_error);
    row("shutdown", &vm.shutdown_progress);
    row("uptime", &vm.uptime);
    if vm.status != "running" {
        row("exited", &vm.exited_at.as_deref().map(|ago| format!("{ago} ago")).unwrap_or_default());
    }
    row("app id", &vm.app_id);
    row("instance id", vm.instance_id.as_deref().unwrap_or("not reported yet"));
    row("compose hash", &compose_hash(vm).unwrap_or_default());
    row("url", vm.app_url.as_deref().unwrap_or_default());
    if let Some(made) = &vm.configuration {
        row("image", &made.image);
        row("vcpu", &made.vcpu.to_string());
        row("memory", &format!("{} MiB", made.memory));
        row("disk", &format!("{} GiB", made.disk_size));
        for port in &made.ports {
            row("port", &timeline::port(port));
        }
        if !made.kms_urls.is_empty() {
            row("kms", &made.kms_urls.join(", "));
        }
        if !made.gateway_urls.is_empty() {
            row("gateway", &made.gateway_urls.join(", "));
        }
        row(
            "environment",
            &if made.encrypted_env.is_empty() {
                "none".to_owned()
            } else {
                format!("sealed, {} bytes", made.encrypted_env.len())
            },
        );
        if made.no_tee {
            row("tee", "none: this VM is not confidential");
        }
    }
    for interface in &vm.interfaces {
        row("network", &format!("{} {}", interface.mode, interface.mac));
    }
    if !vm.events.is_empty() {
        out.push_str("\nevents\n");
        for line in timeline::lines(&vm.events) {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

/// What the guest agent says. `--json` prints it as `guest`.
#[derive(serde::Serialize)]
struct Guest {
    version: String,
    device_id: String,
    os: String,
    kernel: String,
    uptime_seconds: u64,
    addresses: Vec<String>,
    containers: Vec<String>,
    /// Why containers could not be listed, where they could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    containers_error: Option<String>,
}

async fn ask_guest(host: &dyn VmmApi, id: &str) -> Result<Guest, CliError> {
    let info = host.guest_info(id).await.into_cli()?;
    let system = host.guest_sys_info(id).await.into_cli()?;
    let network = host.guest_network_info(id).await.into_cli()?;
    let (containers, containers_error) = match host.guest_list_containers(id).await {
        Ok(answer) => {
            let line = |container: &dstack_vmm_client::api::Container| {
                let name = container.names.first().map_or("", |name| name.trim_start_matches('/'));
                format!("{name} ({}, {})", container.image, container.status)
            };
            (answer.containers.iter().map(line).collect(), None)
        }
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Ok(Guest {
        version: info.version,
        device_id: hex::encode(&info.device_id),
        os: format!("{} {}", system.os_name, system.os_version),
        kernel: system.kernel_version,
        uptime_seconds: system.uptime,
        addresses: network
            .interfaces
            .iter()
            .flat_map(|interface| {
                interface
                    .addresses
                    .iter()
                    .map(|address| format!("{} {}/{}", interface.name, address.address, address.prefix))
            })
            .collect(),
        containers,
        containers_error,
    })
}

fn guest_text(guest: &Guest) -> String {
    let mut out = String::from("\nguest\n");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<12}{value}");
    };
    row("agent", &guest.version);
    row("device id", &guest.device_id);
    row("system", &guest.os);
    row("kernel", &guest.kernel);
    row("up", &format!("{} s", guest.uptime_seconds));
    for address in &guest.addresses {
        row("address", address);
    }
    for container in &guest.containers {
        row("container", container);
    }
    if let Some(error) = &guest.containers_error {
        row("containers", error);
    }
    out
}
