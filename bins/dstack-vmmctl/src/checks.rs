//! The checks of this program. Each has a page under `docs/checks/`.

use dstack_check::CheckDef;

const REACH: &str = "reach";
const NODE: &str = "node";
const PROJECT: &str = "project";
const ENV: &str = "environment";

const fn check(id: &'static str, title: &'static str, layer: &'static str, why: &'static str) -> CheckDef {
    CheckDef::new(id, title).layer(layer).why(why)
}

pub(crate) const ENDPOINT: CheckDef =
    check("vmm.reach.endpoint", "the endpoint is one", REACH, "a text that is no endpoint leads nowhere");
pub(crate) const TOKEN: CheckDef = check(
    "vmm.reach.token",
    "the token can be read, by its owner alone",
    REACH,
    "whoever reads it controls every VM of the host",
);
pub(crate) const CONNECT: CheckDef =
    check("vmm.reach.connect", "the host takes connections", REACH, "without one nothing can be asked")
        .parents(&["vmm.reach.endpoint"]);
pub(crate) const PROTOCOL: CheckDef = check(
    "vmm.reach.protocol",
    "a VMM answers",
    REACH,
    "a proxy, a login page or another service answers calls, too",
)
.parents(&["vmm.reach.connect"]);
pub(crate) const CREDENTIALS: CheckDef = check(
    "vmm.reach.credentials",
    "the VMM accepts the credentials",
    REACH,
    "without them every call is refused",
)
.parents(&["vmm.reach.protocol"]);
pub(crate) const VERSION: CheckDef = check(
    "vmm.reach.version",
    "the VMM is of a known version",
    REACH,
    "an unknown one may take and answer other things than are assumed",
)
.parents(&["vmm.reach.credentials"]);
pub(crate) const OPEN_API: CheckDef = check(
    "vmm.reach.open-api",
    "the VMM does not answer just anybody",
    REACH,
    "who reaches the API starts, changes and removes every VM of the host",
)
.parents(&["vmm.reach.protocol"]);
pub(crate) const CLEARTEXT: CheckDef = check(
    "vmm.reach.cleartext",
    "no credential is sent in the clear",
    REACH,
    "everybody on the way can read it and use it",
)
.parents(&["vmm.reach.endpoint"]);

const ANSWERS: &[&str] = &["vmm.reach.credentials"];

pub(crate) const IMAGES: CheckDef =
    check("vmm.node.images", "the host has guest images", NODE, "a VM needs one").parents(ANSWERS);
pub(crate) const DEV_IMAGES: CheckDef = check(
    "vmm.node.dev-images",
    "no VM runs a development image",
    NODE,
    "such an image lets people log in, so nothing in it is confidential",
)
.parents(&["vmm.node.images"]);
pub(crate) const PORT_MAPPING: CheckDef = check(
    "vmm.node.port-mapping",
    "VMs can publish ports",
    NODE,
    "without it an app is reached through a gateway or not at all",
)
.parents(ANSWERS);
pub(crate) const CAPACITY: CheckDef = check(
    "vmm.node.capacity",
    "the VMs fit into the limits of the node",
    NODE,
    "the VMM does not enforce its limits, so a host can be promised twice",
)
.parents(ANSWERS);
pub(crate) const VMS: CheckDef = check(
    "vmm.node.vms",
    "every VM that should run is up",
    NODE,
    "a VM that crashed is started again and again without a word",
)
.parents(ANSWERS);
pub(crate) const KMS: CheckDef = check(
    "vmm.node.kms",
    "the KMS gives keys for environments",
    NODE,
    "without it no environment can be sealed",
)
.parents(ANSWERS);
pub(crate) const KMS_SIGNER: CheckDef = check(
    "vmm.node.kms-signer",
    "the signer of those keys is pinned",
    NODE,
    "otherwise the host decides who can read what is sealed",
)
.parents(&["vmm.node.kms"]);
pub(crate) const KMS_URLS: CheckDef = check(
    "vmm.node.kms-urls",
    "guests are given KMS URLs that they can reach",
    NODE,
    "the loopback address of a default is the guest's own",
)
.parents(ANSWERS);
pub(crate) const GATEWAY_URLS: CheckDef = check(
    "vmm.node.gateway-urls",
    "guests are given gateway URLs that they can reach",
    NODE,
    "the loopback address of a default is the guest's own",
)
.parents(ANSWERS);

