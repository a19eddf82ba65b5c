//! Device nodes and drivers.

use dstack_check::{CheckDef, Finding, Fix};

use super::elsewhere;
use crate::source::{FileKind, FileMeta};
use crate::{Fact, HostFacts};

/// The devices that quotes need.
const NEEDED: &str = "/dev/sgx_enclave and /dev/sgx_provision";

pub(super) fn nodes(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let sgx = &facts.sgx;
    match (&sgx.enclave_device, &sgx.provision_device) {
        (Fact::Known(enclave), Fact::Known(provision)) => check
            .pass()
            .observed(format!("{NEEDED} are there"))
            .evidence("/dev/sgx_enclave", described(enclave))
            .evidence("/dev/sgx_provision", described(provision)),
        (Fact::Known(enclave), Fact::Absent) => check
            .fail()
            .observed("/dev/sgx_provision is missing: enclaves run, and make no quotes")
            .expected(NEEDED)
            .evidence("/dev/sgx_enclave", described(enclave))
            .fix(Fix::new("use a mainline kernel of 5.11 or newer, which makes both devices")),
        (Fact::Absent, provision) => missing(check, facts, provision.known().is_some()),
        (Fact::Unread(why), _) | (_, Fact::Unread(why)) => check.unknown(format!("/dev: {}", why.why())),
    }
}

/// Why there is no `/dev/sgx_enclave`.
fn missing(check: &CheckDef, facts: &HostFacts, provision: bool) -> Finding {
    let finding = check.fail().expected(NEEDED);
    let command_line = facts.kernel_command_line();
    if command_line.known().is_some_and(|line| line.has("nosgx")) {
        return finding
            .observed("SGX is turned off on the kernel command line")
            .evidence("/proc/cmdline", "nosgx")
            .fix(
                Fix::new("remove nosgx from GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, then reboot")
                    .command("update-grub"),
            );
    }
    if provision || facts.sgx.vepc_device.known().is_some() {
        let there = match (provision, facts.sgx.vepc_device.known().is_some()) {
            (true, true) => "sgx_provision and sgx_vepc are there, sgx_enclave is not",
            (true, false) => "sgx_provision is there, sgx_enclave is not",
            _ => "sgx_vepc is there, sgx_enclave is not",
        };
        return finding
            .observed(format!("{there}: the kernel found no flexible launch control, or the firmware locked it"))
            .evidence("/dev", there)
            .fix(Fix::new("unlock SGX launch control in the firmware; a CPU without flexible launch control cannot do it"));
    }
    if facts.sgx.isgx_device.known().is_some() || facts.sgx.dcap_device.known().is_some() {
        return finding
            .observed("only the device of an out-of-tree driver is there")
            .evidence("/dev", "isgx or sgx/enclave")
            .fix(Fix::new("remove the out-of-tree driver and use the one in the kernel (5.11 or newer)"));
    }
    if let Fact::Known(config) = &facts.kernel.config
        && crate::facts::kernel::KernelConfig::knows("CONFIG_X86_SGX")
        && !config.is_on("CONFIG_X86_SGX")
    {
        return finding
            .observed("the kernel was built without SGX")
            .evidence("kernel configuration", config.line("CONFIG_X86_SGX"))
            .fix(Fix::new("boot a kernel with CONFIG_X86_SGX=y, such as that of the distribution"));
    }
    finding
        .observed("there are no SGX devices")
        .evidence("/dev", "neither sgx_enclave nor sgx_provision nor sgx_vepc")
        .fix(Fix::new(
            "turn SGX on in the firmware and start the machine from cold; the driver is part of the kernel, there is no module to load",
        ))
}

pub(super) fn permissions(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let (enclave, provision) = match (&facts.sgx.enclave_device, &facts.sgx.provision_device) {
        (Fact::Known(enclave), Fact::Known(provision)) => (enclave, provision),
        (Fact::Unread(why), _) | (_, Fact::Unread(why)) => {
            return check.unknown(format!("/dev: {}", why.why()));
        }
        _ => return check.unknown("the devices are not there"),
    };
    let rules = Fix::new("install the udev rules and groups of Intel's packages, then restart the services")
        .command("apt install sgx-setup")
        .command("udevadm trigger /dev/sgx_enclave /dev/sgx_provision");
    let finding = |finding: Finding| {
        finding
            .evidence("/dev/sgx_enclave", described(enclave))
            .evidence("/dev/sgx_provision", described(provision))
    };
    if provision.mode & 0o006 != 0 {
        return finding(check.warn())
            .observed(
                "every user may open /dev/sgx_provision, and with it learn what identifies the platform",
            )
            .expected("root:sgx_prv, mode 0660")
            .fix(rules);
    }
    let group_may = |meta: &FileMeta| meta.mode & 0o060 == 0o060 && meta.gid != 0;
    let services =
        facts.services.qgs().known().is_some_and(|(_, unit)| !unit.user.is_empty() && unit.user != "root");
    if services && !group_may(provision) {
        return finding(check.fail())
            .observed(
                "a quote service that is not root is installed, and no group may open /dev/sgx_provision",
            )
            .expected("root:sgx_prv, mode 0660, and the service's user in the group")
            .fix(rules);
    }
    if enclave.mode & 0o006 == 0o006 || group_may(enclave) {
        let observed = if group_may(provision) {
            "groups may open both devices"
        } else {
            "enclaves run for a group; /dev/sgx_provision is for root, which containers that run as root use"
        };
        return finding(check.pass()).observed(observed);
    }
    finding(check.warn())
        .observed("only root may start enclaves")
        .expected("root:sgx, mode 0660 for /dev/sgx_enclave")
        .fix(rules)
}

pub(super) fn legacy_driver(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let sgx = &facts.sgx;
    let remove =
        Fix::new("remove the out-of-tree driver and reboot: the kernel's own (5.11 or newer) takes over")
            .command("/opt/intel/sgxdriver/uninstall.sh");
    if let Fact::Known(device) = &sgx.isgx_device {
        return check
            .fail()
            .observed("the first out-of-tree driver is in use: nothing current works with it")
            .expected("the driver of the kernel, with /dev/sgx_enclave")
            .evidence("/dev/isgx", described(device))
            .fix(remove);
    }
    let modules: &[String] = sgx.out_of_tree_modules.known().map_or(&[], Vec::as_slice);
    let dcap = sgx.dcap_device.known().filter(|meta| meta.kind != FileKind::Link);
    if !modules.is_empty() || (dcap.is_some() && sgx.enclave_device.is_absent()) {
        let finding = check
            .warn()
            .observed("an out-of-tree SGX driver is in use")
            .expected("the driver of the kernel, with /dev/sgx_enclave")
            .fix(remove);
        return match modules {
            [] => finding.evidence("/dev/sgx/enclave", "a device, without /dev/sgx_enclave"),
            names => finding.evidence("/proc/modules", names.join(", ")),
        };
    }
    match (&sgx.isgx_device, &sgx.out_of_tree_modules) {
        (Fact::Unread(why), Fact::Unread(_)) if sgx.enclave_device.known().is_none() => {
            check.unknown(format!("/dev and /proc/modules: {}", why.why()))
        }
        _ => check.pass().observed("no out-of-tree driver"),
    }
}

/// A device as `ls -l` shows it.
pub(in crate::checks) fn described(meta: &FileMeta) -> String {
    let name = |name: &Option<String>, id: u32| name.clone().unwrap_or_else(|| id.to_string());
    format!("{}:{} mode {:04o}", name(&meta.owner, meta.uid), name(&meta.group, meta.gid), meta.mode)
}
