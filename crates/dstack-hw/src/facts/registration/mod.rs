//! Registration of the platform with Intel: UEFI variables and the registration agent.
//!
//! The firmware of a multi-package platform keeps its state in UEFI variables; the agent (MPA, package `sgx-ra-service`)
//! reads them at boot, sends the platform manifest to Intel and notes the outcome. The variables that hold the manifest
//! itself are never read here.

mod agent;
mod variables;

use serde::Serialize;

use super::HostSource;
use crate::Fact;
use crate::source::Probe;

pub use agent::{AgentLog, AgentOutcome, AgentStatement};
pub use variables::{
    CONFIGURATION, EfiVariable, PACKAGE_INFO, RegistrationConfiguration, RegistrationStatus, SERVER_REQUEST,
    STATUS, VariableError,
};

/// Where efivarfs is mounted.
const EFIVARS: &str = "/sys/firmware/efi/efivars";

/// Where the agent writes what it did.
const AGENT_LOG: &str = "/var/log/mpa_registration.log";

/// What is known of the registration of the platform with Intel.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Registration {
    /// Was the system booted by UEFI (`/sys/firmware/efi`)? Without it there are no variables to look for.
    pub booted_by_uefi: Fact<()>,
    /// The names of the SGX variables that efivarfs shows. `Absent` where efivarfs is not there; an empty efivarfs, as
    /// containers have it, counts as not there.
    pub variables: Fact<Vec<String>>,
    /// `SgxRegistrationStatus`.
    pub status: Fact<RegistrationStatus>,
    /// `SgxRegistrationConfiguration`.
    pub configuration: Fact<RegistrationConfiguration>,
    /// Is the agent there (`/opt/intel/sgx-ra-service/mpa_registration`)?
    pub agent: Fact<()>,
    /// What the agent wrote to `/var/log/mpa_registration.log`.
    pub agent_log: Fact<AgentLog>,
    /// What `mpa_manage -get_registration_status` says, in one line. It needs root.
    pub agent_status: Fact<String>,
}

impl Registration {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let there = |path: &str| Fact::from(source.stat(path)).map(|_| ());
        let variable = |name: &str| Fact::from(source.read(&format!("{EFIVARS}/{name}")));
        let agent = match there("/opt/intel/sgx-ra-service/mpa_registration") {
            Fact::Absent => there("/usr/bin/mpa_registration"),
            known => known,
        };
        Self {
            booted_by_uefi: there("/sys/firmware/efi"),
            variables: variables::listed(source.list(EFIVARS)),
            status: variable(STATUS).and_then(|bytes| RegistrationStatus::parse(&bytes).into()),
            configuration: variable(CONFIGURATION)
                .and_then(|bytes| RegistrationConfiguration::parse(&bytes).into()),
            agent,
            agent_log: Fact::from(source.text(AGENT_LOG)).map(|text| AgentLog::parse(&text)),
            agent_status: Fact::from(source.probe(&Probe::RegistrationStatus))
                .and_then(|output| agent::said(&output)),
        }
    }
}
