//! What the node offers, and how it does.

use dstack_check::{CheckDef, Finding, Fix};
use dstack_vmm_client::api::{VmConfiguration, VmInfo};
use dstack_vmm_client::env::{SignaturePolicy, verify_env_key};
use dstack_vmm_client::ids::AppId;
use dstack_vmm_client::vm::VmStatus;

use super::gather::{Facts, ProjectFacts, why};
use super::not_known;
use crate::checks::{
    CAPACITY, DEV_IMAGES, GATEWAY_URLS, IMAGES, KMS, KMS_SIGNER, KMS_URLS, PORT_MAPPING, VMS,
};

pub(super) fn evaluate(check: &CheckDef, facts: &Facts) -> Finding {
    match check.id {
        id if id == IMAGES.id => images(check, facts),
        id if id == DEV_IMAGES.id => dev_images(check, facts),
        id if id == PORT_MAPPING.id => port_mapping(check, facts),
        id if id == CAPACITY.id => capacity(check, facts),
        id if id == VMS.id => vms(check, facts),
        id if id == KMS.id => kms(check, facts),
        id if id == KMS_SIGNER.id => kms_signer(check, facts),
        id if id == KMS_URLS.id => kms_urls(check, facts),
        id if id == GATEWAY_URLS.id => gateway_urls(check, facts),
        _ => not_known(check),
    }
}

fn images(check: &CheckDef, facts: &Facts) -> Finding {
    match why(facts.images.as_ref()) {
        Err(why) => check.unknown(why),
        Ok(images) if images.is_empty() => check.fail().observed("none").fix(
            Fix::new("put one into the image directory of the host, or pull one where it has a registry")
                .command("dstack-vmmctl images registry")
                .command("dstack-vmmctl images pull TAG"),
        ),
        Ok(images) => {
            let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
            check.pass().observed(names.join(", "))
        }
    }
}

fn dev_images(check: &CheckDef, facts: &Facts) -> Finding {
    let (images, vms) = match (why(facts.images.as_ref()), why(facts.vms.as_ref())) {
        (Ok(images), Ok(vms)) => (images, vms),
        (Err(why), _) | (_, Err(why)) => return check.unknown(why),
    };
    let dev: Vec<&str> =
        images.iter().filter(|image| image.is_dev).map(|image| image.name.as_str()).collect();
    let with_dev = |vm: &&VmInfo| configuration(vm).is_some_and(|made| dev.contains(&made.image.as_str()));
    let used: Vec<&str> = vms.iter().filter(with_dev).map(|vm| vm.name.as_str()).collect();
    match (dev.is_empty(), used.is_empty()) {
        (true, _) => check.pass().observed("the host has none"),
        (false, true) => check.pass().observed(format!("on the host and not used: {}", dev.join(", "))),
        (false, false) => check
            .warn()
            .observed(format!("development images are used by: {}", used.join(", ")))
            .fix(Fix::new("use a production image for everything that holds a secret")),
    }
}

fn port_mapping(check: &CheckDef, facts: &Facts) -> Finding {
    match why(facts.port_mapping.as_ref()) {
        Err(why) => check.unknown(why),
        Ok(true) => check.pass(),
        Ok(false) => check.warn().observed("port mapping is off").fix(
            Fix::new("switch it on in vmm.toml and restart the VMM, unless all apps are behind a gateway")
                .command("dstack-vmmctl config set /etc/dstack/vmm.toml cvm.port_mapping.enabled true"),
        ),
    }
}

fn configuration(vm: &VmInfo) -> Option<&VmConfiguration> {
    vm.configuration.as_ref()
}

fn capacity(check: &CheckDef, facts: &Facts) -> Finding {
    let (meta, vms) = match (why(facts.meta.as_ref()), why(facts.vms.as_ref())) {
        (Ok(meta), Ok(vms)) => (meta, vms),
        (Err(why), _) | (_, Err(why)) => return check.unknown(why),
    };
    let Some(limits) = &meta.resources else { return check.unknown("the VMM says nothing about its limits") };
    // A stopped VM takes no memory, but it holds a CID and can be started any time.
    let should_run = |vm: &&VmInfo| VmStatus::from(vm.status.as_str()) != VmStatus::Stopped;
    let running = || vms.iter().filter(should_run).filter_map(configuration);
    let vcpu: u64 = running().map(|made| u64::from(made.vcpu)).sum();
    let memory: u64 = running().map(|made| u64::from(made.memory)).sum();
    let gib = |mib: u64| format!("{:.1}", mib as f64 / 1024.0);
    let observed = format!(
        "{} of {} VMs, {vcpu} of {} vCPU, {} of {} GiB",
        vms.len(),
        limits.max_cvm_number,
        limits.max_allocable_vcpu,
        gib(memory),
        gib(u64::from(limits.max_allocable_memory_in_mb)),
    );
    let over = vcpu > u64::from(limits.max_allocable_vcpu)
        || memory > u64::from(limits.max_allocable_memory_in_mb)
        || vms.len() as u64 > u64::from(limits.max_cvm_number);
    if over {
        check.warn().observed(observed).fix(Fix::new(
            "stop or shrink VMs, or raise cvm.max_allocable_vcpu and cvm.max_allocable_memory_in_mb if the machine has more",
        ))
    } else {
        check.pass().observed(observed)
    }
}

