//! The guest as a machine, made up from what it was booted with.

use dstack_vmm_client::api::{
    Container, DiskInfo, Gateway, GuestInfo, Interface, InterfaceAddress, ListContainersResponse,
    NetworkInformation, SystemInfo,
};

use super::GuestAgent;
use crate::kms::sha256;
use crate::rpc::RpcError;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

impl GuestAgent {
    pub(super) fn guest_info(&self) -> GuestInfo {
        let app = self.app_info(true);
        let mut info = GuestInfo::default();
        info.version = self.marked_version();
        info.app_id = app.app_id;
        info.instance_id = app.instance_id;
        info.app_cert = app.app_cert;
        info.tcb_info = app.tcb_info;
        info.device_id = app.device_id;
        info
    }

    /// Seconds since the guest booted.
    pub(super) fn uptime(&self) -> u64 {
        self.inner.clock.now_ms().saturating_sub(self.inner.booted_ms) / 1000
    }

    pub(super) fn system_info(&self) -> SystemInfo {
        let spec = &self.inner.spec;
        let memory = u64::from(spec.memory_mib) * MIB;
        let disk = u64::from(spec.disk_gib) * GIB;
        let mut info = SystemInfo::default();
        info.os_name = "dstack (EMULATED)".to_owned();
        info.os_version = self.version().to_owned();
        info.kernel_version = "6.9.0-emulated".to_owned();
        info.cpu_model = "EMULATED @0 MHz".to_owned();
        info.num_cpus = spec.vcpu;
        info.total_memory = memory;
        info.used_memory = memory / 4;
        info.free_memory = memory / 2;
        info.available_memory = memory - info.used_memory;
        info.uptime = self.uptime();
        info.loadavg_one = 5;
        info.loadavg_five = 3;
        info.loadavg_fifteen = 1;
        let mut data = DiskInfo::default();
        data.name = "/dev/vda".to_owned();
        data.mount_point = "/".to_owned();
        data.total_size = disk;
        data.free_size = disk / 10 * 9;
        info.disks = vec![data];
        info
    }

    pub(super) fn network_info(&self) -> NetworkInformation {
        let mut address = InterfaceAddress::default();
        address.address = "10.0.2.15".to_owned();
        address.prefix = 24;
        let mut interface = Interface::default();
        interface.name = "eth0".to_owned();
        interface.addresses = vec![address];
        interface.rx_bytes = self.uptime() * 1024;
        interface.tx_bytes = self.uptime() * 512;
        let mut gateway = Gateway::default();
        gateway.address = "10.0.2.2".to_owned();
        let mut info = NetworkInformation::default();
        info.dns_servers = vec!["10.0.2.3".to_owned()];
        info.gateways = vec![gateway];
        info.interfaces = vec![interface];
        info
    }

    pub(super) fn containers(&self) -> Result<ListContainersResponse, RpcError> {
        if !self.inner.spec.docker {
            return Err(RpcError::text("Socket not found: /var/run/docker.sock")
                .context("Failed to connect to Docker"));
        }
        let created = self.inner.booted_ms / 1000;
        let uptime = self.uptime();
        let services = self.inner.compose.services.iter();
        let mut reply = ListContainersResponse::default();
        reply.containers = services
            .map(|service| {
                let mut container = Container::default();
                container.id = hex::encode(sha256(service.container.as_bytes()));
                container.names = vec![format!("/{}", service.container)];
                container.image.clone_from(&service.image);
                container.image_id = format!("sha256:{}", hex::encode(sha256(service.image.as_bytes())));
                container.created = i64::try_from(created).unwrap_or(i64::MAX);
                container.state = "running".to_owned();
                container.status = up_for(uptime);
                container
            })
            .collect();
        Ok(reply)
    }
}

/// How long a container has been up, in Docker's words.
fn up_for(seconds: u64) -> String {
    match seconds {
        0 => "Up Less than a second".to_owned(),
        1 => "Up 1 second".to_owned(),
        2..60 => format!("Up {seconds} seconds"),
        60..120 => "Up About a minute".to_owned(),
        120..3600 => format!("Up {} minutes", seconds / 60),
        3600..7200 => "Up About an hour".to_owned(),
        7200..172_800 => format!("Up {} hours", seconds / 3600),
        _ => format!("Up {} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::up_for;

    #[test]
    fn times_are_in_dockers_words() {
        let texts: Vec<String> = [0, 1, 59, 60, 3599, 3600, 7200, 200_000].into_iter().map(up_for).collect();
        insta::assert_snapshot!(texts.join("\n"), @r"
        Up Less than a second
        Up 1 second
        Up 59 seconds
        Up About a minute
        Up 59 minutes
        Up About an hour
        Up 2 hours
        Up 2 days
        ");
    }
}
