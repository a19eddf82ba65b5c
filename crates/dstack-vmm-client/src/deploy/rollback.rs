//! Back to a kept version.

use dstack_check::{Finding, Fix};

use super::checks;
use super::history::Entry;
use super::project::PortSpec;
use super::resolve::Desired;
use crate::api::VmConfiguration;
use crate::app_compose::{AppComposeDocument, ComposeError};

/// What running a kept version again comes to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rollback {
    /// What should run. Planned and applied like a project.
    pub desired: Desired,
    /// What to know before: what a rollback cannot bring back, and whether the policy still allows the old hash.
    pub findings: Vec<Finding>,
}

/// Prepares a rollback to `entry`, whose app-compose is `compose`.
///
/// App-compose, image, CPUs, memory and ports become what they were. The disk does not shrink again. Environment and user
/// config stay as they are now, because their contents are not kept; `now` is what the VM has, and `allowed` whether the
/// policy still allows the old hash, as far as that is known. `keep_hashes` is the project's.
///
/// # Errors
/// When the kept app-compose is none.
pub fn rollback(
    entry: &Entry,
    compose: Vec<u8>,
    now: Option<&VmConfiguration>,
    allowed: Option<bool>,
    keep_hashes: u32,
) -> Result<Rollback, ComposeError> {
    let compose = AppComposeDocument::from_bytes(compose)?;
    let mut findings = Vec::new();
    let names: Vec<&str> = entry.env.digests.keys().map(String::as_str).collect();
    if !names.is_empty() {
        findings.push(
            checks::ENV
                .warn()
                .observed(format!("values are not kept, so these stay as they are now: {}", names.join(", ")))
                .fix(Fix::new("to bring old values back, put them into the environment file and deploy")),
        );
    }
    if let Some(now) = now.filter(|now| now.disk_size > entry.disk_gib) {
        findings.push(checks::DISK.warn().observed(format!(
            "the disk stays at {} GiB, version #{} had {}",
            now.disk_size, entry.seq, entry.disk_gib
        )));
    }
    let desired = Desired {
        // The same app also where its VM is gone and a new one is made.
        app_id: entry.app_id.parse().ok(),
        image: entry.image.clone(),
        vcpu: entry.vcpu,
        memory_mib: entry.memory_mib,
        disk_gib: now.map_or(entry.disk_gib, |now| now.disk_size.max(entry.disk_gib)),
        ports: entry.ports.iter().filter_map(|port| port.parse::<PortSpec>().ok()).collect(),
        keep_hashes,
        ..Desired::keeping(entry.name.clone(), compose)
    };
    if desired.uses_kms() {
        let hash = desired.hash();
        match allowed {
            Some(true) => {}
            Some(false) => findings.push(
                checks::AUTHORIZATION
                    .warn()
                    .observed(format!("the policy no longer allows {}", hash.short()))
                    .fix(Fix::new(format!("have {hash} allowed for app {} again; with an allow-list in the project the run does it", entry.app_id))),
            ),
            None => findings.push(
                checks::AUTHORIZATION
                    .unknown("the policy is governed elsewhere")
                    .observed(format!("whether it still allows {} is not known", hash.short()))
                    .fix(Fix::new(format!("make sure that {hash} is allowed for app {}, or the app gets no keys", entry.app_id))),
            ),
        }
    }
    Ok(Rollback { desired, findings })
}