fn vms(check: &CheckDef, facts: &Facts) -> Finding {
    let vms = match why(facts.vms.as_ref()) {
        Ok(vms) => vms,
        Err(why) => return check.unknown(why),
    };
    let trouble: Vec<String> = vms
        .iter()
        .filter_map(|vm| match (VmStatus::from(vm.status.as_str()), vm.boot_error.as_str()) {
            (VmStatus::Exited, "") => Some(format!("{} is exited", vm.name)),
            (VmStatus::Exited | VmStatus::Running, error) if !error.is_empty() => {
                Some(format!("{}: {error}", vm.name))
            }
            _ => None,
        })
        .collect();
    if trouble.is_empty() {
        check.pass().observed(format!("{} VMs", vms.len()))
    } else {
        check
            .warn()
            .observed(trouble.join("; "))
            .fix(Fix::new("read the serial log of each").command("dstack-vmmctl logs NAME"))
    }
}

fn kms(check: &CheckDef, facts: &Facts) -> Finding {
    match why(facts.key.as_ref()) {
        Ok(_) => check.pass(),
        Err(why) => check.warn().observed(why).fix(Fix::new(
            "check `kms_url` at the top of vmm.toml and that the KMS runs; apps without a sealed environment do not need it",
        )),
    }
}

fn kms_signer(check: &CheckDef, facts: &Facts) -> Finding {
    let Some(Ok(key)) = &facts.key else { return check.not_applicable().observed("there is no key") };
    let signers = match &facts.project {
        ProjectFacts::Resolved(project) => &project.desired.signers[..],
        _ => &[],
    };
    let app_id = AppId::from_bytes([0; 20]);
    let any = SignaturePolicy::danger_accept_any_signer().allow_legacy_without_freshness();
    match verify_env_key(key, &app_id, facts.now, &any) {
        Err(error) => check.fail().observed(error.to_string()).fix(Fix::new(
            "do not seal anything here: the answer is not what a KMS signs",
        )),
        Ok(key) if signers.contains(&key.signer) => check.pass().observed(key.signer.to_string()),
        Ok(key) if signers.is_empty() => check.warn().observed(format!("signed by {}, pinned by nobody", key.signer)).fix(
            Fix::new("compare it with `k256_pubkey` of the KMS's own GetMeta, then put it into `signers` of [kms] in dstack.toml"),
        ),
        Ok(key) => check
            .fail()
            .observed(format!("signed by {}, which the project does not pin", key.signer))
            .expected(signers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))
            .fix(Fix::new("find out whose KMS this host uses before anything is sealed")),
    }
}

/// URLs that lead a guest to itself.
fn loopback(urls: &[String]) -> Vec<&str> {
    let is_loopback = |url: &&String| {
        let host = url.split("://").nth(1).unwrap_or(url);
        host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]")
    };
    urls.iter().filter(is_loopback).map(String::as_str).collect()
}

fn urls(check: &CheckDef, urls: &[String], key: &'static str, without: &'static str) -> Finding {
    let own = loopback(urls);
    if !own.is_empty() {
        return check.warn().observed(own.join(", ")).expected("a URL that guests reach").fix(
            Fix::new(format!(
                "set {key} in vmm.toml to the URL that guests use, or to nothing if there is none"
            ))
            .command(format!("dstack-vmmctl config set /etc/dstack/vmm.toml {key} URL")),
        );
    }
    if urls.is_empty() {
        return check.not_applicable().observed(without);
    }
    check.pass().observed(urls.join(", "))
}

fn kms_urls(check: &CheckDef, facts: &Facts) -> Finding {
    match why(facts.meta.as_ref()) {
        Err(why) => check.unknown(why),
        Ok(meta) => {
            let given = meta.kms.as_ref().map(|kms| kms.urls.as_slice()).unwrap_or_default();
            urls(check, given, "cvm.kms_urls", "guests are given no KMS")
        }
    }
}

fn gateway_urls(check: &CheckDef, facts: &Facts) -> Finding {
    match why(facts.meta.as_ref()) {
        Err(why) => check.unknown(why),
        Ok(meta) => {
            let given = meta.gateway.as_ref().map(|gateway| gateway.urls.as_slice()).unwrap_or_default();
            urls(check, given, "cvm.gateway_urls", "guests are given no gateway")
        }
    }
}