pub(crate) const PROJECT_FILE: CheckDef = check(
    "vmmctl.project.file",
    "the project file is valid",
    PROJECT,
    "nothing is deployed from one that is not",
);
pub(crate) const PROJECT_INPUTS: CheckDef = check(
    "vmmctl.project.inputs",
    "the files of the project make an app",
    PROJECT,
    "a missing file, an environment that is no such file, or a name that is not allowed stops a deployment",
)
.parents(&["vmmctl.project.file"]);
pub(crate) const PROJECT_COMPOSE: CheckDef = check(
    "vmmctl.project.compose",
    "the app-compose is one that VMM and guest take",
    PROJECT,
    "a guest that does not take it fails at boot",
)
.parents(&["vmmctl.project.inputs"]);
pub(crate) const PROJECT_ALLOW_LIST: CheckDef = check(
    "vmmctl.project.allow-list",
    "the allow-list allows what runs",
    PROJECT,
    "an app whose hash is not allowed gets no keys at its next boot",
)
.parents(&["vmmctl.project.inputs"]);
pub(crate) const PROJECT_PLAN: CheckDef = check(
    "vmmctl.project.plan",
    "nothing stands in the way of a deployment",
    PROJECT,
    "image, ports, limits and the VM itself are looked at before anything is changed",
)
.parents(&["vmmctl.project.inputs", "vmm.reach.credentials"]);

/// What `doctor` looks at on each host.
pub(crate) const DOCTOR: &[CheckDef] = &[
    ENDPOINT,
    TOKEN,
    CONNECT,
    PROTOCOL,
    CREDENTIALS,
    VERSION,
    OPEN_API,
    CLEARTEXT,
    IMAGES,
    DEV_IMAGES,
    PORT_MAPPING,
    CAPACITY,
    VMS,
    KMS,
    KMS_SIGNER,
    KMS_URLS,
    GATEWAY_URLS,
    PROJECT_FILE,
    PROJECT_INPUTS,
    PROJECT_COMPOSE,
    PROJECT_ALLOW_LIST,
    PROJECT_PLAN,
];

pub(crate) const ENV_GRAMMAR: CheckDef = check(
    "env.file.grammar",
    "the file is an environment",
    ENV,
    "a line that is none is refused before it is sent",
);
pub(crate) const ENV_SURPRISE: CheckDef = check(
    "env.file.surprise",
    "every value reaches the app as it is written",
    ENV,
    "nothing in a value is expanded, whatever it looks like",
)
.parents(&["env.file.grammar"]);
pub(crate) const ENV_LIMITS: CheckDef = check(
    "env.limits",
    "the environment is within the guest's limits",
    ENV,
    "a guest does not boot with more",
)
.parents(&["env.file.grammar"]);
pub(crate) const ENV_ALLOWED: CheckDef = check(
    "env.allowed",
    "the app allows every name",
    ENV,
    "the guest leaves a name that is not in allowed_envs out without a word",
)
.parents(&["env.file.grammar"]);

/// What `env check` looks at.
pub(crate) const ENVIRONMENT: &[CheckDef] = &[ENV_GRAMMAR, ENV_SURPRISE, ENV_LIMITS, ENV_ALLOWED];

/// Every check of this program, for the pages about them.
pub fn all() -> impl Iterator<Item = CheckDef> {
    DOCTOR.iter().chain(ENVIRONMENT).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dstack_check::Catalogue;

    #[test]
    fn the_checks_form_catalogues() {
        assert!(Catalogue::new(DOCTOR.iter().copied()).is_ok());
        assert!(Catalogue::new(ENVIRONMENT.iter().copied()).is_ok());
    }

    #[test]
    fn each_has_a_page() {
        let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks");
        let missing: Vec<&str> =
            all().map(|check| check.id).filter(|id| !pages.join(format!("{id}.md")).is_file()).collect();
        assert_eq!(missing, [""; 0]);
    }
}
