//! From a VM that is there to what should run, for changes that begin with what it has.

use super::project::PortSpec;
use super::resolve::Desired;
use crate::api::VmConfiguration;
use crate::app_compose::{AppComposeDocument, ComposeError};

impl Desired {
    /// What a VM has, as a wish that it stay so. Whoever changes fields of it plans just those changes; what a wish can leave
    /// open (environment, user config, URLs, GPUs, networking) is left open.
    ///
    /// # Errors
    /// When the VM's app-compose cannot be read.
    pub fn of_vm(configuration: &VmConfiguration) -> Result<Self, ComposeError> {
        let compose = AppComposeDocument::from_bytes(configuration.compose_file.as_bytes())?;
        Ok(Self {
            image: configuration.image.clone(),
            vcpu: configuration.vcpu,
            memory_mib: configuration.memory,
            disk_gib: configuration.disk_size,
            ports: configuration.ports.iter().filter_map(|port| PortSpec::from_mapping(port).ok()).collect(),
            ..Self::keeping(configuration.name.clone(), compose)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{GetMetaResponse, ImageInfo, PortMapping, VersionResponse, VmInfo};
    use crate::deploy::history::History;
    use crate::deploy::observe::{Interest, Observed};
    use crate::deploy::plan::{PlanContext, Target, plan};

    #[test]
    fn a_vm_that_stays_as_it_is_has_no_changes() {
        let configuration = VmConfiguration {
            name: "demo".to_owned(),
            image: "dstack-0.5.11".to_owned(),
            compose_file: r#"{"manifest_version":2,"name":"demo","runner":"docker-compose"}"#.to_owned(),
            vcpu: 3,
            memory: 3072,
            disk_size: 30,
            ports: vec![PortMapping {
                protocol: "tcp".to_owned(),
                host_port: 8080,
                vm_port: 80,
                host_address: "127.0.0.1".to_owned(),
            }],
            encrypted_env: vec![1; 80],
            user_config: "kept".to_owned(),
            kms_urls: vec!["https://kms.example.com".to_owned()],
            ..VmConfiguration::default()
        };
        let vm = VmInfo {
            id: "a".to_owned(),
            name: "demo".to_owned(),
            status: "running".to_owned(),
            configuration: Some(configuration.clone()),
            ..VmInfo::default()
        };
        let server = VersionResponse { version: "0.5.11".to_owned(), ..VersionResponse::default() };
        let image = ImageInfo { name: "dstack-0.5.11".to_owned(), ..ImageInfo::default() };
        let mut observed = Observed::new(server, GetMetaResponse::default(), vec![image]);
        observed.port_mapping_enabled = true;
        let history = History::default();
        let mut context = PlanContext::new("tdx1", "unix:/run/dstack/vmm.sock", &history);
        context.target = Target::Vm("a");
        observed.add_vms(&Interest::new("demo", "tdx1", &history, None, Some("a")), [vm]);
        let mut desired = Desired::of_vm(&configuration).unwrap();
        assert!(plan(&desired, &observed, &context).changes.is_empty());
        desired.vcpu = 4;
        assert_eq!(plan(&desired, &observed, &context).changes.len(), 1);
    }
}
